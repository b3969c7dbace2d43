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

from agent.turn_sizes import TurnSizes
from memory.errors import AttuneError
from memory.records import Message, Passage, Recalled
from memory.taste.card_texts import card_block

PERSONA = "You are Attune, a personal agent."

# Bidirectional overrides and isolates can make text read differently from what it says.
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
# Share of the history that the cut moves on by, so that it (and the cache) stays for some turns.
STEP = 3
# Share of the limit, and tokens at most, that is kept free for the message that is still to be written.
FREE, MOST_FREE = 8, 512


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
    return PERSONA + card_block(card_lines)


def with_memories(text: str, recalled: Sequence[Recalled], passages: Sequence[Passage] = ()) -> str:
    """`text` below what is known about it: memories, then passages of documents, each with its marker."""
    if not (recalled or passages):
        return text
    shown = [memory.text for memory in recalled]
    shown += [f"[{number}] {passage.text}" for number, passage in enumerate(passages, 1)]
    lines = "\n".join(f"- {' '.join(line.split())}" for line in shown)
    return f"<memories>\n{lines}\n</memories>\n\n{text}"


def within_budget(
    recalled: Sequence[Recalled], count: Callable[[Sequence[dict[str, Any]]], int], budget: int
) -> list[Recalled]:
    """Those of `recalled`, best first, whose lines add at most `budget` tokens to a prompt.

    A long one that does not fit is left out, and a shorter one after it may still be shown.
    """
    if not recalled:
        return []
    bare = count([{"role": "user", "content": "?"}])

    def fits(some: Sequence[Recalled]) -> bool:
        return count([{"role": "user", "content": with_memories("?", some)}]) - bare <= budget

    if fits(recalled):
        return list(recalled)
    kept: list[Recalled] = []
    for one in recalled:
        if fits([*kept, one]):
            kept.append(one)
    return kept


def history(path: Sequence[Message], unanswered: bool = True) -> list[dict[str, Any]]:
    """The chat list of a path of messages, as it was sent.

    User turns that never got a reply are joined to the next one, since many templates refuse two in a
    row, and one that says the same once more takes the place of the one before; with `unanswered` False
    they are left out. One that was refused for its length was sent as nothing, and stays nothing.
    """
    messages: list[dict[str, Any]] = []
    asked: dict[str, str] = {}
    for message in path:
        content = message.sent if message.sent is not None else message.content
        if message.role == "tool":
            messages.append({"role": "tool", "name": message.tool_name or "", "content": content})
        elif message.role == "assistant":
            entry: dict[str, Any] = {"role": "assistant", "content": content}
            if message.tool_calls:
                entry["tool_calls"] = [dict(call) for call in message.tool_calls]
            messages.append(entry)
        elif content:
            if messages and messages[-1]["role"] == "user":
                messages.pop()
            else:
                asked.clear()
            asked.pop(message.content, None)
            asked[message.content] = content
            said = "\n\n".join(asked.values()) if unanswered else content
            messages.append({"role": "user", "content": said})
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
    sizes: TurnSizes | None = None,
) -> Fitted:
    """Leave out the oldest turns until `count(...)` is at most `limit` tokens.

    A turn is a user message and all that answers it; the newest one always stays, and TooLong is raised
    when it does not fit by itself. Where the cut lies follows from the turns before the newest one (see
    `opening`); only a newest message that needs more than is kept free for it moves the cut on. With the
    `sizes` of the turns before it, a turn costs one count, however long the conversation is.
    """
    sizes = sizes or TurnSizes(count)
    turns = _turns(messages)
    past, head = turns[:-1], {"role": "system", "content": system}
    whole = [head, *messages]
    tokens = -1
    if not (past and sizes.knows(past)):
        tokens = count(whole)
        if tokens <= limit - _free(limit):
            return Fitted(whole, tokens, 0)
    dropped = _cut(head, past, limit, sizes)
    kept = [head, *_joined(turns[dropped:])]
    if dropped or tokens < 0:
        tokens = count(kept)
    while tokens > limit and dropped < len(past):
        over = tokens - limit
        while over > 0 and dropped < len(past):
            over -= sizes.turn(past[dropped])
            dropped += 1
        kept = [head, *_joined(turns[dropped:])]
        tokens = count(kept)
    if tokens > limit:
        raise TooLong(
            f"This message makes a prompt of {tokens:,} tokens, and the model reads at most {limit:,}; "
            "shorten it, or choose a model with a longer context (/model)."
        )
    return Fitted(kept, tokens, dropped)


def opening(
    system: str, messages: Sequence[dict[str, Any]], limit: int, sizes: TurnSizes
) -> tuple[list[dict[str, Any]], int]:
    """What the prompt of the next turn begins with, and how many turns it leaves out.

    `messages` end with a reply. The cut moves when they come near `limit`, in steps of a third of what is
    there for history: a conversation over the limit then keeps its prefix, and with it the cache, for
    several turns. It does not depend on the next message, so the prefix can be computed before that comes.
    """
    head = {"role": "system", "content": system}
    turns = _turns(messages)
    dropped = _cut(head, turns, limit, sizes)
    return [head, *_joined(turns[dropped:])], dropped


def nearly_full(tokens: int, limit: int) -> bool:
    """True if a prompt and its reply of `tokens` may make the cut of the next turns move."""
    return tokens > limit - 2 * _free(limit)


def _free(limit: int) -> int:
    return min(limit // FREE, MOST_FREE)


def _cut(head: dict[str, Any], past: Sequence[Sequence[dict[str, Any]]], limit: int, sizes: TurnSizes) -> int:
    """How many of the turns `past`, the oldest ones, are left out."""
    if not past:
        return 0
    fixed = sizes.head(head)
    weights = [sizes.turn(turn) for turn in past]
    room = limit - _free(limit) - fixed
    if (over := sum(weights) - room) <= 0:
        return 0
    step = max(room // STEP, 1)
    surplus = -(-over // step) * step
    dropped = gone = 0
    while dropped < len(weights) and gone < surplus:
        gone += weights[dropped]
        dropped += 1
    return dropped


def _joined(turns: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [entry for turn in turns for entry in turn]


def _turns(messages: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    turns: list[list[dict[str, Any]]] = []
    for entry in messages:
        if entry["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(entry)
    return turns
