import json
import uuid
from dataclasses import replace

import pytest

from memory.database import Database
from memory.errors import AttuneError, BadText, NotFound
from memory.journal import Journal
from memory.records import Message, Recalled
from tests.support import generation


@pytest.fixture
def asked(journal: Journal) -> Message:
    return journal.add_user(journal.start_conversation().id, None, "Tell me about tea.")


def reply(journal: Journal, to: Message, text: str = "Tea is a drink.") -> Message:
    return journal.add_reply(to.conversation_id, to.id, text, generation())


def test_a_conversation_is_a_tree(journal: Journal, asked: Message) -> None:
    one, two = reply(journal, asked), reply(journal, asked, "Tea is made from leaves.")
    more = journal.add_user(asked.conversation_id, two.id, "And coffee?", sent="<memories>…")
    tool = journal.add_tool(asked.conversation_id, more.id, "84", "calculator")
    assert journal.path(tool.id) == [asked, two, more, tool]
    assert journal.children(asked.id) == journal.siblings(one.id) == [one, two]
    assert journal.siblings(asked.id) == [asked]
    assert journal.replies_of(asked.conversation_id) == [one, two]
    assert journal.conversation(asked.conversation_id).head_id == tool.id
    journal.set_head(asked.conversation_id, one.id)
    assert journal.conversation(asked.conversation_id).head_id == one.id
    journal.set_sent(more.id, "shown")
    assert journal.message(more.id).sent == "shown"
    assert tool.tool_name == "calculator"


def test_edited_first_messages_are_siblings(journal: Journal, asked: Message) -> None:
    other = journal.add_user(asked.conversation_id, None, "Tell me about coffee.")
    elsewhere = journal.add_user(journal.start_conversation().id, None, "Another root")
    assert journal.siblings(other.id) == [asked, other]
    assert journal.siblings(elsewhere.id) == [elsewhere]


def test_the_first_characters_of_an_id_name_a_reply(
    journal: Journal, asked: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, question = reply(journal, asked).id, asked.id
    assert journal.reply_named(one) == journal.reply_named(one[:8]) == one
    for no_reply in (one[:7], question[:8], "", "%" * 8, "f" * 40, one + "0"):
        assert journal.reply_named(no_reply) == no_reply
    alike = iter([uuid.UUID("12345678" + last * 24) for last in "ab"])
    with monkeypatch.context() as fixed:
        fixed.setattr(uuid, "uuid4", lambda: next(alike))
        two, three = reply(journal, asked).id, reply(journal, asked).id
    assert journal.reply_named("12345678") == "12345678"
    assert [journal.reply_named(name[:9]) for name in (two, three)] == [two, three]


def test_a_reply_keeps_how_it_came_about_to_the_letter(journal: Journal, asked: Message) -> None:
    made = generation(
        "what\x00 \ud800 is?",
        recalled=[Recalled("m1", "My dog is called Fitzo.", 0.9, {"similarity": 0.9})],
        adapter="v3",
        card_lines=("Keep replies brief.",),
        tools=({"type": "function", "function": {"name": "clock"}},),
        first_token_ms=12.5,
    )
    calls = [{"name": "calculator", "arguments": {"expression": "12 * 7"}}]
    said = journal.add_reply(asked.conversation_id, asked.id, "", made, calls)
    assert journal.generation(said.id) == replace(made, reply_id=said.id)
    assert journal.message(said.id).tool_calls == tuple(calls)


def test_a_tool_call_is_stored_as_safely_as_what_is_said(
    db: Database, journal: Journal, asked: Message
) -> None:
    calls = [{"name": "remember", "arguments": {"text": "ok \ud83d", "tags\ud83d": ["a\x00", 1, None]}}]
    clean = ({"name": "remember", "arguments": {"text": "ok \ufffd", "tags\ufffd": ["a\ufffd", 1, None]}},)
    said = journal.add_reply(asked.conversation_id, asked.id, "", generation(), calls)
    assert said.tool_calls == journal.message(said.id).tool_calls == clean
    with db.transaction() as connection:  # as older homes hold it
        connection.execute("UPDATE message SET tool_calls = ? WHERE id = ?", (json.dumps(calls), said.id))
    assert journal.message(said.id).tool_calls == clean


def test_numbers_that_json_does_not_have_are_stored_as_text(
    db: Database, journal: Journal, asked: Message
) -> None:
    calls = [{"name": "calculator", "arguments": {"expression": float("inf"), "of": [float("nan"), 1.5]}}]
    clean = ({"name": "calculator", "arguments": {"expression": "Infinity", "of": ["NaN", 1.5]}},)
    shown = ({"role": "assistant", "content": "", "tool_calls": calls},)
    said = journal.add_reply(asked.conversation_id, asked.id, "", generation(messages=shown), calls)
    assert said.tool_calls == journal.message(said.id).tool_calls == clean
    assert journal.generation(said.id).messages[0]["tool_calls"] == list(clean)
    unread = "SELECT 1 FROM message, generation WHERE NOT (json_valid(tool_calls) AND json_valid(body))"
    assert db.rows(unread) == []


def test_a_cancelled_reply_is_kept_as_incomplete(journal: Journal, asked: Message) -> None:
    said = journal.add_reply(asked.conversation_id, asked.id, "Tea", generation(finish_reason="cancelled"))
    assert not journal.message(said.id).complete


def test_reply_and_generation_are_one_transaction(db: Database, journal: Journal, asked: Message) -> None:
    with pytest.raises(TypeError):
        journal.add_reply(asked.conversation_id, asked.id, "x", generation(sampling={"bad": object()}))
    assert journal.replies_of(asked.conversation_id) == []
    assert not db.connection().in_transaction


def test_a_title_is_taken_from_the_first_line(journal: Journal) -> None:
    talk = journal.start_conversation()
    journal.add_user(talk.id, None, "  Tea  or\tcoffee " + "x" * 100 + "\nsecond line")
    title = journal.conversation(talk.id).title
    assert title.startswith("Tea or coffee xxx")
    assert len(title) == 60
    assert journal.rename(talk.id, "Drinks").title == "Drinks"


def test_conversations_are_found_newest_first(journal: Journal) -> None:
    first, second = journal.start_conversation("One"), journal.start_conversation("Two")
    journal.add_user(first.id, None, "about 100% pure _tea_")
    assert [talk.id for talk in journal.conversations()] == [first.id, second.id]
    for wanted, found in {"TWO": [second.id], "0% p": [first.id], "_tea_": [first.id], "%%": []}.items():
        assert [talk.id for talk in journal.conversations(search=wanted)] == found
    assert len(journal.conversations(limit=1)) == 1


def test_a_deleted_conversation_takes_all_of_it_along(db: Database, journal: Journal, asked: Message) -> None:
    said = reply(journal, asked)
    journal.rate(said.id, 1)
    before, seq = journal.ledger_version(), journal.last_seq()
    journal.delete_conversation(asked.conversation_id)
    assert journal.ledger() == journal.feedback() == journal.conversations() == []
    assert journal.ledger_version() > before
    assert journal.last_seq() == seq
    assert db.check() == []


def test_a_conversation_of_any_length_can_be_deleted(db: Database, journal: Journal, asked: Message) -> None:
    with db.transaction():
        last = asked
        for _ in range(1_200):
            last = journal.add_user(asked.conversation_id, last.id, "and so on")
        journal.rate(reply(journal, last).id, 1)
    journal.delete_conversation(asked.conversation_id)
    assert journal.feedback() == journal.conversations() == []
    assert db.check() == []


def test_prompt_history_is_newest_first_and_has_each_text_once(journal: Journal, asked: Message) -> None:
    for text in ("b", "a", "b"):
        journal.add_user(asked.conversation_id, None, text)
    assert journal.recent_user_texts(10) == ["b", "a", "Tell me about tea."]
    assert journal.recent_user_texts(1) == ["b"]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("x" * 1_000_000, "x" * 1_000_000),
        ("a\x00b\x1b[31mc\x07", "a\ufffdb\ufffd[31mc\ufffd"),
        ("tab\tand\r\nline\nstay", "tab\tand\nline\nstay"),
        ("\u202eright to left\u202c", "\u202eright to left\u202c"),
        ("half \ud83d emoji", "half \ufffd emoji"),
        ("[/] [bold]not markup[/bold]", "[/] [bold]not markup[/bold]"),
    ],
)
def test_odd_messages_are_stored_safely(journal: Journal, given: str, stored: str) -> None:
    made = journal.add_user(journal.start_conversation().id, None, given)
    assert made.content == stored
    assert journal.message(made.id) == made


@pytest.mark.parametrize("text", ["", "  \n\t", "\u200b\ufeff", "\x00\x01"])
def test_messages_without_anything_to_read_are_refused(journal: Journal, text: str) -> None:
    talk = journal.start_conversation()
    with pytest.raises(BadText, match="empty message is not saved"):
        journal.add_user(talk.id, None, text)


def test_a_monstrous_message_is_refused(journal: Journal) -> None:
    talk = journal.start_conversation()
    with pytest.raises(BadText, match="send it in parts"):
        journal.add_user(talk.id, None, "x" * 4_000_001)


def test_messages_cannot_hang_from_another_conversation(journal: Journal, asked: Message) -> None:
    other = journal.start_conversation()
    with pytest.raises(NotFound):
        journal.add_user(other.id, asked.id, "x")
    with pytest.raises(NotFound):
        journal.set_head(other.id, asked.id)
    with pytest.raises(NotFound):
        journal.add_user("nowhere", None, "x")


def test_the_newest_thumb_counts_and_a_clear_takes_it_back(journal: Journal, asked: Message) -> None:
    one, two = reply(journal, asked), reply(journal, asked, "Two.")
    journal.rate(one.id, 1)
    down = journal.rate(one.id, -1, why="too long")
    up = journal.rate(two.id, 1, source="brief person")
    assert journal.effective(one.id) == down
    assert [(event, said.id) for event, said, _ in journal.ledger()] == [(down, one.id), (up, two.id)]
    journal.rate(one.id, 0)
    assert journal.effective(one.id) is None
    assert [event for event, _, _ in journal.ledger()] == [up]
    assert [event.value for event in journal.feedback(one.id)] == [1, -1, 0]
    assert [event.seq for event in journal.feedback()] == [1, 2, 3, 4]
    assert journal.feedback(after_seq=3)[0].value == 0
    assert (journal.last_seq(), journal.signals_since(0), journal.signals_since(up.seq)) == (4, 1, 0)
    assert journal.ledger()[0][2].reply_id == two.id


def test_a_clock_that_goes_back_keeps_no_older_thumb_standing(
    journal: Journal, asked: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = reply(journal, asked)
    up = journal.rate(said.id, 1)
    monkeypatch.setattr("memory.ledger.time.time", lambda: up.created_at - 3600)
    down = journal.rate(said.id, -1)
    assert journal.effective(said.id) == down
    assert [event for event, _ in journal.signals()] == [down]
    assert down.created_at == up.created_at


def test_edits_and_picks_are_signals_beside_the_thumb(journal: Journal, asked: Message) -> None:
    one, two = reply(journal, asked), reply(journal, asked, "Two.")
    events = [journal.rate(one.id, -1), journal.edit_reply(one.id, "Better."), journal.pick(two.id, one.id)]
    assert [event for event, _, _ in journal.ledger()] == events
    assert events[1].text == "Better."
    assert events[2].other_id == one.id
    assert journal.replies_of(asked.conversation_id) == [one, two]


def test_impossible_feedback_is_refused_with_a_sentence(journal: Journal, asked: Message) -> None:
    said = reply(journal, asked)
    for unknown in ("x", asked.id, "\x00\ud800", "y" * 500, "'; DROP TABLE message"):
        with pytest.raises(
            NotFound, match=r"^No reply '.*' in this home; `attune ask --json` prints reply ids\.$"
        ):
            journal.rate(unknown, 1)
    with pytest.raises(AttuneError, match="up"):
        journal.rate(said.id, 2)
    with pytest.raises(BadText, match="same"):
        journal.edit_reply(said.id, said.content + " ")
    with pytest.raises(BadText):
        journal.edit_reply(said.id, " ")
    with pytest.raises(AttuneError, match="different replies"):
        journal.pick(said.id, said.id)
    elsewhere = journal.add_user(journal.start_conversation().id, None, "q")
    with pytest.raises(AttuneError, match="different replies"):
        journal.pick(said.id, reply(journal, elsewhere).id)
    assert journal.feedback() == []
