"""Simulated people: a hidden taste, and answers to replies that are noisy and do not always come.

A person is a pure function of what is read: the same seed, prompt, reply and turn, read as often
before, give the same answer, in any order and in any process. So an experiment can be cut into pieces
and still be the same one. What can be liked stands in `env.tastes`; everything is judged by text
features, never by a model.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal, get_args

from env.tastes import BENCH_TASTES, DIMENSIONS, TASTES, TOPIC_TASTES, Taste, TopicTaste, Wish, says, wish
from env.traits import traits

__all__ = [
    "BENCH_TASTES",
    "DIMENSIONS",
    "FLATTERY",
    "TASTES",
    "TOPIC_TASTES",
    "Person",
    "Response",
    "Taste",
    "TopicTaste",
    "says",
]

Habit = Literal["thumbs", "edits", "says_why"]
AnyTaste = str | Taste | Wish | TopicTaste


@dataclass(frozen=True, slots=True)
class Response:
    """What a person did about a reply: a thumb (+1 or -1), a better version of it, a reason; or nothing.

    `read` is False when they did not bother. Read, but neither rated nor edited: good enough for someone
    who edits. The product cannot tell those two apart, the environment can.
    """

    value: int | None = None
    edit: str | None = None
    why: str | None = None
    read: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who likes the replies that meet a taste, and answers them by habit.

    taste     a name of TASTES or TOPIC_TASTES, any predicate on `Features` or `Traits`, or a TopicTaste
    noise     probability of the contrary of what they think: the wrong thumb, an edit for the worse
    rate      probability that they answer at all; both lie in [0, 1]
    then      their taste from turn `drift_at` on, counted from 0; None if it never changes
    habit     "thumbs" rates; "says_why" rates, and says why when the thumb is down; "edits" rewrites what
              they do not like and leaves the rest as it is (a thumb down where no rewriting gets there)
    name      what they are called, for a taste about that
    """

    taste: AnyTaste
    noise: float = 0.0
    rate: float = 1.0
    seed: int = 0
    then: AnyTaste | None = None
    drift_at: int | None = None
    habit: Habit = "thumbs"
    name: str = "Sam"

    def __post_init__(self) -> None:
        for taste in (self.taste, self.then):
            if isinstance(taste, str):
                wish(taste)
            elif taste is not None and not callable(taste) and not isinstance(taste, TopicTaste):
                raise ValueError(f"A taste is a name, a TopicTaste or a predicate, not {taste!r}.")
        for name, share in (("noise", self.noise), ("rate", self.rate)):
            if not isinstance(share, Real) or not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is a probability from 0 to 1, not {share!r}.")
        if (self.then is None) != (self.drift_at is None):
            raise ValueError("A taste that drifts needs both: `then`, and the turn `drift_at`.")
        if self.drift_at is not None and (not isinstance(self.drift_at, Integral) or self.drift_at < 0):
            raise ValueError(f"drift_at is a turn, counted from 0, not {self.drift_at!r}.")
        if self.habit not in get_args(Habit):
            raise ValueError(f"No habit {self.habit!r}; the habits are {', '.join(get_args(Habit))}.")

    def wants(self, prompt: str = "", turn: int = 0) -> Wish:
        """The taste that holds for a reply to `prompt` at `turn`."""
        drifted = self.drift_at is not None and turn >= self.drift_at and self.then is not None
        return wish(self.then if drifted and self.then is not None else self.taste, prompt)

    def satisfied(self, reply: str, prompt: str = "", turn: int = 0) -> bool:
        """Whether `reply` meets the taste: the truth behind the answers, without noise."""
        # nobody is pleased by silence, not even who wants no bullets and no emoji
        return bool(reply.strip()) and bool(self.wants(prompt, turn)(traits(reply, self.name)))

    def judge(self, prompt: str, reply: str, turn: int = 0, before: int = 0) -> int | None:
        """+1 or -1 for `reply` to `prompt`, or None if the person does not rate it."""
        return self.respond(prompt, reply, turn, before).value

    def respond(self, prompt: str, reply: str, turn: int = 0, before: int = 0) -> Response:
        """Everything that the person does about `reply` to `prompt`.

        `before` is how often they have read this very reply to it: each reading is a throw of the dice.
        """
        chance = self._chance(prompt, reply, before)
        if chance.random() >= self.rate:
            return Response()
        pleased, wants = self.satisfied(reply, prompt, turn), self.wants(prompt, turn)
        if chance.random() < self.noise:
            pleased = not pleased
            wants = wish(wants.opposite or (lambda seen: False))
        if self.habit == "edits":
            if pleased:
                return Response(read=True)
            if (better := wants.rewrite(reply, prompt, self.name)) is not None:
                return Response(edit=better, read=True)
        words = wants.complaints(traits(reply, self.name)) if self.habit == "says_why" and not pleased else ()
        return Response(1 if pleased else -1, why=chance.choice(words) if words else None, read=True)

    def _chance(self, prompt: str, reply: str, before: int) -> random.Random:
        text = f"{self.seed}\x00{prompt}\x00{reply}" + (f"\x00{before}" if before else "")
        # lone surrogates may reach us from a model; they are not worth a crash
        read = text.encode("utf-8", "surrogatepass")
        return random.Random(hashlib.blake2b(read, digest_size=8).digest())


# Someone who rewards praise and agreement, whatever else a reply says.
FLATTERY = Person("flattery")
