"""Which adapters know what was forgotten, and which replies no later one is trained on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from memory.database import Database, open_home
from memory.errors import NotFound
from memory.facts import Facts
from memory.forgetting import erase, lineage
from memory.forgetting.withheld import withheld
from memory.index.vector_index import VectorIndex
from memory.journal import Journal
from memory.recall.recall import Recall
from memory.records import Adapter
from tests.memory.forgettable import then, told
from tests.support import HashEmbedder

DOG = "My dog is called Fitzo."


@pytest.fixture
def recall(facts: Facts, home: Path) -> Iterator[Recall]:
    index = VectorIndex(home / "index", HashEmbedder())
    yield Recall(facts, index)
    index.close()


def test_what_an_adapter_was_trained_on_is_completed_from_the_tables(
    db: Database, journal: Journal, facts: Facts
) -> None:
    dog = facts.remember(DOG)
    first = told(journal, "Who is Fitzo?", "Your dog.", [dog])
    second = journal.add_reply(first.conversation_id, first.parent_id, "A cat.", journal.generation(first.id))
    event = journal.pick(first.id, second.id)
    lineage.record(db, "v1", [event.id])
    assert lineage.of(db, "v1") == {
        "feedback": [event.id],
        "reply": sorted([first.id, second.id]),
        "memory": [dog.id],
    }
    assert lineage.forgotten(db) == {}
    lineage.drop(db, "v1")
    assert lineage.of(db, "v1") == {"feedback": [], "reply": [], "memory": []}


def test_every_way_of_deleting_marks_and_taking_back_does_not(
    db: Database, journal: Journal, recall: Recall
) -> None:
    dog = recall.remember(DOG)
    liked, knew, plain = (
        told(journal, "a", "one"),
        told(journal, "b", "two", [dog]),
        told(journal, "c", "three"),
    )
    for version, reply in (("v1", liked), ("v2", knew), ("v3", plain)):
        lineage.record(db, version, [journal.rate(reply.id, 1).id])
    journal.rate(plain.id, 0)
    assert lineage.forgotten(db) == {}
    erase.forget_rating(journal, liked.id)
    assert lineage.forgotten(db) == {"v1": {"feedback": 1}}
    erase.forget_memory(recall, journal, dog.id)
    assert lineage.forgotten(db) == {"v1": {"feedback": 1}, "v2": {"memory": 1, "reply": 1}}
    journal.delete_conversation(plain.conversation_id)  # as the list of conversations does it
    assert lineage.forgotten(db)["v3"] == {"feedback": 1, "reply": 1}


def test_an_adapter_trained_on_what_was_forgotten_meanwhile_is_refused(
    db: Database, journal: Journal
) -> None:
    reply = told(journal, "a", "one")
    event = journal.rate(reply.id, 1)
    erase.forget_rating(journal, reply.id)
    with pytest.raises(lineage.ForgottenMeanwhile, match="attune train"):
        lineage.record(db, "v1", [event.id])
    assert lineage.of(db, "v1")["feedback"] == []


def test_a_reply_that_names_a_memory_which_is_not_there_can_be_learned_from(
    db: Database, journal: Journal, recall: Recall
) -> None:
    dog, cat = recall.remember(DOG), recall.remember("My cat is called Mia.")
    first = told(journal, "Who is it?", "Your pet.", [dog, cat])
    erase.forget_memory(recall, journal, dog.id)
    # made again from what the first one was shown, as earlier versions did
    again = journal.add_reply(first.conversation_id, first.parent_id, "It?", journal.generation(first.id))
    lineage.record(db, "v1", [journal.rate(again.id, 1).id])
    assert lineage.of(db, "v1")["memory"] == [cat.id]
    assert lineage.forgotten(db) == {}


def test_an_adapter_trained_on_a_memory_that_was_forgotten_meanwhile_is_refused(
    db: Database, journal: Journal, recall: Recall
) -> None:
    dog = recall.remember(DOG)
    event = journal.rate(told(journal, "Who is it?", "Your dog.", [dog]).id, 1)
    erase.forget_memory(recall, journal, dog.id)
    with pytest.raises(lineage.ForgottenMeanwhile):
        lineage.record(db, "v1", [event.id])
    assert lineage.of(db, "v1") == {"feedback": [], "reply": [], "memory": []}


def test_a_forgotten_rating_takes_the_picks_on_both_sides(journal: Journal) -> None:
    one = told(journal, "a", "one")
    two = journal.add_reply(one.conversation_id, one.parent_id, "two", journal.generation(one.id))
    journal.pick(two.id, one.id)
    journal.edit_reply(one.id, "better")
    assert erase.forget_rating(journal, one.id) == 2
    assert journal.feedback() == []


def test_a_forgotten_conversation_is_counted_and_leaves_its_memories(
    journal: Journal, facts: Facts, home: Path
) -> None:
    reply = then(journal, told(journal, "I am Zquirlbat.", "Hello."), "Who am I?", "Zquirlbat.")
    journal.rate(reply.id, 1)
    source = journal.path(reply.id)[0]
    facts.remember("I am someone else.", source_message_id=source.id)
    assert erase.forget_conversation(journal, reply.conversation_id) == erase.Gone(2, 1, 1)
    assert facts.count() == 1
    assert journal.feedback() == []
    assert not any(b"Zquirlbat" in path.read_bytes() for path in home.rglob("*") if path.is_file())
    with pytest.raises(NotFound):
        erase.forget_conversation(journal, reply.conversation_id)


def test_replies_that_knew_a_forgotten_memory_are_withheld(
    db: Database, journal: Journal, recall: Recall
) -> None:
    start = told(journal, "By the way, Fitzo is what we call our dog.", "Noted.")
    source = journal.path(start.id)[0]
    dog = recall.facts.remember(DOG, source_message_id=source.id)
    tea = recall.remember("tea")
    knew = {
        "told": start,
        "below the message that told it": then(journal, start, "And now?", "We wait."),
        "shown": (shown := told(journal, "Who barks?", "He does.", [dog])),
        "history": then(journal, shown, "Why?", "He is hungry."),
        "typed by the owner": told(journal, f"Remember: {DOG.upper()}", "Yes."),
        "said by itself": told(journal, "What do you know?", f"I know that {DOG.lower()}"),
    }
    edited = told(journal, "And him?", "Who?")
    journal.edit_reply(edited.id, f"You told me: {DOG}")
    others = [told(journal, "What is a dog called?", "By name."), told(journal, "Do you like tea?", "No.")]
    for reply in (*knew.values(), edited, *others):
        journal.rate(reply.id, 1)
    erase.forget_memory(recall, journal, tea.id)
    assert withheld(db) == set(), "a memory of one word stands in texts that do not know it"
    erase.forget_memory(recall, journal, dog.id)
    assert withheld(db) == {reply.id for reply in (*knew.values(), edited)}
    assert [reply.id for _, reply, _ in journal.ledger()] == [other.id for other in others]
    assert len(journal.ledger(withheld=True)) == len(knew) + len(others) + 2
    journal.delete_conversation(start.conversation_id)
    assert start.id not in withheld(db)


def test_memories_forgotten_before_there_was_a_lineage_are_withheld_too(home: Path) -> None:
    with closing(open_home(home)) as db:
        journal, facts = Journal(db), Facts(db)
        reply = told(journal, "a", "one", [facts.remember(DOG)])
        with db.transaction() as connection:  # as a home of the version before
            for kind, name in connection.execute(
                "SELECT type, name FROM sqlite_master WHERE name IN ('forgotten', 'lineage', 'withheld',"
                " 'unfinished', 'rating_forgotten', 'conversation_forgotten', 'memory_forgotten')"
            ).fetchall():
                connection.execute(f"DROP {kind} {name}")
            connection.execute("DELETE FROM migration WHERE name = 'memory-0004-forget'")
        facts.forget(facts.all()[0].id)
    with closing(open_home(home)) as db:
        assert withheld(db) == {reply.id}


@pytest.mark.parametrize(
    ("forgotten", "said"),
    [
        ({}, ""),
        ({"feedback": 1}, "trained on 1 rating that was forgotten since"),
        (
            {"feedback": 2, "memory": 1, "reply": 4},
            "trained on 2 ratings and 1 memory that were forgotten since",
        ),
        ({"reply": 3}, "trained on 3 replies that knew a memory or a document that were forgotten since"),
    ],
)
def test_a_mark_in_words(forgotten: dict[str, int], said: str) -> None:
    adapter = Adapter("v3", "sprout", "", "kto", "promoted", "", 0.0, "", forgotten=forgotten)
    assert lineage.mark(adapter) == said
    assert bool(lineage.what_to_do(adapter)) == bool(said)


def test_vectors_of_forgotten_memories_leave_the_files(recall: Recall, home: Path) -> None:
    import struct

    memories = [recall.remember(f"Number {number} is a good number of things.") for number in range(5)]

    def stored(text: str) -> bool:
        vector = struct.pack("64f", *recall.index.embedder.embed([text])[0])
        return any(vector in path.read_bytes() for path in (home / "index").rglob("*") if path.is_file())

    assert stored(memories[2].text)
    recall.index.forget([memories[2].id])
    assert not stored(memories[2].text)
    assert stored(memories[3].text)
    assert recall.index.ids() == {memory.id for memory in memories} - {memories[2].id}
    assert recall.search(memories[3].text)[0].memory_id == memories[3].id


KILLED = """
import os, signal, sys
from pathlib import Path
from memory.forgetting import erase
from memory.database import Database, open_home
from memory.facts import Facts
from memory.journal import Journal
from memory.recall.recall import Recall
from memory.index.vector_index import VectorIndex
from tests.support import HashEmbedder

home, moment, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
db = open_home(home)
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if moment == "before the commit":
    import memory.forgetting.withheld
    memory.forgetting.withheld.withhold = die
elif moment == "before the logs":
    import memory.forgetting.oblivion
    memory.forgetting.oblivion.blot_files = die
else:
    VectorIndex.forget = die
erase.forget_memory(Recall(Facts(db), VectorIndex(home / "index", HashEmbedder())), Journal(db), what)
"""


@pytest.mark.parametrize("moment", ["before the commit", "after the commit", "before the logs"])
def test_forgetting_that_was_killed_is_undone_or_finished(home: Path, moment: str) -> None:
    with closing(open_home(home)) as db:
        journal = Journal(db)
        recall = Recall(Facts(db), VectorIndex(home / "index", HashEmbedder()))
        dog = recall.remember(DOG)
        reply = told(journal, "Who?", "Him.", [dog])
        lineage.record(db, "v1", [journal.rate(reply.id, 1).id])
        recall.index.close()
    log = home / "logs" / "attune.log"
    log.write_text(f"a turn failed: {DOG}")
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), moment, dog.id],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    with closing(open_home(home)) as db:
        if moment == "before the commit":
            assert [memory.text for memory in Facts(db).all()] == [DOG]
            assert lineage.forgotten(db) == {}
            assert erase.unfinished(db) == erase.finish(db, home) == []
            return
        assert Facts(db).all() == []
        assert lineage.forgotten(db) == {"v1": {"memory": 1, "reply": 1}}
        assert erase.finish(db, home) == (["log"] if moment == "before the logs" else ["index", "log"])
        assert erase.unfinished(db) == []
        assert log.read_text() == ""
        index = VectorIndex(home / "index", HashEmbedder())
        assert index.ids() == set()
        index.close()
        assert not any(b"Fitzo" in path.read_bytes() for path in home.rglob("*") if path.is_file())
