"""`attune bench facts`: long conversations through the agent's own loop, a home for each speaker."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.config import defaults
from agent.runtime import Runtime
from memory.records import Memory
from policies.policy import ChatMessage, Generated, SamplingParams, TokenChunk

Progress = Callable[[float, str], None]
TOKENS = 64


class Listener:
    """A policy that says one word and calls no tool: what is kept then are explicit statements alone."""

    base, adapter, context_length = "listener", None, 2_048

    def count_tokens(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> int:
        return sum(len(str(message["content"]).split()) for message in messages)

    def stream(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Iterator[TokenChunk | Generated]:
        yield TokenChunk("Yes.")
        yield Generated("Yes.", "", (), (), None, "stop", 0.0, 0.0, 0)

    def generate(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[Generated]:
        return [Generated("Yes.", "", (), (), None, "stop", 0.0, 0.0, 0) for _ in batch]

    def swap(self, version: str | None, path: str | None = None) -> None:
        """There is nothing to swap."""

    def close(self) -> None:
        """There is nothing to close."""


def run(
    folder: Path,
    model: str | None = None,
    speaking: bool = False,
    sample: int = 0,
    seed: int = 0,
    most: int | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The report of `env.bench.facts`. `speaking`: the base answers every turn and may call `remember`."""
    from env.bench import facts as bench
    from memory.index.embedder import load_embedder
    from policies.base_models import resolve
    from policies.language_policy import LanguagePolicy

    spec = resolve(model) if speaking else None
    policy: Any = LanguagePolicy(spec) if spec is not None else Listener()
    embedder = load_embedder()
    settings = defaults(updates=False, explore=False, blind="off", max_new_tokens=TOKENS)

    def keep(turns: Sequence[str], step: Callable[[], None]) -> list[Memory]:
        with tempfile.TemporaryDirectory(prefix="attune-facts-", ignore_cleanup_errors=True) as home:
            runtime = Runtime(Path(home), settings, policy=policy, embedder=embedder, spec=spec)
            try:
                for turn in turns:
                    step()
                    if turn.strip():
                        for _ in runtime.loop.turn(turn, use_memory=True):
                            pass
                return runtime.facts.all(include_past=True)
            finally:
                runtime.release_policy()
                runtime.close()

    try:
        return bench.run(folder, keep, sample, seed, most, progress, cancelled) | {
            "base": policy.base, "speaking": speaking, "seed": seed,
        }  # fmt: skip
    finally:
        policy.close()
