"""A home is erased whole, and nothing else is."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest

from memory.database import Database, open_home
from memory.errors import AttuneError, BusyHome, NotFound
from memory.forgetting import erase_home as module
from memory.forgetting.erase_home import erase_home
from memory.journal import Journal
from memory.rescue.backups import Backups
from memory.rescue.restore import open_safely


def test_everything_goes_but_what_is_not_ours(db: Database, home: Path) -> None:
    Journal(db).start_conversation("x")
    db.close()
    for name in ("config.toml", "logs/attune.log", "adapters/v1/weights", "training/x", "my-own-notes.txt"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")
    deleted = erase_home(home)
    assert home / "attune.db" in deleted
    assert [path.name for path in home.iterdir()] == ["my-own-notes.txt"]
    again = open_home(home)
    assert Journal(again).conversations() == []
    again.close()


def test_nobody_opens_a_home_until_it_is_erased(
    db: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal(db).start_conversation("x")
    db.close()
    monkeypatch.setattr("memory.database.BUSY_SECONDS", 0.05)
    folder, met = module.folder, []

    def meanwhile(path: Path) -> None:
        with pytest.raises(BusyHome):
            open_home(home)
        met.append(path.name)
        folder(path)

    monkeypatch.setattr(module, "folder", meanwhile)
    erase_home(home)
    assert met == ["index", "adapters", "backups", "logs"]
    again = open_home(home)
    assert Journal(again).conversations() == []
    again.close()


@pytest.mark.parametrize("left", ["attune.db", "backups", "logs/attune.log", "attune.db-wal"])
def test_a_home_without_its_database_is_erased_too(db: Database, home: Path, left: str) -> None:
    Journal(db).start_conversation("Secret.")
    Backups(home).make(db)
    db.close()
    for name in ("logs/attune.log", "attune.db-wal"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("x")
    for one in [*home.iterdir()]:
        if one.name == left.partition("/")[0]:
            continue
        if one.is_dir():
            shutil.rmtree(one)
        else:
            one.unlink()
    assert erase_home(home) == [home / left.partition("/")[0]]
    assert list(home.iterdir()) == []
    again, said = open_safely(home)
    assert (said, Journal(again).conversations()) == ([], [])
    again.close()


def test_a_home_that_is_open_is_not_erased_though_its_database_is_gone(db: Database, home: Path) -> None:
    Backups(home).make(db)
    (home / "attune.db").unlink()
    with pytest.raises(AttuneError, match="open in this home"):
        erase_home(home)
    assert Backups(home).all()


def test_names_that_only_look_like_ours_make_no_home(tmp_path: Path) -> None:
    for name in ("backups/damaged-disk.img", "backups/restored-photos.db", "attune.db.txt", "config.toml"):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    with pytest.raises(NotFound, match="not a home of Attune"):
        erase_home(tmp_path / "mine")
    assert (tmp_path / "mine" / "backups" / "damaged-disk.img").read_text() == "mine"


def test_a_folder_that_is_no_home_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises(NotFound, match="nothing was deleted"):
        erase_home(tmp_path)
    assert (tmp_path / "logs").is_dir()


def test_a_home_is_not_erased_under_an_update(db: Database, home: Path) -> None:
    db.close()
    with (home / "update.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AttuneError, match="update is running"):
            erase_home(home)
    assert (home / "attune.db").is_file()
