"""A forgotten document is gone from every file of the home, and from what later adapters learn."""

from __future__ import annotations

from pathlib import Path

from agent.prompt import with_memories
from memory.database import Database
from memory.documents.learning import Documents
from memory.forgetting.withheld import withheld
from memory.journal import Journal
from memory.records import FORGOTTEN, Passage
from memory.rescue.backups import Backups
from tests.support import generation

SECRET = "The Zquirlbat hides the golden key below the third stone of the wall."


def shown(journal: Journal, passages: list[Passage]) -> str:
    """A reply whose prompt showed these passages, and one after it that has them as history; the first."""
    talk = journal.start_conversation()
    asked = journal.add_user(talk.id, None, "Where is the key?")
    sent = with_memories(asked.content, [], passages)
    journal.set_sent(asked.id, sent)
    messages = ({"role": "system", "content": "You are Attune."}, {"role": "user", "content": sent})
    made = generation(asked.content, passages=tuple(passages), messages=messages, prompt_text=sent)
    reply = journal.add_reply(talk.id, asked.id, "It is hidden.", made)
    more = journal.add_user(talk.id, reply.id, "And then?")
    later = (
        *messages,
        {"role": "assistant", "content": reply.content},
        {"role": "user", "content": "And then?"},
    )
    journal.add_reply(
        talk.id, more.id, "Nothing.", generation("And then?", messages=later, prompt_text=sent + "And then?")
    )
    return reply.id


def test_no_byte_of_it_stays(
    documents: Documents, journal: Journal, db: Database, home: Path, folder: Path
) -> None:
    (folder / "secret.md").write_text(f"# Hiding places\n\n{SECRET}\n")
    documents.learn([folder])
    passages = documents.passages.search("Where is the golden key hidden, below which stone of the wall?")
    assert passages[0].text == SECRET
    reply = shown(journal, passages)
    before = journal.generation(reply)
    assert SECRET in before.prompt_text
    assert before.passages == tuple(passages)
    (home / "training").mkdir()
    (home / "training" / "rows.jsonl").write_text(SECRET)  # of an update that was killed

    documents.forget(folder / "secret.md")

    left = journal.generation(reply)
    assert f"- [1] {FORGOTTEN}" in left.prompt_text
    assert left.prompt_ids == ()
    assert (left.passages[0].text, left.passages[0].path) == (FORGOTTEN, FORGOTTEN)
    assert len(withheld(db)) == 2
    assert len(documents.store.all()) == 3
    assert [one.text for one in documents.passages.search("When does the pear tree give fruit?")]
    db.close()
    documents.passages.index.close()
    assert not any(b"zquirlbat" in path.read_bytes().lower() for path in home.rglob("*") if path.is_file())


def test_what_was_learned_before_a_change_is_forgotten_too(
    documents: Documents, journal: Journal, folder: Path
) -> None:
    path = folder / "secret.md"
    path.write_text(SECRET)
    documents.learn([path])
    reply = shown(journal, documents.passages.search("Where is the golden key, below which stone?"))
    path.write_text("Nothing is written here any more, as it seems.")
    documents.learn([path])
    assert SECRET in journal.generation(reply).prompt_text
    documents.forget(path)
    assert SECRET not in journal.generation(reply).prompt_text


def test_what_the_recall_tool_told_with_the_newlines_of_the_file_is_forgotten_too(
    documents: Documents, journal: Journal, db: Database, folder: Path
) -> None:
    """As results were stored once; the line of a prompt has none."""
    path = folder / "secret.md"
    path.write_text(SECRET.replace("key below", "key\nbelow"))
    documents.learn([path])
    passages = documents.passages.search("Where is the golden key, below which stone?")
    assert "\n" in passages[0].text
    told = f"[1] {passages[0].text}"
    talk = journal.start_conversation()
    asked = journal.add_user(talk.id, None, "Hello.")
    tool = journal.add_tool(talk.id, asked.id, told, "recall")
    messages = ({"role": "user", "content": "Hello."}, {"role": "tool", "name": "recall", "content": told})
    shown = generation("Hello.", passages=tuple(passages), messages=messages, prompt_text=told)
    reply = journal.add_reply(talk.id, tool.id, "Ok.", shown)
    more = journal.add_user(talk.id, reply.id, "And then?")
    later = journal.add_reply(
        talk.id, more.id, "Fine.", generation("And then?", messages=messages, prompt_text=told)
    )
    documents.forget(path)
    assert journal.message(tool.id).content == f"[1] {FORGOTTEN}"
    for one in (reply, later):
        assert "Zquirlbat" not in str(journal.generation(one.id))
    assert withheld(db) == {reply.id, later.id}


def test_a_passage_that_begins_another_one_leaves_nothing_of_it(
    documents: Documents, journal: Journal, folder: Path
) -> None:
    path = folder / "secret.md"
    path.write_text(f"{SECRET}\n\nOnly the Zquirlbat knows which wall is meant by that.\n")
    documents.learn([path])
    [both] = documents.passages.search("Which wall and stone hides the golden key of the Zquirlbat?")
    [one] = documents.passages.search("Where is the golden key hidden, below which third stone?", 20)
    assert both.text.startswith(one.text)
    assert both.text != one.text
    replies = [shown(journal, [passage]) for passage in (one, both)]
    documents.forget(path)
    for reply in replies:
        assert "Zquirlbat" not in str(journal.generation(reply))


def test_a_reply_that_saw_nothing_of_it_is_left_as_it_is(
    documents: Documents, journal: Journal, db: Database, folder: Path
) -> None:
    documents.learn([folder])
    reply = shown(journal, documents.passages.search("When does the pear tree give fruit?"))
    before = journal.generation(reply)
    documents.forget(folder / "boat.txt")
    assert journal.generation(reply) == before
    assert withheld(db) == set()


def test_backups_from_before_go(documents: Documents, folder: Path, home: Path, db: Database) -> None:
    documents.learn([folder])
    before = Backups(home).make(db).path
    (folder / "boat.txt").write_text("The blue boat was sold.\n")
    documents.learn([folder])
    assert before.is_file(), "what was replaced was not forgotten"
    documents.forget(folder / "garden.md")
    assert not before.exists()
