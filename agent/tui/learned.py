"""What a rating changed at once, in one line: the learning that a person can see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.tui.plain import one_line
from memory.records import CardLine, Feedback, Memory, Message
from memory.taste.card_model import FEATURES, has
from memory.taste.features import features

SHOWN_SHIFT = 0.01  # a belief that moved by less is not news


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The card and the memories of one reply, before or after a rating."""

    card: tuple[CardLine, ...]
    memories: tuple[Memory, ...]
    reply: Message | None = None


def learned(before: Snapshot, after: Snapshot, rating: Feedback) -> str:
    """One sentence: the card line that came or went, else the belief that moved most; then the memories."""
    card = _card(before.card, after.card, _spoken_for(after.reply, rating))
    parts = [part for part in (card, _memories(before.memories, after.memories)) if part]
    if parts:
        return " \u00b7 ".join(parts)
    if rating.kind == "thumb" and rating.value == 0:
        return "taken back"
    return "noted; the next update of the weights trains on it"


def _spoken_for(reply: Message | None, rating: Feedback) -> Callable[[str], bool] | None:
    """Whether a thumb on `reply` speaks for a feature; None for a rating that does not say so by itself."""
    if reply is None or rating.kind != "thumb" or rating.value == 0 or rating.reply_id != reply.id:
        return None
    shows, liked = features(reply.content), rating.value > 0
    # what the owner wrote on the card is no feature
    return lambda feature: feature in FEATURES and has(feature, shows) is liked


def _card(
    before: Sequence[CardLine], after: Sequence[CardLine], spoken_for: Callable[[str], bool] | None = None
) -> str:
    old = {line.feature: line for line in before}
    new = {line.feature: line for line in after}
    for feature, line in new.items():
        if line.active and not (feature in old and old[feature].active):
            return f"now on the card: {one_line(line.text, 48)} ({line.probability:.0%} sure)"
    for feature, line in old.items():
        if line.active and not (feature in new and new[feature].active):
            return f"off the card: {one_line(line.text, 48)}"
    moved = [(line, old[feature].probability) for feature, line in new.items() if feature in old]
    moved = [(line, was) for line, was in moved if abs(line.probability - was) >= SHOWN_SHIFT]
    if spoken_for is not None:
        # Beliefs hang together: one that this thumb speaks against may rise by what others said before.
        moved = [(line, was) for line, was in moved if spoken_for(line.feature) is (line.probability > was)]
    if not moved:
        return ""
    # The line that the person seems to want most says more than the one that fell furthest.
    rising = [(line, was) for line, was in moved if line.probability > was] or moved
    line, was = max(rising, key=lambda move: abs(move[0].probability - move[1]))
    return f"{one_line(line.text, 48)} {was:.0%} \u2192 {line.probability:.0%} sure"


def _memories(before: Sequence[Memory], after: Sequence[Memory]) -> str:
    old = {memory.id: memory.usefulness for memory in before}
    moved = [(memory, old[memory.id]) for memory in after if memory.id in old]
    moved = [(memory, was) for memory, was in moved if abs(memory.usefulness - was) >= SHOWN_SHIFT]
    if not moved:
        return ""
    memory, was = max(moved, key=lambda pair: abs(pair[0].usefulness - pair[1]))
    more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
    name = one_line(memory.text, 32)
    return f"memory \u201c{name}\u201d useful {was:.0%} \u2192 {memory.usefulness:.0%}{more}"
