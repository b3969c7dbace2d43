"""The registry of trained adapters: which there are, which one speaks, and how it came to speak.

A folder is copied beside its place, synced and renamed before its row is committed, so a row always
has a whole folder. A crash in between leaves a folder without a row, which is ignored and swept up
at the next start; deleting goes the other way round. The log of activations only grows; the active
adapter is what its replay says. What each adapter was trained on is written down with it, so that forgetting
marks it (memory/forgetting/lineage.py).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from memory.database import Database
from memory.forgetting import lineage
from memory.records import Adapter, AdapterStatus
from policies import weights_file
from policies.adapters.activation_log import ActivationLog, Overtaken
from policies.adapters.files import CONFIG, WEIGHTS, AdapterError, check_folder
from policies.adapters.schema import MIGRATIONS
from policies.adapters.shelf import VERSION, AdapterShelf

__all__ = ["AdapterError", "AdapterRegistry", "Overtaken"]

STATUSES = ("candidate", "promoted", "provisional", "rejected")
# the registry has a method `list`, which would shadow the type inside the class
Adapters = list[Adapter]
Entries = list[dict[str, Any]]
Versions = list[str]
Forgotten = dict[str, dict[str, int]]


class AdapterRegistry:
    """Adapters of one home. Safe in several processes: every change is one SQLite write transaction.

    `notice` is a sentence for the person after `active()` had to fall back to the base, else None.
    """

    def __init__(self, db: Database, home: Path) -> None:
        self._db = db
        self._log = ActivationLog(db)
        self._shelf = AdapterShelf(Path(home) / "adapters")
        self.notice: str | None = None
        self._sound: dict[str, tuple[int, int]] = {}
        db.migrate(MIGRATIONS)
        self._sweep()

    def add(self, folder: Path | str, meta: Mapping[str, Any], speaks: str | None = None) -> Adapter:
        """Take a copy of the trained adapter in `folder` and give it the next version; with `speaks`, the
        reason, it also speaks from then on.

        `meta`: "base", "base_sha256", "algorithm", and optionally "status" (candidate), "signals" (0),
        "report" ({}) and "trained_on" (that of the report): {"feedback": ids, "replies": ids}. Without it the
        adapter counts as trained on everything that there is. Raises AdapterError when the folder is not a
        sound adapter, and ForgottenMeanwhile when something that it was trained on is gone already.
        """
        source = Path(folder)
        sha256 = check_folder(source, meta["base_sha256"])
        status = meta.get("status", "candidate")
        _check_status(status)
        created = time.time()
        about = {
            "base": meta["base"],
            "base_sha256": meta["base_sha256"],
            "algorithm": meta["algorithm"],
            "sha256": sha256,
            "created_at": created,
            "signals": int(meta.get("signals", 0)),
        }
        incoming = placed = None
        try:
            incoming = self._shelf.stage(source, about)
            check_folder(incoming, meta["base_sha256"], sha256)
            # from here on other writers wait: nothing is read or copied any more
            with self._db.transaction() as connection:
                number = self._next_number(connection)
                self._shelf.place(incoming, f"v{number}")
                placed = self._shelf.folder / f"v{number}"
                connection.execute(
                    "INSERT INTO adapters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        number,
                        about["base"],
                        about["base_sha256"],
                        about["algorithm"],
                        status,
                        sha256,
                        created,
                        about["signals"],
                        json.dumps(meta.get("report", {})),
                    ),
                )
                self._record_lineage(f"v{number}", meta)
                if speaks is not None:
                    self._log.append("activate", f"v{number}", about["base_sha256"], speaks)
            placed = None
        except OSError as error:
            raise AdapterError(
                f"The adapter could not be stored ({error.strerror}): see that {self._shelf.folder} has room "
                "and can be written to, then run `attune train` again."
            ) from error
        finally:
            for left in (incoming, placed):
                if left is not None and left.exists():
                    self._shelf.erase(left)
        return self.get(f"v{number}")

    def _record_lineage(self, version: str, meta: Mapping[str, Any]) -> None:
        known = meta.get("trained_on") or meta.get("report", {}).get("trained_on")
        if known:
            lineage.record(self._db, version, known.get("feedback", ()), known.get("replies", ()))
        else:
            lineage.record_everything(self._db, version)

    def list(self, base_sha256: str | None = None) -> Adapters:
        """All adapters, oldest first; with `base_sha256`, `active` is what was last chosen for that base."""
        top, gone = self._log.stack(base_sha256)[-1], lineage.forgotten(self._db)
        rows = self._db.rows("SELECT * FROM adapters ORDER BY number")
        return [self._adapter(row, top, gone) for row in rows]

    def get(self, version: str, base_sha256: str | None = None) -> Adapter:
        """The adapter `version` (`base_sha256` as in `list`); raises AdapterError if there is none."""
        match = VERSION.fullmatch(version)
        row = match and self._db.row("SELECT * FROM adapters WHERE number = ?", (int(match[1]),))
        if not row:
            raise AdapterError(
                f"There is no adapter {version!r}: `attune policy list` shows those there are."
            )
        return self._adapter(row, self._log.stack(base_sha256)[-1], lineage.forgotten(self._db))

    def active(self, base_sha256: str | None = None) -> Adapter | None:
        """The adapter that should speak, None for the base.

        With `base_sha256`, what was last chosen for that base. A folder that is gone or changed is
        never active: the base speaks instead and `notice` says so.
        """
        self.notice = None
        number = self._log.stack(base_sha256)[-1]
        if number is None:
            return None
        try:
            adapter = self.get(f"v{number}")
            self._check_quickly(adapter)
        except AdapterError as error:
            why = str(error).split(":")[0]
        except OSError as error:
            why = f"The adapter v{number} cannot be read ({error.strerror})"
        else:
            return adapter
        self.notice = f"{why}: the base model speaks until you choose another version."
        return None

    def line(self, base_sha256: str | None = None) -> tuple[str | None, ...]:
        """The versions that spoke one after another up to the one that speaks, the latest first and without
        that one; (None,) where that followed the base, empty where the base speaks."""
        *below, top = self._log.stack(base_sha256)
        if top is None:
            return ()
        after_base = takewhile(lambda number: number is not None, reversed(below))
        return tuple(f"v{number}" for number in after_base) or (None,)

    def activate(
        self, version: str | None, reason: str, base_sha256: str | None = None, expected: str | None = None
    ) -> Adapter | None:
        """Let `version` speak from now on (None: the base) and log why. Raises AdapterError if unsound, and
        Overtaken where another adapter than `expected` speaks by now."""
        if version is not None:
            self.verify(version, base_sha256)
            base_sha256 = self.get(version).base_sha256
        with self._db.transaction():
            if version is not None:
                self.get(version)  # another process may have deleted it since
            self._log.expect(expected, base_sha256)
            self._log.append("activate", version, base_sha256, reason)
        return None if version is None else self.get(version)

    def rollback(
        self, base_sha256: str | None = None, reason: str = "rolled back", expected: str | None = None
    ) -> Adapter | None:
        """Back to what spoke before (None: the base), past versions whose files are no longer sound and
        past marked ones: what the owner had forgotten does not come back by itself.

        Without `base_sha256`, the base of the last adapter that spoke is meant. `expected` as in `activate`.
        """
        with self._db.transaction():
            if base_sha256 is None:
                spoke = [number for number in self._log.stack() if number is not None]
                base_sha256 = self._log.base_of(spoke[-1]) if spoke else None
            self._log.expect(expected, base_sha256)
            stack = self._log.stack(base_sha256)
            if len(stack) < 2:
                raise AdapterError("There is nothing to roll back to: the base model speaks already.")
            while len(stack) > 1:
                stack.pop()
                target = None if stack[-1] is None else f"v{stack[-1]}"
                self._log.append("rollback", target, base_sha256, reason)
                try:
                    if target is not None:
                        self.verify(target)
                    if target is None or not self.get(target).forgotten:
                        break
                except AdapterError:
                    continue
        return None if target is None else self.get(target)

    def activations(self) -> Entries:
        """The log, oldest first: {"version", "kind", "reason", "created_at"}."""
        return self._log.entries()

    def set_status(
        self, version: str, status: AdapterStatus, report: Mapping[str, Any] | None = None
    ) -> Adapter:
        """Record the gate's verdict, and its report if one is given."""
        _check_status(status)
        number = int(self.get(version).version[1:])
        with self._db.transaction() as connection:
            connection.execute("UPDATE adapters SET status = ? WHERE number = ?", (status, number))
            if report is not None:
                connection.execute(
                    "UPDATE adapters SET report = ? WHERE number = ?", (json.dumps(dict(report)), number)
                )
        return self.get(version)

    def marked(self) -> Adapters:
        """Those trained on something that was forgotten since (`Adapter.forgotten`), oldest first."""
        return [adapter for adapter in self.list() if adapter.forgotten]

    def delete(self, version: str) -> None:
        """Take an adapter out for good: its row, its lineage, and its files, which are overwritten.

        Raises AdapterError for one that speaks, on whichever base. When the process dies in between, the
        next start deletes the files.
        """
        with self._db.transaction() as connection:
            adapter = self.get(version)
            number = int(adapter.version[1:])
            if number in self._log.speaking():
                raise AdapterError(
                    f"{adapter.version} is the active version on {adapter.base}; let another one or the base "
                    "speak first (`attune policy use base`), then delete it."
                )
            connection.execute("DELETE FROM adapters WHERE number = ?", (number,))
            lineage.drop(self._db, adapter.version)
        self._sound.pop(adapter.version, None)
        self._db.scrub()
        self._shelf.erase(Path(adapter.path))

    def purge(self) -> Versions:
        """Delete every marked adapter that does not speak; the versions that are gone."""
        speaking = self._log.speaking()
        gone = [adapter.version for adapter in self.marked() if int(adapter.version[1:]) not in speaking]
        for version in gone:
            self.delete(version)
        return gone

    def verify(self, version: str, base_sha256: str | None = None) -> None:
        """Read the whole adapter and compare it with its row; raises an AdapterError sentence."""
        adapter = self.get(version)
        if base_sha256 is not None and adapter.base_sha256 != base_sha256:
            raise AdapterError(
                f"The adapter {version} was trained on another base ({adapter.base}): "
                "choose that model, or run `attune train` for this one."
            )
        check_folder(Path(adapter.path), adapter.base_sha256, adapter.sha256)

    def _check_quickly(self, adapter: Adapter) -> None:
        """Files are there and the digest is right; the digest is read once per state of the file."""
        folder = Path(adapter.path)
        if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
            raise AdapterError(f"The files of adapter {adapter.version} are gone: use another version.")
        stat = (folder / WEIGHTS).stat()
        state = (stat.st_mtime_ns, stat.st_size)
        if self._sound.get(adapter.version) == state:
            return
        if weights_file.digest(folder / WEIGHTS) != adapter.sha256:
            raise AdapterError(f"The files of adapter {adapter.version} were changed: use another version.")
        self._sound[adapter.version] = state

    def _adapter(self, row: sqlite3.Row, top: int | None, gone: Forgotten) -> Adapter:
        version = f"v{row['number']}"
        return Adapter(
            version=version,
            base=row["base"],
            base_sha256=row["base_sha256"],
            algorithm=row["algorithm"],
            status=row["status"],
            sha256=row["sha256"],
            created_at=row["created_at"],
            path=str(self._shelf.folder / version),
            signals=row["signals"],
            report=json.loads(row["report"]),
            active=row["number"] == top,
            forgotten=dict(gone.get(version, {})),
        )

    def _next_number(self, connection: sqlite3.Connection) -> int:
        """One past every number that a row or a folder ever had: a version never means two adapters."""
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'adapters'").fetchone()
        return max([row["seq"] if row else 0, *self._shelf.numbers()]) + 1

    def _known(self) -> set[str]:
        return {f"v{row['number']}" for row in self._db.rows("SELECT number FROM adapters")}

    def _sweep(self) -> None:
        """Remove what a crash left. Looked at again under the write lock: another process may be adding."""
        if self._shelf.orphans(self._known()):
            with self._db.transaction():
                for path in self._shelf.orphans(self._known()):
                    self._shelf.erase(path)


def _check_status(status: str) -> None:
    if status not in STATUSES:
        raise AdapterError(f"{status!r} is no status of an adapter: it is one of {', '.join(STATUSES)}.")
