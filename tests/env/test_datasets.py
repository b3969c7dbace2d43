from __future__ import annotations

import pytest

from env.datasets import rows, unpair
from env.episodes import episode
from env.splits import split
from memory.journal import Journal
from memory.records import Generation, Message


def said(
    text: str, question: str, card: str = "", finish_reason: str = "stop", trial: tuple[str, ...] = ()
) -> Generation:
    system = "You are Attune, a personal agent." + card
    messages = ({"role": "system", "content": system}, {"role": "user", "content": question})
    return Generation(
        reply_id="",
        base="tiny",
        adapter=None,
        messages=messages,
        prompt_text=f"{system}|{question}|",
        prompt_ids=tuple(f"{system}{question}".encode()),
        completion_ids=tuple(text.encode()),
        sampling={},
        finish_reason=finish_reason,
        card_lines=tuple(line.removeprefix("- ") for line in card.splitlines() if line.startswith("- ")),
        trial=trial,
    )


def ask(journal: Journal, question: str, *replies: str, conversation: str | None = None) -> list[Message]:
    """Sibling replies to one question."""
    conversation = conversation or journal.start_conversation().id
    user = journal.add_user(conversation, None, question)
    return [journal.add_reply(conversation, user.id, text, said(text, question)) for text in replies]


def test_a_thumb_is_a_row_with_its_exact_prompt(journal: Journal) -> None:
    conversation = journal.start_conversation()
    user = journal.add_user(conversation.id, None, "Trees?")
    card = "\n\nPreferences of the owner:\n- Keep replies brief."
    reply = journal.add_reply(conversation.id, user.id, "Tall.", said("Tall.", "Trees?", card))
    event = journal.rate(reply.id, 1)
    (row,), pairs = rows(journal)
    assert pairs == []
    assert row.prompt.messages[0]["content"].endswith(card)
    assert row.prompt.ids == tuple(f"You are Attune, a personal agent.{card}Trees?".encode())
    assert (row.completion.text, row.completion.ids, row.completion.finished) == (
        "Tall.",
        tuple(b"Tall."),
        True,
    )
    assert (row.label, row.reply_id, row.feedback_ids, row.source) == (True, reply.id, (event.id,), "thumb")


def test_a_line_that_was_only_tried_is_not_in_the_training_prompt(journal: Journal) -> None:
    conversation = journal.start_conversation()
    user = journal.add_user(conversation.id, None, "Trees?")
    card = "\n\nPreferences of the owner:\n- Keep replies brief."
    reply = journal.add_reply(
        conversation.id, user.id, "Tall.", said("Tall.", "Trees?", card, trial=("brief",))
    )
    journal.rate(reply.id, -1)
    (row,), _ = rows(journal)
    assert [m["content"] for m in row.prompt.messages] == ["You are Attune, a personal agent.", "Trees?"]
    assert row.prompt.ids == ()  # the learner renders it
    assert not row.label


def test_the_last_thumb_counts_and_a_cleared_one_does_not(journal: Journal) -> None:
    first, second = ask(journal, "a?", "A1")[0], ask(journal, "b?", "B1")[0]
    journal.rate(first.id, 1)
    journal.rate(first.id, -1)
    journal.rate(second.id, 1)
    journal.rate(second.id, 0)
    unpaired, _ = rows(journal)
    assert [(row.reply_id, row.label) for row in unpaired] == [(first.id, False)]


def test_of_several_edits_of_one_reply_the_newest_is_preferred(journal: Journal) -> None:
    (reply,) = ask(journal, "a?", "Bring wine.")
    journal.edit_reply(reply.id, "Bring beer.")
    journal.edit_reply(reply.id, "Bring tea.")
    _, pairs = rows(journal)
    assert [(pair.chosen.text, pair.rejected.text) for pair in pairs] == [("Bring tea.", "Bring wine.")]


def test_a_cut_off_reply_is_not_finished(journal: Journal) -> None:
    conversation = journal.start_conversation()
    user = journal.add_user(conversation.id, None, "q")
    reply = journal.add_reply(conversation.id, user.id, "Ta", said("Ta", "q", finish_reason="cancelled"))
    journal.rate(reply.id, -1)
    assert rows(journal)[0][0].completion.finished is False


def test_edits_picks_and_split_siblings_are_pairs(journal: Journal) -> None:
    (edited,) = ask(journal, "e?", "Wrong.")
    journal.edit_reply(edited.id, "Right.")
    better, worse = ask(journal, "p?", "Yes.", "No.")
    journal.pick(better.id, worse.id)
    liked, disliked = ask(journal, "s?", "Good.", "Bad.")
    journal.rate(disliked.id, -1)
    journal.rate(liked.id, 1)
    unpaired, pairs = rows(journal)
    assert [(p.source, p.chosen.text, p.rejected.text) for p in pairs] == [
        ("edit", "Right.", "Wrong."),
        ("pick", "Yes.", "No."),
        ("siblings", "Good.", "Bad."),
    ]
    assert pairs[0].chosen.ids == ()
    assert pairs[0].rejected.ids == tuple(b"Wrong.")
    assert len(pairs[2].feedback_ids) == 2
    singles = [(row.completion.text, row.label) for row in unpair(unpaired, pairs)]
    assert sorted(singles) == [
        ("Bad.", False),
        ("Good.", True),
        ("No.", False),
        ("Right.", True),
        ("Wrong.", False),
        ("Yes.", True),
    ]


def test_a_pick_that_is_also_rated_is_one_pair(journal: Journal) -> None:
    better, worse = ask(journal, "p?", "Yes.", "No.")
    journal.pick(better.id, worse.id)
    journal.rate(better.id, 1)
    journal.rate(worse.id, -1)
    unpaired, pairs = rows(journal)
    assert [p.source for p in pairs] == ["pick"]
    assert len(unpair(unpaired, pairs)) == 2


def test_of_two_picks_between_the_same_replies_the_newest_counts(journal: Journal) -> None:
    first, second = ask(journal, "p?", "First.", "Second.")
    for better, worse in ((first, second), (second, first)):
        journal.pick(better.id, worse.id)
        _, [pair] = rows(journal)
        assert (pair.chosen_id, pair.rejected_id) == (better.id, worse.id)
    labels = {row.completion.text: row.label for row in unpair(*rows(journal))}
    assert labels == {"First.": False, "Second.": True}
    journal.pick(first.id, second.id)
    _, [pair] = rows(journal)
    assert pair.chosen.text == "First."


def test_of_a_pick_and_opposite_thumbs_the_newest_counts(journal: Journal) -> None:
    first, second = ask(journal, "p?", "First.", "Second.")
    journal.pick(first.id, second.id)
    journal.rate(first.id, -1)
    journal.rate(second.id, 1)
    _, [pair] = rows(journal)
    assert (pair.source, pair.chosen.text) == ("siblings", "Second.")
    journal.pick(first.id, second.id)
    _, [pair] = rows(journal)
    assert (pair.source, pair.chosen.text) == ("pick", "First.")


def test_a_reply_is_liked_or_not_as_the_newest_of_its_pairs_says(journal: Journal) -> None:
    one, two, three = ask(journal, "p?", "One.", "Two.", "Three.")
    journal.pick(two.id, one.id)
    journal.pick(three.id, two.id)
    unpaired, pairs = rows(journal)
    labels = [(row.completion.text, row.label) for row in unpair(unpaired, pairs)]
    assert labels == [("One.", False), ("Three.", True), ("Two.", False)]


def test_a_pick_that_was_made_while_the_clock_went_back_is_the_newest(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ask(journal, "p?", "First.", "Second.")
    old = journal.pick(first.id, second.id)
    monkeypatch.setattr("memory.ledger.time.time", lambda: old.created_at - 3600)
    new = journal.pick(second.id, first.id)
    assert journal.newest_pick(first.id, second.id) == journal.newest_pick(second.id, first.id) == new
    _, [pair] = rows(journal)
    assert pair.chosen.text == "Second."


def test_a_split_leaks_neither_questions_nor_conversations(journal: Journal) -> None:
    for at in range(30):
        conversation = journal.start_conversation().id
        for part in range(2):
            (reply,) = ask(journal, f"Topic {at // 2}, part {part}?", f"R{at}", conversation=conversation)
            journal.rate(reply.id, 1 if at % 5 == 0 else -1)
    data, _ = rows(journal)
    train, test = split(data, 0.2)
    assert len(train) + len(test) == 60
    assert 6 <= len(test) <= 18
    assert not {row.prompt.question for row in train} & {row.prompt.question for row in test}
    assert not {row.conversation_id for row in train} & {row.conversation_id for row in test}
    assert split(data, 0.2) == (train, test)


def test_both_labels_are_held_out_in_their_proportion(journal: Journal) -> None:
    for at in range(40):
        (reply,) = ask(journal, f"Question {at}?", f"R{at}")
        journal.rate(reply.id, 1 if at % 4 == 0 else -1)
    _, test = split(rows(journal)[0], 0.2)
    assert (sum(row.label for row in test), len(test)) == (2, 8)


def test_one_long_conversation_is_split_by_question(journal: Journal) -> None:
    conversation = journal.start_conversation().id
    for at in range(20):
        (reply,) = ask(journal, f"Question {at}?", f"R{at}", conversation=conversation)
        journal.rate(reply.id, 1 if at % 2 else -1)
    train, test = split(rows(journal)[0], 0.2)
    assert len(test) == 4
    assert len(train) == 16


def test_the_only_liked_reply_stays_in_training(journal: Journal) -> None:
    for at in range(20):
        (reply,) = ask(journal, f"Question {at}?", f"R{at}")
        journal.rate(reply.id, 1 if at == 7 else -1)
    train, test = split(rows(journal)[0], 0.2)
    assert sum(row.label for row in train) == 1
    assert len(test) == 4
    assert split([], 0.2) == ([], [])


def test_an_episode_follows_one_branch(journal: Journal) -> None:
    conversation = journal.start_conversation().id
    first = journal.add_user(conversation, None, "one")
    good = journal.add_reply(conversation, first.id, "A", said("A", "one"))
    journal.add_reply(conversation, first.id, "B", said("B", "one"))
    second = journal.add_user(conversation, good.id, "two")
    last = journal.add_reply(conversation, second.id, "C", said("C", "two"))
    journal.rate(good.id, 1)
    steps = episode(journal, last.id)
    assert [(step.action, step.reward) for step in steps] == [("A", 1.0), ("C", 0.0)]
    assert steps[0].next_state == steps[1].state
    assert steps[1].next_state is None
    assert steps[0].state[-1]["content"] == "one"
