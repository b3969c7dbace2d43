"""After forgetting no byte of the home holds the words, wherever they went."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from memory.database import Database
from memory.errors import AttuneError
from memory.facts import Facts
from memory.forgetting import erase, lineage
from memory.forgetting.erase_home import erase_home
from memory.forgetting.withheld import withheld
from memory.index.vector_index import VectorIndex
from memory.journal import Journal
from memory.recall.recall import Recall
from memory.records import Recalled
from tests.memory.forgettable import then, told
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
        erase_home(home)
    assert holds(home)
    recall.index.close()
    db.close()
    erase_home(home)
    assert holds(home) == []
    assert [path.name for path in home.iterdir()] == ["owners"]
    assert (home / "owners" / "ann" / "attune.db").read_bytes() == b"hers"


def conversation_about(recall: Recall, journal: Journal, fact: str, *turns: tuple[str, str]) -> list[str]:
    """The ids of the replies of a conversation that tells `fact` and is shown it from then on."""
    told = journal.add_user(journal.start_conversation().id, None, fact)
    memory = recall.facts.remember(fact, source_message_id=told.id)
    recall.sync()
    calls = [{"name": "remember", "arguments": {"text": fact}}]
    replies = [journal.add_reply(told.conversation_id, told.id, "Noted.", generation(fact), calls)]
    for question, answer in turns:
        asked = journal.add_user(told.conversation_id, replies[-1].id, question)
        messages = (
            {"role": "user", "content": fact},
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "user", "content": question},
        )
        made = generation(question, [Recalled(memory.id, fact, 0.9)], messages=messages)
        replies.append(journal.add_reply(told.conversation_id, asked.id, answer, made))
    return [reply.id for reply in replies]


@pytest.mark.parametrize(
    "fact",
    [
        "I study Text Mining at Ghent.",
        "I work as a Content Manager at Acme.",
        "I work as a User Researcher at Acme.",
        "My Name Day is 5 December.",
        "My Role is Type Arguments, Text and Id.",
    ],
)
def test_words_of_ours_in_a_memory_leave_prompts_and_calls_whole(
    recall: Recall, journal: Journal, fact: str
) -> None:
    first, last = conversation_about(recall, journal, fact, ("And now?", f"You said: {fact}"))
    journal.rate(last, 1)
    erase.forget_memory(recall, journal, recall.facts.all()[0].id)
    left = journal.generation(last)
    assert [sorted(one) for one in left.messages] == [
        ["content", "role"], ["content", "role", "tool_calls"], ["content", "role"]
    ]  # fmt: skip
    assert [one["role"] for one in left.messages] == ["user", "assistant", "user"]
    assert [one.text.rstrip(".") for one in left.recalled] == ["(forgotten)"]
    for calls in (left.messages[1]["tool_calls"], journal.message(first).tool_calls):
        assert [(call["name"], list(call["arguments"])) for call in calls] == [("remember", ["text"])]
        assert calls[0]["arguments"]["text"].rstrip(".") == "(forgotten)"
    assert fact not in journal.message(last).content


def test_a_reason_and_an_edit_lose_the_name_as_well(recall: Recall, journal: Journal) -> None:
    _, last = conversation_about(recall, journal, "I work at Acme now.", ("Where?", "At Acme."))
    journal.rate(last, 1, why="because acme is right")
    journal.edit_reply(last, "At ACME!")
    erase.forget_memory(recall, journal, recall.facts.all()[0].id)
    texts = [text for row in journal.db.rows("SELECT text, why FROM feedback") for text in row if text]
    assert sorted(texts) == ["At (forgotten)!", "because (forgotten) is right"]


def test_no_later_adapter_learns_to_say_forgotten(recall: Recall, journal: Journal, db: Database) -> None:
    """Above the message that told it, its name is an ordinary word of the conversation."""
    named = told(journal, "Is Fitzo a good name for a dog?", "Yes, it is lovely.")
    said = then(journal, named, "Which one?", "Fitzo is.")
    plain = told(journal, "And for a cat?", "Mia.")
    edited = journal.add_reply(
        named.conversation_id, journal.add_user(named.conversation_id, None, "Hm?").id, "Sure.", generation()
    )
    called = journal.add_reply(
        named.conversation_id,
        edited.parent_id,
        "",
        generation(completion_ids=()),
        [{"name": "n", "arguments": {"a": "Fitzo"}}],
    )
    other = journal.add_reply(named.conversation_id, edited.parent_id, "No.", generation())
    source = journal.add_user(named.conversation_id, said.id, "I call my dog so.")
    memory = recall.facts.remember("My dog is called Fitzo.", source_message_id=source.id)
    knew = [named, said, edited, called]
    for at, reply in enumerate((*knew, plain, other)):
        event = journal.rate(reply.id, 1, why="as Fitzo would" if reply is edited else None)
        lineage.record(db, f"v{at}", [event.id])
    journal.edit_reply(other.id, "No, Mia.")
    erase.forget_memory(recall, journal, memory.id)
    assert withheld(db) == {reply.id for reply in knew}
    assert {reply.id for _, reply, _ in journal.ledger()} == {plain.id, other.id}
    assert "(forgotten)" not in repr(journal.ledger())
    assert set(lineage.forgotten(db)) == {"v0", "v1", "v2", "v3"}


def test_a_name_that_is_an_everyday_word_takes_no_such_word_with_it(recall: Recall, journal: Journal) -> None:
    turns = (("It may rain. What will you do?", "You moved in May, MAY it was. I will wait; it may stop."),)
    _, last = conversation_about(recall, journal, "We moved here in May.", *turns)
    erase.forget_memory(recall, journal, recall.facts.all()[0].id)
    said = journal.message(last)
    assert said.content == "You moved in (forgotten), (forgotten) it was. I will wait; it may stop."
    assert journal.message(said.parent_id or "").content == "It may rain. What will you do?"


@pytest.mark.parametrize(
    ("fact", "reply", "left"),
    [
        ("My dog is called Élodie.", "Élodie. E\u0301lodie!", "(forgotten). (forgotten)!"),
        ("Мою собаку зовут Фидо.", "Фидо — хорошая собака.", "(forgotten) — хорошая собака."),
        ("我的狗叫小白。", "记住了：我的狗叫小白了。", "记住了：(forgotten)了。"),
        ("Fitzo is my dog.", "Fitzo is a good dog, FITZO!", "(forgotten) is a good dog, (forgotten)!"),
        ("Running is my hobby.", "You are running a lot.", "You are running a lot."),
        ("Today I'm 41 and in Ghent.", "I'm told you are 41 today.", "I'm told you are 41 today."),
    ],
)  # fmt: skip
def test_names_of_every_script_are_taken_out(
    recall: Recall, journal: Journal, fact: str, reply: str, left: str
) -> None:
    _, last = conversation_about(recall, journal, fact, ("Who?", reply))
    erase.forget_memory(recall, journal, recall.facts.all()[0].id)
    assert journal.message(last).content == left


def test_a_small_fact_leaves_prompts_that_only_have_its_word(
    recall: Recall, journal: Journal, db: Database
) -> None:
    source = journal.add_user(journal.start_conversation().id, None, "Well, a cat I have. What now?")
    memory = recall.facts.remember("I have a cat.", source_message_id=source.id)
    recall.facts.remember("I have a boat.", source_message_id=source.id)
    below = journal.add_reply(source.conversation_id, source.id, "Nice.", generation(source.content))
    later = then(journal, below, "What does a cat eat?", "Meat.")
    elsewhere = [told(journal, question, "Well.") for question in ("Do cats sleep?", "Why does a cat purr?")]
    whole = [journal.generation(reply.id) for reply in elsewhere]
    for at, reply in enumerate((below, later, *elsewhere)):
        lineage.record(db, f"v{at}", [journal.rate(reply.id, 1).id])
    erase.forget_memory(recall, journal, memory.id)
    assert journal.message(source.id).content == "(forgotten) What now?"
    assert journal.generation(below.id).messages[-1]["content"] == "(forgotten) What now?"
    assert [one["content"] for one in journal.generation(later.id).messages[1:]] == [
        "(forgotten) What now?",
        "Nice.",
        "What does a cat eat?",
    ]
    assert "(forgotten) What now?" in journal.generation(later.id).prompt_text
    assert [journal.generation(reply.id) for reply in elsewhere] == whole
    assert withheld(db) == {below.id, later.id}
    assert set(lineage.forgotten(db)) == {"v0", "v1"}


def test_a_template_that_cuts_spaces_hides_no_sentence(recall: Recall, journal: Journal) -> None:
    said = "   i do like tea. and so on\nok"
    source = journal.add_user(journal.start_conversation().id, None, said)
    memory = recall.facts.remember("I like tea.", source_message_id=source.id)
    made = replace(generation(said), prompt_text=f"<|user|>\n\n{said.strip()}<|eot|>")
    reply = journal.add_reply(source.conversation_id, source.id, "Nice.", made)
    erase.forget_memory(recall, journal, memory.id)
    assert "tea" not in journal.message(source.id).content
    assert journal.generation(reply.id).prompt_text == "<|user|>\n\n(forgotten) and so on\nok<|eot|>"


def test_each_fact_that_a_message_told_leaves_it(recall: Recall, journal: Journal) -> None:
    source = journal.add_user(journal.start_conversation().id, None, "A cat I have. A boat I have. Hm?")
    for fact in ("I have a cat.", "I have a boat."):
        recall.facts.remember(fact, source_message_id=source.id)
    erase.all_memories(recall, journal)
    assert journal.message(source.id).content == "(forgotten) (forgotten) Hm?"
