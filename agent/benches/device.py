"""`attune bench device`: models of known shapes with random weights, on this machine's device."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent import prompt
from agent.benches import update as update_bench
from agent.turn import SCHEMAS
from env.bench import device as bench
from env.bench.errors import BenchError
from env.bench.report import to_json
from env.skills.probes import everyday_prompts
from policies import shapes
from policies.policy import Generated, SamplingParams

Progress = Callable[[float, str], None]
REPLIES, QUICK_REPLIES = 20, 4
NEW_TOKENS = 64
TIMES = 1000
PROMPTS, PROMPT_SEED = 40, 81_001


def run(
    names: Sequence[str] | None = None,
    quick: bool = False,
    learners: Sequence[str] | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """For each shape: the speed alone and while training, and `bench update`'s figures of one round.

    `out` is a file that has what was measured so far: a late fault does not cost the whole run.
    """
    stop = cancelled or (lambda: False)
    tell: Progress = progress or (lambda share, text: None)
    chosen = list(dict.fromkeys(names or shapes.SHAPES))
    found: dict[str, Any] = {}
    for name in chosen:
        if name not in shapes.SHAPES:
            raise BenchError(f"There is no shape {name!r}: choose {' or '.join(shapes.SHAPES)}.")
    update_bench.chosen(learners)
    if out is not None:
        _writable(out)
    device, dtype = shapes.where()
    result = {"device": device, "dtype": dtype, "shapes": found}
    for at, name in enumerate(chosen):
        share = at / len(chosen)
        with tempfile.TemporaryDirectory(prefix="attune-bench-device-") as place:
            tell(share, f"{name}: making random weights")
            folder = shapes.make(name, Path(place) / name)
            found[name] = {}
            tell(share, f"{name}: replies")
            for figures in _speeds(folder, quick, stop):
                found[name] |= figures
                _keep(out, result)
            tell(share, f"{name}: updates")
            found[name]["update"] = update_bench.run(str(folder), quick, 1, learners, cancelled=stop)
            _keep(out, result)
    return result


def _writable(out: Path) -> None:
    """Raises BenchError; what lies there stays until there are figures."""
    try:
        with out.open("a"):
            pass
    except OSError as broken:
        raise BenchError(f"{out} cannot be written ({broken.strerror}); choose another --out.") from broken


def _keep(out: Path | None, result: dict[str, Any]) -> None:
    if out is not None:
        out.write_text(to_json(result), "utf-8")


def _speeds(folder: Path, quick: bool, stop: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """The number of parameters and the speed alone, then the speed while training."""
    from policies.base_models import parameters, resolve
    from policies.language_policy import LanguagePolicy

    spec = resolve(str(folder))
    policy = LanguagePolicy(spec)
    sampling = SamplingParams(temperature=0.0, max_new_tokens=NEW_TOKENS)

    def speak(text: str) -> int:
        messages = [{"role": "system", "content": prompt.PERSONA}, {"role": "user", "content": text}]
        *_, last = policy.stream(messages, sampling, SCHEMAS)
        assert isinstance(last, Generated)
        return len(last.completion_ids)

    asked = everyday_prompts("train", PROMPTS, PROMPT_SEED)
    replies = QUICK_REPLIES if quick else REPLIES
    ratings = update_bench.QUICK_RATINGS if quick else update_bench.RATINGS
    try:
        alone = bench.speed(speak, asked, replies, cancelled=stop)
        yield {"parameters": parameters(spec), "alone": alone}
        yield {"training": bench.speed(speak, asked, replies, lambda: Child(folder, ratings), stop)}
    finally:
        policy.close()


class Child:
    """KTO updates in a process of its own, which says when the model is loaded and the first one begins.

    One after the other until it is stopped: a start takes longer than an update on a fast device.
    """

    def __init__(self, model: Path, ratings: int) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="attune-bench-device-update-")
        self._began = Path(self._place.name) / update_bench.BEGAN
        order = update_bench.order("ours", "kto", str(model), ratings, False, self._place.name, TIMES)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agent.benches.update_child", json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=update_bench.environment(),
        )

    def running(self) -> bool:
        return self._process.poll() is None and self._began.exists()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._place.cleanup()
