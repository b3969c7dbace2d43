"""`attune bench recall`: does what is looked for come back, and how soon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import Json, ProgressLine

Work = Callable[[ProgressLine, Callable[[], bool]], dict[str, Any]]
Measure = Callable[[Work, Callable[[dict[str, Any]], str], bool], None]


def register(app: typer.Typer, measure: Measure) -> None:
    """Add the command to `app`; `measure(work, as_table, as_json)` runs the work and prints its result."""

    @app.command()
    def recall(
        as_json: Json = False,
        quick: Annotated[bool, typer.Option("--quick", help="A small run: quick, and rough.")] = False,
        locomo: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="Turns of long conversations, in LoCoMo's form."),
        ] = None,
        without: Annotated[
            list[str] | None,
            typer.Option(metavar="PART", help="With --locomo: leave a part of the score out of the order."),
        ] = None,
        documents: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="Passages from documents, beside a plain splitter."),
        ] = None,
        scale: Annotated[
            str | None,
            typer.Option(metavar="SIZES", help="Speed at these numbers of memories: 1000,10000,100000."),
        ] = None,
    ) -> None:
        """Whether what is looked for is found, and how soon."""
        if sum(wanted is not None for wanted in (locomo, documents, scale)) != 1:
            raise typer.BadParameter(
                "Name one thing to measure: --locomo FOLDER, --documents FOLDER or --scale SIZES."
            )
        if locomo is not None:
            _conversations(locomo, without or (), measure, as_json)
        elif documents is not None:
            _documents(documents, measure, as_json)
        elif scale is not None:
            _scale(scale, quick, measure, as_json)


def _conversations(folder: Path, without: Sequence[str], measure: Measure, as_json: bool) -> None:
    from agent.benches import recall as bench
    from env.bench.recall import as_table
    from memory.index.embedder import load_embedder

    def work(progress: ProgressLine, cancelled: Callable[[], bool]) -> dict[str, Any]:
        return bench.run(folder, load_embedder(), progress, cancelled, without)

    measure(work, as_table, as_json)


def _documents(folder: Path, measure: Measure, as_json: bool) -> None:
    from agent.benches import recall_documents as bench
    from env.bench.recall_documents import as_table

    measure(lambda progress, cancelled: bench.measure(folder, progress, cancelled), as_table, as_json)


def _scale(sizes: str, quick: bool, measure: Measure, as_json: bool) -> None:
    from agent.benches import recall_scale as bench
    from env.bench.recall_scale import as_table

    parts = [part.strip() for part in sizes.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter("Sizes are whole numbers with commas between them: 1000,10000,100000.")
    chosen = [int(part) for part in parts]
    measure(lambda progress, cancelled: bench.run(chosen, quick, progress, cancelled), as_table, as_json)
