"""Several collections in one folder: owners, kinds, the nearest, and what `state` tells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.index.files import collection_name
from tests.memory.index.indexes import MakeIndex, ids, vector
from tests.support import ROOT


def test_owners_and_kinds_do_not_see_each_other(make_index: MakeIndex) -> None:
    mine, yours, passages = make_index(), make_index("Zoë / two"), make_index(kind="passage")
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


def test_the_nearest_come_first_and_few_are_fine(make_index: MakeIndex) -> None:
    index = make_index()
    assert index.query("tea", 5) == []
    index.put(["one", "two"], [vector("green tea"), vector("black coffee")])
    [(first, near), (second, far)] = index.nearest(vector("green tea"), 10)
    assert (first, second) == ("one", "two")
    assert near == pytest.approx(1.0, abs=1e-5)
    assert far < near
    assert index.query("tea", 0) == index.nearest(vector("tea"), 0) == []


def test_the_state_changes_when_anybody_changes_the_collection(make_index: MakeIndex, tmp_path: Path) -> None:
    mine, same, other = make_index(), make_index(), make_index("other")
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
        "import sys\nfrom pathlib import Path\nfrom memory.index.vector_index import VectorIndex\n"
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


def test_closing_one_leaves_the_others_open(make_index: MakeIndex) -> None:
    mine, other = make_index(), make_index("other")
    mine.add(["a"], ["tea"])
    other.add(["b"], ["coffee"])
    state = mine.state()
    other.close()
    assert mine.state() == state
    assert mine.ids() == {"a"}
    assert other.ids() == {"b"}
