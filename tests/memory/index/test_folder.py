"""One folder and several who use it: they wait for each other, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memory.files import lock_folder, locked
from memory.index import folder as index_folder
from memory.index.folder import BusyIndex, alone
from memory.index.vector_index import VectorIndex
from tests.memory.index.indexes import MakeIndex, refuse
from tests.support import ROOT, HashEmbedder


def test_an_index_that_somebody_uses_is_not_deleted_for_it(
    make_index: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index()
    index.add(["secret", "old", "kept"], ["quartz safe", "black coffee", "green tea"])
    with monkeypatch.context() as patch:
        refuse(patch, "index.vector_index.drop", "database is locked")
        with pytest.raises(BusyIndex, match="wait a moment"):
            index.remove(["old"])
    assert index.ids() == {"secret", "old", "kept"}
    with monkeypatch.context() as patch:
        refuse(patch, "index.folder.compact", "database is locked")
        with pytest.raises(BusyIndex):
            index.forget(["secret"])
    assert index.ids() == {"old", "kept"}


def test_while_another_process_is_in_the_folder_one_waits(
    make_index: MakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_folder, "PATIENCE_SECONDS", 0.05)
    index = make_index()
    index.add(["a"], ["tea"])
    with locked(tmp_path / "index", alone=True, seconds=0.0):  # as another process does
        for ask in (index.ids, index.state, lambda: index.add(["b"], ["milk"]), lambda: index.forget(["a"])):
            with pytest.raises(BusyIndex, match="wait a moment"):
                ask()
    assert index.ids() == {"a"}


def test_a_folder_that_is_deleted_while_one_waits_for_it_is_not_what_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    other = lock_folder(folder, alone=True, seconds=0.0)
    assert other is not None

    def meanwhile(_: float) -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        os.close(other)

    monkeypatch.setattr("memory.files.time.sleep", meanwhile)
    with alone(folder), pytest.raises(TimeoutError):
        lock_folder(folder, alone=False, seconds=0.0)


FILLER = """
import sys
from pathlib import Path
import chromadb
from memory.index.vector_index import VectorIndex
from tests.support import HashEmbedder
print("ready", flush=True)
for line in sys.stdin:
    index = VectorIndex(Path(line.strip()), HashEmbedder())
    mine = [f"{sys.argv[1]}-{number}" for number in range(3)]
    index.add(mine, mine)
    index.forget(mine[2:])
    print("done", flush=True)
"""


@pytest.mark.slow
def test_processes_that_write_to_one_new_folder_at_once_lose_nothing(tmp_path: Path) -> None:
    fillers = [
        subprocess.Popen(
            [sys.executable, "-c", FILLER, str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    folders = [tmp_path / str(number) for number in range(4)]
    said = [one.stdout.readline() for one in fillers if one.stdout]
    for folder in folders:
        for one in fillers:
            assert one.stdin is not None
            one.stdin.write(f"{folder}\n")
            one.stdin.flush()
        said += [one.stdout.readline() for one in fillers if one.stdout]
    assert [one.communicate()[0] for one in fillers] == ["", "", ""]
    assert said == ["ready\n"] * 3 + ["done\n"] * 12
    for folder in folders:
        index = VectorIndex(folder, HashEmbedder())
        assert index.ids() == {f"{one}-{number}" for one in range(3) for number in range(2)}
        index.close()
