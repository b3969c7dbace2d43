"""The seam between whoever speaks and whoever listens: a Policy turns a chat list into tokens.

The loop, the benches and the tests know only this Protocol. `messages` is a list of mappings with
"role" (system, user, assistant, tool) and "content"; assistant entries may carry "tool_calls", a
list of {"name", "arguments"}; tool entries carry "name".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

ChatMessage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How a reply is drawn. `temperature` 0 is greedy; `seed` None draws fresh randomness."""

    temperature: float = 0.7
    top_p: float = 0.95
    max_new_tokens: int = 512
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class TokenChunk:
    """A piece of text that is ready to show (whole UTF-8 characters)."""

    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """A finished reply. `finish_reason` is "stop", "length" or "cancelled"; times in milliseconds."""

    text: str
    prompt_text: str
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    adapter: str | None
    finish_reason: str
    first_token_ms: float
    total_ms: float
    reused_tokens: int


@dataclass(frozen=True, slots=True)
class Side:
    """One row of a mixed batch: an adapter by its version and folder. None is the base."""

    version: str | None
    path: str | None = None


@runtime_checkable
class Policy(Protocol):
    """Anything that speaks. One reply at a time per policy; `swap` waits for the reply in flight."""

    @property
    def base(self) -> str: ...

    @property
    def adapter(self) -> str | None: ...

    @property
    def context_length(self) -> int: ...

    def count_tokens(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> int:
        """Tokens of the rendered prompt, generation prompt included."""
        ...

    def stream(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Iterator[TokenChunk | Generated]:
        """Yield chunks, and one `Generated` as the last item."""
        ...

    def generate(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[Generated]:
        """Many replies in one padded batch, for benches and probes."""
        ...

    def swap(self, version: str | None, path: str | None = None) -> None:
        """Speak under adapter `version` (its folder at `path`) from the next reply on; None is the base."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Renders(Protocol):
    """A policy that can show the prompt of a request without answering it."""

    def prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[str, tuple[int, ...]]:
        """The rendered prompt, generation prompt included, and its token ids."""
        ...


@runtime_checkable
class Chooses(Protocol):
    """A policy that can draw several replies and answer with the best of them."""

    def best_of(
        self,
        messages: Sequence[ChatMessage],
        n: int,
        reward: str,
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Generated:
        """The best of `n` replies by the reward model in the folder `reward`. Raises AttuneError."""
        ...


@runtime_checkable
class Mixes(Protocol):
    """A policy that can answer one prompt under several adapters in one batch."""

    def mixed(
        self,
        messages: Sequence[ChatMessage],
        sides: Sequence[Side],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> list[Generated]:
        """A reply of each of `sides`, in their order; what speaks afterwards is what spoke before.

        Raises AttuneError where the adapters cannot share a batch. `cancel` stops all of them.
        """
        ...
