"""`attune bench`: the experiments that say whether Attune does what it claims."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Any

import typer

from agent.cli import bench_facts, bench_learning, bench_recall, bench_update
from agent.cli.options import Json, Model, ProgressLine, interruptible, opened

app = typer.Typer(help="Measure Attune.", no_args_is_help=True, rich_markup_mode=None)
Quick = Annotated[bool, typer.Option("--quick", help="A small run: quick, and rough.")]
Work = Callable[[ProgressLine, Callable[[], bool]], dict[str, Any]]


def _measure(work: Work, table: Callable[[dict[str, Any]], str], as_json: bool) -> None:
    """Run `work(progress, cancelled)` and print its result; Ctrl+C stops it between two steps."""
    from env.bench.errors import BenchCancelled
    from env.bench.report import to_json

    cancel, progress = threading.Event(), ProgressLine()
    try:
        with interruptible(cancel):
            result = work(progress, cancel.is_set)
    except BenchCancelled:
        raise KeyboardInterrupt from None
    finally:
        progress.done()
    print(to_json(result) if as_json else table(result), flush=True)


@app.command()
def sprout(
    context: typer.Context,
    as_json: Json = False,
    quick: Quick = False,
    prompts: Annotated[int | None, typer.Option("-n", min=1, help="Prompts a row.")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="Only these rows.")] = None,
    seed: int = 0,
    model: Model = None,
) -> None:
    """What the embedded model can and cannot do, on held-out prompts."""
    from env.bench import sprout as bench
    from policies.base_models import resolve
    from policies.language_policy import LanguagePolicy
    from policies.policy import SamplingParams

    count = prompts or (40 if quick else 200)

    def work(progress: ProgressLine, cancelled: Callable[[], bool]) -> dict[str, Any]:
        names = bench.rows(skill)
        progress(0.0, "loading the model")
        policy = LanguagePolicy(resolve(opened(context, None, model).model))
        try:
            return bench.run(
                policy,
                SamplingParams(temperature=0.7, max_new_tokens=256, seed=seed),
                n=count,
                names=names,
                seed=seed,
                progress=stoppable(progress, cancelled),
            )
        finally:
            policy.close()

    _measure(work, plain_table, as_json)


@app.command()
def serving(context: typer.Context, as_json: Json = False, quick: Quick = False, model: Model = None) -> None:
    """What learning costs the person who is chatting."""
    from agent.benches import serving as bench
    from env.bench.serving import as_table

    name = opened(context, None, model).model
    _measure(lambda progress, cancelled: bench.run(name, quick, progress, cancelled), as_table, as_json)


@app.command()
def crash(
    context: typer.Context,
    as_json: Json = False,
    quick: Quick = False,
    kills: Annotated[int | None, typer.Option("--kills", "--rounds", min=1, help="How many.")] = None,
    model: Model = None,
) -> None:
    """Kill a working agent at random points, and look whether anything was lost."""
    from agent.benches import crash as bench

    name, count = opened(context, None, model).model, kills or (20 if quick else 100)
    _measure(lambda progress, cancelled: bench.run(name, count, progress, cancelled), plain_table, as_json)


@app.command()
def start(
    context: typer.Context,
    as_json: Json = False,
    quick: Quick = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="How many starts.")] = None,
    model: Model = None,
) -> None:
    """How soon the first screen is there, the model still to be loaded."""
    from agent.benches import start as bench

    name, count = opened(context, None, model).model, rounds or (3 if quick else 5)
    _measure(lambda progress, cancelled: bench.run(name, count, progress, cancelled), plain_table, as_json)


@app.command()
def forgetting(
    context: typer.Context,
    as_json: Json = False,
    quick: Quick = False,
    canaries: Annotated[int | None, typer.Option(min=1, help="How many planted phrases.")] = None,
    model: Model = None,
) -> None:
    """Whether a phrase that was forgotten is out of the weights too."""
    from policies import forgetting as bench

    name, count = opened(context, None, model).model, canaries or (1 if quick else 3)

    def work(progress: ProgressLine, cancelled: Callable[[], bool]) -> dict[str, Any]:
        return bench.bench(name, count, stoppable(progress, cancelled))

    _measure(work, bench.table, as_json)


def stoppable(progress: ProgressLine, cancelled: Callable[[], bool]) -> Callable[[float, str], None]:
    """A progress that also stops a bench which asks nobody."""
    from env.bench.errors import BenchCancelled

    def told(fraction: float, stage: str) -> None:
        if cancelled():
            raise BenchCancelled
        progress(fraction, stage)

    return told


def plain_table(result: dict[str, Any], indent: str = "") -> str:
    """Any result as lines of "name  value"."""
    lines = []
    for name, value in result.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}", plain_table(value, indent + "  ")]
        else:
            shown = f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)
            lines.append(f"{indent}{name:<24} {shown}")
    return "\n".join(lines)


bench_learning.register(app, _measure)
bench_update.register(app, _measure)
bench_facts.register(app, _measure)
bench_recall.register(app, _measure)
