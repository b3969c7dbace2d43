"""Files that must be whole or not there: synced before they are named, overwritten before they go."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.02
GONE = ".gone-"
# what a file system says that has no such locks (NFS says EBADF: it would have to write to the folder); the
# home is used without them then
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}


def sync(path: Path) -> None:
    """What was written to a file, or which names a folder holds, is on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def overwrite(path: Path) -> None:
    """Zeros over the content, so that it does not stay readable in the freed blocks of a plain disk."""
    with path.open("r+b") as file:
        left = path.stat().st_size
        while left > 0:
            left -= file.write(b"\0" * min(left, 1 << 20))
        file.flush()
        os.fsync(file.fileno())


def delete(path: Path) -> bool:
    """Overwrite and unlink a file; False when it was gone already. Raises OSError.

    It loses its name first, so that whoever dies here leaves no file of zeros under it, but a hidden one
    that begins with GONE. A hard link is only unlinked: the content is in use under its other name.
    """
    going = path if path.name.startswith(GONE) else path.with_name(f"{GONE}{path.name}")
    try:
        path.replace(going)
        if going.stat().st_nlink == 1:
            try:
                overwrite(going)
            except FileNotFoundError:
                raise
            except OSError:
                pass  # a full or broken disk must not keep what was forgotten
        going.unlink()
    except FileNotFoundError:
        return False
    return True


def delete_folder(path: Path) -> None:
    """Overwrite and delete a folder of plain files; one that is gone is fine. Raises OSError."""
    try:
        for inner in list(path.iterdir()):
            delete(inner)
        path.rmdir()
    except FileNotFoundError:
        return


def link(source: Path, target: Path) -> None:
    """The same content under a second name; a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        shutil.copy2(source, target)
        sync(target)


def lock_folder(folder: Path, *, alone: bool, seconds: float) -> int | None:
    """Lock a folder, shared or alone, for as long as the returned handle is open.

    A folder and not a file in it: SQLite's own locks on a file are lost when anybody in the process closes
    another handle of that file. None where the file system knows no locks. Raises TimeoutError.
    """
    handle = os.open(folder, os.O_RDONLY)
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            return handle
        except OSError as error:
            if error.errno in NO_LOCKS:
                os.close(handle)
                return None
            if not isinstance(error, BlockingIOError) or time.monotonic() >= until:
                os.close(handle)
                if isinstance(error, BlockingIOError):
                    raise TimeoutError(f"{folder} is locked") from error
                raise
        time.sleep(POLL_SECONDS)


def lock_made(folder: Path, *, seconds: float) -> int | None:
    """Make a folder where it is missing and lock it alone, as `lock_folder`; None as well where it cannot be
    made or opened. Raises TimeoutError."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = lock_folder(folder, alone=True, seconds=seconds)
        except TimeoutError:
            raise
        except OSError:
            return None
        if handle is None or _lies_at(folder, handle):
            return handle
        os.close(handle)  # it was deleted meanwhile, and others may lock the one that took its place


def _lies_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


@contextmanager
def locked(folder: Path, *, alone: bool, seconds: float) -> Iterator[None]:
    handle = lock_folder(folder, alone=alone, seconds=seconds)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)
