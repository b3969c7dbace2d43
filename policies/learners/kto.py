"""KTO: learn from thumbs that have no counterpart (arXiv 2402.01306), through TRL's KTOTrainer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policies.errors import LearnError
from policies.learners.checkpointing import most_tokens
from policies.learners.lora import LearningSettings, TrainResult, fit
from policies.learners.packed import log_probabilities
from policies.learners.trl_trainer import Objective, Progress
from policies.rows import Tokens, score

# How far a reply's log-ratio to the base moves before its loss is flat: about 1 / BETA nats. At TRL's 0.1 a
# disliked reply is pushed down until replies come out garbled, or as refusals (docs/lab-notes.md).
BETA = 0.5
FEWEST_FOR_KL = 64
FEWEST_OF_EACH = 8
# What is taught may turn on one token that the base all but rules out (a fourth sentence, a smile at the
# end). To be likelier than the base says is not enough there: it counts from this many nats on.
HEARD = -2.0


@dataclass(frozen=True, slots=True)
class Thumb:
    """One judged reply, in tokens. `weight` in (0, 1] is how much it counts beside others of its side.

    A `taught` one nobody has judged: it is an answer that the policy is to learn to give (`learners/distil`).
    """

    tokens: Tokens
    liked: bool
    weight: float = 1.0
    taught: bool = False


def weights(liked: float, disliked: float) -> tuple[float, float]:
    """(desirable, undesirable): both sides count the same in total, and their mean over rows is 1.

    `liked` and `disliked` are how many there are, or the sums of their weights.

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

    beta = BETA if config.beta is None else config.beta
    if len(rows) < 2:
        raise LearnError(f"KTO needs at least 2 rated replies, there is {len(rows)}; rate a few more.")
    liked = sum(row.liked for row in rows)
    # mismatched pairs of answers in one style say how likely the style has become: no drift to measure from
    taught = any(row.taught for row in rows)
    loss = "apo_zero_unpaired" if taught else loss_type(liked, len(rows) - liked)
    ordered = interleaved(rows)
    sums = [sum(row.weight for row in rows if row.liked is side) for side in (True, False)]
    said, other = [row.tokens for row in ordered], None
    if loss == "kto":
        size = min(config.batch_size, len(ordered))
        other = [row for start in range(0, len(said), size) for row in mismatched(said[start : start + size])]
    return fit(
        KTOTrainer,
        KTOConfig,
        model,
        tokenizer,
        ordered,
        replace(config, beta=beta),
        out_dir,
        progress,
        cancel,
        anchors,
        objective(model, ordered, other, beta, weights(*sums)),
        most_tokens([[row] for row in said], config.batch_size),
        loss_type=loss,
        train_sampling_strategy="sequential",
    )


def mismatched(batch: Sequence[Tokens]) -> list[Tokens]:
    """Every prompt with its neighbour's completion, as TRL pairs them to estimate the reference point."""
    return [Tokens(row.prompt_ids, batch[at - 1].completion_ids) for at, row in enumerate(batch)]


def objective(
    model: Any,
    rows: Sequence[Thumb],
    other: Sequence[Tokens] | None,
    beta: float,
    both_weights: tuple[float, float] = (1.0, 1.0),
) -> Objective:
    """The loss of TRL's KTOTrainer over places in `rows`; `model` is the reference, still without adapter.

    "kto" (equation 7 of arXiv 2402.01306) with the mismatched rows in `other`, "apo_zero_unpaired"
    (arXiv 2408.06266) without: the reference point is zero then. For taught rows the loss is

        softplus(-beta (log p - r)) / 2,    r = sum over tokens max(log p_base, HEARD)

    a logistic one, since that of KTO is flat where an answer is far from likely, with KTO's slope at r.
    """
    import torch
    from torch.nn.functional import softplus

    said = [row.tokens for row in rows]
    taught = torch.tensor([row.taught for row in rows], device=model.device)
    reference = torch.tensor(score(model, said), device=model.device)
    if taught.any():
        reference[taught] = torch.tensor(
            score(model, [row.tokens for row in rows if row.taught], floor=HEARD), device=model.device
        )
    other_reference = None if other is None else torch.tensor(score(model, other), device=model.device)
    signs = torch.tensor([1.0 if row.liked else -1.0 for row in rows], device=model.device)
    desirable, undesirable = both_weights
    by_row = torch.where(signs > 0, desirable, undesirable)
    by_row = by_row * torch.tensor([row.weight for row in rows], device=model.device)

    def loss(policy: Any, places: list[int]) -> tuple[Any, dict[str, float]]:
        point = torch.zeros((), device=model.device)
        if other is not None and other_reference is not None:
            with torch.no_grad():
                now = log_probabilities(policy, [other[at] for at in places])
            point = (now - other_reference[places]).mean().clamp(min=0)
        now = log_probabilities(policy, [said[at] for at in places])
        ratios = now - reference[places]
        sign = signs[places]
        judged = 1 - torch.sigmoid(beta * sign * (ratios - point))
        learned = softplus(-beta * ratios) / 2
        value = (by_row[places] * torch.where(taught[places], learned, judged)).mean()
        return value, _seen(now.detach(), beta * ratios.detach(), sign > 0, point)

    return loss


def _seen(now: Any, rewards: Any, liked: Any, point: Any) -> dict[str, float]:
    """What TRL logs of a batch, under its names."""
    found = {"kl": float(point)}
    for name, which in (("chosen", liked), ("rejected", ~liked)):
        if which.any():
            found[f"rewards/{name}"] = float(rewards[which].mean())
            found[f"logps/{name}"] = float(now[which].mean())
    if {"rewards/chosen", "rewards/rejected"} <= set(found):
        found["rewards/margins"] = found["rewards/chosen"] - found["rewards/rejected"]
    return found


def interleaved(rows: Sequence[Thumb]) -> list[Thumb]:
    """The rarer label spread evenly, so that every batch has something to contrast."""
    sides = [[row for row in rows if row.liked], [row for row in rows if not row.liked]]
    placed = [
        ((at + 0.5) / len(side), label, row)
        for label, side in enumerate(sides)
        for at, row in enumerate(side)
    ]
    return [row for _, _, row in sorted(placed, key=lambda entry: entry[:2])]
