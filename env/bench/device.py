"""What does a model cost on this machine's device? Seconds and memory of one update, and tokens a second.

Absolute figures, since there is nothing to set them against but the same machine at another time: the
speed of replies alone, and beside an update that trains in another process, as it does in the chat. The
speaker, the update and the clock are parameters; nothing here imports them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, Protocol

from env.bench.errors import BenchCancelled, BenchError
from env.bench.report import table

Progress = Callable[[float, str], None]
# one reply to a prompt; the number of its tokens
Speak = Callable[[str], int]
WARM_UP = 2


class Training(Protocol):
    """An update under way in another process."""

    def running(self) -> bool:
        """True from the moment it trains until it has ended; False before it is stopped or done."""
        ...

    def ended(self) -> bool: ...

    def stop(self) -> None: ...


def speed(
    speak: Speak,
    prompts: Sequence[str],
    replies: int,
    training: Callable[[], Training] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
    most_updates: int = 10,
) -> dict[str, Any]:
    """Tokens a second over `replies` replies, first tokens included; beside `training` if it is given.

    A reply counts as one beside training if the update trained when it began and when it ended; updates
    are started again until there are enough. Raises BenchCancelled, and BenchError after `most_updates`.
    """
    asked = cycle(prompts)
    for _ in range(WARM_UP):
        speak(next(asked))
    tokens, seconds, counted, started = 0, 0.0, 0, 0
    update: Training | None = None
    try:
        while counted < replies:
            if cancelled():
                raise BenchCancelled
            if training is not None and (update is None or update.ended()):
                if started == most_updates:
                    raise BenchError(
                        f"Only {counted} of {replies} replies were given beside {started} updates: "
                        "ask for fewer."
                    )
                update, started = training(), started + 1
            inside = update is None or update.running()
            began = clock()
            made = speak(next(asked))
            took = clock() - began
            if inside and (update is None or update.running()):
                tokens, seconds, counted = tokens + made, seconds + took, counted + 1
    finally:
        if update is not None:
            update.stop()
    return {
        "tokens_per_s": tokens / seconds,
        "replies": counted,
        "tokens": tokens,
        "seconds": seconds,
        "updates": started,
    }


def as_table(result: Mapping[str, Any]) -> str:
    """One row a shape: parameters, one update on 64 ratings (ours and plain TRL), tokens a second."""
    rows = []
    for shape, one in result["shapes"].items():
        for learner in one["update"]["learners"]:
            ours, plain = (one["update"][side][learner] for side in ("ours", "plain"))
            rows.append(
                [
                    shape,
                    learner,
                    ours["seconds"],
                    plain["seconds"],
                    ours["peak_bytes"] / 1e9,
                    plain["peak_bytes"] / 1e9,
                    one["alone"]["tokens_per_s"],
                    one["training"]["tokens_per_s"],
                ]
            )
    heads = ["shape", "learner", "s, ours", "s, TRL", "GB, ours", "GB, TRL", "tokens/s alone", "training"]
    return f"{result['device']}, {result['dtype']}\n\n{table(heads, rows)}"
