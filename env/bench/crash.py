"""kill -9 at random points: is anything lost that was acknowledged, and does the next start come up clean?

The child works on a home and ends by itself. It speaks JSON lines on stdout, flushed one by one:

    {"phase": "train", "at": …}                          from here on it does this, until the next phase
                                                         ("at": time.monotonic(), if it says so)
    {"ack": "message", "id": …, "content": …}            printed only after the thing is durable
    {"ack": "rating", "id": …, "reply_id": …, "value": …}
    {"ack": …, …}                                        anything else that an audit knows how to check
    {"about": …, …}                                      printed before a thing that replaces another one:
                                                         killed there, an audit may find the old or the new

It is first let live once, to learn its phases and how long they take. Then each round aims at the phase
that was hit least, draws a moment within it, and kills the child's whole process group there: in the end
every phase was hit about as often as any other, however short it is. After every round the audits read the
home, and the next round is the next start.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from env.bench.crash_life import START, Ack, Begin, live
from env.bench.errors import BenchCancelled, BenchError

# what is wrong with a home, given every "ack" and "about" ever said in it, in order; [] if nothing is
Audit = Callable[[Path, Sequence[Ack]], list[str]]
Progress = Callable[[float, str], None]
# A home is left for a fresh one after so many kills: the ledger grows with each life, and training with it.
KILLS_A_HOME = 100


@dataclass(frozen=True, slots=True)
class Family:
    """Children that live alike. `begin(home)` begins one; `alone` says that it goes through one phase only
    when it is asked to, so that a late phase need not wait for the early ones."""

    begin: Callable[[Path], Begin]
    audits: Sequence[Audit]
    phases: int
    alone: bool = False


def run_all(
    families: Sequence[Family],
    folder: Path,
    kills: int,
    seed: int = 0,
    timeout: float = 300.0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Share `kills` out over the families by their phases (START among them), on homes in `folder`.

    The report is that of `run`, summed: {"kills", "acknowledged", "lost", "problems", "by_phase", …}.
    """
    began, tell = time.monotonic(), progress or (lambda share, text: None)
    reports: list[dict[str, Any]] = []
    left, phases = kills, sum(family.phases for family in families)
    for family in families:
        mine = round(left * family.phases / phases)
        left, phases = left - mine, phases - family.phases
        while mine and not any(report["problems"] for report in reports):
            done = sum(report["kills"] for report in reports)
            some = min(mine, KILLS_A_HOME)
            home = folder / f"home-{len(reports)}"
            reports.append(
                run(
                    family.begin(home),
                    home,
                    family.audits,
                    some,
                    seed + len(reports),
                    timeout,
                    partial(_told, tell, done / kills, some / kills),
                    cancelled,
                    alone=family.alone,
                )
            )
            mine -= some
    total: dict[str, Any] = {
        name: dict(sum((Counter(report[name]) for report in reports), Counter()))
        for name in ("acknowledged", "by_phase")
    }
    return {
        "kills": sum(report["kills"] for report in reports),
        **total,
        "lost": sum(report["lost"] for report in reports),
        "problems": [text for report in reports for text in report["problems"]],
        "ended_first": sum(report["ended_first"] for report in reports),
        "homes": len(reports),
        "seconds": round(time.monotonic() - began, 1),
        "seed": seed,
    }


def _told(tell: Progress, done: float, mine: float, share: float, text: str) -> None:
    tell(done + mine * share, text)


def run(
    begin: Begin,
    home: Path,
    audits: Sequence[Audit],
    rounds: int = 100,
    seed: int = 0,
    timeout: float = 300.0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    alone: bool = False,
) -> dict[str, Any]:
    """Kill a child `rounds` times on `home`: {"kills", "acknowledged", "lost", "problems", "by_phase", …}.

    A round in which the child ended before its moment came is made again, so `kills` is `rounds` unless
    problems stop it, or far too many end first; a child that fails by itself or takes over `timeout` seconds
    is a problem. The last start is let live to its end. `lost` counts the problems about something that was
    acknowledged. Raises BenchError if the child fails before anything was killed.
    """
    chance = random.Random(seed)
    tell: Progress = progress or (lambda share, text: None)
    stop = cancelled or (lambda: False)
    tell(0.0, "a life without a kill")
    whole = live(begin, None, timeout, None)
    if whole.problem:
        raise BenchError(f"The child fails by itself, before any kill: {whole.problem}")
    acks = list(whole.acks)
    problems = [f"before any kill: {text}" for audit in audits for text in audit(home, acks)]
    kills: Counter[str] = Counter()
    finished = 0
    lengths = list(whole.phases)
    while kills.total() < rounds and finished <= 4 * rounds + 20 and not problems:
        if stop():
            raise BenchCancelled
        only, moment = _aim(lengths, kills, chance, alone)
        life = live(begin, only, timeout, moment)
        acks += life.acks
        if life.killed_in is None:
            finished += 1
            # what took long the first time may be quick now: aim within what it took this time
            took = dict(life.phases)
            lengths = [(name, min(length, took.get(name, length))) for name, length in lengths]
        else:
            kills[life.killed_in] += 1
        name = f"kill {kills.total()} ({life.killed_in or 'ended first'})"
        if life.problem:
            problems.append(f"{name}: {life.problem}")
        problems += [f"{name}: {text}" for audit in audits for text in audit(home, acks)]
        tell(kills.total() / (rounds + 1), name)
    last = live(begin, None, timeout, None)
    acks += last.acks
    if last.problem:
        problems.append(f"last start: {last.problem}")
    problems += [f"last start: {text}" for audit in audits for text in audit(home, acks)]
    return {
        "kills": kills.total(),
        "acknowledged": dict(Counter(str(ack["ack"]) for ack in acks if "ack" in ack)),
        "lost": sum("acknowledged" in text for text in problems),
        "problems": problems,
        "by_phase": dict(kills),
        "ended_first": finished,
        "seed": seed,
    }


def _aim(
    phases: Sequence[tuple[str, float]], kills: Mapping[str, int], chance: random.Random, alone: bool
) -> tuple[str | None, tuple[int, float]]:
    """(the phase to ask for, (index of the phase to wait for, seconds to wait within it)); the phase is one
    whose name was hit least so far."""
    hits = {name: kills.get(name, 0) for name, _ in phases}
    name = chance.choice(sorted(name for name in hits if hits[name] == min(hits.values())))
    index = chance.choice([at for at, (other, _) in enumerate(phases) if other == name])
    wait = chance.uniform(0.0, phases[index][1])
    if not alone:
        return None, (index, wait)
    # It goes from its start to that phase at once; killed in its start, it may be about any of them.
    only = chance.choice([other for other in hits if other != START]) if name == START else name
    return only, (0 if name == START else 1, wait)
