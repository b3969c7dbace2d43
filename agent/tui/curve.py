"""The learning curve: how content the person was, rating by rating and version by version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memory.records import Feedback, Generation, Message

WINDOW = 8  # ratings in the moving share

Signals = Sequence[tuple[Feedback, Message, Generation]]


@dataclass(frozen=True, slots=True)
class Curve:
    """`share[i]` is the percentage of good ones among the last WINDOW thumbs up to the i-th reply.

    Ordered by when the reply was spoken, not by when it was rated, so that a version's replies stand
    together. `changes` holds (index, version) wherever another version began to speak.
    """

    share: tuple[float, ...]
    changes: tuple[tuple[int, str], ...]


def thumbs(signals: Signals) -> list[tuple[int, str]]:
    """(value, version) of every effective thumb, in the order the replies were spoken."""
    rated = [entry for entry in signals if entry[0].kind == "thumb"]
    rated.sort(key=lambda entry: entry[1].created_at)
    return [(feedback.value, generation.adapter or "base") for feedback, _, generation in rated]


def curve(signals: Signals, window: int = WINDOW) -> Curve:
    """The moving share of good ratings; empty without thumbs."""
    given = thumbs(signals)
    share, changes, speaker = [], [], "base"
    for index, (_, version) in enumerate(given):
        recent = given[max(0, index + 1 - window) : index + 1]
        share.append(100.0 * sum(value > 0 for value, _ in recent) / len(recent))
        if version != speaker:
            changes.append((index, version))
            speaker = version
    return Curve(tuple(share), tuple(changes))


def satisfaction(signals: Signals) -> dict[str, tuple[int, int]]:
    """version -> (good thumbs, all thumbs); "base" is the model alone."""
    found: dict[str, tuple[int, int]] = {}
    for value, version in thumbs(signals):
        good, rated = found.get(version, (0, 0))
        found[version] = (good + (value > 0), rated + 1)
    return found
