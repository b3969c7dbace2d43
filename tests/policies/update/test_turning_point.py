"""What is about a taste that is gone is left out of an update, by what the card reads as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from env.datasets import Pair, Unpaired
from memory.database import open_home
from memory.journal import Journal
from memory.records import Message
from memory.taste.card_model import Observation
from memory.taste.fading import FADED, Fading
from memory.taste.features import features
from memory.taste.preferences import PreferenceCard
from policies.update.material import material, turning_point
from tests.support import generation

SHORT = "The moon shapes the tides in the sea every day."
LONG = " ".join([SHORT] * 6)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    db = open_home(tmp_path / "home")
    yield Journal(db)
    db.close()


def answer(journal: Journal, text: str, question: str, tool: bool = False) -> Message:
    asked = journal.add_user(journal.start_conversation().id, None, question)
    parent = asked.id
    if tool:
        call = ({"name": "clock", "arguments": {}},)
        called = journal.add_reply(asked.conversation_id, parent, "", generation(question), call)
        parent = journal.add_tool(asked.conversation_id, called.id, "It is 14:05.", "clock").id
    return journal.add_reply(asked.conversation_id, parent, text, generation(question))


def taste(kinds: str) -> list[tuple[float, Observation]]:
    """Thumbs on short and long replies by turns; "s" likes the short ones, "l" the long ones."""
    texts = {"s": SHORT, "l": LONG}
    seen = [
        Observation(f"r{at}", features(texts["sl"[at % 2]]), "sl"[at % 2] == liked)
        for at, liked in enumerate(kinds)
    ]
    return [(float(at), one) for at, one in enumerate(Fading().weighed(seen))]


def test_thumbs_of_a_taste_that_turned_fade() -> None:
    assert turning_point(taste("l" * 40)) < 0
    assert 10 <= turning_point(taste("l" * 20 + "s" * 12)) < 20


@pytest.mark.parametrize(("said", "tool"), [("I do not know that yet.", False), ("It is 14:05.", True)])
@pytest.mark.parametrize("thumb", [1, -1])
def test_verdicts_on_what_was_said_are_no_change_of_taste(
    journal: Journal, said: str, tool: bool, thumb: int
) -> None:
    for at in range(12):
        journal.rate(answer(journal, SHORT, f"Tell me about moon {at}.").id, 1)
        journal.rate(answer(journal, LONG, f"And about sun {at}?").id, -1)
    for at in range(6):
        journal.rate(answer(journal, said, f"And what about star {at}?", tool).id, thumb)
    cut = material(journal, hold_out=0.0)
    assert (cut.routes["faded"], cut.turned, len(cut.train)) == (0, False, 30)
    marked = [row for row in cut.train if isinstance(row, Unpaired) and not row.style]
    assert [row.completion.text for row in marked] == [said] * 6


def test_a_change_of_taste_told_by_edits_is_seen(journal: Journal) -> None:
    for at in range(20):
        journal.edit_reply(answer(journal, LONG, f"Tell me about moon {at}.").id, SHORT)
    for at in range(20, 32):
        journal.edit_reply(answer(journal, SHORT, f"Tell me about moon {at}.").id, LONG)
    assert [line.feature for line in PreferenceCard(journal.db, journal).lines() if line.active] == [
        "detailed"
    ]
    cut = material(journal, hold_out=0.0)
    assert cut.turned
    assert cut.routes["faded"] >= 18
    assert {row.chosen.text for row in cut.train if isinstance(row, Pair)} <= {SHORT, LONG}
    assert sum(row.chosen.text == SHORT for row in cut.train if isinstance(row, Pair)) <= 2


def test_the_card_and_the_update_leave_out_the_same(journal: Journal) -> None:
    for at in range(40):
        long = at % 2 == 0
        reply = answer(journal, LONG if long else SHORT, f"Tell me about moon {at}.")
        journal.rate(reply.id, 1 if long is (at < 24) else -1)
    weights = PreferenceCard(journal.db, journal).weights()
    cut = material(journal, "kto", hold_out=0.0)
    assert cut.turned
    assert {row.reply_id for row in cut.thumbs} == {one for one, weight in weights.items() if weight >= FADED}
