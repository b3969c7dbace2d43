"""Simulated people: a hidden taste, and thumbs that are noisy and do not always come.

A person is a pure function of what is read: the same seed, prompt and reply give the same thumb, in
any order and in any process. So an experiment can be cut into pieces and still be the same one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from memory.features import Features, features

Taste = Callable[[Features], bool]

# The five styles first, in the order of `memory.features.STYLES`; then the other lines of the card.
TASTES: Mapping[str, Taste] = {
    "brief": lambda seen: seen.brief,
    "detailed": lambda seen: seen.detailed,
    "bullets": lambda seen: seen.bullets,
    "friendly": lambda seen: seen.friendly,
    "formal": lambda seen: seen.formal,
    "no_bullets": lambda seen: not seen.bullets,
    "emoji": lambda seen: seen.emoji,
    "no_emoji": lambda seen: not seen.emoji,
    "closing_question": lambda seen: seen.closing_question,
    "no_closing_question": lambda seen: not seen.closing_question,
    "code": lambda seen: seen.code,
}


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who likes the replies that meet a taste, and says so with a thumb.

    `taste` is a name of TASTES or any predicate on `Features`. A thumb is the wrong way round with
    probability `noise`, and comes at all with probability `rate`; both lie in [0, 1].
    """

    taste: str | Taste
    noise: float = 0.0
    rate: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.taste, str) and self.taste not in TASTES:
            raise ValueError(f"No taste {self.taste!r}; the tastes are {', '.join(TASTES)}.")
        for name, share in (("noise", self.noise), ("rate", self.rate)):
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is a probability from 0 to 1, not {share!r}.")

    def satisfied(self, reply: str) -> bool:
        """Whether `reply` meets the taste: the truth behind the thumbs, without noise."""
        # nobody is pleased by silence, not even who wants no bullets and no emoji
        if not reply.strip():
            return False
        predicate = TASTES[self.taste] if isinstance(self.taste, str) else self.taste
        return bool(predicate(features(reply)))

    def judge(self, prompt: str, reply: str) -> int | None:
        """+1 or -1 for `reply` to `prompt`, or None if the person does not bother to rate it."""
        chance = self._chance(prompt, reply)
        if chance.random() >= self.rate:
            return None
        pleased = self.satisfied(reply)
        if chance.random() < self.noise:
            pleased = not pleased
        return 1 if pleased else -1

    def _chance(self, prompt: str, reply: str) -> random.Random:
        # lone surrogates may reach us from a model; they are not worth a crash
        read = f"{self.seed}\x00{prompt}\x00{reply}".encode("utf-8", "surrogatepass")
        return random.Random(hashlib.blake2b(read, digest_size=8).digest())
