"""A policy that remembers what its base said: a bench asks the same of it for every person and arm.

Under the base, equal messages, sampling and seed give an equal reply. The arms of an experiment ask the
same prompts with the same seeds until they have learned something, the base arm for ever, and every update
examines the base anew; so most replies of a bench were given before.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.language_policy import LanguagePolicy
from policies.policy import ChatMessage, Generated, SamplingParams, TokenChunk


class RememberingPolicy(LanguagePolicy):
    """A LanguagePolicy. Times are those of the first time that something was said."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._said: dict[bytes, Any] = {}

    def stream(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Iterator[TokenChunk | Generated]:
        key = self._key("stream", messages, sampling, tools)
        if key is None:
            yield from super().stream(messages, sampling, tools, cancel)
            return
        if key not in self._said:
            said = list(super().stream(messages, sampling, tools, cancel))
            if cancel is not None and cancel.is_set():
                yield from said
                return
            self._said[key] = said
        yield from self._said[key]

    def generate(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[Generated]:
        key = self._key("generate", batch, sampling, tools)
        if key is None:
            return super().generate(batch, sampling, tools)
        if key not in self._said:
            self._said[key] = super().generate(batch, sampling, tools)
        return list(self._said[key])

    def _key(self, kind: str, asked: Any, sampling: SamplingParams, tools: Any) -> bytes | None:
        """None where the reply is not the base's, or another one every time."""
        if self.adapter is not None or (sampling.seed is None and sampling.temperature > 0):
            return None
        written = json.dumps([kind, asked, repr(sampling), tools], default=list, sort_keys=True)
        return hashlib.blake2b(written.encode("utf-8", "surrogatepass"), digest_size=16).digest()
