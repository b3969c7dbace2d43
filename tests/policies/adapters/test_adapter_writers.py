"""Several processes and crashes at one registry: whole adapters or none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memory.database import Database, open_home
from policies.adapters.registry import AdapterError, AdapterRegistry
from tests.policies.tiny_models import meta
from tests.support import ROOT


def test_what_a_crash_left_is_swept_and_its_number_is_not_used_for_two(
    registry: AdapterRegistry, home: Path, db: Database, trained: Path
) -> None:
    registry.add(trained, meta())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    orphan = Path(shutil.copytree(trained, home / "adapters" / "v2"))
    half = home / "adapters" / f".incoming-{dead.pid}-abc"
    half.mkdir()
    busy = home / "adapters" / f".incoming-{os.getpid()}-abc"
    busy.mkdir()
    assert [each.version for each in registry.list()] == ["v1"]
    with pytest.raises(AdapterError):
        registry.activate("v2", "test")
    assert registry.add(trained, meta()).version == "v3"
    again = AdapterRegistry(db, home)
    assert not orphan.exists()
    assert not half.exists()
    assert busy.exists()
    assert [each.version for each in again.list()] == ["v1", "v3"]


ADD = """
import sys
from pathlib import Path
from memory.database import open_home
from policies.adapters.registry import AdapterRegistry
home, trained, sha, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
registry = AdapterRegistry(open_home(home), home)
meta = {"base": "llama", "base_sha256": sha, "algorithm": "kto"}
for _ in range(count):
    added = registry.add(trained, meta)
    registry.activate(added.version, "test")
    print(added.version, flush=True)
"""


def adding(home: Path, trained: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ADD, str(home), str(trained), meta()["base_sha256"], str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_two_processes_add_at_once(registry: AdapterRegistry, home: Path, trained: Path) -> None:
    writers = [adding(home, trained, 5) for _ in range(2)]
    said = [line for writer in writers for line in writer.communicate(timeout=120)[0].split()]
    assert sorted(said) == sorted(f"v{number}" for number in range(1, 11))
    assert [each.version for each in registry.list()] == [f"v{number}" for number in range(1, 11)]
    for each in registry.list():
        registry.verify(each.version)
    assert registry.active() is not None


@pytest.mark.parametrize("acknowledged", [1, 4, 7])
def test_a_killed_process_leaves_whole_adapters_only(home: Path, trained: Path, acknowledged: int) -> None:
    writer = adding(home, trained, 10_000)
    assert writer.stdout is not None
    said = [writer.stdout.readline().strip() for _ in range(acknowledged)]
    os.kill(writer.pid, signal.SIGKILL)
    said += writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    db = open_home(home)
    registry = AdapterRegistry(db, home)
    there = {each.version for each in registry.list()}
    assert set(said) <= there
    for version in there:
        registry.verify(version)
    assert {path.name for path in (home / "adapters").iterdir()} == there
    active = registry.active()
    assert active is not None
    assert registry.notice is None
    db.close()
