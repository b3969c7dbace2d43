"""How soon is the first screen there? The command starts in a pseudo-terminal, and the clock stops at a mark.

The command is any that paints a screen, its mark a piece of text on that screen. It is let paint once
before it is measured: what counts is the next start, on a home that exists and files that were read.
After each start it is told to leave and waited for, so that nothing it loads slows the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from env.bench.errors import BenchCancelled, BenchError

Progress = Callable[[float, str], None]
ROWS, COLUMNS = 30, 100
SETTLE_SECONDS = 10.0


def run(
    command: Sequence[str],
    mark: str,
    leave: str = "",
    rounds: int = 5,
    environment: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Start `command` once and then `rounds` times; {"first_screen_ms": {"median", "worst", "all"}, …}.

    "cpu_ms" is the processor time of the process up to its mark, median of the same starts: on a machine
    that is busy with other things the screen comes later, and this figure hardly moves.
    `leave` is typed when the mark was seen. Raises BenchError if the mark does not come within `timeout`
    seconds or the command ends without it, BenchCancelled between two starts.
    """
    tell: Progress = progress or (lambda share, text: None)
    stop = cancelled or (lambda: False)
    times: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        if stop():
            raise BenchCancelled
        tell(number / (rounds + 1), f"start {number}" if number else "a first start, not counted")
        times.append(_start(command, mark.encode(), leave.encode(), environment, timeout))
    first, *counted = times
    waited = [milliseconds for milliseconds, _ in counted]
    return {
        "first_screen_ms": {"median": median(waited), "worst": max(waited), "all": waited},
        "cpu_ms": median(cpu for _, cpu in counted),
        "very_first_ms": first[0],
        "rounds": rounds,
    }


def _start(
    command: Sequence[str], mark: bytes, leave: bytes, environment: Mapping[str, str] | None, timeout: float
) -> tuple[float, float]:
    """Milliseconds from the spawn to the mark, and of processor time. The command has ended on return."""
    import psutil

    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        began = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=_environment(environment or {}),
            start_new_session=True,
        )
        os.close(theirs)
        theirs = -1
        try:
            at = _wait_for(mark, ours, began + timeout)
            used = psutil.Process(process.pid).cpu_times()
            os.write(ours, leave)
            _drain(process, ours)
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)
    return (at - began) * 1000, (used.user + used.system) * 1000


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Ours and `extra`. A Python command keeps its bytecode, as it does for everyone who starts it twice."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "TERM": "xterm-256color", **extra}


def _wait_for(mark: bytes, terminal: int, until: float) -> float:
    """When `mark` was read, on the clock of `time.perf_counter`."""
    said = b""
    while (left := until - time.perf_counter()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            break
        some = _read(terminal)
        at = time.perf_counter()
        said += some
        if mark in said:
            return at
        if not some:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise BenchError(f"The command ended without its first screen: {' '.join(last) or 'no word'}")
    raise BenchError("The first screen did not come in time; start the command by hand and look.")


def _drain(process: subprocess.Popen[bytes], terminal: int) -> None:
    """Read on until the command has ended: a full terminal would keep it from leaving."""
    until = time.perf_counter() + SETTLE_SECONDS
    while process.poll() is None and time.perf_counter() < until:
        if select.select([terminal], [], [], 0.05)[0] and not _read(terminal):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.perf_counter(), 0.0))
            return


def _read(terminal: int) -> bytes:
    """What there is to read; nothing at the end, which Linux reports as an error and macOS does not."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
