"""A damaged database is set aside and put together anew, and the person is told what is missing."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from memory.database import open_home
from memory.errors import BusyHome, DamagedDatabase, FullHome, NothingToRestore
from memory.facts import Facts
from memory.journal import Journal
from memory.recall.full_text import FullText
from memory.rescue.backups import Backups
from memory.rescue.restore import open_safely
from memory.rescue.swap import alone
from tests.memory.damaging import fill, kept, pages_of, ruin
from tests.support import ROOT


def back_up(home: Path) -> Path:
    db = open_home(home)
    try:
        return Backups(home).make(db).path
    finally:
        db.close()


def restored(home: Path) -> str:
    """Open the home safely: the sentence it says, after a look at what is there now."""
    db, said = open_safely(home)
    try:
        assert db.check() == []
        for reply in db.rows("SELECT id FROM message WHERE role = 'assistant'"):
            assert Journal(db).generation(reply["id"]).reply_id == reply["id"]
        assert {one.id for one in Facts(db).all()} == {
            one for one, _ in FullText(db).matching(["fact"], limit=1_000)
        }
        assert len(Journal(db).ledger()) <= len(Journal(db).signals())
    finally:
        db.close()
    [sentence] = said or [""]
    if sentence:
        assert sentence.endswith(".")
        assert "\n" not in sentence
        again, said = open_safely(home)
        again.close()
        assert said == []
    return sentence


def plain_files(home: Path) -> dict[str, bytes]:
    """All but SQLite's own notes beside the database."""
    files = [path for path in home.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal"))]
    return {path.name: path.read_bytes() for path in files}


def missing(sentence: str) -> int:
    """The number of things that the sentence says are missing."""
    if "nothing that was acknowledged is missing" in sentence:
        return 0
    tail = sentence.rpartition(": ")[2]
    return sum(
        int(number) for number in re.findall(r"(\d+) (?:message|rating|memor)", tail.split(" after ")[0])
    )


def test_a_sound_home_is_opened_and_nothing_is_said(home: Path) -> None:
    there = fill(home, "early", 5)
    back_up(home)
    before = {path.name for path in (home / "backups").iterdir()}
    assert restored(home) == ""
    assert kept(home) == there
    assert {path.name for path in (home / "backups").iterdir()} == before


@pytest.mark.parametrize("table", ["message", "feedback", "memory", "generation", "shown", "erasures"])
@pytest.mark.parametrize("byte", [b"\xa5", b"\0"])
def test_what_the_backup_has_and_what_can_be_read_comes_back(home: Path, table: str, byte: bytes) -> None:
    early = fill(home, "early", 30)
    back_up(home)
    late = fill(home, "late", 30)
    body = (home / "attune.db").read_bytes()
    pages = pages_of(home, table)
    ruin(home / "attune.db", pages[len(pages) // 2 :][:2], byte)
    sentence = restored(home)
    assert "The database was damaged" in sentence
    there = kept(home)
    assert early <= there
    lost = (early | late) - there
    if table in ("generation", "shown", "erasures"):
        assert lost == set()
    assert missing(sentence) == len(lost)
    assert len(lost) < 30
    [aside] = Backups(home).set_aside()
    assert aside.stat().st_size == len(body)
    assert str(aside) in sentence


def test_a_damaged_index_costs_nothing(home: Path) -> None:
    there = fill(home, "early", 60)
    ruin(home / "attune.db", pages_of(home, "sqlite_autoindex_message_1")[-2:])
    assert "nothing that was acknowledged is missing" in restored(home)
    assert kept(home) == there


@pytest.mark.parametrize("turns", [0, 20])
@pytest.mark.parametrize("pages", [slice(0, 1), slice(1, 3), slice(None)])
def test_without_its_list_of_tables_that_of_the_backup_is_lent(home: Path, turns: int, pages: slice) -> None:
    early = fill(home, "early", 20)
    back_up(home)
    late = fill(home, "late", turns) if turns else set()
    ruin(home / "attune.db", [1, *pages_of(home, "sqlite_master")][pages])
    assert "nothing that was acknowledged is missing" in restored(home)
    assert kept(home) == early | late


def test_a_file_that_was_cut_short(home: Path) -> None:
    early = fill(home, "early", 30)
    back_up(home)
    late = fill(home, "late", 90)
    size = (home / "attune.db").stat().st_size
    with (home / "attune.db").open("r+b") as file:
        file.truncate(size * 3 // 4 // 4096 * 4096)
    sentence = restored(home)
    there = kept(home)
    assert early <= there
    assert late & there
    assert "missing" in sentence


def test_a_file_of_rubbish_is_replaced_by_the_backup(home: Path) -> None:
    early = fill(home, "early", 10)
    back_up(home)
    fill(home, "late", 3)
    (home / "attune.db").write_bytes(b"this is no database" * 3_000)
    sentence = restored(home)
    assert kept(home) == early
    assert re.search(r"messages, ratings and memories may be missing after \d+ \w+ \d\d:\d\d\.$", sentence)


def test_a_database_that_is_gone_comes_back(home: Path) -> None:
    early = fill(home, "early", 10)
    back_up(home)
    (home / "attune.db").unlink()
    assert "The database was gone; the backup of" in restored(home)
    assert kept(home) == early


def test_what_stands_only_in_the_log_is_read_too(home: Path) -> None:
    """kill -9, and then a page of the file itself is found ruined."""
    early = fill(home, "early", 30)
    back_up(home)
    pages = pages_of(home, "generation")[1:3]
    script = (
        "import os, sys, signal\nfrom pathlib import Path\nfrom memory.database import open_home\n"
        "from memory.journal import Journal\n"
        "journal = Journal(open_home(Path(sys.argv[1])))\n"
        "talk = journal.start_conversation('log')\n"
        "print(journal.add_user(talk.id, None, 'in the log').id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(home)], cwd=ROOT, capture_output=True, text=True)
    assert (home / "attune.db-wal").stat().st_size > 0
    ruin(home / "attune.db", pages)
    assert "1 message that could be read of it" in restored(home)
    assert done.stdout.strip() in kept(home)
    assert early <= kept(home)
    assert any(path.name.endswith("-wal") for path in (home / "backups").iterdir())


def test_a_damaged_backup_is_passed_over(home: Path) -> None:
    early = fill(home, "early", 10)
    back_up(home)
    fill(home, "late", 10)
    newest = back_up(home)
    ruin(newest, [2, 3, 4])
    (home / "attune.db").write_bytes(b"rubbish" * 3_000)
    restored(home)
    assert kept(home) == early


def test_a_rating_that_was_taken_back_stays_so(home: Path) -> None:
    fill(home, "early", 20)
    db = open_home(home)
    journal, facts = Journal(db), Facts(db)
    reply = journal.feedback()[-1].reply_id
    old = facts.remember("fact: I work at the mill")
    Backups(home).make(db)
    journal.rate(reply, 0)
    new = facts.edit(old.id, "fact: I work at the harbour")
    db.close()
    ruin(home / "attune.db", pages_of(home, "message")[:2])
    restored(home)
    db = open_home(home)
    assert Journal(db).effective(reply) is None
    assert Facts(db).get(old.id).superseded_by == new.id
    assert "mill" not in " ".join(one.text for one in Facts(db).all())
    db.close()


def test_what_was_forgotten_does_not_come_back(home: Path) -> None:
    """The process dies between the commit of forgetting and the end of the backup; then comes the damage."""
    fill(home, "early", 20)
    db = open_home(home)
    cat = Facts(db).remember("My cat is called Quixote.")
    Backups(home).make(db)
    with db.transaction() as connection:
        connection.execute("DELETE FROM memory WHERE id = ?", (cat.id,))
    db.close()
    ruin(home / "attune.db", pages_of(home, "message")[:2])
    restored(home)
    assert cat.id not in kept(home)
    assert all(b"Quixote" not in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_without_a_backup_what_can_be_read_is_put_together(home: Path) -> None:
    there = fill(home, "early", 40)
    ruin(home / "attune.db", pages_of(home, "message")[3:4])
    sentence = restored(home)
    assert "there was no backup" in sentence
    lost = there - kept(home)
    assert 0 < len(lost) < 20
    # a rating of a lost reply is lost with it
    assert missing(sentence) == len(lost)


def test_a_row_that_an_older_version_wrote_with_an_infinite_number_is_no_loss(home: Path) -> None:
    fill(home, "early", 40)
    with closing(sqlite3.connect(home / "attune.db", isolation_level=None)) as connection:
        connection.execute("UPDATE generation SET body = replace(body, '0.7', 'Infinity')")
        connection.execute("DELETE FROM migration WHERE name = 'memory-0013-strict-json'")
    ruin(home / "attune.db", pages_of(home, "message")[3:4])
    restored(home)
    db = open_home(home)
    bases = {row["base"] for row in db.rows("SELECT base FROM generation")}
    assert bases == {"sprout"}
    assert db.rows("SELECT 1 FROM generation WHERE body NOT LIKE '%\"Infinity\"%'") == []
    db.close()


def test_with_nothing_to_restore_the_file_stays_and_a_sentence_says_so(home: Path) -> None:
    open_home(home).close()
    (home / "attune.db").write_bytes(b"this is no database" * 3_000)
    with pytest.raises(NothingToRestore, match="there is no backup of it"):
        open_safely(home)
    assert (home / "attune.db").read_bytes() == b"this is no database" * 3_000
    assert list((home / "backups").iterdir()) == []


def test_nobody_pulls_the_database_from_under_another(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.rescue.swap.PATIENCE_SECONDS", 0.05)
    fill(home, "early", 20)
    back_up(home)
    held = open_home(home)
    held.connection()
    ruin(home / "attune.db", pages_of(home, "message")[:2])
    with pytest.raises(BusyHome):
        open_safely(home)
    held.close()
    assert restored(home) != ""


@pytest.mark.parametrize("open_still", [False, True])
def test_of_two_starts_in_a_damaged_home_one_restores_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, open_still: bool
) -> None:
    monkeypatch.setattr("memory.rescue.swap.PATIENCE_SECONDS", 0.05)
    early = fill(home, "early", 20)
    back_up(home)
    ruin(home / "attune.db", pages_of(home, "message")[:2])
    others = []

    @contextmanager
    def overtaken(home: Path) -> Iterator[None]:
        monkeypatch.setattr("memory.rescue.restore.alone", alone)
        others.append(open_safely(home))
        if not open_still:
            others[0][0].close()
        with alone(home):
            yield

    monkeypatch.setattr("memory.rescue.restore.alone", overtaken)
    db, said = open_safely(home)
    assert said == []
    [(other, [sentence])] = others
    assert "The database was damaged" in sentence
    assert len(Backups(home).set_aside()) == 1
    db.close()
    other.close()
    assert kept(home) == early


@pytest.mark.parametrize("died", ["after it was written", "after the log was deleted"])
def test_a_restoration_that_was_killed_is_finished(
    home: Path, died: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = fill(home, "early", 20)
    back_up(home)
    ruin(home / "attune.db", pages_of(home, "message")[:2])

    def die(home: Path) -> None:
        if died == "after the log was deleted":
            (home / "attune.db-wal").unlink(missing_ok=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("memory.rescue.restore.swap", die)
        with pytest.raises(KeyboardInterrupt):
            open_safely(home)
    open_home(home).close()  # any door finishes it
    assert kept(home) == early
    assert len(Backups(home).set_aside()) == 1
    assert restored(home) == ""


def test_a_full_disk_stops_a_restoration_and_changes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(home, "early", 20)
    back_up(home)
    ruin(home / "attune.db", pages_of(home, "message")[:2])
    before = plain_files(home)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("memory.rescue.restore.copy_readable", full)
        with pytest.raises(FullHome, match="is full"):
            open_safely(home)
    assert plain_files(home) == before
    assert restored(home) != ""


def test_damage_that_only_a_full_check_finds_is_mended_at_the_next_start(home: Path) -> None:
    there = fill(home, "early", 30)
    back_up(home)
    with closing(sqlite3.connect(home / "attune.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        [(root,)] = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'message_parent'"
        ).fetchall()
        other = "SELECT rootpage FROM sqlite_master WHERE name = 'feedback_other'"
        connection.execute(f"UPDATE sqlite_master SET rootpage = ({other}) WHERE name = 'message_parent'")
        assert root
    db = open_home(home)
    with pytest.raises(DamagedDatabase):
        Backups(home).make(db)
    db.close()
    assert "nothing that was acknowledged is missing" in restored(home)
    assert kept(home) == there
    assert not Backups(home).suspect
