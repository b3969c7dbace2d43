"""DPO: learn from pairs (arXiv 2305.18290), through TRL's DPOTrainer.

A tenth of plain likelihood of the chosen reply is mixed in (RPO, arXiv 2404.19733): alone, DPO can
satisfy a handful of pairs by making both replies unlikely.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policies.errors import LearnError
from policies.learners.checkpointing import most_tokens
from policies.learners.kto import HEARD
from policies.learners.lora import LearningSettings, TrainResult, fit
from policies.learners.packed import log_probabilities
from policies.learners.trl_trainer import Objective, Progress
from policies.rows import Tokens, score

LOSSES, LOSS_WEIGHTS = ["sigmoid", "sft"], [1.0, 0.1]
# At TRL's 0.1 the answers in the owner's taste (learners/distil) push so far that skills are lost
# (docs/lab-notes.md).
BETA = 0.5


@dataclass(frozen=True, slots=True)
class Preference:
    """Two replies to one prompt, in tokens.

    Of a `taught` one the better reply nobody has judged: the policy is to learn to give it (`kto.Thumb`).
    """

    chosen: Tokens
    rejected: Tokens
    taught: bool = False


def train(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Preference],
    config: LearningSettings,
    out_dir: Path,
    progress: Progress,
    cancel: threading.Event,
    anchors: Sequence[Tokens] = (),
) -> TrainResult:
    """Train a fresh LoRA on `rows` and save it in `out_dir`. `model` comes back without it."""
    from trl import DPOConfig, DPOTrainer

    beta = BETA if config.beta is None else config.beta
    if not rows:
        raise LearnError("DPO needs pairs, and there are none: edit a reply, or regenerate one and pick.")
    return fit(
        DPOTrainer,
        DPOConfig,
        model,
        tokenizer,
        rows,
        replace(config, beta=beta),
        out_dir,
        progress,
        cancel,
        anchors,
        objective(model, rows, beta),
        most_tokens([[row.chosen, row.rejected] for row in rows], config.batch_size),
        loss_type=LOSSES,
        loss_weights=LOSS_WEIGHTS,
    )


def objective(model: Any, rows: Sequence[Preference], beta: float) -> Objective:
    """The loss of TRL's DPOTrainer over places in `rows`; `model` is the reference, still without adapter.

    Equation 7 of arXiv 2305.18290, and the mean cross-entropy of the batch's chosen tokens.
    """
    import torch
    from torch.nn.functional import logsigmoid, softplus

    both = [reply for row in rows for reply in (row.chosen, row.rejected)]
    reference = torch.tensor(score(model, both), device=model.device)
    taught = torch.tensor([row.taught for row in rows], device=model.device)
    heard = torch.zeros(len(rows), device=model.device)
    if taught.any():
        told = [row.chosen for row in rows if row.taught]
        heard[taught] = torch.tensor(score(model, told, floor=HEARD), device=model.device)

    def loss(policy: Any, places: list[int]) -> tuple[Any, dict[str, float]]:
        # the two replies of a pair stand together, since they share their prompt
        replies = [reply for at in places for reply in both[2 * at : 2 * at + 2]]
        now = log_probabilities(policy, replies)
        ratios = now - reference.view(-1, 2)[places].flatten()
        margins = ratios[::2] - ratios[1::2]
        tokens = sum(len(reply.completion_ids) for reply in replies[::2])
        learned = softplus(-beta * (now[::2] - heard[places])) / 2
        told_apart = torch.where(taught[places], learned, -logsigmoid(beta * margins))
        terms = told_apart.mean(), -now[::2].sum() / tokens
        value = sum(weight * term for weight, term in zip(LOSS_WEIGHTS, terms, strict=True))
        return value, _seen(now.detach(), beta * ratios.detach())

    return loss


def _seen(now: Any, rewards: Any) -> dict[str, float]:
    """What TRL logs of a batch, under its names."""
    chosen, rejected = rewards[::2], rewards[1::2]
    return {
        "rewards/chosen": float(chosen.mean()),
        "rewards/rejected": float(rejected.mean()),
        "rewards/margins": float((chosen - rejected).mean()),
        "rewards/accuracies": float((chosen > rejected).float().mean()),
        "logps/chosen": float(now[::2].mean()),
        "logps/rejected": float(now[1::2].mean()),
    }
