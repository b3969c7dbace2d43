import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from memory.database import FOLDERS, Database, hold, open_home
from memory.errors import (
    AttuneError,
    BusyHome,
    DamagedDatabase,
    DatabaseError,
    FullHome,
    NewerHome,
    ReadOnlyHome,
)
from memory.journal import Journal
from memory.schema import MIGRATIONS, Migration
from tests.support import ROOT


def one_sentence(error: BaseException) -> bool:
    said = str(error)
    return said.endswith(".") and "\n" not in said and "Traceback" not in said


def test_a_home_is_made_with_its_folders_for_its_owner_only(home: Path) -> None:
    open_home(home).close()
    assert {"attune.db", "index", "adapters", "backups", "logs"} <= {path.name for path in home.iterdir()}
    assert home.stat().st_mode & 0o077 == 0


def test_a_home_that_was_erased_while_one_waited_for_it_is_made_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_home(home).close()
    waited: list[Path] = []

    def wait(path: Path) -> int | None:
        if not waited:
            waited.append(path)
            for name in FOLDERS:
                shutil.rmtree(home / name)
        return hold(path)

    monkeypatch.setattr("memory.database.hold", wait)
    open_home(home).close()
    assert waited
    assert set(FOLDERS) <= {path.name for path in home.iterdir()}


def test_connections_are_durable_and_one_per_thread(db: Database) -> None:
    def pragma(name: str) -> object:
        return db.connection().execute(f"PRAGMA {name}").fetchone()[0]

    assert [pragma(n) for n in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")] == [
        "wal",
        2,
        1,
        1,
    ]
    assert pragma("busy_timeout") == 10_000
    seen: list[sqlite3.Connection] = []
    thread = threading.Thread(target=lambda: seen.append(db.connection()))
    thread.start()
    thread.join()
    assert seen[0] is not db.connection()
    assert db.connection() is db.connection()


def test_connections_of_ended_threads_are_closed(db: Database) -> None:
    seen: list[sqlite3.Connection] = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: seen.append(db.connection()))
        thread.start()
        thread.join()
    with pytest.raises(sqlite3.ProgrammingError):
        seen[0].execute("SELECT 1")


def test_a_transaction_is_all_or_nothing_and_nests(db: Database, journal: Journal) -> None:
    def fail() -> None:
        with db.transaction():
            journal.start_conversation("one")
            with db.transaction():
                journal.start_conversation("two")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert journal.conversations() == []


def test_migrations_are_recorded_and_applied_once(db: Database, home: Path) -> None:
    more = Migration("elsewhere-0001", "CREATE TABLE extra (a TEXT); INSERT INTO extra VALUES ('x;y');")
    db.migrate([more])
    db.migrate([more])
    assert [row["a"] for row in db.rows("SELECT a FROM extra")] == ["x;y"]
    recorded = [row["name"] for row in db.rows("SELECT name FROM migration")]
    assert sorted(recorded) == sorted([*(migration.name for migration in MIGRATIONS), "elsewhere-0001"])
    open_home(home).close()  # other rooms' migrations are no reason to refuse


def test_a_failing_migration_leaves_nothing_behind(db: Database) -> None:
    with pytest.raises(DatabaseError):
        db.migrate([Migration("elsewhere-0001", "CREATE TABLE half (a TEXT); CREATE TABLE memory (a TEXT);")])
    assert db.row("SELECT 1 FROM sqlite_master WHERE name = 'half'") is None


def test_a_home_of_a_newer_attune_is_refused(db: Database, home: Path) -> None:
    with db.transaction() as connection:
        connection.execute("INSERT INTO migration VALUES ('memory-9999-later', 0)")
    with pytest.raises(NewerHome, match="update Attune"):
        open_home(home)


def test_check_finds_a_sound_file_sound_and_a_broken_one_broken(db: Database, journal: Journal) -> None:
    assert db.check() == []
    db.connection().execute("PRAGMA foreign_keys = OFF")
    db.connection().execute(
        "INSERT INTO message VALUES ('m', 'gone', NULL, 'user', 'x', 0, NULL, '[]', NULL, 1)"
    )
    assert db.check() == ["1 rows point at rows that are gone."]


def test_a_file_that_is_no_database_is_said_to_be_damaged(home: Path) -> None:
    home.mkdir()
    (home / "attune.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(DamagedDatabase, match="damaged") as caught:
        open_home(home)
    assert one_sentence(caught.value)


def test_pages_overwritten_with_rubbish_are_reported(home: Path) -> None:
    db = open_home(home)
    Journal(db).start_conversation("x")
    db.scrub()
    db.close()
    with (home / "attune.db").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 20))
    try:
        again = Database(home / "attune.db")
    except AttuneError as error:
        said = [str(error)]
    else:
        said = again.check()
        again.close()
    assert said
    assert all(line.endswith(".") or line.startswith("SQLite says") for line in said)


def test_a_home_below_a_file_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatabaseError, match="choose another") as caught:
        open_home(tmp_path / "file" / "home")
    assert one_sentence(caught.value)


def test_a_read_only_home_gets_a_sentence() -> None:
    """Permissions do not bind root, so the check runs as a person without rights."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        open_home(home).close()
        for path in [Path(folder), home, *home.iterdir()]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        script = (
            "import os, sys\nfrom pathlib import Path\nfrom memory.database import open_home\n"
            "from memory.errors import ReadOnlyHome\n"
            "if os.geteuid() == 0:\n    os.setgroups([])\n    os.setgid(65534)\n    os.setuid(65534)\n"
            "for home in sys.argv[1:]:\n"
            "    try:\n        open_home(Path(home))\n"
            "    except ReadOnlyHome as error:\n        print(error)\n"
        )
        arguments = [sys.executable, "-c", script, str(home), str(Path(folder) / "new")]
        done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
        for path in [Path(folder), home]:
            path.chmod(0o755)
    assert done.stdout.count("cannot be written to") == 2, done.stderr


def test_a_full_disk_gets_a_sentence_and_keeps_what_was_there(db: Database, journal: Journal) -> None:
    kept = journal.start_conversation("kept")
    pages = db.connection().execute("PRAGMA page_count").fetchone()[0]
    db.connection().execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(FullHome, match="full") as caught:
        journal.add_user(kept.id, None, "x" * 1_000_000)
    assert one_sentence(caught.value)
    db.connection().execute("PRAGMA max_page_count = 1000000")
    assert journal.conversations() == [kept]
    assert journal.add_user(kept.id, None, "fits again").content == "fits again"


def test_a_locked_database_gets_a_sentence(db: Database, home: Path, journal: Journal) -> None:
    other = sqlite3.connect(home / "attune.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    db.connection().execute("PRAGMA busy_timeout = 20")
    with pytest.raises(BusyHome):
        journal.start_conversation()
    other.execute("ROLLBACK")
    other.close()
    journal.start_conversation()


def test_closing_waits_for_what_another_thread_does(home: Path) -> None:
    """A connection that is closed while a thread uses it takes the process with it, or what was just said."""
    db = open_home(home)
    writes, may_end = threading.Event(), threading.Event()
    told: list[str] = []

    def write() -> None:
        journal = Journal(db)
        with db.transaction():
            conversation = journal.start_conversation()
            writes.set()
            may_end.wait(30)
            journal.add_user(conversation.id, None, "Hello")
        told.append("written")
        with pytest.raises(DatabaseError, match="closed"):
            db.rows("SELECT 1")

    def close() -> None:
        db.close()
        told.append("closed")

    writer, closer = threading.Thread(target=write, daemon=True), threading.Thread(target=close, daemon=True)
    writer.start()
    assert writes.wait(30)
    closer.start()
    closer.join(0.5)  # time enough for one that does not wait
    may_end.set()
    writer.join(30)
    closer.join(30)
    assert sorted(told) == ["closed", "written"]
    again = open_home(home)
    [conversation] = Journal(again).conversations()
    assert [each.content for each in Journal(again).messages(conversation.id)] == ["Hello"]
    again.close()


def test_a_closed_database_says_so(home: Path) -> None:
    db = open_home(home)
    db.close()
    db.close()
    with pytest.raises(DatabaseError, match="closed"):
        db.rows("SELECT 1")


def test_importing_memory_is_light() -> None:
    script = (
        "import sys, importlib, pkgutil, memory\n"
        "for module in pkgutil.walk_packages(memory.__path__, 'memory.'):\n"
        "    importlib.import_module(module.name)\n"
        "heavy = {'numpy', 'chromadb', 'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_read_only_home_error_names_the_way_out(home: Path) -> None:
    assert "ATTUNE_HOME" in str(ReadOnlyHome(home))
