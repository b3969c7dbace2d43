"""Ratings of another home: what is newest goes by when it was said, and updates learn from what came."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest

from agent.export import export
from agent.importing import import_file
from memory.database import Database, open_home
from memory.facts import Facts
from memory.forgetting import lineage
from memory.journal import Journal
from memory.records import Generation, Message
from memory.taste.preferences import PreferenceCard
from policies.adapters.registry import AdapterRegistry
from policies.watch import trial
from tests.memory.forgettable import told
from tests.memory.replies import written
from tests.policies.light import light_adapter, light_meta

DOG = "My dog is called Fitzo."
At = Callable[[float], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Sets the clock that ratings are stamped by, in seconds."""
    return lambda moment: monkeypatch.setattr("memory.ledger.time.time", lambda: moment)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Journal]:
    with closing(open_home(tmp_path / "other")) as db:
        yield Journal(db)


def moved(given: Journal, to: Journal, file: Path) -> None:
    export(given, file)
    assert import_file(to.db, file).broken == []


def test_an_adapter_learns_from_a_reply_that_was_shown_what_is_known_here_under_another_id(
    db: Database, home: Path, journal: Journal, other: Journal, tmp_path: Path
) -> None:
    Facts(db).remember(DOG)
    there = Facts(other.db).remember(DOG)
    reply = told(other, "Who is Fitzo?", "Your dog.", [there])
    event = other.rate(reply.id, 1)
    moved(other, journal, tmp_path / "all.jsonl")
    assert there.id not in Facts(db).ids()
    adapter = AdapterRegistry(db, home).add(light_adapter(tmp_path / "trained"), light_meta(event.id))
    assert adapter.version == "v1"
    assert lineage.forgotten(db) == {}


def rated(journal: Journal, style: str, value: int, draw: random.Random) -> str:
    said = told(journal, "Tell me about the moon.", written(style, draw))
    journal.rate(said.id, value)
    return said.id


def test_older_thumbs_that_come_later_are_older(
    journal: Journal, other: Journal, tmp_path: Path, at: At
) -> None:
    draw = random.Random(1)
    for number in range(24):
        at(100.0 + number)
        rated(other, "detailed", 1, draw)
    mine = []
    for number in range(8):
        at(1000.0 + number)
        mine.append(rated(journal, "detailed", -1, draw))
    moved(other, journal, tmp_path / "all.jsonl")
    assert [reply.id for _, reply in journal.signals()][-8:] == mine
    weights = PreferenceCard(journal.db, journal).weights()
    assert min(weights[one] for one in mine) > 0.9
    assert len(weights) == 32
    assert max(weights[one] for one in weights.keys() - set(mine)) < 0.5


@pytest.mark.parametrize("order", permutations((0, 1)))
def test_the_later_thumb_stands_whichever_was_imported_last(
    journal: Journal, other: Journal, tmp_path: Path, at: At, order: tuple[int, int]
) -> None:
    reply = told(journal, "Tell me about tea.", "Leaves.")
    moved(journal, other, tmp_path / "start.jsonl")
    at(100.0)
    journal.rate(reply.id, 1)
    at(200.0)
    other.rate(reply.id, -1)
    files = [tmp_path / "up.jsonl", tmp_path / "down.jsonl"]
    export(journal, files[0])
    export(other, files[1])
    with closing(open_home(tmp_path / "third")) as db:
        third = Journal(db)
        for one in order:
            import_file(db, files[one])
        assert len(third.feedback(reply.id)) == 2
        stands = third.effective(reply.id)
        assert stands is not None
        assert stands.value == -1
        assert [event.value for event, _ in third.signals()] == [-1]


def spoken(journal: Journal, adapter: str | None) -> Message:
    talk = journal.start_conversation().id
    asked = journal.add_user(talk, None, "Tea?")
    return journal.add_reply(talk, asked.id, "Green.", Generation("", "light", adapter, (), "", (), (), {}))


def test_the_v1_of_another_home_is_not_the_v1_of_this_one(
    db: Database, home: Path, journal: Journal, other: Journal, tmp_path: Path
) -> None:
    """Six thumbs down under a v1 over there, and one thumb up under the v1 that is on trial here."""
    for at in range(12):
        reply = spoken(other, "v1" if at % 2 else None)
        other.rate(reply.id, -1 if at % 2 else 1)
    moved(other, journal, tmp_path / "all.jsonl")
    adapter = AdapterRegistry(db, home).add(light_adapter(tmp_path / "trained"), light_meta())
    here = spoken(journal, adapter.version)
    journal.rate(here.id, 1)
    seen = trial(adapter, journal.ledger(), {})
    assert adapter.version == "v1"
    assert (seen.decided, seen.under) == (None, (1, 1))
    export(journal, tmp_path / "again.jsonl")
    with closing(open_home(tmp_path / "third")) as third:
        assert import_file(third, tmp_path / "again.jsonl").broken == []
        spoke = {made.adapter for _, _, made in Journal(third).ledger()}
    assert spoke == {None, "imported v1"}, "named once, however often it moves"
