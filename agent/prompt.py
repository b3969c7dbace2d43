"""Fit persona, card, history and memories into the context, stable-first.

The system message and the old turns stay to the letter what they were, so that the key-value cache of
the turn before is reused; what changes (the recalled memories) stands in the newest user turn.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from memory.errors import AttuneError
from memory.records import Message, Recalled

PERSONA = "You are Attune, a personal agent."

# Bidirectional overrides and isolates can make text read differently from what it says.
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
# Share of the context that history steps back by, so that the cut (and the cache) stays for some turns.
STEP = 4


class TooLong(AttuneError):
    """The newest message alone is longer than what the model reads."""


def clean(text: str) -> tuple[str, bool]:
    """`text` without control characters (newline and tab stay) and bidi overrides; True if any were there.

    AttuneError when nothing is left to answer.
    """
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(
        mark for mark in unified if mark in "\n\t" or unicodedata.category(mark) not in ("Cc", "Cs")
    )
    kept = BIDI.sub("", kept)
    if not kept.strip():
        raise AttuneError("There is nothing to answer; type a message first.")
    return kept.strip("\n"), kept != unified


def system_text(card_lines: Sequence[str]) -> str:
    if not card_lines:
        return PERSONA
    return PERSONA + "\n\nPreferences of the owner:\n" + "\n".join(f"- {line}" for line in card_lines)


def with_memories(text: str, recalled: Sequence[Recalled]) -> str:
    if not recalled:
        return text
    lines = "\n".join(f"- {' '.join(memory.text.split())}" for memory in recalled)
    return f"<memories>\n{lines}\n</memories>\n\n{text}"


def history(path: Sequence[Message], unanswered: bool = True) -> list[dict[str, Any]]:
    """The chat list of a path of messages, as it was sent.

    User turns that never got a reply are joined to the next one, since many templates refuse two in a
    row; with `unanswered` False they are left out. One that was refused for its length was sent as
    nothing, and stays nothing.
    """
    messages: list[dict[str, Any]] = []
    for message in path:
        content = message.sent if message.sent is not None else message.content
        if message.role == "tool":
            messages.append({"role": "tool", "name": message.tool_name or "", "content": content})
        elif message.role == "assistant":
            entry: dict[str, Any] = {"role": "assistant", "content": content}
            if message.tool_calls:
                entry["tool_calls"] = [dict(call) for call in message.tool_calls]
            messages.append(entry)
        elif not content:
            continue
        elif messages and messages[-1]["role"] == "user":
            before = f"{messages[-1]['content']}\n\n" if unanswered else ""
            messages[-1] = {"role": "user", "content": before + content}
        else:
            messages.append({"role": "user", "content": content})
    return messages


@dataclass(frozen=True, slots=True)
class Fitted:
    """`messages` within the context, `tokens` of them, and how many old turns were left out."""

    messages: list[dict[str, Any]]
    tokens: int
    left_out: int


def fit(
    system: str,
    messages: Sequence[dict[str, Any]],
    count: Callable[[Sequence[dict[str, Any]]], int],
    limit: int,
) -> Fitted:
    """Leave out the oldest turns until `count(...)` is at most `limit` tokens.

    A turn is a user message and all that answers it; the newest one always stays, and TooLong is raised
    when it does not fit by itself. The cut moves in steps of a quarter of `limit`: a conversation over
    the limit then keeps its prefix, and with it the cache, for several turns.
    """
    head = {"role": "system", "content": system}
    whole = [head, *messages]
    tokens = count(whole)
    if tokens <= limit:
        return Fitted(whole, tokens, 0)
    turns = _turns(messages)
    newest = [head, *turns[-1]]
    least = count(newest)
    if least > limit:
        raise TooLong(
            f"This message makes a prompt of {least:,} tokens, and the model reads at most {limit:,}; "
            "shorten it, or choose a model with a longer context (/model)."
        )
    alone = count([head])
    weights = [max(count([head, *turn]) - alone, 1) for turn in turns[:-1]]
    step = max(limit // STEP, 1)
    surplus = -(-(tokens - limit) // step) * step
    dropped = gone = 0
    while dropped < len(weights) and (gone < surplus or tokens > limit):
        gone += weights[dropped]
        dropped += 1
        if gone >= surplus:
            kept = [head, *(entry for turn in turns[dropped:] for entry in turn)]
            tokens = count(kept)
    kept = [head, *(entry for turn in turns[dropped:] for entry in turn)]
    return Fitted(kept, count(kept), dropped)


def _turns(messages: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    turns: list[list[dict[str, Any]]] = []
    for entry in messages:
        if entry["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(entry)
    return turns
