"""`attune rate`: a thumb for a reply, or one for each line of stdin."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import REPLY_ID, Home, Json, note, opened, print_json
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime

VALUES: dict[Any, int] = {"up": 1, "down": -1, "clear": 0, 1: 1, -1: -1, 0: 0}


def rate(
    context: typer.Context,
    reply_id: Annotated[str | None, typer.Argument(help=REPLY_ID)] = None,
    value: Annotated[str | None, typer.Argument(help="up, down or clear.")] = None,
    why: Annotated[str | None, typer.Option("--why", help="The reason, in your words.")] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help='Lines of {"reply_id", "value", "why"?} from stdin.')
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Say whether a reply was good. The next reply has learned from it."""
    alone = reply_id is None and value is None and why is None
    if stdin != alone or (not stdin and (reply_id is None or value is None)):
        raise typer.BadParameter("Give REPLY_ID and up, down or clear; or --stdin alone.")
    if not stdin and value not in ("up", "down", "clear"):
        raise typer.BadParameter(f"{value!r} is not a rating; say up, down or clear.")
    with opened(context, home).runtime() as runtime:
        if stdin:
            _many(runtime, as_json)
            return
        assert reply_id is not None
        result = _one(runtime, reply_id, value, why)
        if as_json:
            print_json(result)
        else:
            print({1: "Rated up.", -1: "Rated down.", 0: "The rating is taken back."}[result["value"]])


def _one(runtime: Runtime, reply_id: str, value: Any, why: str | None) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, str | int) or value not in VALUES:
        raise AttuneError(f"{value!r} is not a rating; say up, down or clear.")
    event = runtime.rate(runtime.journal.reply_named(reply_id), VALUES[value], why=why)
    return {
        "reply_id": event.reply_id,
        "value": event.value,
        "seq": event.seq,
        "ratings_until_update": runtime.clock.remaining(),
    }


def _many(runtime: Runtime, as_json: bool) -> None:
    failed = count = 0
    for line in sys.stdin:
        if not line.strip():
            continue
        count += 1
        try:
            result = _one(runtime, *_fields(line))
        except AttuneError as wrong:
            failed += 1
            if as_json:
                print_json({"error": str(wrong)})
            else:
                note(f"line {count}: {wrong}")
            continue
        if as_json:
            print_json(result)
    if not as_json:
        print(f"{count - failed} replies rated.")
    if failed:
        raise AttuneError(f"{failed} of {count} ratings were refused; the line of each says why.")


def _fields(line: str) -> tuple[str, Any, str | None]:
    try:
        entry = json.loads(line)
    except ValueError as wrong:
        raise AttuneError(f"This line is not JSON ({wrong}).") from wrong
    if not isinstance(entry, dict) or not isinstance(entry.get("reply_id"), str) or "value" not in entry:
        raise AttuneError('A line holds {"reply_id", "value"} and maybe "why".')
    why = entry.get("why")
    if why is not None and not isinstance(why, str):
        raise AttuneError('"why" is a text.')
    return entry["reply_id"], entry["value"], why
