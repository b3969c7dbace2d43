"""`attune memory`: what was remembered."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Home, Json, ProgressLine, opened, print_json
from memory.recall.explained import added_up, explained
from memory.records import Memory

if TYPE_CHECKING:
    from agent.runtime import Runtime

app = typer.Typer(help="What Attune remembers.", no_args_is_help=True, rich_markup_mode=None)
Id = Annotated[str, typer.Argument(help="As `attune memory list` prints it.")]


def _entry(memory: Memory) -> dict[str, Any]:
    fields = asdict(memory)
    fields["memory_id"] = fields.pop("id")
    fields["usefulness"] = round(memory.usefulness, 4)
    return fields


def _line(memory: Memory) -> str:
    """The memory with what there is to know about it: until when it held, and that it was only inferred."""
    notes = ["inferred"] if memory.origin == "inferred" else []
    if memory.valid_to is not None:
        notes.append(f"{memory.ended or 'ended'}, until {datetime.fromtimestamp(memory.valid_to):%d %B %Y}")
    elif memory.valid_from is not None and memory.created_at - memory.valid_from > 86_400:
        notes.append(f"since {datetime.fromtimestamp(memory.valid_from):%d %B %Y}")
    said = f"  ({'; '.join(notes)})" if notes else ""
    return f"{memory.id}  {memory.text}{said}"


def _changed(runtime: Runtime, memory: Memory, as_json: bool) -> None:
    runtime.in_step()
    _say(memory, as_json)


def _say(memory: Memory, as_json: bool) -> None:
    if as_json:
        print_json(_entry(memory))
    else:
        print(_line(memory))


@app.command()
def add(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="One fact, as a sentence.")],
    beside: Annotated[bool, typer.Option("--beside", help="Keep what it contradicts as well.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Remember a fact; what it contradicts becomes past."""
    with opened(context, home).runtime() as runtime:
        _changed(runtime, runtime.facts.remember(text, beside=beside), as_json)


@app.command()
def edit(
    context: typer.Context,
    memory_id: Id,
    text: Annotated[str, typer.Argument(help="How it should read.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Correct a memory; the old version becomes past."""
    with opened(context, home).runtime() as runtime:
        _changed(runtime, runtime.facts.edit(memory_id, text), as_json)


@app.command()
def retract(context: typer.Context, memory_id: Id, as_json: Json = False, home: Home = None) -> None:
    """Say that a memory is not true (any more); it becomes past and does not come back by itself."""
    with opened(context, home).runtime() as runtime:
        _changed(runtime, runtime.facts.retract(memory_id), as_json)


@app.command()
def confirm(context: typer.Context, memory_id: Id, as_json: Json = False, home: Home = None) -> None:
    """Say that what was only inferred is true."""
    with opened(context, home).runtime() as runtime:
        _say(runtime.facts.confirm(memory_id), as_json)


@app.command()
def history(context: typer.Context, memory_id: Id, as_json: Json = False, home: Home = None) -> None:
    """Show what a memory replaced and what replaced it, the oldest first."""
    with opened(context, home).runtime() as runtime:
        found = runtime.facts.history(memory_id)
        if as_json:
            print_json({"memories": [_entry(memory) for memory in found]})
            return
        for memory in found:
            print(_line(memory))


@app.command()
def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option("-k", "--limit", min=1, max=100)] = 5,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what each score is made of, and what found it.")
    ] = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Also what matters too little to be shown to the model.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Find memories, and passages of what was learned, by meaning and by words."""
    with opened(context, home).runtime() as runtime:
        found = runtime.recall.search(query, k=limit, floor=not all_)
        passages = runtime.documents.passages.search(query, most=limit) if runtime.has_documents else []
        if as_json:
            body = {"query": query, "results": [asdict(one) for one in found]}
            print_json(body | {"passages": [asdict(one) for one in passages]})
            return
        for one in found:
            print(f"{one.score:.3f}  {one.memory_id}  {one.text}")
            if explain:
                print(f"       {explained(one)}")
        for passage in passages:
            print(f"{passage.score:.3f}  {passage.path}, {passage.place}")
            print(textwrap.indent(passage.text, "       "))
            if explain:
                print(f"       {added_up(passage.parts)}")
        if not found and not passages:
            print("Nothing found.")


@app.command(name="list")
def list_(
    context: typer.Context,
    past: Annotated[bool, typer.Option("--past", help="Also those that no longer hold.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Show all memories, newest first."""
    with opened(context, home).runtime() as runtime:
        memories = runtime.facts.all(include_past=past)
        if as_json:
            print_json({"memories": [_entry(memory) for memory in memories]})
            return
        for memory in memories:
            print(_line(memory))
        if not memories:
            print("Nothing is remembered yet.")


@app.command()
def forget(context: typer.Context, memory_id: Id, as_json: Json = False, home: Home = None) -> None:
    """Forget a memory for good: its words leave the conversations, the backups and the logs as well."""
    with opened(context, home).runtime() as runtime:
        runtime.forget(memory_id)
        if as_json:
            print_json({"memory_id": memory_id, "forgotten": True})
        else:
            print("Forgotten.")


@app.command()
def rebuild(context: typer.Context, as_json: Json = False, home: Home = None) -> None:
    """Make the search index of the memories anew from the database; passages come back by themselves."""
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
