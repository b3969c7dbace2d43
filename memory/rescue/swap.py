"""Puts a restored database in the place of the damaged one: wholly or not at all, whenever the process dies.

A file HOME/backups/restored-….db is whole, and what it replaces is set aside already (restore.py). From then
on the swap is certain: whoever opens the home next finishes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory.errors import BusyHome
from memory.files import locked, sync
from memory.sentences import writing

PATIENCE_SECONDS = 5.0


def finish_swap(home: Path) -> None:
    """Put a restored database in its place if the process that made it died before it could."""
    if ready(home):
        with alone(home):
            swap(home)


def swap(home: Path) -> None:
    """Call it `alone`. Raises a DatabaseError sentence; it can be called again then."""
    with writing(home):
        for path in sorted(ready(home)):
            # The log first: with the new file it would be taken for that one's.
            for side in ("-wal", "-shm"):
                (home / f"attune.db{side}").unlink(missing_ok=True)
            path.replace(home / "attune.db")
            sync(home)


def ready(home: Path) -> list[Path]:
    return list((home / "backups").glob("restored-*.db"))


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Nobody else has the database open, nor opens it. Raises BusyHome."""
    try:
        held = locked(home, alone=True, seconds=PATIENCE_SECONDS)
        with held:
            yield
    except TimeoutError as error:
        raise BusyHome(home / "attune.db") from error
