"""The policy and the embedder that live in the child of `model_host`, behind the Protocols of their rooms."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent.model_host import HostError, ModelHost, Progress
from memory.errors import AttuneError
from policies.policy import ChatMessage, Generated, SamplingParams, Side, TokenChunk

if TYPE_CHECKING:
    from policies.base_models import BaseSpec


# So many counts are remembered: the same prompt is often counted again (the tools of every turn are).
COUNTS = 64


class RemotePolicy:
    """A LanguagePolicy in the child, behind the Policy protocol."""

    def __init__(
        self, host: ModelHost, spec: BaseSpec, device: str = "auto", progress: Progress | None = None
    ) -> None:
        """Loads at once (progress of 0..1 and the stage); raises the sentence why it cannot."""
        self._host = host
        self._spec = spec
        self._device = device
        self._version: str | None = None
        self._path: str | None = None
        self._served: str | None = None
        self._handle = f"{id(self)}"
        self._context_length = 0
        self._started = 0
        self._loading = threading.Lock()
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._load(progress)

    def _load(self, progress: Progress | None = None) -> None:
        with self._loading:
            started = self._host.ensure()
            if started == self._started:
                return
            self._context_length = self._host.call(
                "load", progress, handle=self._handle, spec=asdict(self._spec), device=self._device
            )
            self._started = started
            if self._version is not None:
                try:
                    self._served = self._host.call(
                        "swap", handle=self._handle, version=self._version, path=self._path
                    )
                except HostError:
                    raise  # the next child is asked for the same
                except AttuneError:
                    # the base is there, and speaks; whoever chose the adapter is told and may choose again
                    self._version = self._path = self._served = None
                    raise

    @property
    def base(self) -> str:
        return self._spec.name

    @property
    def adapter(self) -> str | None:
        return self._version

    @property
    def served_sha256(self) -> str | None:
        """Digest of the adapter file whose values are in the child's model; None for the base."""
        return self._served

    @property
    def context_length(self) -> int:
        return self._context_length

    def count_tokens(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> int:
        asked: dict[str, Any] = {"messages": _plain(messages), "tools": _plain(tools)}
        key = hashlib.blake2b(json.dumps(asked).encode(), digest_size=16).digest()
        found = self._counts.get(key)
        if found is None:
            self._load()
            found = self._counts[key] = int(self._host.call("count", handle=self._handle, **asked))
            if len(self._counts) > COUNTS:
                self._counts.popitem(last=False)
        return found

    def prepare_next(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> None:
        """Have what the next prompt begins with computed in idle time; returns at once.

        `messages` end with a reply. Whatever is asked of the policy next takes precedence.
        """
        if self._host.pid is not None:
            try:
                self._host.send(
                    "prefill", handle=self._handle, messages=_plain(messages), tools=_plain(tools)
                )
            except HostError:
                pass  # the next turn starts the child anew, without this

    def stream(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Iterator[TokenChunk | Generated]:
        self._load()
        for answer in self._host.request(
            "stream",
            cancel or threading.Event(),
            handle=self._handle,
            messages=_plain(messages),
            sampling=asdict(sampling),
            tools=_plain(tools),
        ):
            if "chunk" in answer:
                yield TokenChunk(answer["chunk"])
            elif "value" in answer:
                yield _generated(answer["value"])

    def generate(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[Generated]:
        self._load()
        made = self._host.call(
            "generate",
            handle=self._handle,
            batch=[_plain(messages) for messages in batch],
            sampling=asdict(sampling),
            tools=_plain(tools),
        )
        return [_generated(one) for one in made]

    def mixed(
        self,
        messages: Sequence[ChatMessage],
        sides: Sequence[Side],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> list[Generated]:
        self._load()
        *_, last = self._host.request(
            "mixed",
            cancel or threading.Event(),
            handle=self._handle,
            messages=_plain(messages),
            sides=[asdict(side) for side in sides],
            sampling=asdict(sampling),
            tools=_plain(tools),
        )
        return [_generated(one) for one in last["value"]]

    def best_of(
        self,
        messages: Sequence[ChatMessage],
        n: int,
        reward: str,
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Generated:
        self._load()
        *_, last = self._host.request(
            "best_of",
            cancel or threading.Event(),
            handle=self._handle,
            messages=_plain(messages),
            n=n,
            reward=reward,
            sampling=asdict(sampling),
            tools=_plain(tools),
        )
        return _generated(last["value"])

    def swap(self, version: str | None, path: str | None = None) -> None:
        self._load()
        try:
            served = self._host.call("swap", handle=self._handle, version=version, path=path)
        except AttuneError:
            # What spoke before may have been lost on the way; a new child puts it on again.
            alive = self._host.pid is not None and self._host.starts == self._started
            if alive and self._host.call("adapter", handle=self._handle) is None:
                self._version = self._path = self._served = None
            raise
        self._version, self._path, self._served = version, path, served

    def close(self) -> None:
        """Let go of the model; the child goes on for others."""
        if self._host.pid is not None:
            try:
                self._host.send("release", handle=self._handle)
            except HostError:
                pass  # it ended in between, and took the model with it


class RemoteEmbedder:
    """The embedder in the child, behind the Embedder protocol. Its name and size are known without it."""

    def __init__(self, host: ModelHost, setting: str | None) -> None:
        from memory.index.embedder import load_embedder

        self._host = host
        self._setting = setting
        self._local = load_embedder(setting)
        self.loaded = False

    @property
    def name(self) -> str:
        return self._local.name

    @property
    def dimension(self) -> int:
        return self._local.dimension

    def load(self) -> None:
        self.embed(["ready"])

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        vectors = self._host.call("embed", setting=self._setting, texts=list(texts))
        self.loaded = True
        return [[float(value) for value in vector] for vector in vectors]


def _plain(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(entry) for entry in entries]


def _generated(fields: dict[str, Any]) -> Generated:
    fields["prompt_ids"] = tuple(fields["prompt_ids"])
    fields["completion_ids"] = tuple(fields["completion_ids"])
    return Generated(**fields)
