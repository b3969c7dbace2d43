"""The decode loop for one reply: prefill what the cache lacks, draw, turn ids into text, until it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memory.errors import AttuneError
from policies.generation.detokenizer import Detokenizer
from policies.policy import Generated, SamplingParams, TokenChunk

if TYPE_CHECKING:
    import torch

    from policies.language_policy import LanguagePolicy

PREFILL_CHUNK = 1024
# Ahead of a request that may come at any moment the steps are short: it waits for the one under way.
AHEAD_CHUNK = 64


class PolicyError(AttuneError):
    """A request that cannot be answered; the sentence says what to do."""


def speak(
    policy: LanguagePolicy,
    prompt: str,
    ids: tuple[int, ...],
    sampling: SamplingParams,
    cancel: threading.Event | None,
    started: float,
) -> Iterator[TokenChunk | Generated]:
    """The chunks and the `Generated` of `LanguagePolicy.stream`, which holds the policy's lock."""
    import torch

    from policies.generation.sampling import Sampler

    adapter, device = policy.adapter, policy.device
    sampler = Sampler(sampling, device)
    room = min(sampling.max_new_tokens, policy.context_length - len(ids))
    known = list(ids)
    cache, reused = policy.prefix.take(known)
    held = reused  # how many of `known` the cache holds
    text = Detokenizer(policy.decode_visible)
    completion: list[int] = []
    pieces: list[str] = []
    reason, first_ms = "length", 0.0
    stops, hidden = policy.stop_ids, policy.hidden_ids
    done = False
    try:
        while len(completion) < room:
            if cancel is not None and cancel.is_set():
                reason = "cancelled"
                break
            # grad mode belongs to the thread: it must not leak to whoever consumes the chunks
            with torch.inference_mode():
                end = min(len(known), held + PREFILL_CHUNK)
                logits = policy.forward(torch.tensor([known[held:end]], device=device), cache)
                held = end
                if held < len(known):
                    continue
                if not completion:
                    _check_logits(logits, adapter)
                token = int(sampler.pick(logits))
            if not completion:
                first_ms = since(started)
            known.append(token)
            completion.append(token)
            if token in stops:
                reason = "stop"
                break
            if token not in hidden and (piece := text.feed(token)):
                pieces.append(piece)
                yield TokenChunk(piece)
        done = True
    finally:
        # a forward pass that failed or an iterator closed half way: the cache holds `held` tokens
        # unless the pass itself broke, and then its contents are unknown
        if done or _filled(cache, held):
            policy.prefix.keep(known[:held], cache)
    if piece := text.finish():
        pieces.append(piece)
        yield TokenChunk(piece)
    yield Generated(
        "".join(pieces),
        prompt,
        ids,
        tuple(completion),
        adapter,
        reason,
        first_ms,
        since(started),
        reused,
    )


def fill(policy: LanguagePolicy, ids: tuple[int, ...], cancel: threading.Event) -> None:
    """Bring the cache to where it holds all of `ids`; `cancel` leaves it with those it has by then."""
    import torch

    if cancel.is_set():
        return  # and what the cache holds stays whole
    known = list(ids)
    # one more, since `take` always leaves the last token of a prompt to be computed
    cache, held = policy.prefix.take([*known, -1])
    try:
        while held < len(known) and not cancel.is_set():
            end = min(len(known), held + AHEAD_CHUNK)
            with torch.inference_mode():
                policy.forward(torch.tensor([known[held:end]], device=policy.device), cache)
            held = end
    finally:
        if _filled(cache, held):
            policy.prefix.keep(known[:held], cache)


def since(started: float) -> float:
    """Milliseconds since `started`, a time.perf_counter()."""
    return (time.perf_counter() - started) * 1000


def _filled(cache: Any, held: int) -> bool:
    return all(layer.get_seq_length() == held for layer in cache.layers if hasattr(layer, "get_seq_length"))


def _check_logits(logits: torch.Tensor, adapter: str | None) -> None:
    if bool(logits.isnan().any()):
        raise PolicyError(
            "The model computed values that are not numbers: "
            + ("roll back the adapter." if adapter else "choose another model.")
        )
