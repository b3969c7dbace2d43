"""kill -9 at random points: is anything lost that was acknowledged, and does the next start come up clean?

The child is any command that works on a home and ends by itself. It speaks JSON lines on stdout,
flushed one by one:

    {"phase": "train"}                                   from here on it does this, until the next phase
    {"ack": "message", "id": …, "content": …}            printed only after the thing is durable
    {"ack": "rating", "id": …, "reply_id": …, "value": …}
    {"ack": …, …}                                        anything else that an audit knows how to check
    {"about": …, …}                                      printed before a thing that replaces another one:
                                                         killed there, an audit may find the old or the new

It is first let run once, to learn its phases and how long they take. Then each round aims at the phase
that was hit least, draws one of its occurrences and a moment within it, and kills the child's whole
process group there: in the end every phase was hit about as often as any other, however short it is.
After every round the audits read the home, and the next round is the next start.
"""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from env.bench.errors import BenchCancelled, BenchError
from memory.database import open_home
from memory.errors import AttuneError, NotFound
from memory.journal import Journal

Ack = Mapping[str, Any]
# what is wrong with a home, given every "ack" and "about" ever said in it, in order; [] if nothing is
Audit = Callable[[Path, Sequence[Ack]], list[str]]
Progress = Callable[[float, str], None]

START = "start"  # from the spawn to the first line
SETTLE_SECONDS = 10.0


@dataclass(slots=True)
class Child:
    """One life of the child: its "ack" and "about" lines, its phases as (name, seconds), how it ended."""

    acks: list[Ack] = field(default_factory=list)
    phases: list[tuple[str, float]] = field(default_factory=list)
    killed_in: str | None = None
    problem: str | None = None


def run(
    command: Sequence[str],
    home: Path,
    audits: Sequence[Audit],
    rounds: int = 100,
    seed: int = 0,
    environment: Mapping[str, str] | None = None,
    timeout: float = 300.0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Kill `command` `rounds` times on `home`, and report {"kills", "problems", "acknowledged", …}.

    A round in which the child ended before its moment came is made again, so `kills` is `rounds` unless
    problems stop it; a child that fails by itself or takes over `timeout` seconds is a problem. The last
    start is let run to its end. Raises BenchError if the child fails before anything was killed.
    """
    chance = random.Random(seed)
    tell: Progress = progress or (lambda share, text: None)
    stop = cancelled or (lambda: False)
    tell(0.0, "a run without a kill")
    whole = _live(command, environment, timeout, None)
    if whole.problem:
        raise BenchError(f"The child fails by itself, before any kill: {whole.problem}")
    acks = list(whole.acks)
    problems = [f"before any kill: {text}" for audit in audits for text in audit(home, acks)]
    kills: Counter[str] = Counter()
    finished = 0
    while kills.total() < rounds and finished <= 2 * rounds and not problems:
        if stop():
            raise BenchCancelled
        life = _live(command, environment, timeout, _moment(whole.phases, kills, chance))
        acks += life.acks
        if life.killed_in is None:
            finished += 1
        else:
            kills[life.killed_in] += 1
        name = f"kill {kills.total()} ({life.killed_in or 'ended first'})"
        if life.problem:
            problems.append(f"{name}: {life.problem}")
        problems += [f"{name}: {text}" for audit in audits for text in audit(home, acks)]
        tell(kills.total() / (rounds + 1), name)
    last = _live(command, environment, timeout, None)
    acks += last.acks
    if last.problem:
        problems.append(f"last start: {last.problem}")
    problems += [f"last start: {text}" for audit in audits for text in audit(home, acks)]
    return {
        "kills": kills.total(),
        "kills_by_phase": dict(kills),
        "ended_first": finished,
        "acknowledged": dict(Counter(str(ack["ack"]) for ack in acks if "ack" in ack)),
        "problems": problems,
        "seed": seed,
    }


def audit_journal(home: Path, acks: Sequence[Ack]) -> list[str]:
    """The database is sound, and every acknowledged message and rating is in it, to the letter."""
    try:
        db = open_home(home)
    except AttuneError as error:
        return [str(error)]
    try:
        return [*db.check(), *_lost(Journal(db), acks)]
    except AttuneError as error:
        return [str(error)]
    finally:
        db.close()


def _lost(journal: Journal, acks: Sequence[Ack]) -> list[str]:
    problems = []
    ratings = {event.id: (event.reply_id, event.value) for event in journal.feedback()}
    for ack in acks:
        kind = ack.get("ack")
        if kind == "message":
            try:
                kept = journal.message(ack["id"]).content
            except NotFound:
                problems.append(f"message {ack['id']} was acknowledged and is lost")
                continue
            if kept != ack["content"]:
                problems.append(f"message {ack['id']} says {kept[:80]!r}, not what was acknowledged")
        elif kind == "rating":
            found = ratings.get(ack["id"])
            if found is None:
                problems.append(f"rating {ack['id']} was acknowledged and is lost")
            elif found != (ack["reply_id"], ack["value"]):
                problems.append(f"rating {ack['id']} is {found}, not what was acknowledged")
    return problems


def _moment(
    phases: Sequence[tuple[str, float]], kills: Mapping[str, int], chance: random.Random
) -> tuple[int, float]:
    """(index of the phase to wait for, seconds to wait within it), of a name that was hit least so far."""
    hits = {name: kills.get(name, 0) for name, _ in phases}
    name = chance.choice(sorted(name for name in hits if hits[name] == min(hits.values())))
    index = chance.choice([i for i, (other, _) in enumerate(phases) if other == name])
    return index, chance.uniform(0.0, phases[index][1])


def _live(
    command: Sequence[str],
    environment: Mapping[str, str] | None,
    timeout: float,
    moment: tuple[int, float] | None,
) -> Child:
    """Start the child and read it to its end, or kill it at `moment`."""
    life = Child()
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    with tempfile.TemporaryFile() as stderr:
        began = time.monotonic()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # a process group of its own, to be killed with all its children
        )
        assert process.stdout is not None
        reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
        reader.start()
        phases = [(START, began)]
        killed = late = False
        try:
            while True:
                now = time.monotonic()
                due = began + timeout
                if moment is not None and not killed and len(phases) > moment[0]:
                    due = min(due, phases[moment[0]][1] + moment[1])
                if now >= due and not killed:
                    late = now >= began + timeout
                    killed = True
                    _kill(process.pid)
                try:
                    wait = SETTLE_SECONDS if killed else max(due - now, 0.0)
                    line = lines.get(timeout=wait)
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
                    phases.append((str(said["phase"]), time.monotonic()))
            if not killed:  # it closed its output, and is about to end by itself
                process.wait(timeout=SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            if process.poll() is None:
                _kill(process.pid)
            process.wait()
            reader.join(SETTLE_SECONDS)
            process.stdout.close()
        ended = time.monotonic()
        times = [*[at for _, at in phases[1:]], ended]
        life.phases = [(name, end - at) for (name, at), end in zip(phases, times, strict=True)]
        if late:
            life.problem = f"it did not end by itself within {timeout:.0f} s"
        elif process.returncode == -signal.SIGKILL and killed:
            life.killed_in = phases[-1][0]
        elif process.returncode:
            stderr.seek(0)
            said_last = stderr.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            life.problem = f"it ended with code {process.returncode}: {' '.join(said_last) or 'no message'}"
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


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # all of it has ended
