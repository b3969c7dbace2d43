"""Which passages are found, how they are joined and explained, and how the index follows the database."""

from __future__ import annotations

import math
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from memory.documents import search
from memory.documents.learning import Documents
from memory.documents.records import Parsed
from memory.documents.search import about, put_in_context
from memory.documents.store import cut
from memory.facts import Facts
from memory.index.vector_index import VectorIndex
from memory.recall.recall import Recall
from tests.memory.documents.conftest import Make
from tests.support import HashEmbedder

STORY = """# Harbour

The blue boat lies in the harbour of Lindau. Its engine was repaired by Mr. Weber in the spring.
The engine needs new oil every second summer. Nobody has painted the hull for many years.

# Kitchen

Bread is baked on Saturday, with rye flour and a little honey. The oven is older than the house itself.
Soup is made from whatever the garden gives in that week. Plates stand on the shelf above the window.
"""


@pytest.fixture
def story(documents: Documents, tmp_path: Path) -> Documents:
    (tmp_path / "story.md").write_text(STORY)
    documents.learn([tmp_path / "story.md"])
    return documents


def test_neighbours_are_joined_and_explained(story: Documents) -> None:
    [first, *rest] = story.passages.search("Who repaired the engine, and when does the engine need oil?")
    assert first.text.startswith("Its engine was repaired")
    assert "new oil" in first.text
    assert first.place == "lines 3\u20134"
    assert len(first.ids) == len(set(first.ids)) > 1
    assert math.isclose(sum(first.parts.values()), first.score, abs_tol=1e-3)
    assert {"similarity", "words"} <= set(first.parts)
    shown = [one for passage in (first, *rest) for one in passage.ids]
    assert len(shown) == len(set(shown))


def test_spans_are_those_of_the_text(story: Documents) -> None:
    found = story.passages.search("the oven and the bread")
    assert found
    for one in found:
        assert " ".join(STORY[one.begin : one.end].split()) == " ".join(one.text.split())


def test_the_budget_and_the_number_are_kept(story: Documents) -> None:
    question = "Who repaired the engine, and when does the engine need oil?"
    for budget in (1, 20, 40, 80):
        found = story.passages.search(question, budget)
        assert sum(about(one.text) for one in found) <= budget + len(found)
        assert bool(found) == (budget >= 20)
    assert len(story.passages.search(question)) >= len(story.passages.search(question, most=1)) == 1
    assert story.passages.search(question, 0) == []


def test_nothing_is_found_for_nothing(story: Documents) -> None:
    assert story.passages.search("  ?! ") == []
    assert story.passages.search("quantum chromodynamics lattice") == []


def test_headings_are_searched_too(story: Documents) -> None:
    assert "Bread" in " ".join(one.text for one in story.passages.search("kitchen bread"))


@pytest.mark.parametrize("asked", ["Where is the Hauptstraße?", "Who is in İzmir?"])
def test_words_that_python_folds_otherwise_than_full_text_are_found(
    documents: Documents, tmp_path: Path, asked: str
) -> None:
    (tmp_path / "odd.md").write_text("The Hauptstraße is closed. My aunt is in İzmir.", encoding="utf-8")
    documents.learn([tmp_path / "odd.md"])
    [found] = documents.passages.search(asked)
    assert found.parts["words"] > 0.0


def test_a_lost_index_is_made_again(story: Documents, home: Path) -> None:
    before = story.passages.search("Who repaired the engine?")
    shutil.rmtree(home / "index")
    assert story.passages.search("Who repaired the engine?") == before
    assert story.passages.index.count() == len(story.store.passage_ids())


def test_what_only_the_index_holds_is_removed(story: Documents) -> None:
    story.passages.index.put(["999999"], HashEmbedder().embed(["Who repaired the engine?"]))
    story.passages.search("Who repaired the engine?")
    assert "999999" not in story.passages.index.ids()


def test_an_index_with_as_many_and_others_is_mended(story: Documents) -> None:
    before = story.passages.search("Who repaired the engine?")
    index = story.passages.index
    index.remove([str(before[0].ids[0])])
    index.put(["999999"], HashEmbedder().embed(["Something else."]))
    assert index.count() == len(story.store.passage_ids())
    assert story.passages.search("Who repaired the engine?") == before
    assert index.ids() == set(map(str, story.store.passage_ids()))


def test_forgetting_a_memory_leaves_the_passages_in_the_index(
    story: Documents, facts: Facts, home: Path
) -> None:
    """Both kinds share a folder, and forgetting makes its files anew."""
    index = VectorIndex(home / "index", HashEmbedder())
    recall = Recall(facts, index)
    memory = recall.remember("I like tea.")
    index.forget([memory.id])
    assert index.count() == 0
    assert story.passages.index.count() == len(story.store.passage_ids())
    assert not story.passages.sync()
    index.close()


def test_owners_do_not_see_each_other(make: Make, tmp_path: Path) -> None:
    mine, yours = make("me"), make("you")
    (tmp_path / "a.md").write_text("The blue boat lies in the harbour of Lindau.")
    mine.learn([tmp_path / "a.md"])
    assert yours.passages.search("blue boat harbour Lindau") == []
    assert yours.store.all() == []
    yours.learn([tmp_path / "a.md"])
    yours.forget(tmp_path / "a.md")
    assert len(mine.passages.search("blue boat harbour Lindau")) == 1


def test_a_vector_in_context_leans_to_its_neighbours() -> None:
    vectors = np.eye(3, dtype=np.float32)
    put_in_context(vectors)
    one, two, three = vectors.tolist()
    assert two == pytest.approx([0.5 / math.sqrt(1.5), 1 / math.sqrt(1.5), 0.5 / math.sqrt(1.5)])
    assert one[1] > one[2] == 0.0
    assert math.isclose(math.hypot(*three), 1.0, rel_tol=1e-6)
    put_in_context(np.empty((0, 3), dtype=np.float32))


@pytest.mark.parametrize("window", [1, 2, 3, 7, 100])
def test_a_context_reaches_over_the_window(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    mixed = alone.copy()
    mixed[1:] += 0.5 * alone[:-1]
    mixed[:-1] += 0.5 * alone[1:]
    monkeypatch.setattr(search, "WINDOW", window)
    put_in_context(alone)
    assert np.array_equal(alone, mixed / np.linalg.norm(mixed, axis=1, keepdims=True))


def test_the_vectors_of_a_long_document_are_held_once_and_packed(documents: Documents) -> None:
    rows = cut(Parsed("".join(f"Sentence number {n} speaks of another thing.\n\n" for n in range(5_000))))
    tracemalloc.start()
    try:
        vectors = documents.passages.vectors(rows)
        assert tracemalloc.get_traced_memory()[1] < 2 * vectors.nbytes
    finally:
        tracemalloc.stop()
    assert vectors.nbytes == len(rows) * HashEmbedder.dimension * 4
