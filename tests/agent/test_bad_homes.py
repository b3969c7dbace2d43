"""Homes that cannot be written, or that are full: one sentence each, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from memory.database import Database, open_home
from memory.errors import FullHome
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from policies.gate.verdict import Limits
from policies.language_policy import LanguagePolicy
from policies.update.job import LearningSettings, run_update
from tests.agent.command_line import Attune, thumb
from tests.policies.rated import Rated, small_exam
from tests.policies.tiny_models import make_adapter, make_model
from tests.support import ROOT, HashEmbedder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return make_model(folder, initializer_range=0.1, max_position_embeddings=4096)


@pytest.fixture
def attune(attune: Attune, monkeypatch: pytest.MonkeyPatch) -> Attune:
    """Commands that find memories by their hashed words."""
    monkeypatch.setattr("memory.index.embedder.load_embedder", lambda setting: HashEmbedder())
    return attune


PLAIN_USER = """
import os, sys
from agent.cli import main
from agent.runtime import Runtime
import agent.cli.app, policies.update.job
# whoever has no rights may not be able to read Python's own folders either: all is imported before
Runtime.open(sys.argv[1]).close()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for line in ("ask Hello", "rate x up", "train", "memory add Tea", "export a.md"):
    print(main(line.split()))
"""


def test_a_read_only_home(tmp_path: Path) -> None:
    """Permissions do not bind root, so the commands run as a person without rights."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        open_home(home).close()
        before = (home / "attune.db").read_bytes()
        for path in [Path(folder), home, *home.iterdir()]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        environment = {"ATTUNE_HOME": str(home), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", PLAIN_USER, str(tmp_path / "writable")],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        after = (home / "attune.db").read_bytes()
        for path in [Path(folder), home, *(path for path in home.iterdir() if path.is_dir())]:
            path.chmod(0o755)
    assert done.stdout.split() == ["1"] * 5, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("attune: The home folder") and "make it writable" in line for line in lines)
    assert after == before


@pytest.mark.parametrize("name", ["adapters", "index", "logs"])
def test_a_file_in_the_place_of_a_folder(attune: Attune, home: Path, reply: str, name: str) -> None:
    shutil.rmtree(home / name)
    (home / name).write_text("not a folder", encoding="utf-8")
    for arguments in (("ask", "Hello.", "--no-memory"), ("rate", reply, "up"), ("train",)):
        assert str(home) in attune(*arguments).sentence
    (home / name).unlink()
    assert attune("rate", reply, "up").code == 0


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Databases opened within it cannot grow, as on a full disk."""
    connect = Database.connect

    def bounded(database: Database) -> sqlite3.Connection:
        made = connect(database)
        pages = made.execute("PRAGMA page_count").fetchone()[0]
        made.execute(f"PRAGMA max_page_count = {pages}")
        return made

    with monkeypatch.context() as patch:
        patch.setattr(Database, "connect", bounded)
        yield


def test_a_full_home_takes_nothing_and_loses_nothing(
    attune: Attune, home: Path, reply: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attune("memory", "add", "My dog is called Fitzo.")
    assert attune("rate", reply, "down", "--why", "first").code == 0
    long = "why " * 50_000
    with full(monkeypatch):
        assert "is full; free some space" in attune("rate", reply, "up", "--why", long).sentence
        line = json.dumps({"reply_id": reply, "value": "up", "why": long})
        many = attune("rate", "--stdin", "--json", stdin=line + "\n")
        assert "is full" in many.json["error"]
        assert "1 of 1 ratings" in many.sentence
        assert "is full" in attune("ask", long, "--no-memory").sentence
        assert "is full" in attune("ask", "Hello.", "--no-memory", "--max-new-tokens", "200").sentence
        said = [attune("memory", "add", f"{number} " + "fact " * 390) for number in range(6)]
    assert "is full" in said[-1].sentence
    facts = attune("memory", "list", "--json").json["memories"]
    assert len(facts) == 1 + sum(one.code == 0 for one in said)
    assert thumb(home, reply) == -1
    assert attune("rate", reply, "up", "--why", long).code == 0
    assert thumb(home, reply) == 1
    sound = {check["name"]: check["ok"] for check in attune("doctor", "--json").json["checks"]}
    assert sound["database"]
    assert sound["index"]


def test_training_on_a_full_home_leaves_no_half_adapter(
    home: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = LanguagePolicy(resolve(str(tiny)), device="cpu")
    Rated(home, policy).talk(4, lambda at: 1 if at % 2 else -1)
    with closing(open_home(home)) as db:
        registry, spec = AdapterRegistry(db, home), policy.spec
        # a long report, so that the next one needs room
        meta = {
            "base": spec.name,
            "base_sha256": spec.sha256,
            "algorithm": "kto",
            "report": {"x": "x" * 3500},
        }
        registry.activate(registry.add(make_adapter(tmp_path / "lora", tiny), meta).version, "test")
    lenient = Limits(degenerate=1.0, truncated=1.0, longest=1e9, shortest=0.0, distinct=0.0, kl=1e9)
    how: dict[str, Any] = {
        "settings": LearningSettings(learning_rate=2e-3, epochs=2, batch_size=4),
        "policy": policy,
        "exam": small_exam(),
        "limits": lenient,
    }
    with full(monkeypatch), pytest.raises(FullHome, match="free some space"):
        run_update(home, **how)
    with closing(open_home(home)) as db:
        registry = AdapterRegistry(db, home)
        active = registry.active()
        assert registry.list() == [active]
        assert registry.notice is None
        assert [path.name for path in (home / "adapters").iterdir()] == ["v1"]
    assert not (home / "training").exists()
    assert run_update(home, **how).adapter == "v2"
    policy.close()
