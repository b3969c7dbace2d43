"""Learning files: read, cut, embed, store. A file is learned whole or not at all.

What has not changed (by the SHA-256 of its bytes) is skipped, what has is replaced, and what was learned
from a named folder and is no longer there is forgotten, unless it is found under another name. A file that
cannot be read is named and skipped; if an earlier version of it is known, that stays.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from memory.documents.forgetting import forget_documents
from memory.documents.readers import read
from memory.documents.records import Document, Unreadable
from memory.documents.search import PassageSearch
from memory.documents.store import DocumentStore, cut, name
from memory.documents.walk import files
from memory.errors import AttuneError, NotFound
from memory.text import quoted

MOST_BYTES = 64 << 20
Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]


class LearningCancelled(AttuneError):
    def __init__(self) -> None:
        super().__init__("Learning was stopped; the files before are learned, the others are as they were.")


@dataclass(slots=True)
class Learned:
    """What became of the files: paths, and (path, reason) of those that were skipped."""

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    passages: int = 0
    cancelled: bool = False

    def text(self) -> str:
        """What was done, for a person: one line, and one for each file that was skipped."""
        parts = [
            f"{len(paths)} {what}"
            for paths, what in (
                (self.added, "learned"),
                (self.replaced, "replaced"),
                (self.unchanged, "unchanged"),
                (self.moved, "moved or renamed"),
                (self.forgotten, "forgotten, since they are gone"),
            )
            if paths
        ]
        new = "1 new passage" if self.passages == 1 else f"{self.passages:,} new passages"
        lines = [f"{', '.join(parts) or 'Nothing was learned'} ({new})."]
        lines += [f"Skipped {path}: {reason}." for path, reason in self.skipped]
        if self.cancelled:
            lines.append(str(LearningCancelled()))
        return "\n".join(lines)


class Documents:
    """The documents of one owner: learn, search, forget."""

    def __init__(self, store: DocumentStore, search: PassageSearch, home: Path | None = None) -> None:
        self.store = store
        self.passages = search
        self.home = home

    def learn(
        self, paths: Sequence[Path], progress: Progress | None = None, cancelled: Cancelled | None = None
    ) -> Learned:
        """Learn files and folders; `progress(share, what)`. Raises NotFound for a path that is not there, and
        AttuneError for one that cannot be one or that nobody may look at.

        Cancelled between two batches of passages: files that were finished stay, and nothing is forgotten,
        since what is gone may be among the files that were not looked at.
        """
        roots = [_absolute(path) for path in paths]
        for root in roots:
            if not _exists(root):
                known = bool(self.store.below(root))
                hint = (
                    "`attune learn --forget` forgets what was learned from it."
                    if known
                    else "check its name."
                )
                raise NotFound(f"There is no file or folder {quoted(str(root))}; {hint}")
        found = [(one, root) for root in roots for one in files(root, (self.home,) if self.home else ())]
        done, report = _Steps(found, progress, cancelled), Learned()
        gone = [one for root in roots for one in self.store.below(root) if not _there(Path(one.path))]
        try:
            for number, (path, root) in enumerate(found):
                done.at(number)
                self._one(path, root, report, done, gone)
        except LearningCancelled:
            report.cancelled = True
        if gone and not report.cancelled:
            forget_documents(self.store, self.passages, gone)
            report.forgotten = [one.path for one in gone]
        return report

    def _one(self, path: Path, root: Path, report: Learned, done: _Steps, gone: list[Document]) -> None:
        old = self.store.get(path)
        try:
            if name(path) != str(path):
                raise Unreadable("its name is no valid text; rename it")
            data = _bytes(path)
            digest = hashlib.sha256(data).hexdigest()
            if old is not None and old.sha256 == digest:
                report.unchanged.append(old.path)
                return
            if old is None and (was := _renamed(path, digest, gone)) is not None:
                self.store.move(was.id, path, root)
                gone.remove(was)
                report.moved.append(name(path))
                return
            kind, parsed = read(path.name, data)
            rows = cut(parsed)
            if not rows:
                raise Unreadable("there is no text in it")
        except Unreadable as reason:
            kept = "; what was learned from it before is kept" if old is not None else ""
            report.skipped.append((name(path), f"{reason}{kept}"))
            return
        vectors = self.passages.vectors(rows, done.within)
        document = Document(
            old.id if old else uuid.uuid4().hex,
            name(path),
            name(root),
            kind,
            digest,
            parsed.unit,
            time.time(),
        )
        ids, before = self.store.put(document, rows)
        self.passages.quietly(lambda: self.passages.index.remove([str(one) for one in before]))
        self.passages.quietly(lambda: self.passages.index.put([str(one) for one in ids], vectors))
        (report.replaced if old else report.added).append(document.path)
        report.passages += len(ids)

    def forget(self, path: Path) -> list[str]:
        """Forget what was learned from this file, or from anywhere in this folder; the paths. NotFound."""
        known = self.store.below(_absolute(path))
        if not known:
            raise NotFound(
                f"Nothing was learned from {quoted(str(path))}; `attune learn --list` shows what was."
            )
        forget_documents(self.store, self.passages, known)
        return [one.path for one in known]


class _Steps:
    """Progress over files by their size, and the question whether to stop."""

    def __init__(
        self, found: Sequence[tuple[Path, Path]], progress: Progress | None, cancelled: Cancelled | None
    ) -> None:
        self._names = [path.name for path, _ in found]
        self._sizes = [_size(path) for path, _ in found]
        self._before = [0, *accumulate(self._sizes)]
        self._progress = progress
        self._cancelled = cancelled
        self._number = 0

    def at(self, number: int) -> None:
        self._number = number
        self.within(0, 1)

    def within(self, part: int, whole: int) -> None:
        if self._cancelled is not None and self._cancelled():
            raise LearningCancelled
        if self._progress is not None:
            done = self._before[self._number] + self._sizes[self._number] * part / max(whole, 1)
            share = done / max(self._before[-1], 1)
            self._progress(share, f"{self._number + 1} of {len(self._names)}: {self._names[self._number]}")


def _renamed(path: Path, digest: str, gone: Sequence[Document]) -> Document | None:
    """The document that this very file was learned as, under a name of the same kind that is gone."""
    return next(
        (
            one
            for one in gone
            if one.sha256 == digest and Path(one.path).suffix.casefold() == path.suffix.casefold()
        ),
        None,
    )


def _absolute(path: Path) -> Path:
    """The same name for the same file, from wherever it is named; links stay what they are called."""
    try:
        return Path(os.path.abspath(Path(path).expanduser()))
    except RuntimeError as nobody:
        raise AttuneError(
            f"{quoted(str(path))} begins with the name of a user that is not known here; write out the path."
        ) from nobody


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that no file can have
        return False
    except OSError as refused:
        raise AttuneError(
            f"{quoted(str(path))} cannot be looked at ({refused.strerror}); check its name, and that you may "
            "open the folders above it."
        ) from refused
    return True


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Unreadable(f"it is larger than {MOST_BYTES >> 20} MiB; split it")
        if not path.is_file():
            raise Unreadable("it is no file")
        return path.read_bytes()
    except OSError as refused:
        raise Unreadable(f"it cannot be opened ({refused.strerror})") from refused


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _there(path: Path) -> bool:
    """Whether a file is still there; when nobody may look, it is taken to be."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
