"""Feedback as numbers in [-1, 1]. Pure functions; they know no model and no database."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from memory.records import Feedback
from memory.taste.features import BULLET, EMOJI, WORD

# What an edit may change: the words, and the marks that give a reply its looks, its tone and, in a formula
# or in code, its meaning.
TOKEN = re.compile(rf"{WORD.pattern}|{EMOJI.pattern}|[.!?]+|(?:[^\w\s,]|_)+")


def thumb(value: int | None) -> float:
    """A thumb (+1 or -1) as reward. 0 is a rating taken back and None was never given: both are 0."""
    if value not in (None, -1, 0, 1):
        raise ValueError(f"A thumb is +1, -1 or 0, not {value!r}.")
    return float(value or 0)


def edit(before: str, after: str) -> float:
    """What an edit says of the reply it replaced: 1 for an untouched one, -1 for one written anew.

    2 r - 1, where r in [0, 1] is the share of words and marks kept (2 M / T of `difflib.SequenceMatcher`).
    Marks are list markers, emoji and runs of other signs: a reply that was only put into a list, or cut into
    sentences, or whose plus became a minus, is not untouched. Case, commas, white space and the shape of an
    apostrophe are no change. That the size of an edit
    measures displeasure is the idea of PRELUDE (Gao et al. 2024, arXiv 2404.15269).
    """
    return 2.0 * SequenceMatcher(None, _tokens(before), _tokens(after), autojunk=False).ratio() - 1.0


def pick(reply_id: str, chosen_id: str) -> float:
    """A pick between two siblings: 1 for the one that was chosen, -1 for the other."""
    return 1.0 if reply_id == chosen_id else -1.0


def response(value: int | None, before: str, after: str | None) -> float:
    """What a person did about the reply `before`: the thumb if there is one, else what `after` made of it.

    `after` is None if they left no version of it: without a thumb that is 0, like every silence.
    """
    return thumb(value) if value or after is None else edit(before, after)


def reward(event: Feedback, reply_id: str, reply_text: str = "") -> float:
    """What `event` is worth to the reply `reply_id`, whose text an edit is compared with.

    0 if the event is about neither this reply nor, for a pick, its sibling.
    """
    if event.kind == "pick" and reply_id in (event.reply_id, event.other_id):
        return pick(reply_id, event.reply_id)
    if event.reply_id != reply_id:
        return 0.0
    if event.kind == "edit":
        return edit(reply_text, event.text or "")
    return thumb(event.value)


def _tokens(text: str) -> list[str]:
    """In lower case. A marked line starts with one token for its marker."""
    found: list[str] = []
    for line in text.casefold().replace("\u2019", "'").splitlines():
        marked = BULLET.match(line)
        if marked:
            found.append("\u2022")
            line = line.lstrip().lstrip("-*\u2022")
        found += TOKEN.findall(line)
    return found
