"""The kill -9 harness over small children on a real home: honest ones pass, the others are caught."""

import os
import sys
from functools import partial

import pytest

from env.bench import crash_store
from env.bench.crash import Family, run, run_all
from env.bench.crash_audits import audit_backups, audit_journal
from env.bench.crash_life import Nursery, by_command
from env.bench.errors import BenchCancelled, BenchError
from memory.database import open_home
from memory.facts import Facts
from memory.journal import Journal
from memory.rescue.backups import Backups
from tests.env.crash_lives import honest
from tests.support import ROOT

PRELOAD = ["env.bench.crash_store"]

HONEST = """
import json, sys
from pathlib import Path
from memory.database import open_home
from memory.journal import Journal
from memory.records import Generation

def say(**line):
    print(json.dumps(line), flush=True)

home = Path(sys.argv[1])
db = open_home(home)
journal = Journal(db)
talk = journal.start_conversation()
for number in range(12):
    say(phase="chat")
    asked = journal.add_user(talk.id, None, f"prompt {number} é\\n")
    say(ack="message", id=asked.id, content=asked.content)
    how = Generation("", "base", None, (), "", (), (), {})
    reply = journal.add_reply(talk.id, asked.id, f"reply {number}", how)
    say(ack="message", id=reply.id, content=reply.content)
    say(phase="rate")
    event = journal.rate(reply.id, 1 if number % 2 else -1)
    say(ack="rating", id=event.id, reply_id=reply.id, value=event.value)
db.close()
"""

HASTY = HONEST.replace(
    "    event = journal.rate(",
    "    say(ack='rating', id='soon', reply_id=reply.id, value=1)\n    event = journal.rate(",
)

STUCK = """
import json, pathlib, sys
pid = pathlib.Path(sys.argv[1]) / "pid"
if pid.exists():
    sys.exit("another process is using this home")
pid.write_text("me")
print(json.dumps({"phase": "work"}), flush=True)
sum(range(20_000_000))
pid.unlink()
"""

CUT = """
import json, pathlib, sys, time
before = pathlib.Path(sys.argv[1]) / "before"
print(json.dumps({"phase": "work"}), flush=True)
if before.exists():
    print('{"ack": "message", "id": "half"', end="", flush=True)
    time.sleep(2)
before.touch()
"""


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def kill(code, home, audits=(audit_journal,), **settings):
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    begin = by_command([sys.executable, "-c", code, str(home)], environment)
    return run(begin, home, audits, **settings)


def test_an_honest_child_loses_nothing_wherever_it_is_killed(home):
    result = run(Nursery(honest, home, PRELOAD).begin, home, [audit_journal], rounds=12, seed=1)
    assert result["problems"] == []
    assert result["kills"] == 12
    assert set(result["by_phase"]) <= {"start", "chat", "rate"}
    assert len(result["by_phase"]) >= 2
    # the two whole lives alone acknowledge 24 turns
    assert result["acknowledged"]["message"] >= 48
    assert result["acknowledged"]["rating"] >= 24


def test_what_is_acknowledged_and_not_there_is_found_and_ends_the_rounds(home):
    result = kill(HASTY, home, rounds=5)
    assert "before any kill: rating soon was acknowledged and is lost" in result["problems"]
    assert result["kills"] == 0


def test_the_audit_compares_what_was_said_and_rated(home):
    kill(HONEST, home, rounds=0)
    db = open_home(home)
    event = Journal(db).feedback()[0]
    db.close()
    message = {"ack": "message", "id": event.reply_id, "content": "reply 0"}
    rating = {"ack": "rating", "id": event.id, "reply_id": event.reply_id, "value": -1}
    assert audit_journal(home, [message, rating]) == []
    wrong = [{**message, "content": "reply 1"}, {**message, "id": "none"}, {**rating, "value": 1}]
    found = audit_journal(home, wrong)
    assert [text.split(" ")[0] for text in found] == ["message", "message", "rating"]
    assert "says 'reply 0'" in found[0]
    assert "lost" in found[1]


def test_a_damaged_database_is_a_problem_and_not_a_crash(home):
    (home / "attune.db").write_bytes(b"this is no database, however long it is" * 200)
    (found,) = audit_journal(home, [])
    assert "damaged" in found


def test_a_next_start_that_is_not_clean_is_a_problem(home):
    result = kill(STUCK, home, audits=(), rounds=20, seed=3)
    assert 1 <= result["kills"] < 20
    assert any("ended with code 1: another process is using this home" in text for text in result["problems"])


def test_a_line_cut_in_half_was_never_acknowledged(home):
    result = kill(CUT, home, audits=(), rounds=3, seed=0)
    assert result["problems"] == []
    assert result["kills"] == 3
    assert result["acknowledged"] == {}


def test_every_audit_is_asked_with_all_that_was_acknowledged(home):
    asked = []

    def audit(where, acks):
        asked.append((where, len(acks)))
        return ["adapter v1 is half"] if len(asked) == 3 else []

    result = kill(HONEST, home, audits=(audit_journal, audit), rounds=9)
    assert [text.partition(": ")[2] for text in result["problems"]] == ["adapter v1 is half"]
    assert {where for where, _ in asked} == {home}
    assert [count for _, count in asked] == sorted(count for _, count in asked)


def test_a_child_that_fails_by_itself_is_told_before_anything_is_killed(home):
    with pytest.raises(BenchError, match=r"fails by itself.*code 1: no home here"):
        kill("import sys; sys.exit('no home here')", home)
    with pytest.raises(BenchError, match=r"no JSON object: 'hello"):
        kill("print('hello')", home)
    with pytest.raises(BenchError, match="did not end by itself within 1 s"):
        kill("import time; time.sleep(60)", home, timeout=1.0)


def test_it_can_be_stopped_between_rounds(home):
    told = []
    with pytest.raises(BenchCancelled):
        kill(
            HONEST,
            home,
            progress=lambda share, text: told.append(text),
            cancelled=lambda: len(told) > 1,
        )
    assert len(told) == 2


def test_forks_of_one_server_are_killed_in_every_phase_and_lose_nothing(tmp_path):
    """Not only messages and ratings: facts, forgetting, copies, a full disk, a failing one, a restoration."""
    store = Family(
        lambda home: Nursery(crash_store.live, home, PRELOAD).begin,
        [audit_journal, audit_backups],
        1 + len(crash_store.PHASES),
        alone=True,
    )
    result = run_all([store], tmp_path, 2 * (1 + len(crash_store.PHASES)), seed=5)
    assert result["problems"] == []
    assert result["lost"] == 0
    assert result["kills"] == 16
    # a life that was to be killed in its start may have got further
    assert set(crash_store.PHASES) <= set(result["by_phase"]) <= {"start", *crash_store.PHASES}
    assert {"message", "rating", "memory", "ended", "forgotten", "backup"} == set(result["acknowledged"])


def test_kills_are_shared_out_by_phases_and_homes(tmp_path, monkeypatch):
    monkeypatch.setattr("env.bench.crash.KILLS_A_HOME", 2)

    def family(phases, **how):
        live = partial(honest, **how)
        return Family(lambda home: Nursery(live, home, PRELOAD).begin, [audit_journal], phases)

    result = run_all([family(3), family(1, chat="talk")], tmp_path, 4)
    assert result["problems"] == []
    assert result["kills"] == 4
    assert result["homes"] == 3
    assert sum(count for name, count in result["by_phase"].items() if name == "talk") <= 1


def test_a_fork_that_fails_is_told(tmp_path):
    with pytest.raises(BenchError, match="code 1: TypeError"):
        run(Nursery(len, tmp_path, []).begin, tmp_path, [])


def test_the_audits_know_what_a_memory_must_be(home):
    db = open_home(home)
    facts = Facts(db)
    old = facts.remember("tea is black")
    new = facts.edit(old.id, "tea is green")
    Backups(home).make(db)
    db.close()
    honest = [
        {"ack": "memory", "id": old.id, "text": "tea is black"},
        {"about": "ended", "id": old.id},
        {"ack": "ended", "id": old.id},
        {"ack": "memory", "id": new.id, "text": "tea is green"},
    ]
    assert audit_journal(home, honest) == audit_backups(home, honest) == []
    wrong = [
        {"ack": "memory", "id": "none", "text": "x"},
        {"ack": "memory", "id": new.id, "text": "tea is red"},
        {"ack": "memory", "id": old.id, "text": "tea is black"},
        {"ack": "ended", "id": new.id},
        {"ack": "forgotten", "id": old.id, "text": "tea is black"},
    ]
    found = [audit_journal(home, [line])[0] for line in wrong]
    assert [text.split(" ", 2)[2] for text in found] == [
        "was acknowledged and is lost",
        "says 'tea is green', not what was acknowledged",
        "was acknowledged and holds no longer",
        "holds again, though its end was acknowledged",
        "is there again, though its forgetting was acknowledged",
    ]
    [held] = audit_backups(home, wrong)
    assert "holds b'tea is black', acknowledged as forgotten" in held
    [copy] = (home / "backups").iterdir()
    copy.write_bytes(copy.read_bytes()[:5000])
    assert "is not whole" in audit_backups(home, [])[0]
