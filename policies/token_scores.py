"""How likely a model finds each token of a reply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from policies.rows import LOGIT_BYTES, Tokens, pad_batch


def token_scores(model: Any, rows: Sequence[Tokens], pad_id: int, batch_size: int = 16) -> list[list[float]]:
    """log p of every completion token of each row in nats, given all before it.

    At most `batch_size` rows at a time, and fewer where their logits would take more than LOGIT_BYTES.
    """
    import torch

    scores: list[list[float]] = []
    room = LOGIT_BYTES // (4 * int(model.config.get_text_config().vocab_size))
    for chosen in _batches(rows, batch_size, room):
        batch = pad_batch(chosen, pad_id, model.device)
        inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        with torch.inference_mode():
            logits = model(**inputs, use_cache=False).logits[:, :-1].float()
            said = logits.log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None])[..., 0].tolist()
        for row, line in zip(chosen, said, strict=True):
            first = len(row.prompt_ids) - 1
            scores.append(line[first : first + len(row.completion_ids)])
    return scores


def _batches(rows: Sequence[Tokens], size: int, positions: int) -> Iterator[list[Tokens]]:
    """`rows` in their order, at most `size` at a time and, but for a single one, `positions` when padded."""
    batch: list[Tokens] = []
    longest = 0
    for row in rows:
        length = len(row.prompt_ids) + len(row.completion_ids)
        if batch and (len(batch) == size or (len(batch) + 1) * max(longest, length) > positions):
            yield batch
            batch, longest = [], 0
        batch.append(row)
        longest = max(longest, length)
    if batch:
        yield batch
