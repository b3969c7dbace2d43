"""How likely a model finds each word of a reply, for the gate's look at planted phrases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from policies.gate.stats import Spoken
from policies.learners.rows import LOGIT_BYTES, Tokens, pad_batch

WORD = re.compile(r"\S+")


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


def spoken(
    decode: Callable[[Sequence[int]], str],
    ids: Sequence[int],
    base: Sequence[float],
    candidate: Sequence[float],
) -> tuple[Spoken, ...]:
    """The words of a reply (what stands between spaces), each with the sums over its tokens.

    `decode` gives the text of ids without control tokens, which belong to no word. A token that ends
    one word and begins the next counts for the one that it ends.
    """
    text, ends = "", []
    for count in range(1, len(ids) + 1):
        longer = decode(ids[:count])
        # half a character reads as a replacement sign until its last byte has come
        ends.append(len(longer.rstrip("\ufffd")))
        text = longer
    places = [(found.end(), found.group()) for found in WORD.finditer(text)]
    sums = [[0.0, 0.0] for _ in places]
    word, before = 0, 0
    for at, end in enumerate(ends):
        if end > before and places:
            while word < len(places) - 1 and places[word][0] <= before:
                word += 1
            sums[word][0] += base[at]
            sums[word][1] += candidate[at]
        before = max(before, end)
    return tuple(Spoken(said, *sums[at]) for at, (_, said) in enumerate(places))
