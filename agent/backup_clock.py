"""When the database is copied: at the start and when the person is idle, beside the work; else at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from memory.database import Database
from memory.errors import AttuneError
from memory.rescue.backups import Backups, NoBackup

# After a copy that failed the next is tried so much later: a full disk is not told of every second.
RETRY_SECONDS = 3_600.0
log = logging.getLogger("attune.backups")


class BackupClock:
    """One per runtime. Its calls may come from several threads."""

    def __init__(self, db: Database, home: Path, tell: Callable[[str], None]) -> None:
        """`tell` gets the sentence of a copy that could not be made."""
        self._db = db
        self._backups = Backups(home)
        self._tell = tell
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._looked = False
        self._not_before = 0.0

    def maybe(self, idle_seconds: float, enough: float) -> bool:
        """Begin a copy in a thread when one is due; True when it began. The first call of a session, and one
        without any copy in the home, does not wait until the person was idle for `enough` seconds."""
        with self._lock:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return False
            idle = idle_seconds >= enough or not self._looked or not self._backups.all()
            self._looked = True
            if not idle or time.monotonic() < self._not_before or not self._backups.due(self._db):
                return False
            self._thread = threading.Thread(target=self._make, name="backup", daemon=True)
            self._thread.start()
            return True

    def close(self) -> None:
        """Stop the copy that is being made, and make one now if one is due. Call it before the database is
        closed; failures are logged only, since nobody looks at a screen any more."""
        with self._lock:
            again, thread = self._stop.is_set(), self._thread
            self._stop.set()
        if thread is not None:
            thread.join()
        if again or time.monotonic() < self._not_before:
            return
        try:
            if self._backups.due(self._db):
                self._backups.make(self._db)
        except AttuneError as wrong:
            log.warning("no backup at the end: %s", wrong)

    def _make(self) -> None:
        try:
            made = self._backups.make(self._db, self._stop.is_set)
            log.info("backup %s", made.path.name)
        except NoBackup as wrong:
            log.warning("%s", wrong)
            if not self._stop.is_set():
                self._failed(str(wrong))
        except AttuneError as wrong:
            log.warning("no backup: %s", wrong)
            self._failed(str(wrong))
        except Exception:
            log.exception("no backup")
            self._not_before = time.monotonic() + RETRY_SECONDS

    def _failed(self, sentence: str) -> None:
        self._not_before = time.monotonic() + RETRY_SECONDS
        self._tell(sentence)
