"""How many tokens each turn of a conversation adds to a prompt, counted once and remembered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

Messages = Sequence[dict[str, Any]]
Count = Callable[[Messages], int]

# A short exchange in front of what is measured: some templates treat the first turn in a way of its own.
ANCHOR = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
REMEMBERED = 8192


class TurnSizes:
    """Sizes of turns for one policy; `count` gives the tokens of a whole prompt.

    Their sum is the size of a prompt only as far as the chat template writes turns one after the other,
    each by itself. Nearly all do; whoever builds a prompt counts the whole of it once all the same.
    """

    def __init__(self, count: Count) -> None:
        self.count = count
        self._sizes: dict[bytes, int] = {}

    def knows(self, turns: Sequence[Messages]) -> bool:
        """True if `turn` answers for all of `turns` without counting."""
        return all(_key(turn) in self._sizes for turn in turns)

    def turn(self, turn: Messages) -> int:
        """Tokens that `turn` (a user message and all that answers it) adds; at least 1."""
        return self._once(_key(turn), lambda: self.count([*ANCHOR, *turn]) - self.count(ANCHOR))

    def head(self, system: dict[str, Any]) -> int:
        """Tokens of a prompt with the system message alone, tools and generation prompt included."""
        asked = ANCHOR[:1]
        return self._once(_key([system]), lambda: self.count([system, *asked]) - self.turn(asked))

    def _once(self, key: bytes, measure: Callable[[], int]) -> int:
        found = self._sizes.get(key)
        if found is None:
            found = max(measure(), 1)
            while len(self._sizes) >= REMEMBERED:
                del self._sizes[next(iter(self._sizes))]
            self._sizes[key] = found
        return found


def _key(messages: Messages) -> bytes:
    return hashlib.blake2b(json.dumps(messages).encode(), digest_size=16).digest()
