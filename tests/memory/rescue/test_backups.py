"""Copies of the database: whole, checked, rotated, and never a hiding place for what was forgotten."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.database import Database, open_home
from memory.errors import DamagedDatabase
from memory.facts import Facts
from memory.journal import Journal
from memory.rescue.backups import DAY, WEEK, Backups, NoBackup, faults_of, kept
from memory.schema import MIGRATIONS
from tests.support import generation

NOW = 1_763_733_792.0


def talk(journal: Journal, *texts: str) -> str:
    """Say them in one conversation, with a rated reply to each; the id of the conversation."""
    made, last = journal.start_conversation(), None
    for text in texts:
        asked = journal.add_user(made.id, last, text)
        last = journal.add_reply(made.id, asked.id, f"about {text}", generation()).id
        journal.rate(last, 1)
    return made.id


def contents(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT content FROM message ORDER BY rowid")]
    finally:
        connection.close()


def test_a_backup_is_one_whole_file_for_its_owner_only(db: Database, journal: Journal, home: Path) -> None:
    talk(journal, "tea", "bread")
    made = Backups(home).make(db)
    assert [one.path for one in Backups(home).all()] == [made.path]
    assert list((home / "backups").iterdir()) == [made.path]
    assert made.path.stat().st_mode & 0o077 == 0
    assert abs(made.made_at - time.time()) < 60
    assert faults_of(made.path) == []
    assert contents(made.path) == ["tea", "about tea", "bread", "about bread"]
    assert list((home / "backups").iterdir()) == [made.path]


def test_it_is_due_once_a_day_and_only_when_something_is_new(
    db: Database, journal: Journal, home: Path
) -> None:
    backups = Backups(home)
    assert not backups.due(db)  # nothing was said yet
    talk(journal, "tea")
    assert backups.due(db)
    made = backups.make(db)
    assert not backups.due(db)
    later = made.made_at + 1.1 * DAY
    assert not backups.due(db, later)  # nothing new since
    time.sleep(0.01)  # the clock of the file system may tick slower than ours
    talk(journal, "bread")
    assert backups.due(db, later)
    # a clock that was set back: the copy "of tomorrow" does not count
    assert backups.due(db, made.made_at - 10)


def test_the_rule_of_the_rotation() -> None:
    hourly = [NOW - hour * 3_600.0 for hour in range(24 * 60)]
    keep = kept(hourly, NOW)
    assert len(keep) <= 3 + 7 + 4
    assert {NOW, NOW - 3_600.0, NOW - 7_200.0} <= keep
    assert {int(at // DAY) for at in keep} >= {int(NOW // DAY) - back for back in range(7)}
    assert {int(at // WEEK) for at in keep} == {int(NOW // WEEK) - back for back in range(4)}


@given(gaps=st.lists(st.floats(60.0, 12 * DAY), min_size=1, max_size=60), late=st.floats(0.0, 30 * DAY))
def test_a_rotation_after_each_copy_keeps_as_much_as_one_at_the_end(gaps: list[float], late: float) -> None:
    times, left, now = [], set(), NOW
    for gap in gaps:
        now += gap
        times.append(now)
        left = kept({*left, now}, now)
    assert max(times) in left
    assert set(times[-3:]) <= left
    assert kept(left, now) == kept(times, now)
    assert len(kept(left, now + late)) <= 14


def test_old_copies_are_rotated_out(db: Database, journal: Journal, home: Path) -> None:
    talk(journal, "tea")
    backups = Backups(home)
    first = backups.make(db)
    for hour in range(1, 30):
        at = first.made_at - hour * 3_600.0
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(at))
        shutil.copy(first.path, home / "backups" / f"attune-{stamp}-000000-0.db")
    backups.make(db)
    assert 3 <= len(backups.all()) <= 6
    assert backups.all()[1] == first


def test_what_is_forgotten_is_in_no_backup(db: Database, journal: Journal, facts: Facts, home: Path) -> None:
    backups = Backups(home)
    said = talk(journal, "the word xylophone")
    memory = facts.remember("My cat is called Quixote.")
    backups.make(db)
    backups.make(db)
    facts.forget(memory.id)
    assert backups.all() == []
    backups.make(db)
    assert b"Quixote" not in backups.all()[0].path.read_bytes()
    assert b"xylophone" in backups.all()[0].path.read_bytes()
    journal.delete_conversation(said)
    assert backups.all() == []


def test_what_is_set_aside_is_forgotten_too(db: Database, facts: Facts, home: Path) -> None:
    memory = facts.remember("My cat is called Quixote.")
    aside = home / "backups" / "damaged-20251121-140312-000000-0.db"
    aside.write_bytes(b"Quixote")
    assert Backups(home).set_aside() == [aside]
    facts.forget(memory.id)
    assert not aside.exists()


def test_a_process_that_died_while_it_forgot_leaves_no_copy_to_the_next(
    db: Database, facts: Facts, home: Path
) -> None:
    memory = facts.remember("My cat is called Quixote.")
    Backups(home).make(db)
    with db.transaction() as connection:  # the commit of forgetting, and nothing after it
        connection.execute("DELETE FROM memory WHERE id = ?", (memory.id,))
    assert len(Backups(home).all()) == 1
    again = open_home(home)
    Backups(home).sweep(again.erasures())
    again.close()
    assert Backups(home).all() == []


def test_forget_all_deletes_whatever_lies_there(db: Database, facts: Facts, home: Path) -> None:
    facts.remember("My cat is called Quixote.")
    backups = Backups(home)
    backups.make(db)
    (home / "backups" / ".making-dead.db").write_bytes(b"Quixote")
    (home / "backups" / "mine.db").write_bytes(b"Quixote")
    assert len(backups.forget_all()) == 3
    assert list((home / "backups").iterdir()) == []
    assert backups.due(db)


def test_forgetting_while_a_copy_is_made_leaves_none_of_it(db: Database, facts: Facts, home: Path) -> None:
    memory = facts.remember("My cat is called Quixote.")
    for number in range(60):
        facts.remember(f"{number} " + "long fact " * 150)
    Backups(home).make(db)

    def forget() -> bool:
        if facts.count() == 61:
            facts.forget(memory.id)
        return False

    with suppress(NoBackup):
        Backups(home).make(db, forget)
    assert facts.count() == 60
    for path in (home / "backups").iterdir():
        assert b"Quixote" not in path.read_bytes()


def test_writers_and_readers_go_on_while_a_copy_is_made(db: Database, journal: Journal, home: Path) -> None:
    said = talk(journal, *(f"{number} " + "word " * 2_000 for number in range(40)))
    stop, wrote = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            wrote.append(journal.add_user(said, None, f"meanwhile {len(wrote)}").content)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        made = [Backups(home).make(db) for _ in range(3)]
    finally:
        stop.set()
        thread.join()
    for one in made:
        copied = [text for text in contents(one.path) if text.startswith("meanwhile")]
        assert copied == wrote[: len(copied)]
    assert contents(Backups(home).make(db).path)[-1] == wrote[-1]
    assert db.check() == []


def test_a_copy_that_is_stopped_leaves_nothing(db: Database, journal: Journal, home: Path) -> None:
    talk(journal, "tea")
    with pytest.raises(NoBackup, match="stopped"):
        Backups(home).make(db, lambda: True)
    assert list((home / "backups").iterdir()) == []


def test_what_a_killed_copy_left_is_swept(db: Database, journal: Journal, home: Path) -> None:
    talk(journal, "tea")
    (home / "backups" / ".making-dead.db").write_bytes(b"half")
    made = Backups(home).make(db)
    assert list((home / "backups").iterdir()) == [made.path]


def test_who_dies_while_it_deletes_leaves_no_file_that_looks_like_a_backup(
    db: Database, facts: Facts, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = facts.remember("My cat is called Quixote.")
    Backups(home).make(db)

    def die(path: Path) -> None:
        raise KeyboardInterrupt

    for name in ("overwrite", "Path.unlink"):
        with monkeypatch.context() as patch:
            patch.setattr(f"memory.files.{name}", die)
            with pytest.raises(KeyboardInterrupt):
                Backups(home).forget_all()
        assert Backups(home).all() == []
    facts.forget(memory.id)
    assert list((home / "backups").iterdir()) == []


def test_a_restoration_that_died_leaves_no_copy_to_what_is_forgotten(
    db: Database, facts: Facts, home: Path
) -> None:
    memory = facts.remember("My cat is called Quixote.")
    work = home / "backups" / "restoring-20251121-140312-000000"
    work.mkdir()
    (work / "old.db").write_bytes(b"Quixote")
    facts.forget(memory.id)
    assert not work.exists()


def test_two_processes_do_not_copy_at_once(db: Database, journal: Journal, home: Path) -> None:
    talk(journal, "tea")
    met: list[str] = []

    def meanwhile() -> bool:
        with pytest.raises(NoBackup, match="Another process") as caught:
            Backups(home).make(db)
        met.append(str(caught.value))
        return False

    Backups(home).make(db, meanwhile)
    assert met
    assert len(Backups(home).all()) == 1


def test_a_disk_without_room_is_one_sentence_and_nothing_else(
    db: Database, journal: Journal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(journal, "tea")
    first = Backups(home).make(db)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1_000_000))
    with pytest.raises(NoBackup, match="too full for a backup") as caught:
        Backups(home).make(db)
    assert str(caught.value).endswith("free some space.")
    assert list((home / "backups").iterdir()) == [first.path]


def test_a_copy_shows_that_the_database_is_damaged(db: Database, journal: Journal, home: Path) -> None:
    talk(journal, *(f"{number} " + "word " * 300 for number in range(200)))
    db.close()
    body = bytearray((home / "attune.db").read_bytes())
    middle = len(body) // 8192 * 4096
    body[middle : middle + 4096] = b"\xa5" * 4096
    (home / "attune.db").write_bytes(body)
    again, backups = open_home(home), Backups(home)
    with pytest.raises(DamagedDatabase, match="restored from its newest backup"):
        backups.make(again)
    again.close()
    assert backups.suspect
    assert backups.all() == []


def test_before_the_tables_change_a_backup_is_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = MIGRATIONS[:3]
    with monkeypatch.context() as patch:
        patch.setattr("memory.database.MIGRATIONS", older)
        db = open_home(home)
        talk(Journal(db), "tea")
        db.close()
    assert Backups(home).all() == []  # there was nothing yet when the first tables were made
    db = open_home(home)
    db.close()
    [made] = Backups(home).all()
    assert contents(made.path) == ["tea", "about tea"]
    connection = sqlite3.connect(made.path)
    names = {row[0] for row in connection.execute("SELECT name FROM migration")}
    connection.close()
    assert names == {migration.name for migration in older}
    db = open_home(home)
    Backups(home).sweep(db.erasures())  # the new tables count from zero: it stays
    db.close()
    assert [one.path for one in Backups(home).all()] == [made.path]
