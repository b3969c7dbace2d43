"""A causal language model that speaks: streaming, cancellable, with adapters swapped between replies.

The decode loop is our own (`decoding`). It asks for the last logits only, keeps the key-value cache for
the next request (`prefix_cache`), draws with `sampling`, and turns ids into text with `detokenizer`. One
reply at a time: a second request, and `swap`, wait until the reply in flight is finished or closed.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.base_models import BaseSpec, load
from policies.chat_format import ChatFormat
from policies.generation.decoding import PolicyError, fill, since, speak
from policies.policy import ChatMessage, Generated, SamplingParams, Side, TokenChunk

if TYPE_CHECKING:
    import torch

    from policies.generation.prefix_cache import PrefixCache

__all__ = ["LanguagePolicy", "PolicyError"]

DEFAULT_CONTEXT = 2048
BATCH_TOKENS = 65_536
WAIT_SECONDS = 0.05


class LanguagePolicy:
    """Policy (see `policies.policy`) over the model of `spec`. Loading happens here: seconds to minutes.

    `completion_ids` of its replies include the token that ended them. `model` and `tokenizer` are the
    live ones. Raises ModelError.
    """

    def __init__(self, spec: BaseSpec, device: str = "auto", dtype: str = "auto") -> None:
        from policies.adapters.swap import AdapterSlot
        from policies.generation.prefix_cache import PrefixCache

        self.spec = spec
        self.model, self.tokenizer = load(spec, device, dtype)
        self._format = ChatFormat(self.tokenizer)
        self._slot = AdapterSlot(self.model, spec.sha256)
        self.prefix: PrefixCache = PrefixCache(self.model.config)
        self._adapter: str | None = None
        self._lock = threading.Lock()
        self._speaker: int | None = None
        self._context = _context_length(self.model.config, self.tokenizer)
        stops = self.model.generation_config.eos_token_id
        extra = stops if isinstance(stops, list) else [] if stops is None else [stops]
        self.stop_ids = self._format.stop_ids | set(extra)
        self.hidden_ids = self._format.hidden_ids | self.stop_ids
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        # the backend's own decode, past a layer of Python that costs as much as a small model's forward pass
        self._raw_decode = self.tokenizer.decode if backend is None else backend.decode
        self._last_only = "logits_to_keep" in inspect.signature(self.model.forward).parameters

    @property
    def base(self) -> str:
        return self.spec.name

    @property
    def adapter(self) -> str | None:
        return self._adapter

    @property
    def served_sha256(self) -> str | None:
        """Digest of the adapter file whose values are in the model now; None for the base."""
        return self._slot.sha256

    @property
    def context_length(self) -> int:
        return self._context

    @property
    def device(self) -> torch.device:
        return self.model.device

    def prompt_text(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """The rendered prompt, generation prompt included."""
        return self._format.render(messages, tools)

    def prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[str, tuple[int, ...]]:
        """The rendered prompt with its ids; needs no lock and no forward pass."""
        text = self._format.render(messages, tools)
        return text, self._format.encode(text)

    def count_tokens(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> int:
        """Tokens of the rendered prompt, generation prompt included."""
        return len(self._format.encode(self._format.render(messages, tools)))

    def stream(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Iterator[TokenChunk | Generated]:
        """Yield text as it is ready, and one `Generated` as the last item.

        Raises PolicyError if the prompt leaves no room in the context. The reply in flight ends when
        this iterator is exhausted or closed. `cancel` is looked at between tokens and prefill chunks.
        """
        started = time.perf_counter()
        prompt, ids = self._prompt(messages, tools)
        if not self._wait(cancel):
            yield Generated("", prompt, ids, (), self._adapter, "cancelled", 0.0, since(started), 0)
            return
        try:
            yield from speak(self, prompt, ids, sampling, cancel, started)
        finally:
            self._speaker = None
            self._lock.release()

    def prefill(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[Mapping[str, Any]],
        cancel: threading.Event,
    ) -> None:
        """Compute now what every prompt that goes on from `messages` begins with, until `cancel` is set.

        For the idle time behind a reply: the next request then finds that part in the cache.
        """
        ids = self._format.opening(messages, tools)
        if len(ids) < self._context and self._wait(cancel):
            try:
                fill(self, ids, cancel)
            finally:
                self._speaker = None
                self._lock.release()

    def generate(
        self,
        batch: Sequence[Sequence[ChatMessage]],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[Generated]:
        """Many replies, left-padded together, in the order of `batch`.

        Times are those of the padded batch that a reply was in. With a seed the same `batch` gives the
        same replies. Raises PolicyError.
        """
        from policies.generation.batch import generate_batch

        prompts = [self._prompt(messages, tools) for messages in batch]
        self._wait(None)
        try:
            return generate_batch(self, prompts, sampling, BATCH_TOKENS)
        finally:
            self._speaker = None
            self._lock.release()

    def mixed(
        self,
        messages: Sequence[ChatMessage],
        sides: Sequence[Side],
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> list[Generated]:
        """A reply of each of `sides` to the same prompt in one batch; the adapter in use stays in use.

        `cancel` is looked at between tokens and prefill chunks and stops all of them. Raises PolicyError,
        and AdapterError where an adapter is unsound or cannot stand beside another.
        """
        from policies.generation.mixed import speak_mixed

        started = time.perf_counter()
        prompt = self._prompt(messages, tools)
        if not self._wait(cancel):
            gone = since(started)
            return [Generated("", *prompt, (), side.version, "cancelled", 0.0, gone, 0) for side in sides]
        try:
            return speak_mixed(self, self._slot, prompt, sides, sampling, cancel, started)
        finally:
            self._speaker = None
            self._lock.release()

    def best_of(
        self,
        messages: Sequence[ChatMessage],
        n: int,
        reward: str,
        sampling: SamplingParams,
        tools: Sequence[Mapping[str, Any]] = (),
        cancel: threading.Event | None = None,
    ) -> Generated:
        """The best of `n` replies by the reward model in the folder `reward`, all drawn in one batch.

        Raises PolicyError where there is no reward model for this base, LearnError where it is damaged.
        """
        from policies.generation.best_of import best_of
        from policies.reward_model import RewardModel

        found = RewardModel.load(Path(reward), self.model, self.tokenizer)
        if found is None:
            raise PolicyError(f"There is no reward model for {self.base} in {reward}: train again.")
        return best_of(self, messages, n, found, sampling, tools, cancel)

    @contextmanager
    def as_base(self) -> Iterator[None]:
        """`model` is the base inside, whatever speaks: for heads that were fitted to it. No reply can be in
        flight meanwhile, and the prefix cache stays as it is."""
        self._wait(None)
        try:
            with self._slot.without():
                yield
        finally:
            self._speaker = None
            self._lock.release()

    def swap(self, version: str | None, path: str | None = None) -> None:
        """Speak under adapter `version` (its folder at `path`) from the next reply on; None is the base.

        Waits for the reply in flight. Raises AdapterError if the adapter is unsound, belongs to another base,
        or did not load exactly as it is in its file; what speaks then is told in `adapters.swap`.
        """
        if version is not None and path is None:
            raise PolicyError(
                f"The folder of adapter {version} is not known: `attune policy list` shows those."
            )
        self._wait(None)
        try:
            if version is None:
                self._slot.take_out()
            else:
                assert path is not None
                self._slot.put(Path(path))
            self._adapter = version
        finally:
            if self._slot.sha256 is None:
                self._adapter = None
            self.prefix.clear()
            self._speaker = None
            self._lock.release()

    def close(self) -> None:
        """Let go of the cache and the model; the policy cannot speak afterwards."""
        self._wait(None)
        try:
            self.prefix.clear()
            self._slot.take_out()
            self.model = None
        finally:
            self._speaker = None
            self._lock.release()

    def _prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]]
    ) -> tuple[str, tuple[int, ...]]:
        prompt, ids = self.prompt(messages, tools)
        if not ids:
            raise PolicyError("There is nothing to answer: write a message first.")
        if len(ids) >= self._context:
            raise PolicyError(
                f"The prompt has {len(ids)} tokens and {self.base} reads {self._context}: "
                "shorten the message, or choose a model with a longer context."
            )
        return prompt, ids

    def _wait(self, cancel: threading.Event | None) -> bool:
        """Take the lock; False if `cancel` came first."""
        if self._lock.locked() and self._speaker == threading.get_ident():
            raise PolicyError("A reply is still being read here: finish it or close it first.")
        while not self._lock.acquire(timeout=WAIT_SECONDS if cancel is not None else -1):
            if cancel is not None and cancel.is_set():
                return False
        self._speaker = threading.get_ident()
        if self.model is None:
            self._lock.release()
            raise PolicyError("This policy was closed: open it again to speak.")
        return True

    def decode(self, completion: Sequence[int]) -> str:
        """What the person reads of `completion` ids: no turn ends and other control tokens."""
        return self.decode_visible([token for token in completion if token not in self.hidden_ids])

    def forward(self, ids: torch.Tensor, cache: Any, **more: Any) -> torch.Tensor:
        """Logits (rows, vocabulary) after the last of `ids` (rows, length); `cache` grows by `length`."""
        if self._last_only:
            more["logits_to_keep"] = 1
        return self._slot.served(input_ids=ids, past_key_values=cache, use_cache=True, **more).logits[:, -1]

    def decode_visible(self, ids: Sequence[int]) -> str:
        """Text of `ids`, which hold no hidden token (see ChatFormat.hidden_ids)."""
        return self._raw_decode(ids, skip_special_tokens=False)


def _context_length(config: Any, tokenizer: Any) -> int:
    text = config.get_text_config(decoder=True)
    own = getattr(text, "max_position_embeddings", None) or DEFAULT_CONTEXT
    told = getattr(tokenizer, "model_max_length", None)
    return int(min(own, told)) if told and told < 10**9 else int(own)
