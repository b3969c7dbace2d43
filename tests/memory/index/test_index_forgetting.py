"""What is forgotten is in no file of the index any more, and all else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory.files import lock_folder
from memory.index import folder as index_folder
from memory.index.vector_index import VectorIndex
from tests.memory.index.indexes import MakeIndex, ids, lies_in, refuse
from tests.support import HashEmbedder


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


def test_what_left_a_large_collection_before_is_forgotten_as_well(
    make_index: MakeIndex, tmp_path: Path
) -> None:
    index, names = make_index(), [str(at) for at in range(1_200)]
    index.add(names, [f"memory number {name}" for name in names])
    forgotten, edited, removed, opal = (
        f"the {stone} lies in a safe behind an old green door of that house"
        for stone in ("quartz", "amber", "jade", "opal")
    )
    index.add(["secret", "edited", "removed"], [forgotten, edited, removed])
    index.add([f"more {name}" for name in names], [f"another one {name}" for name in names])
    index.add(["edited"], ["an open door"])
    index.remove(["removed"])
    dropped = make_index(kind="gone")
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
    make_index: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index()
    index.add(["secret", "kept"], ["quartz safe", "green tea"])
    usual = index.collection().configuration["hnsw"]

    def die(client: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("memory.index.folder.write_out", die)
        with pytest.raises(KeyboardInterrupt):
            index.forget(["secret"])
    index.reopen()
    assert index.ids() == {"kept"}
    assert index.collection().configuration["hnsw"] == usual


def test_an_index_that_cannot_be_cleaned_starts_anew(
    make_index: MakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_index()
    index.add(["secret", "kept"], ["quartz safe", "green tea"])
    refuse(monkeypatch, "index.folder.compact", "disk I/O error")
    before = index.state()
    index.forget(["secret"])
    assert index.state() != before
    assert index.ids() == set()
    assert not lies_in(tmp_path / "index", "quartz safe")


def test_nobody_is_let_in_until_a_vector_is_forgotten(
    make_index: MakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    index = make_index()
    index.add(["secret", "kept"], ["quartz safe", "green tea"])
    index.forget(["secret"])
    assert met == ["hasten", "write_out", "compact"]
    assert index.ids() == {"kept"}
