"""Tool calls in reply text: Hermes `<tool_call>{json}</tool_call>`, or a reply that is one bare JSON object.

Pure functions. What cannot be read as a call stays text, so that nothing the model wrote is lost.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

OPEN = "<tool_call>"
BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
FENCE = re.compile(r"\A\s*```json\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


def read_call(source: str) -> dict[str, Any] | None:
    """{"name", "arguments"} from one JSON object, or None if it is not a call.

    Arguments may stand under "arguments" or "parameters", as an object or as a string of JSON; the
    object may be wrapped as {"function": {…}}. A call with a number that JSON does not have is none.
    """
    try:
        value = _loads(source)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = _loads(arguments)
        except (ValueError, RecursionError):
            return None
    if arguments is None:
        arguments = {}
    return {"name": value["name"], "arguments": arguments} if isinstance(arguments, dict) else None


def parse_tool_calls(text: str) -> tuple[str, list[dict[str, Any]]]:
    """(text for the person, calls in their order). Without a readable call the text comes back as it is."""
    calls: list[dict[str, Any]] = []

    def take(match: re.Match[str]) -> str:
        call = read_call(match[1])
        if call is None:
            return match[0]
        calls.append(call)
        return ""

    visible = BLOCK.sub(take, text)
    if calls:
        return visible.strip(), calls
    fenced = FENCE.match(text)
    bare = fenced[1].strip() if fenced else text.strip()
    # a bare object counts only with its arguments: a person may well ask for JSON that has a "name"
    if bare.startswith("{") and ('"arguments"' in bare or '"parameters"' in bare):
        call = read_call(bare)
        if call is not None:
            return "", [call]
    return text, []


def is_unreadable_call(text: str) -> bool:
    """True for a reply that opens a tool call, and none can be read in it: it broke off, or is no JSON."""
    return text.lstrip().startswith(OPEN) and not parse_tool_calls(text)[1]


class ToolCallFilter:
    """Streams the visible text of a reply: from the first `<tool_call` on, everything waits.

    A reply that opens with "{" or a JSON fence waits as well, because it may be a bare call.
    """

    def __init__(self) -> None:
        self._text = ""
        self._shown = 0
        self._closed = False

    def feed(self, piece: str) -> str:
        """The part of the reply that may be shown now."""
        self._text += piece
        if self._closed:
            return ""
        start = self._text.lstrip()
        if start.startswith(("{", "```json")) or "```json".startswith(start):
            return ""
        # the marker may begin in what was held back last time, never before it
        found = self._text.find(OPEN[:-1], self._shown)
        if found >= 0:
            self._closed = True
            end = found
        else:
            end = len(self._text) - _partial(self._text)
        new = self._text[self._shown : max(end, self._shown)]
        self._shown += len(new)
        return new

    def finish(self) -> tuple[str, str, list[dict[str, Any]]]:
        """(text still to show, whole visible text, calls). The first is what was withheld and is no call."""
        visible, calls = parse_tool_calls(self._text)
        shown = self._text[: self._shown]
        rest = visible[self._shown :] if visible.startswith(shown) else ""
        return rest, visible, calls


def _loads(source: str) -> Any:
    return json.loads(source, parse_float=_finite, parse_constant=_finite)


def _finite(number: str) -> float:
    """1e999 and NaN are no arguments, and SQLite reads no row that holds them."""
    if not math.isfinite(value := float(number)):
        raise ValueError(f"the number {number}")
    return value


def _partial(text: str) -> int:
    """Length of the longest end of `text` that begins the marker."""
    for size in range(min(len(OPEN) - 2, len(text)), 0, -1):
        if OPEN.startswith(text[-size:]):
            return size
    return 0
