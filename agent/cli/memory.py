"""`attune memory`: what was remembered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from agent.cli.options import Home, Json, ProgressLine, opened, print_json
from memory.records import Memory

app = typer.Typer(help="What Attune remembers.", no_args_is_help=True, rich_markup_mode=None)


def _entry(memory: Memory) -> dict[str, Any]:
    fields = asdict(memory)
    fields["memory_id"] = fields.pop("id")
    fields["usefulness"] = round(memory.usefulness, 4)
    return fields


@app.command()
def add(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="One fact, as a sentence.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Remember a fact."""
    with opened(context, home).runtime() as runtime:
        memory = runtime.recall.remember(text)
        if as_json:
            print_json(_entry(memory))
        else:
            print(f"{memory.id}  {memory.text}")


@app.command()
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option("-k", "--limit", min=1, max=100)] = 5,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Find memories by meaning and by words."""
    with opened(context, home).runtime() as runtime:
        found = runtime.recall.search(query, k=limit)
        if as_json:
            print_json({"query": query, "results": [asdict(one) for one in found]})
            return
        for one in found:
            print(f"{one.score:.3f}  {one.memory_id}  {one.text}")
        if not found:
            print("Nothing found.")


@app.command(name="list")
def list_(context: typer.Context, as_json: Json = False, home: Home = None) -> None:
    """Show all memories, newest first."""
    with opened(context, home).runtime() as runtime:
        memories = runtime.facts.all()
        if as_json:
            print_json({"memories": [_entry(memory) for memory in memories]})
            return
        for memory in memories:
            print(f"{memory.id}  {memory.text}")
        if not memories:
            print("Nothing is remembered yet.")


@app.command()
def forget(
    context: typer.Context,
    memory_id: Annotated[str, typer.Argument(help="As `attune memory list` prints it.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Forget a memory for good."""
    with opened(context, home).runtime() as runtime:
        runtime.forget(memory_id)
        if as_json:
            print_json({"memory_id": memory_id, "forgotten": True})
        else:
            print("Forgotten.")


@app.command()
def rebuild(context: typer.Context, as_json: Json = False, home: Home = None) -> None:
    """Make the search index anew from the database."""
    progress = ProgressLine()
    with opened(context, home).runtime() as runtime:
        try:
            runtime.recall.rebuild(lambda done, total: progress(done / total, f"{done} of {total} memories"))
        finally:
            progress.done()
        count = runtime.facts.count()
        if as_json:
            print_json({"memories": count})
        else:
            print(f"{count} memories are in the index.")
