"""What the gate looks at: base and candidate on the same exam. Plain data; `measure` fills it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from env.skills.factual import Answer
from policies.degenerate import WORD


@dataclass(frozen=True, slots=True)
class Sample:
    """One fresh reply to an everyday prompt. `truncated`: it ran into the token limit. `on_topic`: it is
    about what was asked; None where nobody can tell."""

    text: str
    truncated: bool = False
    on_topic: bool | None = None


class Spoken(NamedTuple):
    """A word of a fresh reply, with its log-probability there in nats under the base and the candidate."""

    word: str
    base: float
    candidate: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A judged reply that was not trained on: its log-probability in nats under each policy.

    `conversation` is where it was said ("" where that is not known). `later`: it was said after all
    that was trained on, so that these rows are a split by time as well.
    """

    liked: bool
    base: float
    candidate: float
    active: float | None = None
    conversation: str = ""
    later: bool = False


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
class Factual:
    """A factual probe (env.skills.factual) answered by both; `said` is what the candidate says."""

    name: str
    condition: str
    base: Answer
    candidate: Answer
    said: str = ""


@dataclass(frozen=True, slots=True)
class Telling:
    """A reply that was trained on, and by how many nats its log-probability changed."""

    reply_id: str
    liked: bool
    change: float

    @property
    def learned(self) -> float:
        """The change in the direction of the rating: positive where the lesson was taken."""
        return self.change if self.liked else -self.change


@dataclass(frozen=True, slots=True)
class Proof:
    """That something was learned and that it is served: a run without any of these changed nothing."""

    sha256_trained: str
    sha256_served: str | None
    logits_changed: float
    max_abs_b: float
    grad_norm: float


@dataclass(frozen=True, slots=True)
class Stats:
    """All that the gate looks at.

    `liked_words` are the lengths of the replies that the owner liked and `liked` their texts; `asked` is
    what the base says to everyday questions when it is asked for the styles that were taught. `spoken` are
    the candidate's fresh replies word by word. `telling` are the newest of what it was trained on, and
    `learned_from` how many liked and disliked replies that was in all. What is empty was not measured, and
    is no fault.
    """

    base: tuple[Sample, ...]
    candidate: tuple[Sample, ...]
    kl: float
    skills: dict[str, Skill] = field(default_factory=dict)
    held_out: tuple[HeldOut, ...] = ()
    liked_words: tuple[int, ...] = ()
    liked: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    spoken: tuple[tuple[Spoken, ...], ...] = ()
    factual: tuple[Factual, ...] = ()
    telling: tuple[Telling, ...] = ()
    learned_from: tuple[int, int] | None = None
    proof: Proof | None = None


def words(samples: Sequence[Sample]) -> float:
    """Median length in words; 0 without samples."""
    return median(len(WORD.findall(sample.text)) for sample in samples) if samples else 0.0


def share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
