"""After forgetting no byte of the home holds the words, wherever they went."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory import erase
from memory.database import Database
from memory.errors import AttuneError
from memory.facts import Facts
from memory.journal import Journal
from memory.recall import Recall
from memory.records import Recalled
from memory.vector_index import VectorIndex
from tests.support import HashEmbedder, generation

TOLD = "By the way, my dog is called Zquirlbat-7, since you ask."


@pytest.fixture
def recall(facts: Facts, home: Path) -> Iterator[Recall]:
    index = VectorIndex(home / "index", HashEmbedder())
    yield Recall(facts, index)
    index.close()


def holds(home: Path, word: bytes = b"zquirlbat") -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file() and word in path.read_bytes().lower()]


def backup(db: Database, path: Path) -> None:
    with sqlite3.connect(path) as to:
        db.connection().backup(to)
    to.close()


def test_no_byte_is_left_wherever_the_words_went(
    recall: Recall, journal: Journal, db: Database, home: Path
) -> None:
    talk = journal.start_conversation()
    told = journal.add_user(talk.id, None, TOLD)
    journal.set_sent(told.id, TOLD)
    memory = recall.facts.remember("My dog is called Zquirlbat-7.", source_message_id=told.id)
    recall.sync()
    calls = [{"name": "remember", "arguments": {"fact": "the owner's dog is Zquirlbat-7"}}]
    first = journal.add_reply(talk.id, told.id, "Zquirlbat-7 is a fine name.", generation(TOLD), calls)
    asked = journal.add_user(talk.id, first.id, "What is my dog called?")
    made = generation("What is my dog called?", [Recalled(memory.id, memory.text, 0.9)])
    said = journal.add_reply(talk.id, asked.id, "Your dog is called Zquirlbat-7.", made)
    journal.rate(said.id, 1, why="my dog is called Zquirlbat-7")
    journal.edit_reply(said.id, "My dog is called zquirlbat-7!")
    apart = journal.add_user(
        journal.start_conversation().id, None, "My dog  is called ZQUIRLBAT-7, you know."
    )
    other = recall.remember("I live in Ghent.")
    backup(db, home / "backups" / "attune-1.db")
    (home / "backups" / "odd.bin").write_bytes(b"\xff\xfe my dog is called Zquirlbat-7")
    (home / "logs" / "attune.log").write_text("one\nno memory 'Zquirlbat-7'\nthree\n")
    (home / "training").mkdir()
    (home / "training" / "rows.jsonl").write_text(TOLD)
    assert holds(home)

    erase.forget_memory(recall, journal, memory.id)

    assert holds(home) == []
    assert journal.message(told.id).content == "By the way, (forgotten), since you ask."
    assert journal.message(apart.id).content == "(forgotten), you know."
    assert journal.message(asked.id).content == "What is my dog called?"
    assert "(forgotten)" in journal.message(said.id).content
    assert (home / "logs" / "attune.log").read_text() == "one\nno memory '(forgotten)'\nthree\n"
    assert recall.facts.all() == [recall.facts.get(other.id)]
    assert db.check() == []
    kept = Database(home / "backups" / "attune-1.db")
    assert [one.text for one in Facts(kept).all()] == ["I live in Ghent."]
    assert len(Journal(kept).conversations()) == 2
    assert kept.check() == []
    kept.close()


def test_a_damaged_backup_that_cannot_be_searched_is_deleted(
    recall: Recall, journal: Journal, home: Path
) -> None:
    memory = recall.remember("My dog is called Zquirlbat-7.")
    damaged = home / "backups" / "old.db"
    damaged.write_bytes(b"SQLite format 3\x00" + b"\x07" * 5_000 + b"my dog is called Zquirlbat-7")
    erase.forget_memory(recall, journal, memory.id)
    assert not damaged.exists()
    assert holds(home) == []


def test_what_happens_to_be_a_short_memory_is_left_in_other_texts(recall: Recall, journal: Journal) -> None:
    memory = recall.remember("Green tea")
    said = journal.add_user(journal.start_conversation().id, None, "I drank green tea.")
    erase.forget_memory(recall, journal, memory.id)
    assert journal.message(said.id).content == "I drank green tea."


def test_everything_leaves_no_byte_but_of_others(
    recall: Recall, journal: Journal, db: Database, home: Path
) -> None:
    recall.remember("My dog is called Zquirlbat-7.")
    journal.add_user(journal.start_conversation().id, None, TOLD)
    backup(db, home / "backups" / "attune-1.db")
    (home / "attune.db.damaged-1").write_bytes(b"Zquirlbat-7")
    (home / "imports").mkdir()
    (home / "imports" / "mine.txt").write_text(TOLD)
    (home / "owners" / "ann").mkdir(parents=True)
    (home / "owners" / "ann" / "attune.db").write_bytes(b"hers")
    with pytest.raises(AttuneError, match="open in this home"):
        erase.everything(home)
    assert holds(home)
    recall.index.close()
    db.close()
    erase.everything(home)
    assert holds(home) == []
    assert [path.name for path in home.iterdir()] == ["owners"]
    assert (home / "owners" / "ann" / "attune.db").read_bytes() == b"hers"
