"""One life of a child that is to be killed: what it said, what it was at, how it ended.

A child is begun either as a command, or as a fork of a server that has imported all that is slow to import
(`Nursery`): a thousand lives of it cost a thousand forks and one start of Python.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedWriter, FileIO
from multiprocessing import forkserver
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any, Protocol

from env.bench.crash_timer import EXACT, DoomedOutput
from env.bench.parallel import THREAD_SETTINGS

Ack = Mapping[str, Any]
START = "start"  # from the beginning to the first line
SETTLE_SECONDS = 10.0


class Begun(Protocol):
    """A child that lives, in a process group of its own. `wait` is None when it did not end in time.
    `doomed` says that it kills itself at its moment, so that it is killed from here only if it does not."""

    pid: int
    stdout: IO[bytes]
    doomed: bool

    def wait(self, seconds: float) -> int | None: ...


# (index of a phase, seconds within it) at which a life is to end
Moment = tuple[int, float]
# begins a child whose stderr goes to the file; with a name it should go through that phase only, if it can
Begin = Callable[[str | None, IO[bytes], Moment | None], Begun]


@dataclass(slots=True)
class Life:
    """The "ack" and "about" lines, the phases as (name, seconds), and how it ended."""

    acks: list[Ack] = field(default_factory=list)
    phases: list[tuple[str, float]] = field(default_factory=list)
    killed_in: str | None = None
    problem: str | None = None


def by_command(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Begin:
    """Each child is a new process, which goes through all of its phases."""
    return lambda only, errors, moment: _Spawned(list(command), errors, {**os.environ, **(environment or {})})


class _Spawned:
    doomed = False

    def __init__(self, command: list[str], errors: IO[bytes], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,  # a process group of its own, to be killed with all its children
        )
        assert self._process.stdout is not None
        self.pid, self.stdout = self._process.pid, self._process.stdout

    def wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Nursery:
    """`live(home, only)` in a fork of one server that imported `preload` first. `live` is found by its name,
    so it is a function of a module."""

    def __init__(self, live: Callable[[Path, str | None], None], home: Path, preload: Sequence[str]) -> None:
        self._live, self._home = live, home
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        before = dict(os.environ)
        # Read by torch when it loads: a fork must not inherit a pool of threads that it does not have.
        os.environ.update(dict.fromkeys(THREAD_SETTINGS, "1"))
        # Who is killed leaves semaphores behind; what tidies them up would say so at the end.
        os.environ["PYTHONWARNINGS"] = "ignore"
        try:
            forkserver.ensure_running()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def begin(self, only: str | None, errors: IO[bytes], moment: Moment | None) -> Begun:
        return _Forked(self._context, errors, (self._live, self._home, only, moment))


class _Forked:
    def __init__(
        self, context: Any, errors: IO[bytes], life: tuple[Any, Path, str | None, Moment | None]
    ) -> None:
        self.doomed = EXACT and life[3] is not None
        read, write = os.pipe()
        try:
            handles = _Handle(write), _Handle(errors.fileno())
            self._process = context.Process(target=_be_born, args=(*handles, *life))
            self._process.start()
        finally:
            os.close(write)
        self.stdout: IO[bytes] = os.fdopen(read, "rb")
        self.pid: int = self._process.pid

    def wait(self, seconds: float) -> int | None:
        self._process.join(seconds)
        code: int | None = self._process.exitcode
        return code


class _Handle:
    """A file descriptor that travels to a new process; made into one that can when it is sent."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _landed, (DupFd(self.number),)


def _landed(sent: Any) -> int:
    return int(sent.detach())


def _be_born(
    out: int,
    errors: int,
    live: Callable[[Path, str | None], None],
    home: Path,
    only: str | None,
    moment: Moment | None,
) -> None:
    os.setsid()
    os.dup2(out, 1)
    os.dup2(errors, 2)
    sys.stdout = DoomedOutput(BufferedWriter(FileIO(1, "w", closefd=False)), encoding="utf-8")
    if EXACT and moment is not None:
        sys.stdout.doom(moment)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    os.close(out)
    os.close(errors)
    code = 0
    try:
        live(home, only)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # what the server imported has nothing to tidy up here


def live(begin: Begin, only: str | None, timeout: float, moment: Moment | None) -> Life:
    """Begin a child and read it to its end, or kill its process group at `moment`: (index of the phase to
    wait for, seconds to wait within it)."""
    with tempfile.TemporaryFile() as errors:
        return _live(begin, only, errors, timeout, moment)


def _live(begin: Begin, only: str | None, errors: IO[bytes], timeout: float, moment: Moment | None) -> Life:
    life = Life()
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    began = time.monotonic()
    child = begin(only, errors, moment)
    reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
    reader.start()
    phases = [(START, began)]
    killed = late = False
    code: int | None = None
    try:
        while True:
            now = time.monotonic()
            due = began + timeout
            if moment is not None and not killed and len(phases) > moment[0]:
                due = min(due, phases[moment[0]][1] + moment[1] + (SETTLE_SECONDS if child.doomed else 0.0))
            if now >= due and not killed:
                late = now >= began + timeout
                killed = True
                _kill(child.pid)
            try:
                line = lines.get(timeout=SETTLE_SECONDS if killed else max(due - now, 0.0))
            except queue.Empty:
                if killed:
                    life.problem = "its output stayed open after it was killed"
                    break
                continue
            if line is None:
                break
            said = _parse(line)
            if said is None:
                life.problem = f"it printed a line that is no JSON object: {line[:120]!r}"
            elif "ack" in said or "about" in said:
                life.acks.append(said)
            elif "phase" in said:
                phases.append((str(said["phase"]), float(said.get("at", time.monotonic()))))
        if not killed:  # it closed its output, and is about to end by itself
            code = child.wait(SETTLE_SECONDS)
            late = code is None
    finally:
        if code is None:
            _kill(child.pid)
            code = child.wait(SETTLE_SECONDS)
        reader.join(SETTLE_SECONDS)
        child.stdout.close()
    times = [*[at for _, at in phases[1:]], time.monotonic()]
    life.phases = [(name, end - at) for (name, at), end in zip(phases, times, strict=True)]
    if late:
        life.problem = f"it did not end by itself within {timeout:.0f} s"
    elif code == -signal.SIGKILL and (killed or child.doomed):
        life.killed_in = phases[-1][0]
    elif code:
        life.problem = f"it ended with code {code}: {_last_line(errors) or 'no message'}"
    return life


def _read(stream: Any, lines: queue.SimpleQueue[str | None]) -> None:
    try:
        for raw in stream:
            # a line that the kill cut in half was never acknowledged
            if raw.endswith(b"\n"):
                lines.put(raw.decode("utf-8", "replace"))
    finally:
        lines.put(None)


def _parse(line: str) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    said = errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
    return " ".join(said)


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        try:
            os.kill(group, signal.SIGKILL)  # a fork that has no group of its own yet
        except ProcessLookupError:
            pass  # all of it has ended
    except PermissionError:
        pass
