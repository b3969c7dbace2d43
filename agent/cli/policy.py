"""`attune policy`: the trained adapters, which of them speaks, and the way back."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from agent.cli.options import Home, Json, opened, print_json
from memory.forgetting.lineage import mark
from memory.records import Adapter

app = typer.Typer(help="Adapter versions.", no_args_is_help=True, rich_markup_mode=None)
Version = Annotated[str, typer.Argument(metavar="V", help="Such as v1.")]
OrBase = Annotated[str, typer.Argument(metavar="V", help="Such as v1; `base` is the model without one.")]


@app.command(name="list")
def list_(context: typer.Context, as_json: Json = False, home: Home = None) -> None:
    """Show all versions."""
    with opened(context, home).runtime() as runtime:
        adapters = runtime.adapters()
        active = runtime.active_adapter()
        if as_json:
            print_json(
                {"active": active.version if active else None, "adapters": [asdict(one) for one in adapters]}
            )
            return
        if not adapters:
            print("There is no adapter yet; the base speaks. Rate replies, then `attune train`.")
        for one in adapters:
            star = "*" if active is not None and one.version == active.version else " "
            told = f"{one.version}  {one.status}  {one.algorithm}  {one.signals} signals  {one.base}"
            print(f"{star} {told}{_marked(one)}")


@app.command()
def show(context: typer.Context, version: Version, as_json: Json = False, home: Home = None) -> None:
    """Show one version with its gate report: verdict, evidence, what changed, and proof of learning."""
    with opened(context, home).runtime() as runtime:
        adapter = runtime.registry.get(version, runtime.base_sha256)
        if as_json:
            print_json(asdict(adapter))
            return
        from agent.tui.report import full_report

        speaks = runtime.active_adapter()
        active = speaks is not None and speaks.version == adapter.version
        print(full_report(replace(adapter, active=active), runtime.journal))


@app.command()
def use(context: typer.Context, version: OrBase, as_json: Json = False, home: Home = None) -> None:
    """Let a version speak from the next reply on."""
    with opened(context, home).runtime() as runtime:
        active = runtime.use(None if version == "base" else version)
        _tell(active, as_json)


@app.command()
def rollback(context: typer.Context, as_json: Json = False, home: Home = None) -> None:
    """Go back to what spoke before."""
    with opened(context, home).runtime() as runtime:
        _tell(runtime.rollback(), as_json)


def _marked(adapter: Adapter) -> str:
    said = mark(adapter)
    return f"  ({said})" if said else ""


def _tell(active: str | None, as_json: bool) -> None:
    if as_json:
        print_json({"active": active})
    else:
        print(f"{active or 'The base'} speaks from the next reply on.")
