"""A policy that says what it is told to, and an embedder of hashed words, for where no model is tested."""

from __future__ import annotations

import math
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.config import Settings
from agent.runtime import Runtime
from policies.policy import ChatMessage, Generated, SamplingParams, Side, TokenChunk

Line = str | Exception | Callable[[list[dict[str, Any]]], str]


class Broken:
    """A line that breaks off with `error` after `said`."""

    def __init__(self, said: str, error: BaseException) -> None:
        self.said = said
        self.error = error


class ScriptedPolicy:
    """Says `lines` in turn (the last one for ever). A token is a word; `seen` keeps every prompt.

    `swap` raises what stands in `swap_errors`, one a call.
    """

    def __init__(self, *lines: Any, context_length: int = 1000) -> None:
        self.lines = list(lines) or ["Hello."]
        self.seen: list[list[dict[str, Any]]] = []
        self.tools: list[Sequence[Mapping[str, Any]]] = []
        self.sampling: list[SamplingParams] = []
        self.swaps: list[str | None] = []
        self.mixes: list[tuple[str | None, ...]] = []
        self.swap_errors: list[Exception] = []
        self.closed = False
        self._adapter: str | None = None
        self._context = context_length

    @property
    def base(self) -> str:
        return "scripted"

    @property
    def adapter(self) -> str | None:
        return self._adapter

    @property
    def context_length(self) -> int:
        return self._context

    def count_tokens(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> int:
        return sum(len(str(message["content"]).split()) + 1 for message in messages)

    def prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[str, tuple[int, ...]]:
        text = "\n".join(str(message["content"]) for message in messages)
        return text, tuple(range(self.count_tokens(messages)))

    def stream(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Iterator[TokenChunk | Generated]:
        self.seen.append([dict(message) for message in messages])
        self.tools.append(tools)
        self.sampling.append(sampling)
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        error: BaseException | None = None
        if isinstance(line, Broken):
            line, error = line.said, line.error
        elif callable(line):
            line = line(self.seen[-1])
        said, reason = "", "stop"
        for piece in re.findall(r"\S+\s*|\s+", line):
            if cancel is not None and cancel.is_set():
                reason = "cancelled"
                break
            said += piece
            yield TokenChunk(piece)
        if error is not None:
            raise error
        yield Generated(
            text=said,
            prompt_text=self.prompt(messages)[0],
            prompt_ids=self.prompt(messages)[1],
            completion_ids=tuple(range(len(said.split()))),
            adapter=self._adapter,
            finish_reason=reason,
            first_token_ms=1.0,
            total_ms=2.0,
            reused_tokens=0,
        )

    def generate(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[Generated]:
        return [
            [item for item in self.stream(messages, sampling, tools) if isinstance(item, Generated)][-1]
            for messages in batch
        ]

    def mixed(
        self,
        messages: Sequence[ChatMessage],
        sides: Sequence[Side],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> list[Generated]:
        """A line for each side; `mixes` keeps which sides were asked for."""
        self.mixes.append(tuple(side.version for side in sides))
        return [
            replace(item, adapter=side.version)
            for side in sides
            for item in self.stream(messages, sampling, tools, cancel)
            if isinstance(item, Generated)
        ]

    def swap(self, version: str | None, path: str | None = None) -> None:
        self.swaps.append(version)
        if self.swap_errors:
            raise self.swap_errors.pop(0)
        self._adapter = version

    def close(self) -> None:
        self.closed = True


class HashEmbedder:
    """Bags of words, hashed into 64 numbers: alike when they share words."""

    dimension = 64
    name = "hashed-words"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> list[float]:
        vector = [0.0] * self.dimension
        for word in re.findall(r"\w+", text.casefold()):
            vector[zlib.crc32(word.encode()) % self.dimension] += 1.0
        length = math.sqrt(sum(value * value for value in vector)) or 1.0
        return [value / length for value in vector]


def scripted_runtime(home: Path, policy: ScriptedPolicy, **settings: Any) -> Runtime:
    return Runtime(home, Settings(**settings), policy=policy, embedder=HashEmbedder())


def call(name: str, **arguments: Any) -> str:
    """What a model writes to use a tool."""
    import json

    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"
