"""`attune train`: learn from the whole ledger now, in a child process at low priority."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Home, Json, Model, ProgressLine, Stopped, interruptible, opened, print_json
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime
    from policies.update.run import UpdateResult

TICK = 0.2


class Algorithm(StrEnum):
    auto = "auto"
    kto = "kto"
    dpo = "dpo"
    ppo = "ppo"
    grpo = "grpo"
    sft = "sft"


def train(
    context: typer.Context,
    algorithm: Annotated[
        Algorithm,
        typer.Option(
            help="auto chooses by what the ledger holds: kto learns from thumbs, dpo from pairs, ppo and "
            "grpo from a reward model, sft imitates liked replies and the texts in the home's folder imports."
        ),
    ] = Algorithm.auto,
    as_json: Json = False,
    home: Home = None,
    model: Model = None,
) -> None:
    """Train an adapter on the ratings, judge it, and let it speak if it is good."""
    with opened(context, home, model).runtime() as runtime:
        result = learn(runtime, algorithm.value)
        if as_json:
            print_json(result.to_json())
            return
        print(f"{result.adapter} ({result.algorithm}, {result.signals} signals): {result.verdict}")
        for reason in result.reasons:
            print(f"- {reason}")


def learn(runtime: Runtime, algorithm: str = "auto") -> UpdateResult:
    """One update from start to end, with its progress on stderr. Raises AttuneError when none came of it,
    Stopped after Ctrl+C; one that came when the update was done already has stopped nothing."""
    from policies.update.job import Cancelled, UpdateJob

    progress, cancel = ProgressLine(), threading.Event()
    settings = runtime.settings
    job = UpdateJob(runtime.home, settings.model, algorithm, device=settings.device)
    try:
        with interruptible(cancel):
            job.start()
            while job.running:
                for report in job.wait(TICK):
                    progress(report.fraction, report.text)
                if cancel.is_set():
                    job.cancel()
    except KeyboardInterrupt:
        # the second one does not wait for the child to end in order; what came of it is seen all the same,
        # and a third one breaks into nothing
        cancel.set()
        with interruptible(threading.Event()):
            job.cancel(grace=0.0)
            job.wait()
    finally:
        job.cancel()
        progress.done()
    if job.result is None and cancel.is_set():
        raise Stopped(job.error or str(Cancelled()))
    if job.result is None:
        raise AttuneError(job.error or "The update ended without a result; train again.")
    return job.result
