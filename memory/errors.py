"""Errors that carry the sentence for the person. They are caught once, at the edge of each face."""

from __future__ import annotations

from pathlib import Path


class AttuneError(Exception):
    """Something the person can act on: `str(error)` is one sentence that says what to do."""


class NotFound(AttuneError):
    """An id that this home does not have."""


class BadText(AttuneError):
    """A text that is not stored: empty, or far too long."""


class DatabaseError(AttuneError):
    """SQLite could not do its work; nothing that was acknowledged is lost."""


class DamagedDatabase(DatabaseError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The database {path} is damaged; close Attune and start it again: it is set aside then, and "
            "restored from its newest backup."
        )


class NothingToRestore(DatabaseError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The database {path} is damaged, there is no backup of it, and nothing in it can be read; put a "
            "copy of your own in its place, or start a fresh home with --home."
        )


class BusyHome(DatabaseError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"Another process kept {path} locked for too long; close it, or wait a moment, and try again."
        )


class FullHome(DatabaseError):
    def __init__(self, home: Path) -> None:
        super().__init__(
            f"The disk that holds {home} is full; free some space, or choose another home with --home."
        )


class FailingDisk(DatabaseError):
    def __init__(self, home: Path) -> None:
        super().__init__(
            f"The disk that holds {home} failed to read or write; what was acknowledged before is kept: try "
            "again, check the disk, or choose another home with --home."
        )


class ReadOnlyHome(DatabaseError):
    def __init__(self, home: Path) -> None:
        super().__init__(
            f"The home folder {home} cannot be written to; make it writable, "
            "or choose another with --home or ATTUNE_HOME."
        )


class NewerHome(DatabaseError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The database {path} was written by a newer Attune; update Attune, "
            "or choose another home with --home."
        )
