"""`attune bench learning` and `attune bench learners`: what ratings are worth, by what learns from them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import Json, Model, ProgressLine, note, opened

Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes of one thread each; else one a CPU core.")
]
Names = Annotated[list[str] | None, typer.Option(metavar="NAME,…", help="Only these.")]
Numbers = Annotated[list[str] | None, typer.Option(metavar="N,…", help="Only these.")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Keep every finished cell here, go on from those that are there."),
]
# A learner draws its turns with seeds of its own out of the one it is given; all must fit into 64 bits.
LARGEST = 1_000_000_000
Plot = Annotated[bool, typer.Option("--plot", help="Draw the curves in the terminal.")]


def register(app: typer.Typer, measure: Callable[..., None]) -> None:
    """Add the two commands to `attune bench`; `measure` runs, shows progress and prints."""

    @app.command()
    def learning(
        context: typer.Context,
        as_json: Json = False,
        quick: Annotated[bool, typer.Option("--quick", help="A small run: quick, and rough.")] = False,
        full: Annotated[
            bool,
            typer.Option(
                "--full", help="All arms and tastes, five seeds, all conditions if none is named: many hours."
            ),
        ] = False,
        conditions: Annotated[
            list[str] | None, typer.Option(metavar="NAME,…", help="Noise, drift, an adversary and others.")
        ] = None,
        arms: Names = None,
        tastes: Names = None,
        seeds: Numbers = None,
        ratings: Annotated[int | None, typer.Option(min=1, help="Ratings a cell.")] = None,
        out: Out = None,
        plot: Plot = False,
        workers: Workers = None,
        model: Model = None,
    ) -> None:
        """How many thumbs a taste needs, by what the agent may learn with."""
        from agent.benches import learning as bench
        from env.bench.learning import as_table, as_tables

        wanted = bench.Wanted(
            names(conditions), names(arms), names(tastes), numbers(seeds, "--seeds"), ratings, full, out
        )
        name, many = opened(context, None, model).model, workers or os.cpu_count() or 1

        def work(progress: ProgressLine, cancelled: Callable[[], bool]) -> dict[str, Any]:
            result = bench.run(name, quick, many, progress, cancelled, wanted)
            if out is None or wanted.small:
                return kept(result, out)
            kept(bench.all_kept(out, name, ratings), out)
            return result

        measure(work, _with_plot(as_table if wanted.small else as_tables, plot), as_json)

    @app.command()
    def learners(
        context: typer.Context,
        as_json: Json = False,
        learners: Names = None,
        ledgers: Names = None,
        tastes: Names = None,
        seeds: Numbers = None,
        ratings: Numbers = None,
        out: Out = None,
        plot: Plot = False,
        workers: Workers = None,
        model: Model = None,
    ) -> None:
        """Which learner makes most of how many ratings: the table behind the rule of `auto`."""
        from agent.benches import learners as bench
        from env.bench.learners import as_table

        name, many = opened(context, None, model).model, workers or os.cpu_count() or 1

        def work(progress: ProgressLine, cancelled: Callable[[], bool]) -> dict[str, Any]:
            result = bench.run(
                name,
                names(learners),
                names(tastes),
                numbers(seeds, "--seeds"),
                numbers(ratings, "--ratings"),
                names(ledgers),
                out,
                many,
                progress,
                cancelled,
            )
            return kept(result, out, as_table)

        measure(work, _with_plot(as_table, plot), as_json)


def kept(
    result: dict[str, Any], out: Path | None, table: Callable[[dict[str, Any]], str] | None = None
) -> dict[str, Any]:
    """`result`, written into `out`; what could not be written is told beside it."""
    from agent.benches.learning import keep

    if out is not None and (missing := keep(result, out, table)):
        note(missing)
    return result


def names(given: list[str] | None) -> tuple[str, ...]:
    """An option that may be repeated, and may hold several names with commas between."""
    return tuple(name for each in given or () for name in each.replace(",", " ").split())


def numbers(given: list[str] | None, option: str) -> tuple[int, ...]:
    """The same for whole numbers from 0 to LARGEST. Raises BenchError."""
    from env.bench.errors import BenchError

    found = names(given)
    for each in found:
        # the length first: int() refuses thousands of digits
        if not each.isdecimal() or len(each) > len(str(LARGEST)) or int(each) > LARGEST:
            raise BenchError(
                f"{option} takes whole numbers up to {LARGEST} with commas between, not {each[:40]!r}."
            )
    return tuple(map(int, found))


def _with_plot(table: Callable[[dict[str, Any]], str], plot: bool) -> Callable[[dict[str, Any]], str]:
    def shown(result: dict[str, Any]) -> str:
        from env.bench.plots import terminal

        return f"{table(result)}\n\n{terminal(result)}" if plot else table(result)

    return shown
