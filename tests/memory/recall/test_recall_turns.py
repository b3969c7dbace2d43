"""Recall over conversations that were brought along: surroundings, times, repeats, forgetting."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from memory.database import Database, open_home
from memory.facts import Facts
from memory.forgetting import erase
from memory.index.embedder import MiniLMEmbedder
from memory.index.vector_index import VectorIndex
from memory.journal import Journal
from memory.recall.recall import Recall
from memory.records import Place
from memory.schema import MIGRATIONS
from tests.support import HashEmbedder

TALK = (
    ("Ann", "Have you ever been to Iceland?"),
    ("Ben", "Yes, with my brother. We saw whales from a small boat."),
    ("Ann", "Lovely! I have to feed the cat now."),
    ("Ben", "Say hello to Mixel from me."),
    ("Ann", "By the way, I painted the kitchen door green."),
)


@pytest.fixture
def recall(facts: Facts, home: Path) -> Iterator[Recall]:
    index = VectorIndex(home / "index", HashEmbedder())
    yield Recall(facts, index)
    index.close()


def tell(recall: Recall, thread: str = "talk", at: float | None = None) -> list[str]:
    turns = [
        (f"{by}: {text}", Place(thread, number, None if at is None else at + number, by))
        for number, (by, text) in enumerate(TALK)
    ]
    return [memory.id for memory in recall.remember_turns(turns)]


def test_an_answer_is_found_through_its_question(facts: Facts, home: Path, minilm: MiniLMEmbedder) -> None:
    index = VectorIndex(home / "index", minilm)
    recall = Recall(facts, index)
    ids = tell(recall)
    found = recall.search("When did Ben go to Iceland?", k=2)
    assert ids[1] in [one.memory_id for one in found]
    [answer] = [one for one in found if one.memory_id == ids[1]]
    assert answer.parts["speaker"] > 0
    assert {"vectors", "full text"} <= answer.ranks.keys()
    index.close()


def test_a_search_field_finds_only_what_stands_in_the_memory_itself(recall: Recall) -> None:
    ids = tell(recall)
    assert [memory.id for memory in recall.facts.search_text("iceland")] == [ids[0]]


def test_the_time_in_the_question_lifts_what_was_told_then(recall: Recall) -> None:
    may, june = (datetime(2023, month, 10).timestamp() for month in (5, 6))
    in_may, in_june = tell(recall, "one", may), tell(recall, "two", june)
    asked_at = datetime(2023, 7, 1).timestamp()

    def best(question: str) -> str:
        return recall.search(question, k=1, floor=False, now=asked_at)[0].memory_id

    assert best("What was painted in the kitchen in May 2023?") == in_may[4]
    assert best("What was painted in the kitchen in June 2023?") == in_june[4]
    assert best("What was painted in the kitchen last month?") == in_june[4]


def test_what_is_said_twice_is_shown_once(recall: Recall) -> None:
    tell(recall, "one"), tell(recall, "two")
    found = recall.search("painted kitchen door", k=5, floor=False)
    assert [one.text for one in found].count("Ann: By the way, I painted the kitchen door green.") == 1
    assert found[0].ranks["repeats"] == 1


def test_without_the_floor_everything_is_ranked(recall: Recall) -> None:
    tell(recall)
    assert recall.search("volcano", k=5) == []
    assert len(recall.search("volcano", k=5, floor=False)) == len(TALK)


def test_the_same_words_at_another_place_are_another_turn(recall: Recall) -> None:
    one = recall.remember("Thanks!", "turn", place=Place("talk", 1))
    two = recall.remember("Thanks!", "turn", place=Place("talk", 2))
    assert one.id != two.id
    assert recall.remember("Thanks!", "turn", place=Place("talk", 1)) == one


def vector(recall: Recall, memory_id: str) -> list[float]:
    found = recall.index._do(lambda c: c.get(ids=[memory_id], include=["embeddings"]))
    return [float(value) for value in found["embeddings"][0]]


def test_a_turn_forgets_the_forgotten_turn_before_it(recall: Recall, journal: Journal, home: Path) -> None:
    ids = tell(recall)
    knew = vector(recall, ids[4])
    assert recall.full_text.matching(["mixel"], 10)
    erase.forget_memory(recall, journal, ids[3])
    assert recall.full_text.matching(["mixel"], 10) == []
    assert ids[4] not in recall.index.ids()  # until it is made anew, rather than with what it knew
    recall.sync()
    assert vector(recall, ids[4]) != pytest.approx(knew)
    alone = recall.index.embedder.embed([f"Ann: {TALK[4][1]}"])[0]
    assert vector(recall, ids[4]) == pytest.approx(alone, abs=1e-5)
    assert recall.sync() is False


def test_an_edited_turn_reaches_the_one_after_it(recall: Recall) -> None:
    ids = tell(recall)
    recall.edit(ids[3], "Ben: Say hello to Zorbel from me.")
    found = {one for one, _ in recall.full_text.matching(["zorbel"], 10)}
    assert ids[4] in found
    assert recall.full_text.matching(["mixel"], 10) == []
    both = recall.index.embedder.embed([f"Ben: Say hello to Zorbel from me.\nAnn: {TALK[4][1]}"])[0]
    assert vector(recall, ids[4]) == pytest.approx(both, abs=1e-5)
    assert recall.sync() is False


def test_a_turn_that_comes_late_takes_its_place(recall: Recall) -> None:
    recall.remember("Ben: Yes, last year!", "turn", place=Place("talk", 2))
    late = recall.remember("Ann: Did you see Norway?", "turn", place=Place("talk", 1))
    [after] = [one for one, _ in recall.full_text.matching(["norway"], 10) if one != late.id]
    both = recall.index.embedder.embed(["Ann: Did you see Norway?\nBen: Yes, last year!"])[0]
    assert vector(recall, after) == pytest.approx(both, abs=1e-5)


def test_a_rebuilt_index_answers_as_before(recall: Recall) -> None:
    tell(recall)
    before = recall.search("kitchen door", floor=False)
    assert recall.rebuild() == len(TALK)
    assert [(one.memory_id, one.score) for one in recall.search("kitchen door", floor=False)] == [
        (one.memory_id, one.score) for one in before
    ]


def test_own_changes_do_not_make_the_index_be_compared_again(
    recall: Recall, monkeypatch: pytest.MonkeyPatch
) -> None:
    recall.remember("My dog is called Fitzo.")
    recall.search("dog")
    monkeypatch.setattr(recall.index, "ids", lambda: pytest.fail("all ids were asked for"))
    tea = recall.remember("I like tea.")
    assert [one.memory_id for one in recall.search("tea")] == [tea.id]
    newer = recall.edit(tea.id, "I like green tea.")
    assert [one.memory_id for one in recall.search("tea")] == [newer.id]
    recall.forget(newer.id)
    assert recall.search("tea") == []


def test_words_of_a_large_home_are_looked_for_rarest_first(
    facts: Facts, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.recall.full_text.FEW", 3)
    monkeypatch.setattr("memory.recall.full_text.RANKED", 3)
    recall = Recall(facts, VectorIndex(home / "index", HashEmbedder()))
    for number in range(6):
        recall.remember(f"Tea number {number} is a fine tea.")
    rare = recall.remember("Tea from Darjeeling is a fine tea.")
    assert [one for one, _ in recall.full_text.matching(["tea", "darjeeling"], 10)] == [rare.id]
    # Both are everywhere: what is looked for must hold both.
    recall.remember("Coffee is fine.")
    both = recall.full_text.matching(["tea", "fine"], 20)
    assert len(both) == 7
    assert recall.full_text.matching(["absent"], 10) == []
    recall.index.close()


def test_memories_of_an_older_home_are_found_after_the_migration(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    connection = sqlite3.connect(old / "attune.db", isolation_level=None)
    connection.execute("CREATE TABLE migration (name TEXT PRIMARY KEY, applied_at REAL NOT NULL) STRICT")
    for name, sql in MIGRATIONS:
        if name > "memory-0004-z":
            break
        connection.executescript(sql)
        connection.execute("INSERT INTO migration VALUES (?, 0)", (name,))
    for number, text in enumerate(("My dog is called Fitzo.", "I like tea.")):
        connection.execute(
            "INSERT INTO memory (id, text, folded, kind, created_at) VALUES (?, ?, ?, 'fact', 1)",
            (f"m{number}", text, text.casefold()),
        )
    connection.execute("DELETE FROM memory WHERE id = 'm1'")
    connection.close()
    db: Database = open_home(old)
    facts = Facts(db)
    assert [memory.id for memory in facts.search_text("fitzo")] == ["m0"]
    recall = Recall(facts, VectorIndex(old / "index", HashEmbedder()))
    assert [one.memory_id for one in recall.search("dog called")] == ["m0"]
    made = recall.remember("I like tea.")
    assert [one.memory_id for one in recall.search("tea")] == [made.id]
    recall.index.close()
    db.close()
