"""`attune learn`: read files and folders, so that replies can use and cite them."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import Home, Json, ProgressLine, interruptible, opened, print_json
from memory.errors import AttuneError


def learn(
    context: typer.Context,
    paths: Annotated[list[Path] | None, typer.Argument(metavar="PATH...", help="Files and folders.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show what was learned.")] = False,
    forget: Annotated[
        Path | None, typer.Option("--forget", metavar="PATH", help="Forget a file, or all of a folder.")
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Learn documents: Markdown, text, HTML, PDF, DOCX, source code, notebooks, e-mail, chat exports."""
    if sum((bool(paths), show, forget is not None)) != 1:
        raise typer.BadParameter("Give one of PATH..., --list and --forget PATH.")
    with opened(context, home).runtime() as runtime:
        documents = runtime.documents
        if show:
            from agent.documents import list_text

            if as_json:
                print_json({"documents": [asdict(one) for one in documents.store.all()]})
            else:
                print(list_text(runtime))
            return
        if forget is not None:
            gone = documents.forget(forget)
            if as_json:
                print_json({"forgotten": gone})
            else:
                print("\n".join(f"Forgotten: {path}" for path in gone))
            return
        cancel, progress = threading.Event(), ProgressLine()
        try:
            with interruptible(cancel):
                report = documents.learn(paths or [], progress, cancel.is_set)
        finally:
            progress.done()
        if as_json:
            skipped = [{"path": path, "reason": reason} for path, reason in report.skipped]
            print_json({**asdict(report), "skipped": skipped})
        else:
            print(report.text())
        if report.cancelled:
            raise KeyboardInterrupt
        if report.skipped and not (report.added or report.replaced or report.unchanged or report.moved):
            path, reason = report.skipped[0]
            more = f" ({len(report.skipped) - 1} more were skipped likewise)" if report.skipped[1:] else ""
            raise AttuneError(f"Nothing was learned; {path}: {reason}{more}.")
