"""kill -9, twenty times: nothing that was acknowledged is lost, and no half adapter is ever active."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agent.benches.crash import audit_adapters
from env.bench import crash
from memory.database import open_home
from policies.adapters import AdapterRegistry
from policies.base_models import resolve
from tests.policies.tiny_models import make_adapter, make_model

ROOT = Path(__file__).resolve().parents[2]


def test_twenty_kills(tmp_path: Path) -> None:
    spec = resolve(str(make_model(tmp_path / "tiny")))
    adapter = make_adapter(tmp_path / "lora", tmp_path / "tiny")
    meta = json.dumps({"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto"})
    home = tmp_path / "home"
    report = crash.run(
        [sys.executable, "-m", "tests.agent.crash_child", str(home), str(adapter), meta],
        home,
        [crash.audit_journal, audit_adapters],
        rounds=20,
        environment={"PYTHONPATH": str(ROOT)},
    )
    assert report["problems"] == []
    assert report["kills"] == 20
    assert {"chat", "rating", "training", "promotion"} & set(report["kills_by_phase"])
    assert report["acknowledged"]["message"] > 24
    assert report["acknowledged"]["rating"] > 40


def test_the_audit_sees_a_half_adapter(tmp_path: Path) -> None:
    spec = resolve(str(make_model(tmp_path / "tiny")))
    adapter = make_adapter(tmp_path / "lora", tmp_path / "tiny")
    home = tmp_path / "home"
    db = open_home(home)
    registry = AdapterRegistry(db, home)
    meta = {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto", "status": "promoted"}
    version = registry.add(adapter, meta).version
    registry.activate(version, "test")
    db.close()
    assert audit_adapters(home, [{"ack": "active", "version": version}]) == []
    assert audit_adapters(home, [{"ack": "active", "version": "v7"}]) != []
    weights = home / "adapters" / version / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert audit_adapters(home, []) != []
