"""The gate: whether a trained candidate speaks, with the figures that say why. Pure; `measure` gathers them.

Three questions, in order. Is the candidate sane: was anything learned at all, does it write text, of
bounded length, different for different prompts, not far from the base, without a phrase that was
planted? Does it still have its skills, and the facts when somebody believes otherwise? Does it rank
replies that it was not trained on the way the owner does? The first two can only reject. The third
promotes when its interval is clear of zero, rejects when it is clearly the wrong way round, and leaves
the rest on trial.

Length itself is no fault: who likes brief replies gets brief replies. The gate looks for replies
that run into the token limit, and for lengths that neither the base nor any liked reply has.

The parts: `stats` (what is looked at), `limits`, `faults` and `phrases` (what rejects), `evidence` (the
held-out ratings), `report` (the verdict as JSON).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from memory.records import AdapterStatus
from policies.degenerate import WORD, degenerate
from policies.gate.evidence import by_time, evidence, held_out
from policies.gate.faults import faults
from policies.gate.limits import Limits
from policies.gate.report import report_of
from policies.gate.stats import Factual, HeldOut, Proof, Sample, Skill, Spoken, Stats, Telling

__all__ = [
    "WORD",
    "Factual",
    "Finding",
    "HeldOut",
    "Limits",
    "Proof",
    "Sample",
    "Skill",
    "Spoken",
    "Stats",
    "Telling",
    "Verdict",
    "degenerate",
    "held_out",
    "judge",
    "report",
]

Finding = Literal["promoted", "provisional", "rejected", "not enough evidence yet"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`finding` is the verdict in words, `status` what it means for the adapter.

    There are four findings and three statuses, because "not enough evidence yet" and "provisional" are
    treated alike: the adapter is sound, so it speaks, and is watched until new ratings decide. They
    differ in what the owner should know. "provisional": held-out ratings were asked and their interval
    holds zero. "not enough evidence yet": there were too few to ask. A status of its own would be stored
    in every home and mean the same to all who read it; so it is `report["finding"]`, and a home whose
    reports are older simply shows its status.
    """

    status: AdapterStatus
    reasons: tuple[str, ...]
    held_out: dict[str, Any]
    finding: Finding


def judge(stats: Stats, limits: Limits | None = None) -> Verdict:
    """The verdict on a candidate. `reasons` are sentences with figures, the decisive ones first."""
    limits = limits or Limits()
    found = faults(stats, limits)
    figures = held_out(stats.held_out, limits.confidence)
    says = evidence(figures, limits.evidence)
    if says.speaks == "against":
        found.append(says.sentence)
    if found:
        return Verdict("rejected", tuple(found), figures, "rejected")
    reasons = (says.sentence, *by_time(figures), *_health(stats))
    if says.speaks == "for":
        return Verdict("promoted", reasons, figures, "promoted")
    thin = says.speaks == "thin"
    return Verdict("provisional", reasons, figures, "not enough evidence yet" if thin else "provisional")


def report(stats: Stats, verdict: Verdict) -> dict[str, Any]:
    """The verdict and what it rests on as plain JSON values, for the registry and the Policy screen.

    "verdict" is the status that the adapter gets, "finding" the verdict in words (see Verdict).
    """
    return {
        "verdict": verdict.status,
        "finding": verdict.finding,
        "reasons": list(verdict.reasons),
        "held_out": verdict.held_out,
        **report_of(stats),
    }


def _health(stats: Stats) -> list[str]:
    body = report_of(stats)
    lines = [
        f"Fresh replies are sound: {len(stats.candidate)} of them, {body['words']['candidate']:.0f} words "
        f"(median; base {body['words']['base']:.0f}), {stats.kl:.2f} nats a token from the base."
    ]
    if before := sum(sample.on_topic is True for sample in stats.base):
        there = sum(sample.on_topic is True for sample in stats.candidate)
        lines.append(f"They are about what was asked: {there} of {len(stats.candidate)}, {before} before.")
    probes = sum(skill["probes"] for skill in body["skills"].values())
    if probes:
        passed, before = (sum(s[who] for s in body["skills"].values()) for who in ("candidate", "base"))
        lines.append(f"Skills hold: {passed} of {probes} probes pass, {before} did before.")
    asked = sum(part["probes"] for part in body["factual"].values())
    if asked:
        true, before = (sum(p[who] for p in body["factual"].values()) for who in ("candidate", "base"))
        lines.append(f"Facts hold against belief: {true} of {asked} answers are true, {before} were before.")
    return lines
