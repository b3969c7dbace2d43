import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.errors import NotFound
from memory.facts import Facts
from memory.files import lock_folder
from memory.forgetting import erase, oblivion
from memory.index.folder import IndexError_
from memory.index.vector_index import VectorIndex
from memory.journal import Journal
from memory.recall.recall import Recall
from memory.records import Recalled
from tests.memory.forgettable import told
from tests.support import ROOT, HashEmbedder, generation

START = """
import sys
from pathlib import Path
from memory.forgetting import erase
from memory.rescue.restore import open_safely
db, _ = open_safely(Path(sys.argv[1]))
print(erase.finish(db, Path(sys.argv[1])))
"""


@pytest.fixture
def recall(facts: Facts, home: Path) -> Iterator[Recall]:
    index = VectorIndex(home / "index", HashEmbedder())
    yield Recall(facts, index)
    index.close()


def test_a_forgotten_memory_is_gone_from_prompts_and_index_too(
    recall: Recall, journal: Journal, home: Path
) -> None:
    memory = recall.remember("The secret word is Zquirlbat (really).")
    other = recall.remember("I like tea.")
    talk = journal.start_conversation()
    asked = journal.add_user(talk.id, None, "What is the word?")
    shown = [Recalled(memory.id, memory.text, 0.9), Recalled(other.id, other.text, 0.4)]
    made = generation("What is the word?", recalled=shown)
    journal.set_sent(asked.id, made.messages[1]["content"])
    journal.add_tool(talk.id, asked.id, f"- {memory.text}", "recall")
    said = journal.add_reply(talk.id, asked.id, "I know it.", made)
    journal.rate(said.id, 1)

    assert erase.forget_memory(recall, journal, memory.id) == [memory.id]

    left = journal.generation(said.id)
    assert [one.text for one in left.recalled] == [erase.FORGOTTEN, "I like tea."]
    assert left.prompt_ids == ()
    assert left.completion_ids == made.completion_ids
    assert "- (forgotten)\n- I like tea." in left.prompt_text
    assert recall.index.ids() == {other.id}
    assert recall.search("secret word") == []
    assert journal.ledger() == []
    assert [event.value for event, _, _ in journal.ledger(withheld=True)] == [1]
    assert not any(b"zquirlbat" in path.read_bytes().lower() for path in home.rglob("*") if path.is_file())


def test_prompts_without_the_memory_are_left_as_they_are(recall: Recall, journal: Journal) -> None:
    memory = recall.remember("I like tea.")
    asked = journal.add_user(journal.start_conversation().id, None, "I like green tea.")
    said = journal.add_reply(asked.conversation_id, asked.id, "Good.", generation("I like green tea."))
    before = journal.generation(said.id)
    erase.forget_memory(recall, journal, memory.id)
    assert journal.generation(said.id) == before
    assert journal.message(asked.id).content == "I like green tea."


def test_all_memories_can_be_forgotten(recall: Recall, journal: Journal) -> None:
    recall.edit(recall.remember("a").id, "b")
    recall.remember("c")
    assert erase.all_memories(recall, journal) == 2
    assert recall.facts.all(include_past=True) == []
    assert recall.index.count() == 0


def test_an_erased_rating_leaves_no_event(journal: Journal) -> None:
    asked = journal.add_user(journal.start_conversation().id, None, "x")
    said = journal.add_reply(asked.conversation_id, asked.id, "y", generation())
    journal.rate(said.id, 1)
    journal.rate(said.id, -1, why="no")
    version = journal.ledger_version()
    assert erase.forget_rating(journal, said.id) == 2
    assert journal.feedback() == []
    assert journal.ledger_version() > version
    with pytest.raises(NotFound):
        erase.forget_rating(journal, "x")


def test_a_start_leaves_the_forgetting_of_a_living_process_to_it(
    recall: Recall, journal: Journal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dog, tea = recall.remember("My dog is called Fitzo."), recall.remember("I like tea.")
    (home / "logs" / "attune.log").write_text("one\nMy dog is called Fitzo.\nthree")
    cleared: list[str] = []

    def started() -> None:
        done = subprocess.run(
            [sys.executable, "-c", START, str(home)], cwd=ROOT, capture_output=True, text=True
        )
        cleared.append(done.stdout or done.stderr)

    forget, blot_files = VectorIndex.forget, oblivion.blot_files
    monkeypatch.setattr(VectorIndex, "forget", lambda *given: (started(), forget(*given)))
    monkeypatch.setattr(oblivion, "blot_files", lambda *given: (started(), blot_files(*given)))
    erase.forget_memory(recall, journal, dog.id)
    assert cleared == ["[]\n", "[]\n"]
    assert erase.unfinished(journal.db) == []
    assert recall.index.ids() == {tea.id}
    assert (home / "logs" / "attune.log").read_text() == "one\n(forgotten).\nthree"


@pytest.mark.parametrize("what", ["rating", "conversation"])
def test_who_forgets_a_rating_or_a_conversation_is_known_to_live(
    journal: Journal, home: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    said = told(journal, "x", "y")
    journal.rate(said.id, 1)
    met: list[Path] = []

    def meanwhile(home: Path) -> None:
        with pytest.raises(TimeoutError):
            lock_folder(home / "index", alone=False, seconds=0.0)
        met.append(home)

    monkeypatch.setattr(erase, "clear_workshop", meanwhile)
    if what == "rating":
        erase.forget_rating(journal, said.id)
    else:
        erase.forget_conversation(journal, said.conversation_id)
    assert met == [home]
    assert erase.unfinished(journal.db) == []


def test_an_index_that_fails_leaves_no_words_in_the_files(
    recall: Recall, journal: Journal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dog, tea = recall.remember("My dog is called Fitzo."), recall.remember("I like tea.")
    (home / "logs" / "attune.log").write_text("one\nMy dog is called Fitzo.\nthree")

    def fail(*_: object) -> None:
        raise IndexError_("no")

    with monkeypatch.context() as broken:
        broken.setattr(VectorIndex, "forget", fail)
        with pytest.raises(IndexError_):
            erase.forget_memory(recall, journal, dog.id)
    assert (home / "logs" / "attune.log").read_text() == "one\n(forgotten).\nthree"
    assert erase.unfinished(journal.db) == ["index"]
    assert erase.finish(journal.db, home) == ["index"]
    assert recall.index.ids() == set()
    assert recall.search("tea") != []
    assert recall.index.ids() == {tea.id}


def test_what_a_process_that_died_left_is_cleared_by_whoever_forgets_next(
    recall: Recall, journal: Journal, home: Path
) -> None:
    dog, tea, cat = (recall.remember(f"My {one} is called Fitzo.") for one in ("dog", "tea", "cat"))
    log = home / "logs" / "attune.log"
    log.write_text("one\nMy dog is called Fitzo.\nthree")
    recall.facts.forget(dog.id)  # the transaction alone, as of one that was killed after it
    erase.forget_memory(recall, journal, tea.id)
    assert log.read_text() == ""
    assert erase.unfinished(journal.db) == []
    assert recall.index.ids() == set()
    recall.sync()
    assert recall.index.ids() == {cat.id}


def killed_update(home: Path) -> Path:
    """The file that an update which was killed after its training left."""
    adapter = home / "training" / "trained" / "adapter_model.safetensors"
    adapter.parent.mkdir(parents=True)
    adapter.write_bytes(b"learned from it")
    return adapter


@pytest.mark.parametrize("what", ["rating", "conversation"])
def test_what_a_killed_update_left_goes_with_a_rating_or_a_conversation(
    journal: Journal, home: Path, what: str
) -> None:
    said = told(journal, "x", "y")
    journal.rate(said.id, 1)
    killed_update(home)
    if what == "rating":
        erase.forget_rating(journal, said.id)
    else:
        erase.forget_conversation(journal, said.conversation_id)
    assert not (home / "training").exists()


def test_the_workshop_of_an_update_that_runs_is_its_own_to_sweep(journal: Journal, home: Path) -> None:
    said = told(journal, "x", "y")
    adapter = killed_update(home)
    with (home / "update.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        erase.forget_rating(journal, said.id)
    assert adapter.exists()
    erase.forget_rating(journal, said.id)
    assert not adapter.exists()
