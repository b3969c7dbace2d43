"""Several collections in one folder: owners, kinds, forgetting, and what `state` tells."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import index_folder
from memory.files import lock_folder, locked
from memory.index_files import collection_name
from memory.index_folder import BusyIndex, alone
from memory.vector_index import VectorIndex
from tests.support import HashEmbedder

ROOT = Path(__file__).parents[2]
Make = Callable[..., VectorIndex]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[VectorIndex] = []

    def index(owner: str = "owner", kind: str = "fact") -> VectorIndex:
        made.append(VectorIndex(tmp_path / "index", HashEmbedder(), owner, kind))
        return made[-1]

    yield index
    for one in made:
        one.close()


def ids(found: list[tuple[str, float]]) -> list[str]:
    return [one for one, _ in found]


def vector(text: str) -> list[float]:
    return HashEmbedder().embed([text])[0]


def test_owners_and_kinds_do_not_see_each_other(make: Make) -> None:
    mine, yours, passages = make(), make("Zoë / two"), make(kind="passage")
    for index, name in ((mine, "mine"), (yours, "yours"), (passages, "passage")):
        index.add([name, "shared"], ["green tea", f"tea of {name}"])
    for index, name in ((mine, "mine"), (yours, "yours"), (passages, "passage")):
        assert index.ids() == {name, "shared"}
        assert set(ids(index.query("tea", 10))) == {name, "shared"}
    yours.remove(["shared"])
    yours.rebuild([("again", "tea")])
    assert (mine.count(), yours.ids(), passages.count()) == (2, {"again"}, 2)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=2, max_size=2, unique=True))
def test_no_owner_can_name_the_collection_of_another(pairs: list[tuple[str, str]]) -> None:
    one, other = (collection_name(owner, kind, "e") for owner, kind in pairs)
    assert one != other


def test_the_name_of_the_default_owner_is_the_one_of_older_homes() -> None:
    assert collection_name("owner", "fact", "hash-64").startswith("owner-fact-")
    assert collection_name("a-b", "c", "e") != collection_name("a", "b-c", "e")


def test_the_nearest_come_first_and_few_are_fine(make: Make) -> None:
    index = make()
    assert index.query("tea", 5) == []
    index.put(["one", "two"], [vector("green tea"), vector("black coffee")])
    [(first, near), (second, far)] = index.nearest(vector("green tea"), 10)
    assert (first, second) == ("one", "two")
    assert near == pytest.approx(1.0, abs=1e-5)
    assert far < near
    assert index.query("tea", 0) == index.nearest(vector("tea"), 0) == []


def lies_in(folder: Path, text: str) -> bool:
    """Whether the vector of a text can be read anywhere in the files, as it is or scaled to unit length.

    A graph holds it scaled, so the last bits differ: all runs of numbers are compared. The text should have
    several words, or its few numbers are found in many places.
    """
    sought = np.array(vector(text), dtype="<f4")
    sought /= np.linalg.norm(sought)
    for path in folder.rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        for shift in range(4):
            numbers = np.frombuffer(held[shift : len(held) - (len(held) - shift) % 4], dtype="<f4")
            if len(numbers) < len(sought):
                continue
            numbers = np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0).clip(-1e3, 1e3)
            runs = np.lib.stride_tricks.sliding_window_view(numbers, len(sought))
            scale = np.linalg.norm(runs, axis=1)
            if ((runs @ sought) > 0.999 * scale)[scale > 1e-3].any():
                return True
    return False


def test_forgetting_leaves_no_vector_behind_and_all_others_in_place(tmp_path: Path) -> None:
    secret = "the safe opens with quartz"
    # Many times: Chroma writes some files with room in them, and what lies there depends on its memory.
    for number in range(12):
        folder = tmp_path / str(number)
        facts, passages, theirs, empty = (
            VectorIndex(folder, HashEmbedder(), owner, kind)
            for owner, kind in (("owner", "fact"), ("owner", "passage"), ("other", "fact"), ("none", "fact"))
        )
        facts.add(["secret", "kept"], [secret, "green tea"])
        passages.add(["secret", "page"], [secret, "black coffee"])
        theirs.add(["their"], ["white milk"])
        empty.add(["secret"], [secret])
        assert lies_in(folder, secret)
        facts.forget(["secret"])
        for index, expected in ((facts, {"kept"}), (passages, {"page"}), (theirs, {"their"}), (empty, set())):
            assert index.ids() == expected
        for index, text, expected in (
            (facts, "tea", "kept"),
            (passages, "coffee", "page"),
            (theirs, "milk", "their"),
        ):
            assert ids(index.query(text, 1)) == [expected]
        for index in (facts, passages, theirs, empty):
            index.close()
        assert lies_in(folder, "green tea")
        assert not lies_in(folder, secret), number


def test_what_left_a_large_collection_before_is_forgotten_as_well(make: Make, tmp_path: Path) -> None:
    index, names = make(), [str(at) for at in range(1_200)]
    index.add(names, [f"memory number {name}" for name in names])
    forgotten, edited, removed, opal = (
        f"the {stone} lies in a safe behind an old green door of that house"
        for stone in ("quartz", "amber", "jade", "opal")
    )
    index.add(["secret", "edited", "removed"], [forgotten, edited, removed])
    index.add([f"more {name}" for name in names], [f"another one {name}" for name in names])
    index.add(["edited"], ["an open door"])
    index.remove(["removed"])
    dropped = make(kind="gone")
    dropped.add(names, [f"{opal} {name}" for name in names])
    dropped.clear()
    index.forget(["secret"])
    assert len(index.ids()) == 2_401
    assert index.finds(index.ids())
    assert ids(index.query("an open door", 1)) == ["edited"]
    index.close()
    dropped.close()
    folder = tmp_path / "index"
    assert lies_in(folder, "memory number 7")
    for text in (forgotten, edited, removed, f"{opal} 7"):
        assert not lies_in(folder, text), text


def test_a_process_that_died_while_forgetting_leaves_no_slow_index(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make()
    index.add(["secret", "kept"], ["quartz safe", "green tea"])
    usual = index.collection().configuration["hnsw"]

    def die(client: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("memory.index_folder.write_out", die)
        with pytest.raises(KeyboardInterrupt):
            index.forget(["secret"])
    index.reopen()
    assert index.ids() == {"kept"}
    assert index.collection().configuration["hnsw"] == usual


def refuse(monkeypatch: pytest.MonkeyPatch, step: str, said: str) -> None:
    """`step` is where it stands: a module of the room and a name in it."""

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError(said)

    monkeypatch.setattr(f"memory.{step}", fail)


def test_an_index_that_cannot_be_cleaned_starts_anew(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make()
    index.add(["secret", "kept"], ["quartz safe", "green tea"])
    refuse(monkeypatch, "index_folder.compact", "disk I/O error")
    before = index.state()
    index.forget(["secret"])
    assert index.state() != before
    assert index.ids() == set()
    assert not lies_in(tmp_path / "index", "quartz safe")


def test_an_index_that_somebody_uses_is_not_deleted_for_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make()
    index.add(["secret", "old", "kept"], ["quartz safe", "black coffee", "green tea"])
    with monkeypatch.context() as patch:
        refuse(patch, "vector_index.drop", "database is locked")
        with pytest.raises(BusyIndex, match="wait a moment"):
            index.remove(["old"])
    assert index.ids() == {"secret", "old", "kept"}
    with monkeypatch.context() as patch:
        refuse(patch, "index_folder.compact", "database is locked")
        with pytest.raises(BusyIndex):
            index.forget(["secret"])
    assert index.ids() == {"old", "kept"}


def test_while_another_process_is_in_the_folder_one_waits(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_folder, "PATIENCE_SECONDS", 0.05)
    index = make()
    index.add(["a"], ["tea"])
    with locked(tmp_path / "index", alone=True, seconds=0.0):  # as another process does
        for ask in (index.ids, index.state, lambda: index.add(["b"], ["milk"]), lambda: index.forget(["a"])):
            with pytest.raises(BusyIndex, match="wait a moment"):
                ask()
    assert index.ids() == {"a"}


def test_nobody_is_let_in_until_a_vector_is_forgotten(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[str] = []

    def watched(name: str) -> None:
        step = getattr(index_folder, name)

        def watch(what: object) -> None:
            with pytest.raises(TimeoutError):
                lock_folder(tmp_path / "index", alone=False, seconds=0.0)
            met.append(name)
            step(what)

        monkeypatch.setattr(index_folder, name, watch)

    for name in ("hasten", "write_out", "compact"):
        watched(name)
    index = make()
    index.add(["secret", "kept"], ["quartz safe", "green tea"])
    index.forget(["secret"])
    assert met == ["hasten", "write_out", "compact"]
    assert index.ids() == {"kept"}


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
from memory.vector_index import VectorIndex
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


def test_the_state_changes_when_anybody_changes_the_collection(make: Make, tmp_path: Path) -> None:
    mine, same, other = make(), make(), make("other")
    mine.add(["a"], ["tea"])
    before = mine.state()
    assert mine.state() == same.state() == before
    other.add(["b"], ["coffee"])  # of this process, in another collection of the same files
    mine.query("tea", 1)
    assert mine.state() == before
    same.add(["c"], ["milk"])
    assert mine.state() != before
    before = mine.state()
    script = (
        "import sys\nfrom pathlib import Path\nfrom memory.vector_index import VectorIndex\n"
        "from tests.support import HashEmbedder\n"
        "VectorIndex(Path(sys.argv[1]), HashEmbedder()).add(['d'], ['water'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "index")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert mine.state() != before
    assert mine.ids() == {"a", "c", "d"}
    assert ids(mine.query("water", 1)) == ["d"]
    before = mine.state()
    shutil.rmtree(tmp_path / "index")
    assert mine.state() != before
    assert mine.count() == 0


def test_closing_one_leaves_the_others_open(make: Make) -> None:
    mine, other = make(), make("other")
    mine.add(["a"], ["tea"])
    other.add(["b"], ["coffee"])
    state = mine.state()
    other.close()
    assert mine.state() == state
    assert mine.ids() == {"a"}
    assert other.ids() == {"b"}
