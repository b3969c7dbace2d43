"""Adapters that know what was forgotten: marked, never back by themselves, and deleted for good."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from memory.database import Database, open_home
from memory.facts import Facts
from memory.forgetting import erase, lineage
from memory.journal import Journal
from policies.adapters.files import WEIGHTS
from policies.adapters.registry import AdapterError, AdapterRegistry
from tests.memory.forgettable import told
from tests.policies.light import light_adapter, light_meta


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return light_adapter(tmp_path / "trained")


@pytest.fixture
def events(journal: Journal) -> list[str]:
    """Three ratings; the replies are named after them."""
    return [journal.rate(told(journal, f"{at}?", f"{at}.").id, 1).id for at in range(3)]


def forget(journal: Journal, event: str) -> None:
    erase.forget_rating(journal, next(one.reply_id for one in journal.feedback() if one.id == event))


def test_what_a_report_names_is_the_lineage(
    registry: AdapterRegistry, db: Database, journal: Journal, events: list[str], trained: Path
) -> None:
    first = registry.add(trained, light_meta(report={"trained_on": {"feedback": events[:1]}}))
    second = registry.add(trained, light_meta(events[1]))
    assert (first.forgotten, second.forgotten) == ({}, {})
    assert lineage.of(db, "v1")["feedback"] == [events[0]]
    forget(journal, events[0])
    assert [(one.version, one.forgotten) for one in registry.marked()] == [("v1", {"feedback": 1})]
    assert registry.get("v1").forgotten == {"feedback": 1}
    assert registry.get("v2").forgotten == {}


def test_an_adapter_that_says_nothing_was_trained_on_everything(
    registry: AdapterRegistry, journal: Journal, facts: Facts, events: list[str], trained: Path
) -> None:
    memory = facts.remember("I like tea.")
    registry.add(trained, light_meta())
    later = journal.rate(told(journal, "x", "y").id, -1).id
    forget(journal, later)
    assert registry.marked() == []
    facts.forget(memory.id)
    forget(journal, events[2])
    assert registry.get("v1").forgotten == {"feedback": 1, "memory": 1}


def test_one_that_was_trained_on_what_is_gone_is_not_registered(
    registry: AdapterRegistry, journal: Journal, home: Path, events: list[str], trained: Path
) -> None:
    forget(journal, events[1])
    with pytest.raises(lineage.ForgottenMeanwhile):
        registry.add(trained, light_meta(*events))
    assert registry.list() == []
    assert list((home / "adapters").iterdir()) == []


def test_rolling_back_never_brings_a_marked_one_back(
    registry: AdapterRegistry, journal: Journal, events: list[str], trained: Path
) -> None:
    for event in events:
        registry.activate(registry.add(trained, light_meta(event)).version, "test")
    forget(journal, events[1])
    back = registry.rollback()
    assert back is not None
    assert back.version == "v1"
    forget(journal, events[0])
    assert registry.rollback() is None
    chosen = registry.activate("v2", "the owner may all the same")
    assert chosen is not None
    assert chosen.forgotten


def test_a_deleted_adapter_leaves_the_log_and_nothing_else(
    registry: AdapterRegistry, db: Database, home: Path, events: list[str], trained: Path
) -> None:
    samples = {"samples": [{"text": "Zquirlbat says so."}]}
    first = registry.add(trained, light_meta(events[0], report=samples))
    registry.add(trained, light_meta(events[1]))
    registry.activate("v1", "test")
    with pytest.raises(AdapterError, match="v1 is the active version"):
        registry.delete("v1")
    registry.activate("v2", "test")
    held = (Path(first.path) / WEIGHTS).open("rb")
    registry.delete("v1")
    with held:
        assert not any(held.read()), "unlinked and not overwritten"
    assert not Path(first.path).exists()
    assert [one.version for one in registry.list()] == ["v2"]
    assert [entry["version"] for entry in registry.activations()] == ["v1", "v2"]
    assert lineage.of(db, "v1")["feedback"] == []
    assert not any(b"Zquirlbat" in path.read_bytes() for path in home.rglob("*") if path.is_file())
    with pytest.raises(AdapterError, match="no adapter 'v1'"):
        registry.delete("v1")
    assert registry.rollback() is None, "what spoke before is gone, so the base does"
    assert registry.add(trained, light_meta(events[1])).version == "v3"


def test_purging_takes_the_marked_that_do_not_speak(
    registry: AdapterRegistry, journal: Journal, events: list[str], trained: Path
) -> None:
    for seen in (events[:1], events[:2], events[2:], events[:1]):
        registry.add(trained, light_meta(*seen))
    registry.activate("v2", "test")
    forget(journal, events[0])
    assert registry.purge() == ["v1", "v4"]
    assert [one.version for one in registry.marked()] == ["v2"]
    registry.activate("v3", "test")
    assert registry.purge() == ["v2"]
    assert [one.version for one in registry.list()] == ["v3"]


def test_files_that_a_killed_deletion_left_go_at_the_next_start(
    registry: AdapterRegistry, db: Database, home: Path, events: list[str], trained: Path
) -> None:
    added = registry.add(trained, light_meta(events[0]))
    with db.transaction() as connection:  # all that delete() commits before it touches the files
        connection.execute("DELETE FROM adapters WHERE number = 1")
    assert Path(added.path).is_dir()
    with (Path(added.path) / WEIGHTS).open("rb") as held:
        AdapterRegistry(db, home)
        assert not any(held.read())
    assert not Path(added.path).exists()


def test_adapters_from_before_there_was_a_lineage_count_as_trained_on_everything_older(
    home: Path, trained: Path
) -> None:
    with closing(open_home(home)) as db:
        journal, registry = Journal(db), AdapterRegistry(db, home)
        old = journal.rate((reply := told(journal, "a", "b")).id, 1)
        registry.add(trained, light_meta())
        registry.activate("v1", "test")
        registry.add(trained, light_meta())
        with db.transaction() as connection:  # as the version before left it
            connection.execute("DELETE FROM lineage")
            connection.execute(
                "UPDATE adapters SET report = ? WHERE number = 2",
                (json.dumps({"trained_on": {"feedback": ["erased-long-ago"]}}),),
            )
            connection.execute("DELETE FROM migration WHERE name = 'adapters-0002-forget'")
        journal.rate((newer := told(journal, "c", "d")).id, 1)
    with closing(open_home(home)) as db:
        journal, registry = Journal(db), AdapterRegistry(db, home)
        assert lineage.of(db, "v1") == {"feedback": [old.id], "reply": [reply.id], "memory": []}
        assert [one.version for one in registry.marked()] == ["v2"]
        active = registry.active()
        assert active is not None
        assert active.version == "v1"
        erase.forget_rating(journal, newer.id)
        assert registry.get("v1").forgotten == {}
        erase.forget_conversation(journal, reply.conversation_id)
        assert registry.get("v1").forgotten == {"feedback": 1, "reply": 1}
