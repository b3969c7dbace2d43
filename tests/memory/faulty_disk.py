"""A disk that refuses: SQLite's own system calls fail with the error of the system that is asked for.

SQLite's unix layer lets its tests replace the calls that it makes (sqlite3_vfs.xSetSystemCall); the errno
that the replaced call leaves is taken for the system's, so all above it is the real thing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CALLS = {"write": ("write", "pwrite", "pwrite64"), "read": ("read", "pread", "pread64")}
Transfer = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, use_errno=True)
Seeking = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_longlong, use_errno=True
)


class _Layer(ctypes.Structure):
    """The head of sqlite3_vfs (sqlite3.h), up to the three that are needed."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("version", "file_size", "path_size")),
        *((name, ctypes.c_void_p) for name in ("next", "name", "data")),
        ("methods", ctypes.c_void_p * 13),
        ("set_system_call", ctypes.c_void_p),
        ("get_system_call", ctypes.c_void_p),
    ]


class Disk:
    """Counts the calls of one kind; from the one numbered `fails_at` (from 1) on they fail, until `heal`."""

    def __init__(self) -> None:
        self.calls = 0
        self.failed = 0
        self.fails_at: int | None = None
        self.error = 0

    def breaks(self, at: int, error: int) -> None:
        self.calls, self.failed, self.fails_at, self.error = 0, 0, at, error

    def heal(self) -> None:
        self.fails_at = None

    def refuses(self) -> bool:
        self.calls += 1
        if self.fails_at is None or self.calls < self.fails_at:
            return False
        self.failed += 1
        ctypes.set_errno(self.error)
        return True


@contextmanager
def watched(kind: str) -> Iterator[Disk]:
    """All calls of this kind ("write", "read") that SQLite makes in this process go through the Disk."""
    import _sqlite3

    library = ctypes.CDLL(_sqlite3.__file__)
    try:
        find = library.sqlite3_vfs_find
    except AttributeError:
        pytest.skip("this Python has its SQLite built in and hidden")
    find.restype = ctypes.POINTER(_Layer)
    find.argtypes = [ctypes.c_char_p]
    layer = find(b"unix")
    fetch = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
        layer.contents.get_system_call
    )
    replace = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
        layer.contents.set_system_call
    )
    disk, alive = Disk(), []
    for name in CALLS[kind]:
        original = fetch(layer, name.encode())
        if original:
            made = _through(disk, Transfer if name == kind else Seeking, original)
            alive.append(made)  # SQLite keeps only the address
            replace(layer, name.encode(), ctypes.cast(made, ctypes.c_void_p))
    try:
        yield disk
    finally:
        for name in CALLS[kind]:
            replace(layer, name.encode(), None)


def _through(disk: Disk, shape: Any, original: int) -> Any:
    real: Callable[..., int] = shape(original)

    def call(*arguments: Any) -> int:
        return -1 if disk.refuses() else real(*arguments)

    return shape(call)
