"""`attune bench update` and `device`: one update beside a plain TRL script, and what a bigger model costs."""

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
    def update(
        context: typer.Context,
        as_json: Json = False,
        quick: Annotated[bool, typer.Option("--quick", help="A small run: quick, and rough.")] = False,
        rounds: Annotated[int | None, typer.Option(min=1, help="Updates a side and learner.")] = None,
        learner: Annotated[list[str] | None, typer.Option(help="Only this one: kto or dpo.")] = None,
        anchors: Annotated[
            bool, typer.Option("--anchors", help="Ours holds on to the base's replies too; TRL does not.")
        ] = False,
        model: Model = None,
    ) -> None:
        """Time and memory of one update on 64 ratings, over those of a plain TRL script."""
        from agent.benches import update as bench
        from env.bench.update import as_table

        name = opened(context, None, model).model

        def work(progress: ProgressLine, cancelled: Callable[[], bool]) -> dict[str, Any]:
            return bench.run(name, quick, rounds, learner, anchors, progress, cancelled)

        measure(work, as_table, as_json)

    @app.command()
    def device(
        context: typer.Context,
        as_json: Json = False,
        quick: Annotated[bool, typer.Option("--quick", help="A small run: quick, and rough.")] = False,
        shape: Annotated[list[str] | None, typer.Option(help="Only this one: qwen3-0.6b, qwen3-4b.")] = None,
        learner: Annotated[list[str] | None, typer.Option(help="Only this one: kto or dpo.")] = None,
        out: Annotated[Path | None, typer.Option(help="A file for the figures so far.")] = None,
    ) -> None:
        """Update seconds, memory and tokens a second of bigger models (random weights) on this machine."""
        from agent.benches import device as bench
        from env.bench.device import as_table

        def work(progress: ProgressLine, cancelled: Callable[[], bool]) -> dict[str, Any]:
            return bench.run(shape, quick, learner, out, progress, cancelled)

        measure(work, as_table, as_json)
