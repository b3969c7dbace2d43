"""Threads, processes and sudden death: what was acknowledged is there."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memory.database import Database, open_home
from memory.facts import Facts
from memory.journal import Journal
from tests.support import generation

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from memory.database import open_home
from memory.facts import Facts
from memory.journal import Journal
from tests.support import generation
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
