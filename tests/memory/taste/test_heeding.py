"""A line that the model does not follow leaves the card, and says why."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.database import Database
from memory.journal import Journal
from memory.taste.card_model import Observation
from memory.taste.card_texts import CARD_TEXTS
from memory.taste.features import features
from memory.taste.heeding import unheeded
from memory.taste.preferences import PreferenceCard
from tests.memory.replies import written
from tests.memory.taste.test_preferences import rate

LINE = CARD_TEXTS["no_bullets"]


@pytest.fixture
def card(db: Database, journal: Journal) -> PreferenceCard:
    return PreferenceCard(db, journal)


def teach(journal: Journal) -> random.Random:
    """Five replies without bullets, liked, and three with, not."""
    draw = random.Random(5)
    for style in ("detailed", "bullets", "formal", "bullets", "friendly", "brief", "bullets", "formal"):
        rate(journal, written(style, draw), -1 if style == "bullets" else 1)
    return draw


def test_a_line_that_does_the_opposite_leaves_the_card(card: PreferenceCard, journal: Journal) -> None:
    draw = teach(journal)
    assert card.active_lines() == [LINE]
    for _ in range(3):
        rate(journal, written("bullets", draw), -1, card_lines=(LINE,))
    assert card.active_lines() == [LINE], "three replies are no evidence yet"
    rate(journal, written("bullets", draw), -1, card_lines=(LINE,))
    assert LINE not in card.active_lines()
    assert card.line("no_bullets").summary.endswith("off the card: 0 of 4 replies followed the line")


def test_a_line_that_is_followed_stays(card: PreferenceCard, journal: Journal) -> None:
    draw = teach(journal)
    for style in ("detailed", "bullets", "formal", "bullets", "brief", "friendly"):
        rate(journal, written(style, draw), -1 if style == "bullets" else 1, card_lines=(LINE,))
    assert card.active_lines() == [LINE]


def test_another_base_has_another_chance_and_a_pin_holds(card: PreferenceCard, journal: Journal) -> None:
    draw = teach(journal)
    for _ in range(5):
        rate(journal, written("bullets", draw), -1, card_lines=(LINE,))
    assert LINE not in card.active_lines()
    other = rate(journal, written("formal", draw), 1, base="another")
    assert card.active_lines() == [LINE]
    journal.rate(other.id, 0)
    assert LINE not in card.active_lines()
    card.pin("no_bullets")
    assert card.active_lines() == [LINE]
    assert "off the card" not in card.line("no_bullets").summary


@given(st.lists(st.tuples(st.sampled_from(["brief", "bullets", "formal"]), st.booleans(), st.booleans())))
def test_no_line_leaves_that_most_replies_follow(drawn: list[tuple[str, bool, bool]]) -> None:
    draw = random.Random(1)
    seen = [
        Observation(
            str(at), features(written(style, draw)), liked, under=frozenset({"bullets"} if under else ())
        )
        for at, (style, liked, under) in enumerate(drawn)
    ]
    under = [style for style, _, under in drawn if under][-12:]
    found = unheeded(seen)
    assert set(found) <= {"bullets"}
    if len(under) < 4 or 2 * under.count("bullets") >= len(under):
        assert not found
    for one in found.values():
        assert (one.followed, one.seen) == (under.count("bullets"), len(under))
