"""The card over a real ledger."""

import random

import pytest

from memory.database import Database
from memory.errors import BadText, NotFound
from memory.forgetting.erase import FORGOTTEN
from memory.journal import Journal
from memory.records import CardLine, Message, Passage, Recalled
from memory.taste import card_model
from memory.taste.card_model import FEATURES
from memory.taste.card_texts import CARD_TEXTS
from memory.taste.features import STYLES
from memory.taste.observations import Observations
from memory.taste.preferences import PreferenceCard, taste_in_words
from policies.seed.styles import render
from tests.memory.replies import FACTS, styled, written
from tests.support import generation


@pytest.fixture
def card(db: Database, journal: Journal) -> PreferenceCard:
    return PreferenceCard(db, journal)


def rate(
    journal: Journal, text: str, value: int, asks: str = "Tell me about the moon.", **changes: object
) -> Message:
    asked = journal.add_user(journal.start_conversation().id, None, asks)
    said = journal.add_reply(asked.conversation_id, asked.id, text, generation(**changes))
    if value:
        journal.rate(said.id, value)
    return said


def eight(journal: Journal) -> list[Message]:
    draw = random.Random(3)
    styles = ["brief", "formal", "detailed", "brief", "bullets", "friendly", "formal", "brief"]
    return [rate(journal, written(style, draw), 1 if style == "brief" else -1) for style in styles]


def test_a_new_card_is_empty_but_names_every_line(card: PreferenceCard) -> None:
    assert card.active_lines() == []
    assert {line.feature: line.text for line in card.lines()} == CARD_TEXTS
    assert card.line("brief").summary == "No brief replies rated yet"
    assert set(CARD_TEXTS) == set(FEATURES)


def test_eight_thumbs_make_a_line_with_its_evidence(card: PreferenceCard, journal: Journal) -> None:
    replies = eight(journal)
    assert card.active_lines() == ["Keep replies brief."]
    line = card.line("brief")
    assert line.summary == "3 of 3 brief replies liked, 0 of 5 others"
    assert line.probability >= card_model.THRESHOLD
    assert line.evidence[:2] == ((replies[0].id, True, 1), (replies[1].id, False, -1))
    assert len(line.evidence) == 8


def test_undoing_the_ratings_undoes_the_line(card: PreferenceCard, journal: Journal) -> None:
    replies = eight(journal)
    assert card.active_lines() == ["Keep replies brief."]
    for reply in replies:
        journal.rate(reply.id, 0)
    assert card.active_lines() == []
    assert card.line("brief").evidence == ()


def test_deleting_the_conversations_undoes_the_line(card: PreferenceCard, journal: Journal) -> None:
    replies = eight(journal)
    assert card.active_lines()
    for reply in replies:
        journal.delete_conversation(reply.conversation_id)
    assert card.active_lines() == []


def test_cut_and_empty_replies_count_and_those_with_tools_or_memories_at_hand(
    card: PreferenceCard, journal: Journal
) -> None:
    rate(journal, "The moon is", 1, finish_reason="cancelled", card_lines=("Keep replies brief.",))
    rate(journal, "Rocks.", 1, tools=({"name": "remember"},), recalled=[Recalled("m", "I like tea.", 0.9)])
    rate(journal, "", -1, tools=({"name": "clock"},))
    assert card.line("brief").summary == "2 of 2 brief replies liked, 0 of 1 others"


def test_edits_teach(card: PreferenceCard, journal: Journal) -> None:
    draw = random.Random(4)
    for _ in range(3):
        journal.edit_reply(rate(journal, written("detailed", draw), 0).id, written("bullets", draw))
    assert card.line("bullets").summary == "3 of 3 replies with bullets liked, 0 of 3 others"
    assert "Use bullet points." in card.active_lines()


def test_a_few_words_more_are_no_wish_for_longer_replies(card: PreferenceCard, journal: Journal) -> None:
    """Three sentences become four, which is detailed: what was wanted is the greeting."""
    three = "The moon is round. It goes around the earth. It has no air."
    for number in range(6):
        said = rate(journal, f"{three[:-1]}, nor {number} trees.", 0)
        journal.edit_reply(said.id, f"{said.content} Take care.")
    assert card.active_lines() == []
    assert card.line("detailed").summary == "No detailed replies rated yet, 6 of 12 others"
    for _ in range(3):
        said = rate(journal, three, 0)
        journal.edit_reply(
            said.id, f"{three} It is a cold and dusty place. Twelve people have been there so far."
        )
    assert "Give detailed replies." in card.active_lines()


def test_of_several_edits_of_one_reply_the_newest_counts(card: PreferenceCard, journal: Journal) -> None:
    draw = random.Random(4)
    said = rate(journal, written("detailed", draw), 0)
    for style in ("formal", "friendly", "bullets"):
        journal.edit_reply(said.id, written(style, draw))
    assert card.line("bullets").summary == "1 of 1 replies with bullets liked, 0 of 1 others"
    assert card.line("formal").summary == "No formal replies rated yet, 1 of 2 others"


def test_picks_teach_unless_a_thumb_says_otherwise(card: PreferenceCard, journal: Journal) -> None:
    draw = random.Random(5)
    for number in range(3):
        worse = rate(journal, written("detailed", draw), 1 if number == 0 else 0)
        better = journal.add_reply(
            worse.conversation_id, worse.parent_id, written("brief", draw), generation()
        )
        journal.pick(better.id, worse.id)
    assert card.line("brief").summary == "3 of 3 brief replies liked, 1 of 3 others"


def test_the_owner_has_the_last_word(card: PreferenceCard, journal: Journal) -> None:
    eight(journal)
    assert card.strike("brief").state == "struck"
    assert card.active_lines() == []
    assert card.pin("Give detailed replies").active
    assert card.active_lines() == ["Give detailed replies."]
    card.reset("brief")
    assert card.active_lines() == ["Give detailed replies."]  # brief would contradict what is pinned
    card.reset("detailed")
    assert card.active_lines() == ["Keep replies brief."]
    card.pin("detailed")
    card.pin("brief")
    assert card.active_lines() == ["Keep replies brief."]
    assert card.line("detailed").state == "auto"
    assert card.edit("brief", "Two sentences at most.").text == "Two sentences at most."
    assert card.active_lines() == ["Two sentences at most."]


def test_own_lines_come_last_and_go_on_reset(card: PreferenceCard) -> None:
    own = card.add("Call me Ruvenka.")
    card.pin("emoji")
    assert card.active_lines() == ["Use emoji.", "Call me Ruvenka."]
    assert card.add("call me ruvenka").feature == own.feature
    assert card.add("Be formal.").feature == "formal"
    assert card.pin("Answer in French.").summary == "Written by you."
    card.strike("Call me Ruvenka.")
    assert card.active_lines() == ["Be formal.", "Use emoji.", "Answer in French."]
    card.reset(own.feature)
    with pytest.raises(NotFound):
        card.line(own.feature)


def test_unknown_and_empty_lines_get_a_sentence(card: PreferenceCard) -> None:
    for wrong in (card.pin, card.strike, card.reset, card.line):
        with pytest.raises(NotFound, match="name one of brief, detailed"):
            wrong("breif")
    with pytest.raises(BadText):
        card.add("  ")


def test_choices_are_durable_and_seen_by_another_card(
    card: PreferenceCard, db: Database, journal: Journal
) -> None:
    other = PreferenceCard(db, journal)
    assert other.active_lines() == []
    card.pin("code")
    assert other.active_lines() == ["Show code examples."]
    lines: list[CardLine] = other.lines()
    lines.clear()
    assert other.lines()  # what is handed out is not the cache


# ---- what is not taste


def after_tool(journal: Journal, text: str, value: int) -> Message:
    asked = journal.add_user(journal.start_conversation().id, None, "My dog is called Fitzo.")
    call = journal.add_reply(
        asked.conversation_id, asked.id, "", generation(), [{"name": "remember", "arguments": {}}]
    )
    result = journal.add_tool(asked.conversation_id, call.id, "Saved.", tool_name="remember")
    said = journal.add_reply(asked.conversation_id, result.id, text, generation())
    journal.rate(said.id, value)
    journal.rate(call.id, value)
    return said


def test_verdicts_on_what_was_said_leave_the_card_alone(card: PreferenceCard, journal: Journal) -> None:
    after_tool(journal, "Got it. I will remember that.", 1)
    fitzo = [Recalled("m", "The dog is called Fitzo.", 0.9)]
    rate(journal, "Your dog is called Fitzo.", 1, "What is my dog called?", recalled=fitzo)
    rate(journal, "Fitzo.", 1, "What is my dog called?", recalled=[Recalled("m", FORGOTTEN, 0.9)])
    refused = rate(journal, "I do not know that yet. Tell me and I will remember it.", -1, "Who am I?")
    rate(journal, "That is beyond me: I am a very small model. See /model.", -1, "Write a poem.")
    journal.edit_reply(refused.id, "You are Ruvenka.")
    other = journal.add_reply(
        refused.conversation_id, refused.parent_id, "You are certainly Ruvenka.", generation()
    )
    journal.pick(other.id, refused.id)
    assert all(line.evidence == () for line in card.lines())
    assert len(journal.signals()) == 8


def test_a_verdict_on_what_a_document_says_leaves_the_card_alone(
    card: PreferenceCard, journal: Journal
) -> None:
    text = "The harbour opens in April.\nThe spare engine lies in the shed behind the old boathouse."
    shown = (Passage((1, 2), "d", "/notes.md", "line 3", text, 0.9),)
    for _ in range(10):
        rate(journal, "It lies in the shed behind the boathouse.", 1, "Where is the engine?", passages=shown)
    assert card.line("brief").summary == "No brief replies rated yet"
    for _ in range(10):
        rate(journal, "It lies in the shed behind the boathouse.", 1, "Where is the engine?")
    assert card.line("brief").summary != "No brief replies rated yet"


def test_a_reply_whose_style_was_a_choice_counts_all_the_same(card: PreferenceCard, journal: Journal) -> None:
    draw = random.Random(6)
    after_tool(journal, written("detailed", draw), 1)
    moon = [Recalled("m", "My telescope shows the moon.", 0.9)]
    rate(journal, written("brief", draw), 1, recalled=moon)
    rate(journal, written("formal", draw), -1, recalled=moon)
    assert len(card.line("brief").evidence) == 3


# ---- trials


def styles_of(journal: Journal, count: int, value: int = -1) -> list[Message]:
    draw = random.Random(7)
    return [rate(journal, written(STYLES[n % len(STYLES)], draw), value) for n in range(count)]


def test_a_style_is_tried_only_while_the_person_rates(card: PreferenceCard, journal: Journal) -> None:
    assert card.trial() == ()
    draw = random.Random(8)
    for _ in range(3):
        rate(journal, written("brief", draw), 0)
    assert card.trial() == ()
    styles_of(journal, 2)
    assert card.trial() == ()  # two of five
    last = styles_of(journal, 1)[0]
    assert card.trial()
    assert not set(card.trial()) & {"brief", "detailed"}  # those were disliked already
    journal.rate(last.id, 0)
    assert card.trial() == ()


@pytest.mark.parametrize("follows", [True, False])
def test_styles_are_tried_and_then_no_more(card: PreferenceCard, journal: Journal, follows: bool) -> None:
    draw, tried, ratings = random.Random(9), [], 1
    rate(journal, written("brief", draw), -1)
    while asked := card.trial():
        tried.extend(asked)
        text = render(FACTS, styled(asked), draw) if follows else "The moon."
        rate(journal, text, -1, trial=asked)
        ratings += 1
        assert ratings < 40
    assert set(tried) >= {"detailed", "bullets", "friendly", "formal", "emoji", "closing_question"}


@pytest.mark.parametrize(("stored", "read"), [('"friendly"', ("friendly",)), ("null", ())])
def test_a_home_that_knew_one_trial_at_a_time_is_read(
    card: PreferenceCard, journal: Journal, stored: str, read: tuple[str, ...]
) -> None:
    reply = rate(journal, "The moon.", -1)
    with journal.db.transaction() as connection:
        connection.execute("UPDATE generation SET body = json_set(body, '$.trial', json(?))", (stored,))
    assert journal.generation(reply.id).trial == read
    assert Observations(journal).all()[0].trial == read


def test_nothing_is_tried_beside_a_line_or_against_the_owner(card: PreferenceCard, journal: Journal) -> None:
    styles_of(journal, 2)
    first = card.trial()
    assert first
    card.strike(first[0])
    assert card.trial()
    assert first[0] not in card.trial()
    own = card.add("Call me Ruvenka.")
    assert card.trial() == ()
    card.reset(own.feature)
    card.pin("emoji")
    assert card.trial() == ()


def test_a_trial_teaches_by_what_the_reply_shows(card: PreferenceCard, journal: Journal) -> None:
    draw = random.Random(10)
    rate(journal, written("detailed", draw), -1)
    rate(journal, written("formal", draw), -1)
    rate(journal, written("brief", draw), 1, trial=("friendly",))  # asked to be friendly, and was not
    assert card.line("friendly").summary == "No friendly replies rated yet, 1 of 3 others"
    assert card.active_lines() == ["Keep replies brief."]


def test_a_taste_that_is_less_likely_than_not_is_not_spoken_for() -> None:
    told = {"sure": True, "likely": [{"features": ["bullets"], "probability": 0.8}]}
    assert taste_in_words(told) == "All thumbs together speak for replies with bullets (80%)."
    told["likely"] = [{"features": ["bullets"], "probability": 0.43}]
    assert taste_in_words(told) == "Of all tastes the thumbs speak most for replies with bullets (43%)."


def test_where_no_style_explains_the_thumbs_none_is_named() -> None:
    told = {"sure": True, "taken": [], "likely": [{"features": [], "probability": 0.7}]}
    told["likely"] += [{"features": ["no_emoji"], "probability": 0.13}]
    assert taste_in_words(told) == "No style of reply explains the thumbs so far."
    told["taken"] = ["no_emoji"]
    assert taste_in_words(told) == "Of all tastes the thumbs speak most for replies without emoji (13%)."
