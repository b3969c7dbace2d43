"""A gymnasium space of texts in any script.

gymnasium's Text must list its characters; Unicode has a million, and people and models use them.
Flattened, a text is its code points, filled up with FILLER; so it also goes through shared memory
between the processes of an AsyncVectorEnv.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces.utils import flatten, flatten_space, unflatten
from gymnasium.vector.utils.shared_memory import read_from_shared_memory

FILLER = sys.maxunicode + 1


class AnyText(gymnasium.spaces.Text):
    """Every string of at most `max_length` characters. Samples are printable ASCII."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=frozenset(string.printable))

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText) and other.max_length == self.max_length


@flatten_space.register(AnyText)
def _flatten_space(space: AnyText) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(0, FILLER, (space.max_length,), np.int32)


@flatten.register(AnyText)
def _flatten(space: AnyText, x: str) -> np.ndarray:  # type: ignore[misc]
    points = np.full(space.max_length, FILLER, np.int32)
    points[: len(x)] = [ord(character) for character in x]
    return points


@unflatten.register(AnyText)
def _unflatten(space: AnyText, x: np.ndarray) -> str:  # type: ignore[misc]
    return "".join(chr(point) for point in x if point < FILLER)


class _Window(Sequence[str]):
    """The texts that lie in shared memory at this moment. A copy of it is a tuple, and stays as it is.

    gymnasium reads the memory once and takes what it got for a view of it; a tuple would never change.
    """

    def __init__(self, space: AnyText, rows: np.ndarray) -> None:
        self._space, self._rows = space, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return tuple(self)[at]
        return _unflatten(self._space, self._rows[at])

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)


@read_from_shared_memory.register(AnyText)
def _read(space: AnyText, shared_memory: Any, n: int = 1) -> _Window:
    rows = np.frombuffer(shared_memory.get_obj(), np.int32).reshape(n, space.max_length)
    return _Window(space, rows)
