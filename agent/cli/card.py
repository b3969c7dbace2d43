"""`attune card`: what the ratings say about style, and the owner's word on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import Home, Json, opened, print_json
from memory.records import CardLine

app = typer.Typer(help="The preference card.", no_args_is_help=True, rich_markup_mode=None)
Line = Annotated[str, typer.Argument(help="A line of the card, or its feature (brief, bullets …).")]


def _entry(line: CardLine) -> dict[str, Any]:
    return {
        "feature": line.feature,
        "text": line.text,
        "probability": round(line.probability, 4),
        "state": line.state,
        "active": line.active,
        "summary": line.summary,
        "evidence": [
            {"reply_id": reply_id, "had_feature": had, "value": value}
            for reply_id, had, value in line.evidence
        ],
    }


@app.command()
def show(context: typer.Context, as_json: Json = False, home: Home = None) -> None:
    """Show the card: what is on it, and the evidence."""
    with opened(context, home).runtime() as runtime:
        if as_json:
            lines = runtime.card.lines()
            print_json({"active": runtime.card.active_lines(), "lines": [_entry(line) for line in lines]})
        else:
            from agent.commands import card_text

            print(card_text(runtime))


def _choose(context: typer.Context, home: Path | None, verb: str, line: str, as_json: bool) -> None:
    with opened(context, home).runtime() as runtime:
        chosen: CardLine = getattr(runtime.card, verb)(line)
        if as_json:
            print_json(_entry(chosen))
        else:
            print(f"{'+' if chosen.active else '-'} {chosen.text}  ({chosen.state})")


@app.command()
def pin(context: typer.Context, line: Line, as_json: Json = False, home: Home = None) -> None:
    """Keep a line on the card, or add your own."""
    _choose(context, home, "pin", line, as_json)


@app.command()
def strike(context: typer.Context, line: Line, as_json: Json = False, home: Home = None) -> None:
    """Keep a line off the card."""
    _choose(context, home, "strike", line, as_json)


@app.command()
def reset(context: typer.Context, line: Line, as_json: Json = False, home: Home = None) -> None:
    """Leave a line to the ratings again; a line of your own is deleted."""
    from agent.commands import reset_line

    with opened(context, home).runtime() as runtime:
        feature, state, said = reset_line(runtime, line)
        if as_json:
            print_json({"feature": feature, "state": state})
        else:
            print(said)
