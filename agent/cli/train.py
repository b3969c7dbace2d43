"""`attune train`: learn from the whole ledger now, in a child process at low priority."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Annotated

import typer

from agent.cli.options import Home, Json, Model, ProgressLine, interruptible, opened, print_json
from memory.errors import AttuneError

TICK = 0.2


class Algorithm(StrEnum):
    auto = "auto"
    kto = "kto"
    dpo = "dpo"


def train(
    context: typer.Context,
    algorithm: Annotated[
        Algorithm, typer.Option(help="auto chooses by what the ledger holds.")
    ] = Algorithm.auto,
    as_json: Json = False,
    home: Home = None,
    model: Model = None,
) -> None:
    """Train an adapter on the ratings, judge it, and let it speak if it is good."""
    from policies.update import UpdateJob

    progress, cancel = ProgressLine(), threading.Event()
    with opened(context, home, model).runtime() as runtime:
        settings = runtime.settings
        job = UpdateJob(runtime.home, settings.model, algorithm.value, device=settings.device)
        try:
            with interruptible(cancel):
                job.start()
                while job.running:
                    for report in job.wait(TICK):
                        progress(report.fraction, report.text)
                    if cancel.is_set():
                        job.cancel()
        finally:
            job.cancel()
            progress.done()
        if job.cancelled:
            raise KeyboardInterrupt
        if job.result is None:
            raise AttuneError(job.error or "The update ended without a result; train again.")
        if as_json:
            print_json(job.result.to_json())
            return
        result = job.result
        print(f"{result.adapter} ({result.algorithm}, {result.signals} signals): {result.verdict}")
        for reason in result.reasons:
            print(f"- {reason}")
