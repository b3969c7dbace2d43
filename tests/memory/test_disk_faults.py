"""A full and a failing disk, at every call in turn: a clear sentence, and nothing acknowledged is lost."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import pytest

from memory.database import Database, open_home
from memory.errors import AttuneError, DamagedDatabase, DatabaseError, FailingDisk, FullHome
from memory.facts import Facts
from memory.journal import Journal
from memory.rescue.backups import Backups
from memory.rescue.damaged_file import _read, copy_readable
from memory.rescue.restore import open_safely
from tests.memory.damaging import fill, kept, pages_of, ruin
from tests.memory.faulty_disk import Disk, watched
from tests.support import generation

LONG = "word " * 2_000


def work(db: Database, say: Callable[[str, str], None], home: Path) -> None:
    """Everything that writes; `say(kind, id)` acknowledges."""
    journal, facts = Journal(db), Facts(db)
    talk, last = journal.start_conversation("t"), None
    for number in range(3):
        asked = journal.add_user(talk.id, last, f"{number} {LONG}")
        say("message", asked.id)
        last = journal.add_reply(talk.id, asked.id, LONG, generation()).id
        say("message", last)
        say("feedback", journal.rate(last, 1).id)
        say("memory", facts.remember(f"fact {number}").id)
    say("backup", Backups(home).make(db).path.name)
    db.scrub()
    say("memory", facts.remember("the last one").id)


def try_it(home: Path, disk: Disk, at: int, error: int) -> tuple[list[tuple[str, str]], str]:
    """Do the work on a disk that fails at its call number `at`: what was acknowledged, and the sentence."""
    told: list[tuple[str, str]] = []
    said = ""
    disk.breaks(at, error)
    try:
        db = open_home(home)
        try:
            work(db, lambda kind, one: told.append((kind, one)), home)
        finally:
            db.close()
    except AttuneError as wrong:
        said = f"{type(wrong).__name__}: {wrong}"
    finally:
        disk.heal()
    return told, said


def look(home: Path, told: list[tuple[str, str]]) -> list[str]:
    """What is missing or wrong when the home is opened again."""
    db, said = open_safely(home)
    try:
        wrong = db.check() + said
        for kind, one in told:
            if kind == "backup":
                continue
            if db.row(f"SELECT 1 FROM {kind} WHERE id = ?", (one,)) is None:
                wrong.append(f"{kind} {one} is lost")
        Journal(db).start_conversation("goes on")
    finally:
        db.close()
    return wrong


@pytest.mark.parametrize(
    ("kind", "error", "expected"),
    [
        # growing the shared memory of the log is the one write whose failure SQLite tells no reason of
        ("write", errno.ENOSPC, (FullHome, FailingDisk)),
        ("write", errno.EIO, (FailingDisk,)),
        # a page that cannot be read is to SQLite a damaged one
        ("read", errno.EIO, (FailingDisk, DamagedDatabase)),
    ],
)
def test_at_whichever_call_it_fails_nothing_acknowledged_is_lost(
    tmp_path: Path, kind: str, error: int, expected: tuple[type[AttuneError], ...]
) -> None:
    with watched(kind) as disk:
        told, said = try_it(tmp_path / "whole", disk, 10**9, error)
        calls = disk.calls
        assert said == ""
        assert len(told) == 14
        assert look(tmp_path / "whole", told) == []
        refused: list[str] = []
        for at in range(1, calls + 1, max(calls // 40, 1)):
            home = tmp_path / f"at-{at}"
            told, said = try_it(home, disk, at, error)
            assert disk.failed
            assert look(home, told) == [], f"call {at} of {calls}"
            if said:
                refused.append(said)
                assert said.partition(":")[0] in {one.__name__ for one in expected}, said
                assert said.endswith(".")
                assert "\n" not in said
        assert len(refused) > 15
        if kind == "write":
            assert sum(one.startswith(expected[0].__name__) for one in refused) > len(refused) / 2


@pytest.mark.parametrize("kind", ["write", "read"])
def test_a_restoration_on_a_failing_disk_can_be_made_later(tmp_path: Path, kind: str) -> None:
    home = tmp_path / "home"
    early = fill(home, "early", 20)
    db = open_home(home)
    Backups(home).make(db)
    db.close()
    ruin(home / "attune.db", pages_of(home, "message")[:2])
    with watched(kind) as disk:
        for at in (1, 4, 9, 16, 25, 36, 49):
            again = tmp_path / f"at-{at}"
            shutil.copytree(home, again)
            disk.breaks(at, errno.EIO)
            with pytest.raises(DatabaseError) as caught:
                open_safely(again)[0].close()
            disk.heal()
            assert str(caught.value).endswith(".")
            db, _ = open_safely(again)
            assert db.check() == []
            db.close()
            assert early <= kept(again)
            assert not list((again / "backups").glob("restoring-*"))


def test_a_block_that_the_disk_does_not_give_costs_only_that_block(tmp_path: Path) -> None:
    whole, source = bytes(range(256)) * 16 * 5, tmp_path / "source"
    source.write_bytes(whole + b"end")

    class Sick(FileIO):
        def read(self, size: int = -1, /) -> bytes:
            if self.tell() == 2 * 4096:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    with Sick(source) as sick:
        blocks = [
            _read(sick, start, min(4096, source.stat().st_size - start))
            for start in range(0, 5 * 4096 + 1, 4096)
        ]
    assert blocks == [whole[:4096], whole[:4096], bytes(4096), whole[:4096], whole[:4096], b"end"]
    copy_readable(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
