"""Many replies at once, for benches and probes: left-padded rows that leave the batch as they finish."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from policies.generation.sampling import Sampler
from policies.policy import Generated, SamplingParams

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy

# rows are dropped from the cache in one go once so few of them are still speaking
STILL_SPEAKING = 0.7

Prompts = Sequence[tuple[str, tuple[int, ...]]]


def generate_batch(
    policy: LanguagePolicy, prompts: Prompts, sampling: SamplingParams, batch_tokens: int
) -> list[Generated]:
    """One reply for every (text, ids) of `prompts`, in their order; at most `batch_tokens` in one pass.

    Called by `LanguagePolicy.generate`, which holds its lock.
    """
    sampler = Sampler(sampling, policy.device)
    replies: dict[int, Generated] = {}
    # rows of like length share a pass, so that little of it is padding
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index][1]))
    while order:
        rows = 1
        while rows < len(order):
            longest = len(prompts[order[rows]][1]) + sampling.max_new_tokens
            if (rows + 1) * longest > batch_tokens:
                break
            rows += 1
        chosen, order = order[:rows], order[rows:]
        made = _pass(policy, [prompts[index] for index in chosen], sampling, sampler)
        replies.update(zip(chosen, made, strict=True))
    return [replies[index] for index in range(len(prompts))]


def _pass(
    policy: LanguagePolicy, prompts: Prompts, sampling: SamplingParams, sampler: Sampler
) -> list[Generated]:
    """The replies of one padded batch."""
    import torch

    from policies.generation.prefix_cache import new_cache

    started = time.perf_counter()
    device = policy.device
    lengths = [len(ids) for _, ids in prompts]
    width = max(lengths)
    rooms = [min(sampling.max_new_tokens, policy.context_length - length) for length in lengths]
    pad = min(policy.stop_ids, default=0)
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for _, row in prompts], device=device)
    mask = torch.tensor([[0] * (width - length) + [1] * length for length in lengths], device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = new_cache(policy.model.config)
    completions: list[list[int]] = [[] for _ in prompts]
    reasons = ["length"] * len(prompts)
    first_ms = 0.0
    live = [row for row in range(len(prompts)) if rooms[row] > 0]
    rows = list(range(len(prompts)))  # which reply each row of the tensors belongs to
    if len(live) < len(rows):
        rows, (ids, mask, positions) = live, (tensor[live] for tensor in (ids, mask, positions))
    with torch.inference_mode():
        while live:
            logits = policy.forward(ids, cache, attention_mask=mask, position_ids=positions)
            drawn = sampler.pick(logits)
            first_ms = first_ms or (time.perf_counter() - started) * 1000
            speaking = set(live)
            for row, token in zip(rows, drawn[:, 0].tolist(), strict=True):
                if row not in speaking:
                    continue
                completions[row].append(token)
                if token in policy.stop_ids:
                    reasons[row] = "stop"
                    speaking.discard(row)
                elif len(completions[row]) >= rooms[row]:
                    speaking.discard(row)
            live = [row for row in live if row in speaking]
            ids, positions = drawn, positions[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
            if live and len(live) <= STILL_SPEAKING * len(rows) and drop_rows(cache, rows, live, device):
                kept = [index for index, row in enumerate(rows) if row in speaking]
                ids, positions, mask = ids[kept], positions[kept], mask[kept]
                rows = [rows[index] for index in kept]
    total_ms = (time.perf_counter() - started) * 1000
    return [
        Generated(
            policy.decode(done), text, tuple(row), tuple(done), policy.adapter, reason, first_ms, total_ms, 0
        )
        for (text, row), done, reason in zip(prompts, completions, reasons, strict=True)
    ]


def drop_rows(cache: Any, rows: list[int], live: list[int], device: Any) -> bool:
    """Drop from `cache`, which holds `rows`, those that are not `live`; False where a layer cannot."""
    import torch

    if not all(hasattr(layer, "batch_select_indices") for layer in cache.layers):
        return False
    speaking = set(live)
    cache.batch_select_indices(
        torch.tensor([index for index, row in enumerate(rows) if row in speaking], device=device)
    )
    return True
