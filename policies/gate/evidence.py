"""Does the candidate rank replies that it was not trained on as the owner did? An interval, not a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from policies.gate.stats import HeldOut
from policies.statistics import gap_interval

# "thin": too few held-out ratings for any interval; "open": there is one, and it holds both signs.
Speaks = Literal["for", "against", "open", "thin"]
# A reply that became e^20 times as likely, or as unlikely, says no more by e^200; unbounded, one edit with
# a phrase that the base would never write outweighs all other ratings together.
MOST_NATS = 20.0
# an interval without any width is one of too few, below this many of either side
FEWEST_ALIKE = 3


@dataclass(frozen=True, slots=True)
class Evidence:
    sentence: str
    speaks: Speaks


def held_out(rows: Sequence[HeldOut], confidence: float = 0.9) -> dict[str, Any]:
    """Figures on held-out replies, the reward of a reply being log p(candidate) - log p(base) within
    MOST_NATS.

    So each reply is compared with itself under the other policy, and what candidate and base find
    equally likely adds no noise. "margin" is the mean reward of liked replies minus that of disliked
    ones, "margin_low" and "margin_high" its interval with conversations as clusters (left out where
    there are too few of either), "accuracy" the share of (liked, disliked) couples in the right order,
    "active_margin" the same margin for the adapter in use (which may have been trained on these very
    replies, so it is shown and not compared). "fewest_conversations" is in how many conversations the liked,
    or the disliked, were said, whichever is fewer. "later" has the same figures for the replies that were
    said after all that was trained on.
    """
    figures = _figures(rows, confidence)
    if any(row.conversation for row in rows):
        figures["conversations"] = len({row.conversation for row in rows})
    under_active = [(row.liked, row.active - row.base) for row in rows if row.active is not None]
    if "margin" in figures and len(under_active) == len(rows):
        figures["active_margin"] = fmean(r for liked, r in under_active if liked) - fmean(
            r for liked, r in under_active if not liked
        )
    later = [row for row in rows if row.later]
    if later:
        figures["later"] = _figures(later, confidence)
    return figures


def evidence(figures: dict[str, Any], fewest: int) -> Evidence:
    """What `figures` (of `held_out`) say, in a sentence; `fewest` ratings are needed to say anything, and as
    many of either side to say that it is the wrong way round."""
    liked, disliked = figures["liked"], figures["disliked"]
    if min(liked, disliked) == 0 or liked + disliked < fewest:
        return Evidence(
            f"Not enough evidence yet: {liked} liked and {disliked} disliked replies were held out.", "thin"
        )
    counts = f"on {liked} liked and {disliked} disliked held-out replies"
    talks = figures.get("conversations")
    if talks is not None:
        counts += f" of {talks} conversations" if talks > 1 else " of one conversation"
    if "margin_low" not in figures:
        return Evidence(
            f"Not enough evidence yet: margin {figures['margin']:+.2f} nats {counts}; an interval needs two "
            "of each.",
            "thin",
        )
    margin = f"margin {_interval(figures)} {counts}"
    if figures["margin_low"] == figures["margin_high"] and min(liked, disliked) < FEWEST_ALIKE:
        # two of each that are quite alike say nothing of how much the next one will differ
        return Evidence(f"Not enough evidence yet, since all of either side are alike: {margin}.", "thin")
    later = figures.get("later") or {}
    if talks is not None and talks > 1 and figures["fewest_conversations"] == 1:
        # what tells one conversation from the others may be its subject and nothing else
        return Evidence(f"All that was liked, or disliked, was said in one conversation: {margin}.", "open")
    if figures["margin_high"] < 0:
        if min(liked, disliked) < fewest:
            # where hardly any reply meets the taste, most of the first few thumbs up are slips
            return Evidence(f"It seems to prefer what the owner dislikes, on few ratings: {margin}.", "open")
        return Evidence(f"It prefers what the owner dislikes: {margin}.", "against")
    many = talks in (None, 1) or later.get("fewest_conversations", 0) > 1
    if later.get("margin_high", 0.0) < 0 and min(later["liked"], later["disliked"]) >= fewest and many:
        return Evidence(
            f"It prefers what the owner dislikes of late: margin {_interval(later)} on {later['liked']} "
            f"liked and {later['disliked']} disliked replies that are newer than its training; in all, "
            f"{margin}.",
            "against",
        )
    if figures["margin_low"] <= 0:
        return Evidence(f"Not clear yet whether it prefers what the owner likes: {margin}.", "open")
    if talks == 1:
        # what holds within one conversation may be about its subject and nothing else
        return Evidence(f"Not clear yet whether it holds elsewhere: {margin}.", "open")
    return Evidence(f"It prefers what the owner likes: {margin}.", "for")


def by_time(figures: dict[str, Any]) -> list[str]:
    """A sentence where no held-out reply is newer than the training (`figures` of `held_out`); empty where
    one is, where none was held out, and where nobody knows the conversations."""
    if "conversations" not in figures or "later" in figures:
        return []
    return [
        "There is no split by time: the newest conversation holds too many of the ratings, or repeats an "
        "older question, so nothing held out is newer than what was trained on."
    ]


def _figures(rows: Sequence[HeldOut], confidence: float) -> dict[str, Any]:
    """Counts, margin, interval and accuracy of `rows`; a row without a conversation is one of its own."""
    rewards: dict[bool, list[tuple[float, str]]] = {True: [], False: []}
    for at, row in enumerate(rows):
        reward = max(-MOST_NATS, min(MOST_NATS, row.candidate - row.base))
        rewards[row.liked].append((reward, row.conversation or f"row {at}"))
    liked, disliked = rewards[True], rewards[False]
    figures: dict[str, Any] = {"liked": len(liked), "disliked": len(disliked)}
    if not liked or not disliked:
        return figures
    figures["fewest_conversations"] = min(len({name for _, name in side}) for side in (liked, disliked))
    couples = [(good > bad) + 0.5 * (good == bad) for good, _ in liked for bad, _ in disliked]
    figures |= {
        "margin": fmean(value for value, _ in liked) - fmean(value for value, _ in disliked),
        "accuracy": fmean(couples),
    }
    if min(len(liked), len(disliked)) >= 2:
        if len({name for _, name in (*liked, *disliked)}) < 2:
            # all that is known is one conversation: its replies are all the independence there is
            liked, disliked = (
                [(value, f"{side}{at}") for at, (value, _) in enumerate(group)]
                for side, group in (("liked ", liked), ("disliked ", disliked))
            )
        interval = gap_interval(liked, disliked, confidence)
        figures |= {"margin_low": interval.low, "margin_high": interval.high, "confidence": confidence}
    return figures


def _interval(figures: dict[str, Any]) -> str:
    return f"{figures['margin']:+.2f} nats ({figures['margin_low']:+.2f} to {figures['margin_high']:+.2f})"
