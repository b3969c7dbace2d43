"""The gate: promoted, provisional or rejected, with the figures that say why. Pure; `measure` gathers them.

Three questions, in order. Is the candidate sane: does it write text, of bounded length, different
for different prompts, not far from the base? Does it still have its skills? Does it rank replies that
it was not trained on the way the owner does? The first two can only reject. The third promotes when
its interval is clear of zero, rejects when it is clearly the wrong way round, and is otherwise "not
enough evidence yet": a provisional adapter serves, and is watched.

Length itself is no fault: who likes brief replies gets brief replies. The gate looks for replies
that run into the token limit, and for lengths that neither the base nor any liked reply has.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any

from memory.records import AdapterStatus
from policies.degenerate import WORD, degenerate


@dataclass(frozen=True, slots=True)
class Limits:
    """Shares are of samples, lengths are in words, KL is in nats per token."""

    degenerate: float = 0.05
    truncated: float = 0.15
    longest: float = 6.0
    shortest: float = 1 / 8
    distinct: float = 0.5
    kl: float = 2.5
    skills: float = 0.06
    one_skill: float = 0.34
    evidence: int = 4
    confidence: float = 0.9


@dataclass(frozen=True, slots=True)
class Sample:
    """One fresh reply to an everyday prompt. `truncated`: it ran into the token limit."""

    text: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A judged reply that was not trained on: its log-probability in nats under each policy."""

    liked: bool
    base: float
    candidate: float
    active: float | None = None


@dataclass(frozen=True, slots=True)
class Skill:
    """The same probes answered by the base and by the candidate: passed or not, in order."""

    base: tuple[bool, ...]
    candidate: tuple[bool, ...]

    @property
    def lost(self) -> int:
        """Probes broken minus probes mended."""
        return sum(self.base) - sum(self.candidate)


@dataclass(frozen=True, slots=True)
class Stats:
    """All that the gate looks at. `liked_words` are the lengths of the replies the owner liked."""

    base: tuple[Sample, ...]
    candidate: tuple[Sample, ...]
    kl: float
    skills: dict[str, Skill] = field(default_factory=dict)
    held_out: tuple[HeldOut, ...] = ()
    liked_words: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    status: AdapterStatus
    reasons: tuple[str, ...]
    held_out: dict[str, Any]


def judge(stats: Stats, limits: Limits | None = None) -> Verdict:
    """The verdict on a candidate. `reasons` are sentences with figures, the decisive ones first."""
    limits = limits or Limits()
    faults = _insane(stats, limits) + _unskilled(stats, limits)
    figures = held_out(stats.held_out, limits.confidence)
    evidence, wrong, proven = _evidence(figures, limits)
    if wrong:
        faults.append(evidence)
    if faults:
        return Verdict("rejected", tuple(faults), figures)
    health = _health(stats)
    return Verdict("promoted" if proven else "provisional", (evidence, *health), figures)


def held_out(rows: Sequence[HeldOut], confidence: float = 0.9) -> dict[str, Any]:
    """Figures on held-out replies, the reward of a reply being log p(candidate) - log p(base).

    "margin" is the mean reward of liked replies minus that of disliked ones, "margin_low" and
    "margin_high" its bootstrap interval, "accuracy" the share of (liked, disliked) couples in the
    right order, "active_margin" the same margin for the adapter in use (which may have been trained
    on these very replies, so it is shown and not compared).
    """
    liked = [row.candidate - row.base for row in rows if row.liked]
    disliked = [row.candidate - row.base for row in rows if not row.liked]
    figures: dict[str, Any] = {"liked": len(liked), "disliked": len(disliked)}
    if not liked or not disliked:
        return figures
    couples = [(good > bad) + 0.5 * (good == bad) for good in liked for bad in disliked]
    dice = random.Random(0)
    drawn = sorted(
        fmean(dice.choices(liked, k=len(liked))) - fmean(dice.choices(disliked, k=len(disliked)))
        for _ in range(1000)
    )
    tail = int(len(drawn) * (1 - confidence) / 2)
    figures |= {
        "margin": fmean(liked) - fmean(disliked),
        "margin_low": drawn[tail],
        "margin_high": drawn[-1 - tail],
        "accuracy": fmean(couples),
    }
    under_active = [(row.liked, row.active - row.base) for row in rows if row.active is not None]
    if len(under_active) == len(rows):
        figures["active_margin"] = fmean(r for liked, r in under_active if liked) - fmean(
            r for liked, r in under_active if not liked
        )
    return figures


def report(stats: Stats, verdict: Verdict) -> dict[str, Any]:
    """The verdict and what it rests on as plain JSON values, for the registry and the Policy screen."""
    return {
        "verdict": verdict.status,
        "reasons": list(verdict.reasons),
        "held_out": verdict.held_out,
        "kl": stats.kl,
        "words": {
            "base": _words(stats.base),
            "candidate": _words(stats.candidate),
            "liked": median(stats.liked_words) if stats.liked_words else None,
        },
        "skills": {
            name: {"base": sum(skill.base), "candidate": sum(skill.candidate), "probes": len(skill.base)}
            for name, skill in stats.skills.items()
        },
        "samples": [asdict(sample) for sample in stats.candidate[:4]],
    }


def _insane(stats: Stats, limits: Limits) -> list[str]:
    faults: list[str] = []
    if not stats.candidate:
        return ["No sample of the candidate could be drawn, so it was not tried at all."]
    broken = [(degenerate(sample.text), sample.text) for sample in stats.candidate]
    broken = [(why, text) for why, text in broken if why]
    share = len(broken) / len(stats.candidate)
    before = _share(bool(degenerate(sample.text)) for sample in stats.base)
    # one odd sample is bad luck, as long as the base has none of its own to compare with
    if len(broken) > 1 and share > before + limits.degenerate:
        faults.append(
            f"{len(broken)} of {len(stats.candidate)} fresh replies are broken ({broken[0][0]}: "
            f"{_quote(broken[0][1])}); the base has {before:.0%}."
        )
    cut = _share(sample.truncated for sample in stats.candidate)
    cut_before = _share(sample.truncated for sample in stats.base)
    if cut > cut_before + limits.truncated:
        faults.append(f"{cut:.0%} of fresh replies run into the token limit; the base has {cut_before:.0%}.")
    faults += _odd_length(stats, limits)
    kinds, kinds_before = _distinct(stats.candidate), _distinct(stats.base)
    if len(stats.candidate) >= 8 and kinds < limits.distinct * kinds_before:
        faults.append(
            f"Only {kinds:.0%} of fresh replies to different prompts differ; the base has {kinds_before:.0%}."
        )
    if not stats.kl <= limits.kl:
        faults.append(f"It is {stats.kl:.2f} nats a token from the base; the limit is {limits.kl:.2f}.")
    return faults


def _odd_length(stats: Stats, limits: Limits) -> list[str]:
    """Against the base and the liked replies together: what the owner likes is never an odd length."""
    known = [length for length in (_words(stats.base), *stats.liked_words) if length > 0]
    words = _words(stats.candidate)
    if not known or words == _words(stats.base):
        return []
    low, high = min(known) * limits.shortest, max(known) * limits.longest
    if low <= words <= high and words > 0:
        return []
    return [
        f"Fresh replies have {words:.0f} words (median); the base has {_words(stats.base):.0f} and liked "
        f"replies {min(known):.0f} to {max(known):.0f}."
    ]


def _unskilled(stats: Stats, limits: Limits) -> list[str]:
    faults: list[str] = []
    probes = sum(len(skill.base) for skill in stats.skills.values())
    if not probes:
        return faults
    for name, skill in stats.skills.items():
        if skill.lost > max(2, limits.one_skill * len(skill.base)):
            faults.append(
                f"It lost the skill {name}: {sum(skill.candidate)} of {len(skill.base)} probes pass, "
                f"{sum(skill.base)} did before."
            )
    lost = sum(skill.lost for skill in stats.skills.values())
    if lost > max(2, limits.skills * probes):
        passed = sum(sum(skill.candidate) for skill in stats.skills.values())
        faults.append(f"Skills suffer: {passed} of {probes} probes pass, {passed + lost} did before.")
    return faults


def _evidence(figures: dict[str, Any], limits: Limits) -> tuple[str, bool, bool]:
    """(the sentence, whether it speaks clearly against, whether it speaks clearly for)."""
    liked, disliked = figures["liked"], figures["disliked"]
    if min(liked, disliked) == 0 or liked + disliked < limits.evidence:
        return (
            f"Not enough evidence yet: {liked} liked and {disliked} disliked replies were held out.",
            False,
            False,
        )
    interval = (
        f"{figures['margin']:+.2f} nats ({figures['margin_low']:+.2f} to {figures['margin_high']:+.2f})"
    )
    counts = f"on {liked} liked and {disliked} disliked held-out replies"
    if min(liked, disliked) < 2:
        # one reply has no spread, so its interval promises more than it knows
        return f"Not enough evidence yet: margin {interval} {counts}.", False, False
    if figures["margin_high"] < 0:
        return f"It prefers what the owner dislikes: margin {interval} {counts}.", True, False
    if figures["margin_low"] > 0:
        return f"It prefers what the owner likes: margin {interval} {counts}.", False, True
    return f"Not clear yet whether it prefers what the owner likes: margin {interval} {counts}.", False, False


def _health(stats: Stats) -> list[str]:
    lines = [
        f"Fresh replies are sound: {len(stats.candidate)} of them, {_words(stats.candidate):.0f} words "
        f"(median; base {_words(stats.base):.0f}), {stats.kl:.2f} nats a token from the base."
    ]
    probes = sum(len(skill.base) for skill in stats.skills.values())
    if probes:
        passed = sum(sum(skill.candidate) for skill in stats.skills.values())
        before = sum(sum(skill.base) for skill in stats.skills.values())
        lines.append(f"Skills hold: {passed} of {probes} probes pass, {before} did before.")
    return lines


def _share(flags: Any) -> float:
    flags = list(flags)
    return sum(flags) / len(flags) if flags else 0.0


def _words(samples: Sequence[Sample]) -> float:
    return median(len(WORD.findall(sample.text)) for sample in samples) if samples else 0.0


def _distinct(samples: Sequence[Sample]) -> float:
    return (
        len({" ".join(sample.text.casefold().split()) for sample in samples}) / len(samples)
        if samples
        else 0.0
    )


def _quote(text: str) -> str:
    shown = " ".join(text.split())
    return f'"{shown[:40]}…"' if len(shown) > 40 else f'"{shown}"'
