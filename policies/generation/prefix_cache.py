"""The key-value cache of the last request, kept so that the next one starts where they differ.

Keys and values of a token depend only on the tokens before it, so the longest common prefix of two
requests can be reused as it is (RadixAttention, Zheng et al. 2023, arXiv 2312.07104, for one request).
Plain attention layers can be cut at any token. Sliding-window and recurrent layers have thrown the
past away and cannot be cut: there the cache is reused only if the new request goes on exactly where
the old one ended, and dropped otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

GROWTH = 256


@lru_cache(maxsize=1)
def _growing_layer() -> type:
    """A DynamicLayer over a buffer with room to grow (the class is made here: transformers imports late)."""
    import torch
    from transformers.cache_utils import DynamicLayer

    class GrowingLayer(DynamicLayer):
        """Same contents as its parent, without copying the whole past for every new token."""

        keys: Any
        values: Any

        def __init__(self) -> None:
            super().__init__()
            self._key_room: Any = None
            self._value_room: Any = None

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            old = self.get_seq_length()
            new = old + key_states.shape[-2]
            if self._key_room is None or new > self._key_room.shape[-2]:
                size = new + max(GROWTH, new // 2)
                self._key_room = self._grown(self.keys, key_states, old, size)
                self._value_room = self._grown(self.values, value_states, old, size)
            self._key_room[:, :, old:new] = key_states
            self._value_room[:, :, old:new] = value_states
            self.keys = self._key_room[:, :, :new]
            self.values = self._value_room[:, :, :new]
            return self.keys, self.values

        def batch_select_indices(self, indices: torch.Tensor) -> None:
            super().batch_select_indices(indices)
            self._key_room = self._value_room = None

        def cut(self, length: int) -> None:
            if self.get_seq_length() > length:
                self.keys = self.keys[:, :, :length]
                self.values = self.values[:, :, :length]

        @staticmethod
        def _grown(past: Any, states: torch.Tensor, old: int, size: int) -> torch.Tensor:
            rows, heads, _, width = states.shape
            room = torch.empty((rows, heads, size, width), dtype=states.dtype, device=states.device)
            if old:
                room[:, :, :old] = past
            return room

    return GrowingLayer


def new_cache(config: Any) -> Any:
    """An empty cache for one request of a model with `config`; plain layers grow without copying."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    cache = DynamicCache(config=config)
    growing = _growing_layer()
    cache.layers = [growing() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def can_cut(cache: Any) -> bool:
    """True if every layer that holds state is plain attention."""
    from transformers import cache_utils

    # layers that hold no state at all have a class of their own in later releases of transformers 5
    stateless = getattr(cache_utils, "DummyLayer", ())
    return bool(cache.layers) and all(
        isinstance(layer, _growing_layer()) or (stateless and isinstance(layer, stateless))
        for layer in cache.layers
    )


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix, by bisection over slices (compared in C)."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class PrefixCache:
    """Holds one cache and the ids that it was filled with."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self._ids: list[int] = []
        self._cache: Any = None

    def take(self, ids: list[int]) -> tuple[Any, int]:
        """(cache, how many leading tokens of `ids` it already holds); the last token is never among them.

        The caller owns the cache until it hands it back with `keep`; if it fails in between, the
        half-filled cache is simply gone.
        """
        cache, old = self._cache, self._ids
        self.clear()
        if cache is not None:
            shared = common_prefix(old, ids[:-1])
            if shared == len(old):
                return cache, shared
            if shared and can_cut(cache):
                for layer in cache.layers:
                    if hasattr(layer, "cut"):
                        layer.cut(shared)
                return cache, shared
        return new_cache(self._config), 0

    def keep(self, ids: list[int], cache: Any) -> None:
        """Remember `cache`, filled with exactly `ids`."""
        self._ids, self._cache = ids, cache

    def clear(self) -> None:
        """Forget it: the weights changed, or the request failed."""
        self._ids, self._cache = [], None
