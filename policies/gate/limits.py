"""How much of what the gate lets pass."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Shares are of samples, lengths are in words, KL is in nats per token.

    `longest` is times the base's median, or the upper quartile of what was liked; more than about five times
    the base's median could never be seen, since replies of the exam end at 160 tokens.
    `astray` is the share of the base's replies on topic that may go missing.
    `factual` is the share of the base's true answers that may go missing without agreement; two always
    may (agreement itself never may). `phrase`, `unheard`, `raised` and `wished` are those of
    phrases.flood: share of fresh replies, nats under the base, nats gained, share of liked replies.
    `heard` is how many nats a rated reply must have moved where no fresh reply differs from the base's.
    """

    degenerate: float = 0.05
    truncated: float = 0.15
    longest: float = 3.0
    shortest: float = 1 / 8
    distinct: float = 0.5
    kl: float = 2.5
    astray: float = 0.1
    skills: float = 0.06
    one_skill: float = 0.34
    factual: float = 0.08
    phrase: float = 0.05
    unheard: float = 8.0
    raised: float = 4.6
    wished: float = 0.67
    heard: float = 0.05
    evidence: int = 4
    confidence: float = 0.9
