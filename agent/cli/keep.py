"""`attune doctor`, `attune export` and `attune import`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import Home, Json, Model, note, opened, print_json
from memory.errors import AttuneError


def doctor(context: typer.Context, as_json: Json = False, home: Home = None, model: Model = None) -> None:
    """Look at everything Attune stands on, and say what to do where something is wrong."""
    from agent.doctor import examine

    state = opened(context, home, model)
    checks = []
    for check in examine(state.folder, state.model):
        checks.append(check)
        if not as_json:
            print(f"{'ok   ' if check.ok else 'wrong'}  {check.name:<9} {check.text}", flush=True)
            if check.todo:
                print(f"       {'':<9} -> {check.todo}", flush=True)
    wrong = [check.name for check in checks if not check.ok]
    if as_json:
        print_json({"ok": not wrong, "home": str(state.folder), "checks": [asdict(one) for one in checks]})
    if wrong:
        raise AttuneError(f"Not in order: {', '.join(wrong)}; the lines above say what to do.")


def export(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="A .jsonl or .md file to write; an earlier export is replaced.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is no export as well.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Write conversations, ratings, memories, card and documents to a file: JSON lines or Markdown."""
    from agent.export import amounts
    from agent.export import export as write

    with opened(context, home).runtime() as runtime:
        counts = write(runtime.journal, file.expanduser(), force)
        if as_json:
            print_json({"file": str(file), "messages": counts["message"], "counts": counts})
        else:
            print(f"Written to {file}: {amounts(counts)}.")


def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .jsonl file that `attune export` wrote.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Add what an exported file holds; the same file twice adds nothing."""
    from agent.importing import SHOWN, import_file

    with opened(context, home).runtime() as runtime:
        done = import_file(runtime.db, file.expanduser())
        for line in done.broken[:SHOWN]:
            note(f"left out {line}")
        if as_json:
            print_json({"file": str(file), **asdict(done)})
        else:
            print(done.text())
        if done.broken:
            lines = "1 line was" if len(done.broken) == 1 else f"{len(done.broken)} lines were"
            raise AttuneError(
                f"{lines} left out of {file}, and the rest is here; correct what is named above and import "
                "it again (nothing is added twice)."
            )
