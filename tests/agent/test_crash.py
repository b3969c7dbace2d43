"""kill -9, twenty times: nothing that was acknowledged is lost, and no half adapter is ever active."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.benches.crash import audit_adapters
from env.bench import crash
from env.bench.crash_audits import audit_backups, audit_journal
from env.bench.crash_life import by_command
from memory.database import open_home
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from tests.policies.tiny_models import make_adapter, make_model, shared_adapter, shared_model
from tests.support import ROOT


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills(tmp_path: Path) -> None:
    spec = resolve(str(make_model(tmp_path / "tiny")))
    adapter = make_adapter(tmp_path / "lora", tmp_path / "tiny")
    meta = json.dumps({"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto"})
    home = tmp_path / "home"
    told: list[Any] = []

    def remember(home: Path, acks: Sequence[Any]) -> list[str]:
        told[:] = acks
        return []

    command = [sys.executable, "-m", "tests.agent.crash_child", str(home), str(adapter), meta]
    report = crash.run(
        by_command(command, {"PYTHONPATH": str(ROOT)}),
        home,
        [audit_journal, audit_backups, audit_adapters, remember],
        rounds=20,
    )
    assert report["problems"] == []
    assert report["kills"] == 20
    assert set(report["by_phase"]) == {"start", "chat", "rating", "training", "promotion"}
    assert min(report["by_phase"].values()) >= 2
    assert report["acknowledged"]["message"] > 24
    assert report["acknowledged"]["rating"] > 40
    # the two whole lives alone acknowledge 13 promotions each
    assert report["acknowledged"]["active"] > 26
    db = open_home(home)
    active = AdapterRegistry(db, home).active()
    db.close()
    assert active is not None
    assert active.version == [ack["version"] for ack in told if ack.get("ack") == "active"][-1]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with v1 and v2, of which v1 was promoted last."""
    spec = resolve(str(shared_model()))
    db = open_home(tmp_path / "home")
    registry = AdapterRegistry(db, tmp_path / "home")
    meta = {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto", "status": "promoted"}
    for seed in (0, 1):
        registry.activate(registry.add(shared_adapter(seed=seed), meta).version, "test")
    registry.activate("v1", "test")
    db.close()
    return tmp_path / "home"


def acknowledged(*versions: str | None) -> list[dict[str, str | None]]:
    return [{"ack": "active", "version": version} for version in versions]


def about(*versions: str) -> list[dict[str, str]]:
    return [{"about": "active", "version": version} for version in versions]


@pytest.mark.parametrize(
    "told",
    [
        acknowledged("v1", "v2", "v1"),
        acknowledged("v1", "v2") + about("v1"),
        about("v1"),
        acknowledged("v1", "v2") + about("v1", "v2"),
        [*acknowledged("v2"), {"about": "active"}],
    ],
)
def test_the_audit_takes_what_was_acknowledged_or_about_to_be(home: Path, told: list) -> None:
    assert audit_adapters(home, told) == []


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (acknowledged("v1", "v2"), "v1 speaks, though what was acknowledged is v2"),
        (about("v1") + acknowledged("v2"), "v1 speaks, though what was acknowledged is v2"),
        (acknowledged("v1", None), "v1 speaks, though what was acknowledged is the base"),
        ([], "v1 speaks, though what was acknowledged is the base"),
        (acknowledged("v7", "v1"), "v7 was acknowledged as active and is gone"),
    ],
)
def test_the_audit_compares_what_speaks_with_the_last_promotion(home: Path, told: list, problem: str) -> None:
    [found] = audit_adapters(home, told)
    assert problem in found


@pytest.mark.parametrize("damage", ["cut", "gone", "added"])
def test_the_audit_sees_a_half_adapter(home: Path, damage: str) -> None:
    folder = home / "adapters" / "v2"
    weights = folder / "adapter_model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:100])
    elif damage == "gone":
        shutil.rmtree(folder)
    else:
        shutil.copytree(folder, home / "adapters" / "v2-copy")
    found = audit_adapters(home, acknowledged("v1"))
    assert found
    assert "v2" in found[0]
