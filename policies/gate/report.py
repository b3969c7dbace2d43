"""What a verdict rests on, as plain JSON values, and in one sentence what changed in the replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from memory.taste.features import features
from policies.gate.stats import Sample, Stats, share, words

SAMPLES_SHOWN = 4
RATINGS_SHOWN = 3
# a share of two dozen replies moves by a sixth without any reason
NOTABLE = 0.17
TRAITS = {
    "bullets": "bullets",
    "emoji": "emoji",
    "friendly": "friendly words",
    "formal": "formal words",
    "closing_question": "a closing question",
    "examples": "examples",
    "hedging": "hedging",
    "code": "code",
}


def report_of(stats: Stats) -> dict[str, Any]:
    """All but the verdict. Rated replies are named by id only: what is erased must not live on in here."""
    return {
        "kl": stats.kl,
        "words": {
            "base": words(stats.base),
            "candidate": words(stats.candidate),
            "liked": median(stats.liked_words) if stats.liked_words else None,
        },
        "skills": {
            name: {"base": sum(skill.base), "candidate": sum(skill.candidate), "probes": len(skill.base)}
            for name, skill in stats.skills.items()
        },
        "factual": _factual(stats),
        "samples": [asdict(sample) for sample in stats.candidate[:SAMPLES_SHOWN]],
        "changed": changed(stats.base, stats.candidate),
        "caused_by": _causes(stats),
    }


def changed(base: Sequence[Sample], candidate: Sequence[Sample]) -> str:
    """Such as "Fresh replies: 41 -> 12 words, bullets 5 % -> 60 %.", with what moved notably, most first."""
    if not base or not candidate:
        return ""
    moved = []
    for trait, name in TRAITS.items():
        before, after = (
            share([bool(getattr(features(each.text), trait)) for each in some]) for some in (base, candidate)
        )
        if abs(after - before) >= NOTABLE:
            moved.append((-abs(after - before), f"{name} {before:.0%} -> {after:.0%}".replace("%", " %")))
    parts = [f"{words(base):.0f} -> {words(candidate):.0f} words", *(text for _, text in sorted(moved))]
    if [each.text for each in base] == [each.text for each in candidate]:
        return f"Fresh replies: nothing changed, all {len(base)} are the base's to the letter."
    return f"Fresh replies: {', '.join(parts)}."


def _factual(stats: Stats) -> dict[str, dict[str, int]]:
    """condition -> how many answers are true: of the base, of the candidate; and where it now agrees."""
    return {
        condition: {
            "base": sum(each.base == "true" for each in asked),
            "candidate": sum(each.candidate == "true" for each in asked),
            "agrees": sum(each.candidate == "agrees" for each in asked),
            "probes": len(asked),
        }
        for condition in dict.fromkeys(each.condition for each in stats.factual)
        for asked in [[each for each in stats.factual if each.condition == condition]]
    }


def _causes(stats: Stats) -> dict[str, Any]:
    """Counts of what was trained on, how many of the newest of it ("of") the candidate took in, and the most
    telling ratings: of replies, since the owner's own words have no other name."""
    told = sorted(stats.telling, key=lambda each: -each.learned)
    liked, disliked = stats.learned_from or (
        sum(each.liked for each in told),
        sum(not each.liked for each in told),
    )
    return {
        "liked": liked,
        "disliked": disliked,
        "of": len(told),
        "taken": sum(each.learned > 0 for each in told),
        "telling": [
            {"reply_id": each.reply_id, "liked": each.liked, "change": each.change}
            for each in [each for each in told if each.reply_id][:RATINGS_SHOWN]
            if each.learned > 0
        ],
    }
