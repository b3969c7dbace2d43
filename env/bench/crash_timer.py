"""A timer of the kernel that kills this process with SIGKILL: exact, however busy the machine is.

A parent that kills at a moment is late by as long as it waits for a processor, which on a busy machine is
longer than many a phase. (timer_create(2) with SIGEV_SIGNAL; Linux only.)
"""

from __future__ import annotations

import ctypes
import io
import signal
import sys
import time

SIGEV_SIGNAL = 0
EXACT = sys.platform == "linux"


class _Event(ctypes.Structure):
    """struct sigevent, which is 64 bytes long."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_byte * 48),
    )


class _Times(ctypes.Structure):
    """struct itimerspec: seconds and nanoseconds of the interval, then of the first time."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every", "every_ns", "first", "first_ns"))


def die_in(seconds: float) -> None:
    """SIGKILL to this process after so long (at least a nanosecond, since zero would stop the timer)."""
    library = ctypes.CDLL(None, use_errno=True)
    timer = ctypes.c_void_p()
    event = _Event(None, signal.SIGKILL, SIGEV_SIGNAL)
    if library.timer_create(ctypes.c_int(time.CLOCK_MONOTONIC), ctypes.byref(event), ctypes.byref(timer)):
        raise OSError(ctypes.get_errno(), "timer_create")
    nanoseconds = max(int(seconds * 1e9), 1)
    times = _Times(0, 0, nanoseconds // 10**9, nanoseconds % 10**9)
    if library.timer_settime(timer, 0, ctypes.byref(times), None):
        raise OSError(ctypes.get_errno(), "timer_settime")


class DoomedOutput(io.TextIOWrapper):
    """Output of JSON lines that sets the timer when a phase begins: `moment` is (index of the phase, the
    start being 0; seconds within it)."""

    moment: tuple[int, float] | None = None
    begun = 0
    new = False

    def doom(self, moment: tuple[int, float]) -> None:
        self.moment = moment
        self._look()

    def write(self, text: str, /) -> int:
        written = super().write(text)
        if text.startswith('{"phase"'):
            self.begun += 1
            self.new = True
        return written

    def flush(self) -> None:
        super().flush()
        if self.new:  # not before the line is out: who reads it must know the phase
            self.new = False
            self._look()

    def _look(self) -> None:
        if self.moment is not None and self.moment[0] == self.begun:
            die_in(self.moment[1])
