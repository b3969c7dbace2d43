"""What does learning cost the person who is chatting? First-token times, failures, key presses.

Four questions, one run: does a turn fail or wait while an update trains, does a long conversation get
slower, how far is the agent from the bare model, and how soon is a key on the screen. The agent, the
bare model and the screen are parameters; nothing here imports them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from statistics import median
from typing import Any, Literal, Protocol, get_args

from env.bench.errors import BenchCancelled, BenchError
from env.bench.report import percentile, table, wilson

State = Literal["idle", "streaming", "training"]
# brings the screen into the state itself, types, and returns each key press's way to the screen in ms
KeyPress = Callable[[State], Sequence[float]]
# replies to the prompts with a bare `model.generate` loop and returns tokens per second
RawSpeed = Callable[[Sequence[str]], float]
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as the person lived it: milliseconds, and the tokens of the reply."""

    first_token_ms: float
    tokens: int
    total_ms: float


class Agent(Protocol):
    """The running agent. A turn that fails raises; the bench counts it and goes on."""

    def new_conversation(self) -> None:
        """The next turn is the first of a conversation."""
        ...

    def turn(self, text: str) -> Turn: ...

    def start_training(self) -> None:
        """Start an update in the background, whatever its ledger holds; returns once it runs."""
        ...

    def training_running(self) -> bool: ...

    def stop_training(self) -> None:
        """Cancel the update, if one runs, and wait until its process is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. `per_conversation` keeps idle and training turns equally deep.

    In a long conversation the person reads each reply for `reading_s` seconds before the next message:
    what the agent does behind a reply belongs to the figure, and nobody answers at once 20 times.
    """

    turns: int = 50
    per_conversation: int = 5
    long_conversations: int = 5
    long_turns: int = 20
    reading_s: float = 1.0
    raw_rounds: int = 6
    raw_prompts: int = 5
    warm_up: int = 3
    most_updates: int = 50


# what `--quick` runs; its p95 rests on few turns and says little
QUICK = Plan(turns=10, long_conversations=1, raw_rounds=2, warm_up=1)


@dataclass(slots=True)
class Run:
    """Turns of one kind: those that ended, and why the others did not."""

    turns: list[Turn] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def first_token(self, share: float) -> float | None:
        """A quantile of the times to first token in ms, or None if no turn ended."""
        return percentile([turn.first_token_ms for turn in self.turns], share) if self.turns else None


def run(
    agent: Agent,
    prompts: Sequence[str],
    raw_tokens_per_s: RawSpeed | None = None,
    keypress: KeyPress | None = None,
    plan: Plan | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Measure and return the figures of the module; what cannot be measured here is None.

    Half of the idle turns come before the training turns and half after, so that a machine that grows
    slower by itself is not read as the cost of training. Raises BenchCancelled, or BenchError if an
    update cannot be kept running.
    """
    plan = plan or Plan()
    if not prompts:
        raise BenchError("The serving bench needs at least one prompt.")
    stop = cancelled or (lambda: False)
    tell: Progress = progress or (lambda share, text: None)
    started = time.monotonic()
    asked = cycle(prompts)

    def say(into: Run) -> None:
        if stop():
            raise BenchCancelled
        try:
            into.turns.append(agent.turn(next(asked)))
        except Exception as error:  # a failed turn is what this bench counts
            into.failures.append(f"{type(error).__name__}: {error}")

    idle, training = Run(), Run()
    updates = inside = 0
    tell(0.0, "warming up")
    _talk(agent, plan.warm_up, plan.per_conversation, lambda: say(Run()))
    tell(0.05, "idle turns")
    _talk(agent, plan.turns // 2, plan.per_conversation, lambda: say(idle))

    def say_in_training() -> None:
        nonlocal updates, inside
        # an update shorter than the run is started again, until all turns were made beside one
        while not agent.training_running():
            if updates == plan.most_updates:
                raise BenchError(f"An update did not keep running in {updates} starts; look into the log.")
            if stop():
                raise BenchCancelled
            agent.start_training()
            updates += 1
        say(training)
        inside += agent.training_running()

    tell(0.2, "turns while an update trains")
    try:
        _talk(agent, plan.turns, plan.per_conversation, say_in_training)
    finally:
        agent.stop_training()
    tell(0.5, "idle turns")
    _talk(agent, plan.turns - plan.turns // 2, plan.per_conversation, lambda: say(idle))

    tell(0.6, "long conversations")
    deep = [Run() for _ in range(plan.long_turns)]
    for _ in range(plan.long_conversations):
        agent.new_conversation()
        for at in deep:
            say(at)
            pause(plan.reading_s)
    tell(0.8, "beside the bare model")
    ratios = [] if raw_tokens_per_s is None else _raw_ratios(agent, asked, raw_tokens_per_s, plan, stop)
    presses = _presses(keypress, tell, stop)

    depths = [at.first_token(0.5) for at in deep]
    made = len(training.turns) + len(training.failures)
    return {
        "failures_while_training": len(training.failures),
        "ttft_ratio_training": _over(training.first_token(0.95), idle.first_token(0.95)),
        "ttft_ratio_turn20": _over(depths[-1], depths[1] if len(depths) > 1 else None),
        "tokens_per_s_ratio_raw": median(ratios) if ratios else None,
        "keypress_p95_ms": {state: percentile(ms, 0.95) if ms else None for state, ms in presses.items()},
        "turns_while_training": made,
        "turns_wholly_inside_an_update": inside,
        "failure_share_95": list(wilson(len(training.failures), made)),
        "updates_started": updates,
        "failures": training.failures[:10],
        "failures_elsewhere": len(idle.failures) + sum(len(at.failures) for at in deep),
        "ttft_ms": {
            name: {"p50": kind.first_token(0.5), "p95": kind.first_token(0.95), "turns": len(kind.turns)}
            for name, kind in (("idle", idle), ("training", training))
        },
        "ttft_ms_by_turn": depths,
        "raw_ratios": ratios,
        "keypresses": {state: len(ms) for state, ms in presses.items()},
        "settings": asdict(plan),
        "seconds": time.monotonic() - started,
    }


def as_table(result: dict[str, Any]) -> str:
    """`result` for the terminal, each figure beside the bound it is held to."""
    presses = result["keypress_p95_ms"]
    return table(
        ["figure", "measured", "bound"],
        [
            ["failures while training", result["failures_while_training"], "0"],
            ["first token p95, training / idle", result["ttft_ratio_training"], "<= 2.5"],
            ["first token, last / second turn", result["ttft_ratio_turn20"], "<= 1.5"],
            ["tokens/s, agent / bare generate", result["tokens_per_s_ratio_raw"], ">= 0.9"],
            *[[f"key press p95 ms, {state}", presses[state], "< 50"] for state in presses],
        ],
    )


def _talk(agent: Agent, turns: int, per_conversation: int, say: Callable[[], None]) -> None:
    for number in range(turns):
        if number % per_conversation == 0:
            agent.new_conversation()
        say()


def _raw_ratios(
    agent: Agent, asked: Iterable[str], raw: RawSpeed, plan: Plan, stop: Callable[[], bool]
) -> list[float]:
    """Agent's tokens per second over the bare model's, one ratio a round on the same prompts.

    Who goes first alternates, so that neither always meets the warmer machine.
    """
    source = iter(asked)

    def agent_speed(prompts: Sequence[str]) -> float:
        turns = []
        for prompt in prompts:
            agent.new_conversation()
            turns.append(agent.turn(prompt))
        return 1000.0 * sum(turn.tokens for turn in turns) / sum(turn.total_ms for turn in turns)

    ratios = []
    for number in range(plan.raw_rounds):
        if stop():
            raise BenchCancelled
        prompts = [next(source) for _ in range(plan.raw_prompts)]
        if number % 2:
            bare = raw(prompts)
            ratios.append(agent_speed(prompts) / bare)
        else:
            mine = agent_speed(prompts)
            ratios.append(mine / raw(prompts))
    return ratios


def _presses(
    keypress: KeyPress | None, tell: Progress, stop: Callable[[], bool]
) -> dict[State, Sequence[float]]:
    presses: dict[State, Sequence[float]] = {}
    for number, state in enumerate(get_args(State)):
        if stop():
            raise BenchCancelled
        tell(0.85 + 0.05 * number, f"key presses, {state}")
        presses[state] = [] if keypress is None else keypress(state)
    return presses


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None
