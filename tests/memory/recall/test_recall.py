"""Recall with the real embedding model and the real Chroma."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.database import Database
from memory.facts import Facts
from memory.index.embedder import EmbedderError, MiniLMEmbedder, load_embedder
from memory.index.folder import IndexError_
from memory.index.vector_index import VectorIndex
from memory.journal import Journal
from memory.recall.recall import Recall
from memory.records import Recalled
from tests.support import ROOT, HashEmbedder, generation

KNOWN = (
    "My dog is called Fitzo.",
    "I live in Ghent.",
    "My sister is Blortana.",
    "I am allergic to peanuts.",
    "My favourite colour is teal.",
    "I work as a nurse at night.",
    "My birthday is on 4 May.",
    "The wifi password is qx-77-zu.",
    "I drive a Saab 900.",
    "I prefer tea to coffee.",
    "Quigley is the plumber.",
)


@pytest.fixture
def recall(facts: Facts, home: Path) -> Iterator[Recall]:
    """Quick: hashed words for vectors."""
    index = VectorIndex(home / "index", HashEmbedder())
    yield Recall(facts, index)
    index.close()


@pytest.fixture
def real(facts: Facts, home: Path, minilm: MiniLMEmbedder) -> Iterator[Recall]:
    index = VectorIndex(home / "index", minilm)
    made = Recall(facts, index)
    for text in KNOWN:
        made.remember(text)
    yield made
    index.close()


def texts(found: list[Recalled]) -> list[str]:
    return [one.text for one in found]


def test_questions_find_their_fact_first_and_small_talk_finds_nothing(real: Recall) -> None:
    for question, fact in {
        "what is my dog called?": KNOWN[0],
        "Who is Fitzo?": KNOWN[0],
        "Where do I live?": KNOWN[1],
        "What's my sister's name?": KNOWN[2],
        "blortana": KNOWN[2],
        "what colour should I paint my room?": KNOWN[4],
        "What is my job?": KNOWN[5],
        "When is my birthday?": KNOWN[6],
        "wifi password": KNOWN[7],
        "Which car do I have?": KNOWN[8],
        "Would I rather have tea?": KNOWN[9],
        "Did Quigley call today?": KNOWN[10],
    }.items():
        found = real.search(question)
        assert texts(found)[:1] == [fact], question
        assert len(found) <= 2, question
    for small_talk in (
        "hello",
        "thanks!",
        "what time is it?",
        "what is 12 times 7?",
        "how do I boil an egg?",
        "How do volcanoes work?",
        "write a poem about autumn",
        "Explain gravity",
        "What is the capital of France?",
        "",
        "?!",
    ):
        assert real.search(small_talk) == [], small_talk


def test_results_explain_their_score(real: Recall) -> None:
    [found] = real.search("Who is Fitzo?")
    assert set(found.parts) == {"similarity", "words", "name", "recency"}
    assert found.score == pytest.approx(sum(found.parts.values()), abs=1e-3)


@pytest.mark.parametrize(
    ("fact", "asked"),
    [
        ("The Hauptstraße is closed.", "hauptstraße"),
        ("The Hauptstraße is closed.", "What of the Hauptstraße?"),
        ("My aunt lives in İzmir.", "Who is in İzmir?"),
        ("My aunt lives in İzmir.", "izmir"),
        ("I had tea in ΑΘΗΝΑΣ.", "αθηνας"),
    ],
)
def test_words_that_python_folds_otherwise_than_full_text_are_found_by_it(
    recall: Recall, fact: str, asked: str
) -> None:
    recall.remember("I like bread.")
    recall.remember(fact)
    [found] = recall.search(asked, k=1, floor=False)
    assert (found.text, found.ranks["full text"]) == (fact, 1)


def test_a_word_that_is_asked_for_twice_counts_once(recall: Recall) -> None:
    for text in ("I drink tea.", "Bread is dear."):
        recall.remember(text)
    once, twice = (
        recall.search(question, floor=False, now=0.0) for question in ("tea or bread", "Tea, tea or bread")
    )
    words = [sorted((one.text, one.parts["words"]) for one in found) for found in (once, twice)]
    assert words[0] == words[1]


def test_deleting_the_index_loses_nothing(real: Recall, home: Path) -> None:
    questions = ("what is my dog called?", "tea", "my family")
    before = [[(one.memory_id, one.parts) for one in real.search(question)] for question in questions]
    shutil.rmtree(home / "index")
    stages: list[tuple[int, int]] = []
    assert real.rebuild(lambda done, total: stages.append((done, total))) == len(KNOWN)
    assert stages[-1] == (len(KNOWN), len(KNOWN))
    after = [[(one.memory_id, one.parts) for one in real.search(question)] for question in questions]
    for was, now in zip(before, after, strict=True):
        assert [one for one, _ in was] == [one for one, _ in now]
        for (_, old), (_, new) in zip(was, now, strict=True):
            assert new == pytest.approx(old, abs=1e-3)


def test_a_huge_query_is_answered(real: Recall) -> None:
    assert texts(real.search("what is my dog called? " + "x" * 1_000_000)) in ([], [KNOWN[0]])
    assert texts(real.search("what is my dog called?\x00\u202e\ud800"))[:1] == [KNOWN[0]]


@pytest.mark.parametrize("damage", ["deleted", "rubbish", "truncated", "empty file", "a file instead"])
def test_a_damaged_index_is_filled_again_by_itself(recall: Recall, home: Path, damage: str) -> None:
    recall.remember("My dog is called Fitzo.")
    recall.remember("I like tea.")
    assert texts(recall.search("dog called")) == ["My dog is called Fitzo."]
    recall.index.close()
    folder = home / "index"
    if damage == "deleted":
        shutil.rmtree(folder)
    elif damage == "a file instead":
        shutil.rmtree(folder)
        folder.write_text("x")
    else:
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            content = path.read_bytes()
            path.write_bytes(
                {"rubbish": b"rubbish" * 999, "truncated": content[:5000], "empty file": b""}[damage]
            )
    assert texts(recall.search("dog called")) == ["My dog is called Fitzo."]
    assert recall.index.count() == 2


def test_damage_under_an_open_index_is_survived(recall: Recall, home: Path) -> None:
    recall.remember("My dog is called Fitzo.")
    assert recall.index.count() == 1
    shutil.rmtree(home / "index")
    assert texts(recall.search("dog")) == ["My dog is called Fitzo."]
    for path in [path for path in (home / "index").rglob("*") if path.is_file()]:
        path.write_bytes(b"rubbish" * 999)
    assert texts(recall.search("dog")) == ["My dog is called Fitzo."]
    recall.remember("I like tea.")
    assert recall.index.count() == 2


def test_an_index_that_can_never_work_says_what_to_do(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    index = VectorIndex(tmp_path / "file" / "index", HashEmbedder())
    with pytest.raises(IndexError_, match="attune memory rebuild"):
        index.count()
    memory = Recall(facts, index).remember("My dog is called Fitzo.")  # the database has it all the same
    assert facts.get(memory.id) == memory


def test_what_another_process_remembers_and_forgets_is_seen(recall: Recall, home: Path) -> None:
    mine = recall.remember("My dog is called Fitzo.")
    assert texts(recall.search("dog")) == [mine.text]
    script = (
        "import sys\nfrom pathlib import Path\nfrom memory.database import open_home\n"
        "from memory.facts import Facts\nfrom memory.recall.recall import Recall\n"
        "from memory.index.vector_index import VectorIndex\nfrom tests.support import HashEmbedder\n"
        "home = Path(sys.argv[1])\n"
        "recall = Recall(Facts(open_home(home)), VectorIndex(home / 'index', HashEmbedder()))\n"
        "assert len(recall.search('dog')) == 1\n"
        "recall.remember('My cat is called Blip.')\nrecall.forget(sys.argv[2])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home), mine.id], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert texts(recall.search("cat")) == ["My cat is called Blip."]
    assert recall.search("dog Fitzo") == []
    assert recall.index.ids() == {one.id for one in recall.facts.all()}


def test_index_and_database_stay_in_step(recall: Recall) -> None:
    one, two = recall.remember("My dog is called Fits."), recall.remember("I like tea.")
    assert recall.remember("I like tea") == two
    edited = recall.edit(one.id, "My dog is called Fitzo.")
    assert recall.index.ids() == {edited.id, two.id}
    assert recall.edit(two.id, two.text) == two
    assert set(recall.forget(edited.id)) == {one.id, edited.id}
    assert recall.index.ids() == {two.id}
    assert recall.search("dog") == []
    assert recall.sync() is False


def test_a_process_that_died_between_database_and_index(recall: Recall, facts: Facts, home: Path) -> None:
    fitz, tea = recall.remember("My dog is called Fits."), recall.remember("I like tea.")
    assert len(recall.search("dog")) == 1
    # What a kill -9 leaves: the edit is in the database, the index holds the old id, the counts agree.
    edited = facts.edit(fitz.id, "My dog is called Fitzo.")
    assert recall.index.count() == facts.count()
    assert texts(recall.search("dog")) == ["My dog is called Fitzo."]
    assert recall.index.ids() == {edited.id, tea.id}
    recall.index.close()
    newest = facts.edit(edited.id, "My dog is called Fitzi.")
    again = Recall(facts, VectorIndex(home / "index", HashEmbedder()))
    assert again.sync() is True
    assert again.index.ids() == {newest.id, tea.id}
    assert again.sync() is False
    again.index.close()


def test_usefulness_and_age_rank_among_equals(recall: Recall, db: Database, journal: Journal) -> None:
    good, bad = recall.remember("The cat sleeps indoors."), recall.remember("The cat sleeps outdoors.")
    asked = journal.add_user(journal.start_conversation().id, None, "cat?")
    for memory, value in ((good, 1), (bad, -1)):
        shown = generation(recalled=[Recalled(memory.id, memory.text, 1.0)])
        journal.rate(journal.add_reply(asked.conversation_id, asked.id, "x", shown).id, value)
    first, second = recall.search("cat sleeps")
    assert (first.memory_id, second.memory_id) == (good.id, bad.id)
    assert first.parts["usefulness"] > 0 > second.parts["usefulness"]
    with db.transaction() as connection:
        connection.execute("UPDATE memory SET created_at = created_at - 400 * 86400 WHERE id = ?", (good.id,))
    by_id = {one.memory_id: one for one in recall.search("cat sleeps")}
    assert by_id[good.id].parts.get("recency", 0.0) < 0.001 < by_id[bad.id].parts["recency"]


def test_k_bounds_the_results(recall: Recall) -> None:
    for number in range(30):
        recall.remember(f"Tea number {number} is a fine tea.")
    assert len(recall.search("fine tea", k=3)) == 3
    assert recall.search("fine tea", k=0) == []


def test_embedders_do_not_share_vectors(facts: Facts, home: Path) -> None:
    class Other(HashEmbedder):
        name = "other"
        dimension = 32

    first = Recall(facts, VectorIndex(home / "index", HashEmbedder()))
    first.remember("My dog is called Fitzo.")
    second = Recall(facts, VectorIndex(home / "index", Other()))
    assert second.index.count() == 0
    assert texts(second.search("dog")) == ["My dog is called Fitzo."]
    assert texts(first.search("dog")) == ["My dog is called Fitzo."]
    first.index.close()
    second.index.close()


# ---- the embedder


def test_minilm_makes_unit_vectors_of_384(minilm: MiniLMEmbedder) -> None:
    one, two = minilm.embed(["My dog is called Fitzo.", ""])
    assert len(one) == len(two) == minilm.dimension == 384
    assert sum(x * x for x in one) == pytest.approx(1, abs=1e-4)
    assert minilm.embed([]) == []
    assert minilm.loaded
    assert not load_embedder(None).loaded


def test_tampered_weights_are_refused(minilm: MiniLMEmbedder, tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match="install Attune again"):
        MiniLMEmbedder(tmp_path).load()
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(EmbedderError, match="not the published one"):
        MiniLMEmbedder(tmp_path).load()


def test_a_folder_can_take_the_place_of_the_bundled_model(minilm: MiniLMEmbedder) -> None:
    folder = load_embedder(minilm.source)
    assert folder.dimension == 384
    assert folder.embed(["tea"])[0] == pytest.approx(minilm.embed(["tea"])[0], abs=1e-5)
    assert folder.name != minilm.name


@pytest.mark.parametrize("setting", ["nobody/no-such-model", "/no/such/folder"])
def test_an_unreachable_embedder_gets_a_sentence(setting: str) -> None:
    with pytest.raises(EmbedderError, match="leave the setting empty for the bundled one"):
        load_embedder(setting).embed(["x"])
