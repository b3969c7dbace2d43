"""Threads, processes and sudden death: what was acknowledged is there."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memory.database import Database, open_home
from memory.errors import BusyHome
from memory.facts import Facts
from memory.files import locked
from memory.journal import Journal
from memory.rescue.backups import Backups
from memory.schema import MIGRATIONS
from tests.support import ROOT, generation

WRITER = """
import sys
from pathlib import Path
import memory.database
from memory.database import open_home
from memory.facts import Facts
from memory.journal import Journal
from tests.support import generation
# SQLite lets waiting processes in without an order, and a disk may be slow
memory.database.BUSY_SECONDS = 120.0
journal = Journal(open_home(Path(sys.argv[1])))
facts = Facts(journal.db)
talk = journal.start_conversation(sys.argv[2])
last = None
for number in range(int(sys.argv[3])):
    asked = journal.add_user(talk.id, last, f"question {number}")
    said = journal.add_reply(talk.id, asked.id, f"answer {number}", generation())
    event = journal.rate(said.id, 1)
    facts.remember("the same fact")
    memory = facts.remember(f"{sys.argv[2]} {number}")
    last = said.id
    print(asked.id, said.id, event.id, memory.id, flush=True)
"""

OPENER = """
import sys
from pathlib import Path
from memory.database import open_home
for line in sys.stdin:
    open_home(Path(line.strip())).close()
    print("opened", flush=True)
"""


def writer(home: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home), name, str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(lines: list[str], home: Path) -> int:
    """Check that every acknowledged line is there, whole; how many there were."""
    db = open_home(home)
    journal, facts = Journal(db), Facts(db)
    whole = [line.split() for line in lines if len(line.split()) == 4]
    events = {event.id for event in journal.feedback()}
    for asked, said, event, memory in whole:
        assert [message.id for message in journal.path(said)][-2:] == [asked, said]
        assert journal.generation(said).base == "sprout"
        assert event in events
        assert facts.get(memory).valid_to is None
    orphans = db.row(
        "SELECT COUNT(*) AS n FROM message LEFT JOIN generation ON reply_id = id"
        " WHERE role = 'assistant' AND reply_id IS NULL"
    )
    assert orphans is not None
    assert orphans["n"] == 0
    assert db.check() == []
    db.close()
    return len(whole)


def test_two_processes_write_to_one_home(home: Path) -> None:
    running = [writer(home, name, 25) for name in ("left", "right")]
    lines = [line for process in running for line in (process.communicate()[0]).splitlines()]
    assert [process.returncode for process in running] == [0, 0]
    assert acknowledged(lines, home) == 50
    db = open_home(home)
    assert Facts(db).count() == 51
    assert [event.seq for event in Journal(db).feedback()] == list(range(1, 51))
    db.close()


def opened_by_three(homes: list[Path]) -> list[str]:
    """Three processes open each of the homes at the same moment; what the three say."""
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(3)
    ]
    for home in homes:
        for one in openers:
            assert one.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it has died, and says why below
                one.stdin.write(f"{home}\n")
                one.stdin.flush()
        for one in openers:
            assert one.stdout is not None
            if one.stdout.readline() != "opened\n":
                break
    return [one.communicate()[0] for one in openers]


def test_several_who_start_at_once_all_get_a_new_home(tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(30)]
    assert opened_by_three(homes) == ["", "", ""]


def test_several_who_start_at_once_all_get_a_home_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = [tmp_path / str(number) for number in range(15)]
    with monkeypatch.context() as patch:
        patch.setattr("memory.database.MIGRATIONS", MIGRATIONS[:3])
        db = open_home(tmp_path / "old")
        Journal(db).start_conversation("kept")
        db.close()
    for home in homes:
        shutil.copytree(tmp_path / "old", home)
    assert opened_by_three(homes) == ["", "", ""]
    for home in homes:
        assert len(Backups(home).all()) == 1
        db = open_home(home)
        assert [talk.title for talk in Journal(db).conversations()] == ["kept"]
        db.close()


@pytest.fixture
def old(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of an older version, for which nobody waits longer than a moment."""
    with monkeypatch.context() as patch:
        patch.setattr("memory.database.MIGRATIONS", MIGRATIONS[:3])
        db = open_home(home)
        Journal(db).start_conversation("kept")
        db.close()
    monkeypatch.setattr("memory.database.BUSY_SECONDS", 0.1)
    return home


def opened_by_a_thread(home: Path, said: list[object]) -> threading.Thread:
    def work() -> None:
        try:
            open_home(home).close()
            said.append("opened")
        except BaseException as error:
            said.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_who_migrates_waits_for_the_backup_of_another(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.database.BUSY_SECONDS", 60.0)
    said: list[object] = []
    with locked(old / "backups", alone=True, seconds=0.0):
        thread = opened_by_a_thread(old, said)
        thread.join(0.3)
        assert said == []
    thread.join()
    assert said == ["opened"]
    assert len(Backups(old).all()) == 1


def test_who_waits_for_a_migration_waits_for_its_backup_too(old: Path) -> None:
    said: list[object] = []
    with contextlib.closing(sqlite3.connect(old / "attune.db", isolation_level=None)) as migrating:
        with locked(old / "backups", alone=True, seconds=0.0):
            migrating.execute("BEGIN IMMEDIATE")
            thread = opened_by_a_thread(old, said)
            thread.join(1.0)  # ten times as long as anybody waits for a writer
            assert said == []
            migrating.execute("ROLLBACK")
        thread.join()
    assert said == ["opened"]


def test_who_waits_for_a_writer_does_not_wait_for_ever(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old / "attune.db", isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyHome):
            open_home(old)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_acknowledged_is_lost_by_kill_9(home: Path, seed: int) -> None:
    process = writer(home, "doomed", 10_000)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(random.Random(seed).randint(1, 40))]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    assert acknowledged(lines, home) >= 1


def test_threads_share_one_database(
    db: Database, journal: Journal, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite lets waiting threads in without an order, and a disk may be slow
    monkeypatch.setattr("memory.database.BUSY_SECONDS", 120.0)
    talk = journal.start_conversation()
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(15):
                asked = journal.add_user(talk.id, None, f"{name} {number}")
                said = journal.add_reply(talk.id, asked.id, "answer", generation())
                journal.rate(said.id, -1)
                assert journal.effective(said.id) is not None
                facts.remember("the same fact")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(journal.ledger()) == 90
    assert facts.count() == 1
    assert db.check() == []
