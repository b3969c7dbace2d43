"""KTO: learn from thumbs that have no counterpart (arXiv 2402.01306), through TRL's KTOTrainer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policies.learners.lora import LearningSettings, Progress, TrainResult, fit
from policies.learners.rows import LearnError, Tokens, padding, score

# How far a reply's log-ratio to the base moves before its loss is flat: about 1 / BETA nats. At TRL's 0.1 a
# disliked reply is pushed down until replies come out garbled, or as refusals (docs/lab-notes.md).
BETA = 0.5
FEWEST_FOR_KL = 64
FEWEST_OF_EACH = 8


@dataclass(frozen=True, slots=True)
class Thumb:
    """One judged reply, in tokens."""

    tokens: Tokens
    liked: bool


def weights(liked: int, disliked: int) -> tuple[float, float]:
    """(desirable, undesirable): both sides count the same in total, and their mean over rows is 1.

    The rarer side weighs at most 8 times the other: a single thumb is no ground for more.
    """
    if not liked or not disliked:
        return 1.0, 1.0
    ratio = min(8.0, max(1 / 8, disliked / liked))
    scale = (liked + disliked) / (ratio * liked + disliked)
    return ratio * scale, scale


def loss_type(liked: int, disliked: int) -> str:
    """The loss whose reference point is zero until there is enough to estimate one.

    "kto" takes its reference point from mismatched pairs inside a batch; on few or one-sided rows that
    estimate is noise, and it costs a second pass over every batch.
    """
    enough = liked + disliked >= FEWEST_FOR_KL and min(liked, disliked) >= FEWEST_OF_EACH
    return "kto" if enough else "apo_zero_unpaired"


def train(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Thumb],
    config: LearningSettings,
    out_dir: Path,
    progress: Progress,
    cancel: threading.Event,
    anchors: Sequence[Tokens] = (),
) -> TrainResult:
    """Train a fresh LoRA on `rows` and save it in `out_dir`. `model` comes back without it."""
    from trl import KTOConfig, KTOTrainer

    if config.beta is None:
        config = replace(config, beta=BETA)
    if len(rows) < 2:
        raise LearnError(f"KTO needs at least 2 rated replies, there is {len(rows)}; rate a few more.")
    liked = sum(row.liked for row in rows)
    desirable, undesirable = weights(liked, len(rows) - liked)
    loss = loss_type(liked, len(rows) - liked)
    pad_id = padding(tokenizer)
    ordered = interleaved(rows)
    scores = score(model, [row.tokens for row in ordered], pad_id)
    examples: list[dict[str, Any]] = [
        {
            "prompt_ids": row.tokens.prompt_ids,
            "completion_ids": row.tokens.completion_ids,
            "label": row.liked,
            "ref_logps": reference,
        }
        for row, reference in zip(ordered, scores, strict=True)
    ]
    size = min(config.batch_size, len(examples))
    if loss == "kto":
        # as TRL does it: within a batch, every prompt also meets its neighbour's completion
        for start in range(0, len(examples), size):
            batch = examples[start : start + size]
            shifted = [batch[at - 1]["completion_ids"] for at in range(len(batch))]
            mismatched = [Tokens(e["prompt_ids"], other) for e, other in zip(batch, shifted, strict=True)]
            for example, row, reference in zip(
                batch, mismatched, score(model, mismatched, pad_id), strict=True
            ):
                example |= {"KL_completion_ids": row.completion_ids, "ref_KL_logps": reference}
    return fit(
        KTOTrainer,
        KTOConfig,
        model,
        tokenizer,
        examples,
        config,
        out_dir,
        progress,
        cancel,
        anchors,
        loss_type=loss,
        desirable_weight=desirable,
        undesirable_weight=undesirable,
        train_sampling_strategy="sequential",
    )


def interleaved(rows: Sequence[Thumb]) -> list[Thumb]:
    """The rarer label spread evenly, so that every batch has something to contrast."""
    sides = [[row for row in rows if row.liked], [row for row in rows if not row.liked]]
    placed = [
        ((at + 0.5) / len(side), label, row)
        for label, side in enumerate(sides)
        for at, row in enumerate(side)
    ]
    return [row for _, _, row in sorted(placed, key=lambda entry: entry[:2])]
