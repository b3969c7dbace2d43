"""`attune bench update`: our learners and a plain TRL script, each update in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from env.bench import update as bench
from env.bench.errors import BenchCancelled, BenchError
from policies.base_models import BaseSpec, resolve

Progress = Callable[[float, str], None]
LEARNERS = ("kto", "dpo")
RATINGS, QUICK_RATINGS = 64, 16
ROUNDS, QUICK_ROUNDS = 3, 1
TICK = 0.2
BEGAN = "began"


def run(
    model: str | None = None,
    quick: bool = False,
    rounds: int | None = None,
    learners: Sequence[str] | None = None,
    anchors: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The report of `env.bench.update` with the settings that an update chooses by itself.

    With `anchors` our side also does what the plain script has no word for: the KL on replies of the base.
    """
    wanted = chosen(learners)
    spec = resolve(model)
    ratings = QUICK_RATINGS if quick else RATINGS
    stop = cancelled or (lambda: False)
    sides = {
        side: partial(_update, side, spec, ratings, anchors and side == bench.OURS, stop)
        for side in (bench.OURS, bench.PLAIN)
    }
    result = bench.run(sides, wanted, rounds or (QUICK_ROUNDS if quick else ROUNDS), progress, cancelled)
    return result | {"settings": {"model": spec.name, "ratings": ratings, "anchors": anchors}}


def chosen(learners: Sequence[str] | None) -> list[str]:
    """Those of LEARNERS that were named, or all. Raises BenchError for another name."""
    found = list(dict.fromkeys(learners or LEARNERS))
    for name in found:
        if name not in LEARNERS:
            raise BenchError(f"There is no plain script for {name!r}: choose {' or '.join(LEARNERS)}.")
    return found


def _update(
    side: str, spec: BaseSpec, ratings: int, anchors: bool, cancelled: Callable[[], bool], learner: str
) -> bench.Update:
    """One update in a child that is killed when the person stops the bench."""
    with tempfile.TemporaryDirectory(prefix="attune-bench-update-") as place:
        folder = Path(place)
        work = order(side, learner, spec.path, ratings, anchors, place)
        with (folder / "log").open("w+", encoding="utf-8") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "agent.benches.update_child", json.dumps(work)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
            )
            try:
                while child.poll() is None:
                    if cancelled():
                        raise BenchCancelled
                    try:
                        child.wait(TICK)
                    except subprocess.TimeoutExpired:
                        continue
            finally:
                if child.poll() is None:
                    child.kill()
                child.wait()
            if child.returncode:
                log.seek(0)
                last = log.read().strip().splitlines()[-1:]
                raise BenchError(
                    f"The update of {side} ({learner}) ended with code {child.returncode}: "
                    f"{' '.join(last) or 'no message'}"
                )
        return bench.Update(**json.loads((folder / "report.json").read_text("utf-8")))


def order(
    side: str, learner: str, model: str, ratings: int, anchors: bool, folder: str, times: int = 1
) -> dict[str, Any]:
    """What `agent.benches.update_child` is asked to do; it makes the file BEGAN in `folder` as it starts.

    It does the update `times` times over; its figures are those of all.
    """
    return {
        "side": side,
        "learner": learner,
        "model": model,
        "ratings": ratings,
        "anchors": anchors,
        "folder": folder,
        "times": times,
    }


def environment() -> dict[str, str]:
    """The child's: the packages of this process, and no network, which TRL's trainers else say hello to."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
