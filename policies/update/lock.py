"""One writer of adapters a home: a lock file that the system lets go of when its holder dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory.database import writing
from memory.errors import AttuneError


class UpdateError(AttuneError):
    """An update could not be made; the sentence says why."""


class UpdateBusy(UpdateError):
    def __init__(self, pid: int | str) -> None:
        super().__init__(f"Another process is training on this home (pid {pid}); wait for it or stop it.")


@contextmanager
def update_lock(home: Path) -> Iterator[None]:
    """The one writer of adapters of a home. Raises UpdateBusy, or DatabaseError where nothing can be written.

    The system lets go of it if we die.
    """
    import fcntl

    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        file = (home / "update.lock").open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UpdateBusy(file.read().strip() or "unknown") from None
        with writing(home):
            # past Python's buffer, which would try again (and fail again) when the file is closed
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield
