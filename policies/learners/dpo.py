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

from policies.learners.lora import LearningSettings, Progress, TrainResult, fit
from policies.learners.rows import LearnError, Tokens, padding, score

BETA = 0.1


@dataclass(frozen=True, slots=True)
class Preference:
    """Two replies to one prompt, in tokens."""

    chosen: Tokens
    rejected: Tokens


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

    if config.beta is None:
        config = replace(config, beta=BETA)
    if not rows:
        raise LearnError("DPO needs pairs, and there are none: edit a reply, or regenerate one and pick.")
    pad_id = padding(tokenizer)
    chosen = score(model, [row.chosen for row in rows], pad_id)
    rejected = score(model, [row.rejected for row in rows], pad_id)
    examples = [
        {
            "prompt_ids": row.chosen.prompt_ids,
            "chosen_ids": row.chosen.completion_ids,
            "rejected_ids": row.rejected.completion_ids,
            "ref_chosen_logps": chosen[at],
            "ref_rejected_logps": rejected[at],
        }
        for at, row in enumerate(rows)
    ]
    return fit(
        DPOTrainer,
        DPOConfig,
        model,
        tokenizer,
        examples,
        config,
        out_dir,
        progress,
        cancel,
        anchors,
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, 0.1],
    )
