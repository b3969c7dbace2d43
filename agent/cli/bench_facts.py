"""`attune bench facts`: what is kept of long conversations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import Json, Model, ProgressLine, opened

Work = Callable[[ProgressLine, Callable[[], bool]], dict[str, Any]]
Measure = Callable[[Work, Callable[[dict[str, Any]], str], bool], None]


def register(app: typer.Typer, measure: Measure) -> None:
    """Add the command to `app`; `measure(work, as_table, as_json)` runs the work and prints its result."""

    @app.command()
    def facts(
        context: typer.Context,
        locomo: Annotated[Path, typer.Option("--locomo", help="A folder of LoCoMo's conversations.")],
        sample: Annotated[int, typer.Option(min=0, help="Facts to print, to be judged by hand.")] = 0,
        seed: int = 0,
        speaking: Annotated[
            bool, typer.Option("--speaking", help="The base answers every turn and may call tools (slow).")
        ] = False,
        turns: Annotated[int | None, typer.Option(min=1, help="Turns a speaker, at most.")] = None,
        as_json: Json = False,
        model: Model = None,
    ) -> None:
        """Facts kept of long conversations; how many say the same or contradict each other (0 each)."""
        from agent.benches import facts as bench
        from env.bench.facts import as_table

        name = opened(context, None, model).model

        def work(progress: ProgressLine, cancelled: Callable[[], bool]) -> dict[str, Any]:
            return bench.run(locomo, name, speaking, sample, seed, turns, progress, cancelled)

        measure(work, as_table, as_json)
