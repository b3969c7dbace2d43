"""Backups beside the work: when one is made, what the person is told, and a home that was damaged."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from agent.backup_clock import BackupClock
from agent.doctor import Check, examine
from memory.database import open_home
from memory.rescue.backups import DAY, Backups, stamp
from memory.rescue.restore import open_safely
from tests.agent.command_line import Attune
from tests.agent.scripted import ScriptedPolicy, scripted_runtime
from tests.memory.damaging import fill, kept, pages_of, ruin
from tests.policies.tiny_models import shared_model
from tests.support import HashEmbedder


def wait_for(clock: BackupClock) -> None:
    assert clock._thread is not None
    clock._thread.join()


def test_the_first_look_of_a_session_and_then_an_idle_moment_make_one(tmp_path: Path) -> None:
    runtime = scripted_runtime(tmp_path, ScriptedPolicy("Yes."), memory=False)
    try:
        clock = runtime.backup_clock
        assert not clock.maybe(0.0, 20.0)  # nothing was said
        list(runtime.loop.turn("Hello."))
        assert clock.maybe(0.0, 20.0)  # there is no copy at all: no need to be idle
        wait_for(clock)
        [first] = Backups(runtime.home).all()
        assert not clock.maybe(100.0, 20.0)  # it is of today
        older = first.path.with_name("attune-20200101-000000-000000-0.db")
        first.path.rename(older)
        assert not clock.maybe(5.0, 20.0)  # the person is typing
        runtime.maybe_update(100.0)
        wait_for(clock)
        assert len(Backups(runtime.home).all()) == 2
    finally:
        runtime.close()


def test_a_copy_from_when_the_clock_ran_ahead_keeps_no_other_from_being_made(home: Path) -> None:
    fill(home, "early", 2)
    db = open_home(home)
    backups = Backups(home)
    made = backups.make(db)
    # the day before yesterday, and much later
    before = made.path.rename(made.path.with_name(f"attune-{stamp(made.made_at - 2 * DAY)}-0.db"))
    ahead = made.path.with_name("attune-20990101-000000-000000-0.db")
    shutil.copy(before, ahead)
    assert [one.path for one in backups.all()] == [before, ahead]
    assert backups.due(db)
    newest = backups.make(db)
    assert [one.path for one in backups.all()] == [newest.path, before, ahead]
    assert not backups.due(db)
    db.close()


def test_a_copy_from_when_the_clock_ran_ahead_is_restored_only_without_another(home: Path) -> None:
    early = fill(home, "early", 3)
    db = open_home(home)
    made = Backups(home).make(db).path
    made.rename(made.with_name("attune-20990101-000000-000000-0.db"))
    db.close()
    late = fill(home, "late", 3)
    db = open_home(home)
    newest = Backups(home).make(db).path
    db.close()
    for there in (early | late, early):
        (home / "attune.db").write_bytes(b"this is no database" * 3_000)
        restored, said = open_safely(home)
        restored.close()
        assert "the backup of" in said[0]
        assert kept(home) == there
        newest.unlink(missing_ok=True)


def test_a_turn_goes_on_while_a_copy_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = scripted_runtime(tmp_path, ScriptedPolicy("Yes."), memory=False)
    started, go_on = threading.Event(), threading.Event()
    make = Backups.make

    def held(backups: Backups, *arguments: Any) -> Any:
        started.set()
        assert go_on.wait(60)
        return make(backups, *arguments)

    try:
        list(runtime.loop.turn("Hello."))
        with monkeypatch.context() as patch:
            patch.setattr(Backups, "make", held)
            assert runtime.backup_clock.maybe(0.0, 20.0)
            assert started.wait(60)
            assert not runtime.backup_clock.maybe(0.0, 20.0)  # one at a time
            assert [
                event.message.content for event in runtime.loop.turn("Again.") if hasattr(event, "message")
            ]
            go_on.set()
            wait_for(runtime.backup_clock)
        assert len(Backups(runtime.home).all()) == 1
    finally:
        go_on.set()
        runtime.close()


def test_a_copy_is_made_at_the_end_when_there_was_no_idle_moment(tmp_path: Path) -> None:
    runtime = scripted_runtime(tmp_path, ScriptedPolicy("Yes."), memory=False)
    list(runtime.loop.turn("Hello."))
    runtime.close()
    runtime.close()
    assert len(Backups(runtime.home).all()) == 1


def test_a_full_disk_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = scripted_runtime(tmp_path, ScriptedPolicy("Yes."), memory=False)
    try:
        list(runtime.loop.turn("Hello."))
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1_000_000))
        assert runtime.backup_clock.maybe(0.0, 20.0)
        wait_for(runtime.backup_clock)
        [sentence] = runtime.take_notices()
        assert "too full for a backup" in sentence
        assert not runtime.backup_clock.maybe(100.0, 20.0)
        assert list(runtime.loop.turn("Again."))
    finally:
        runtime.close()
    assert Backups(runtime.home).all() == []


@pytest.fixture
def damaged(home: Path) -> set[str]:
    """A home with a backup, then some more, then a ruined page; the ids of what the backup has."""
    early = fill(home, "early", 20)
    db = open_home(home)
    Backups(home).make(db)
    db.close()
    fill(home, "late", 20)
    ruin(home / "attune.db", pages_of(home, "message")[-2:])
    return early


def test_a_command_on_a_damaged_home_says_what_is_missing_and_works(
    attune: Attune, home: Path, damaged: set[str]
) -> None:
    done = attune("memory", "list")
    assert done.code == 0
    assert "early fact 0" in done.out
    assert "The database was damaged and is set aside as" in done.err
    assert "missing." in done.err
    assert damaged <= kept(home)
    assert attune("memory", "list").err == ""


def test_the_chat_is_told_of_a_restoration(home: Path, damaged: set[str]) -> None:
    runtime = scripted_runtime(home, ScriptedPolicy("Yes."), memory=False)
    try:
        [sentence] = runtime.take_notices()
        assert "The database was damaged" in sentence
    finally:
        runtime.close()


def test_doctor_tells_of_backups_and_of_a_damaged_database(
    home: Path, damaged: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.index.embedder.load_embedder", lambda setting: HashEmbedder())

    def look() -> dict[str, Check]:
        return {check.name: check for check in examine(home, str(shared_model()))}

    checks = look()
    assert not checks["database"].ok
    assert "sets" in checks["database"].todo
    assert "restores the copy of" in checks["database"].todo
    assert checks["backups"].ok
    assert checks["backups"].text.startswith("1, ")
    runtime = scripted_runtime(home, ScriptedPolicy("Yes."), memory=False)
    runtime.close()
    checks = look()
    assert checks["database"].ok
    assert "is a damaged one, set aside" in checks["backups"].text
    newest = Backups(home).all()[0].path
    newest.write_bytes(newest.read_bytes()[:5_000])
    assert not look()["backups"].ok
