"""SFT: imitate texts that are right as they are, through TRL's SFTTrainer: imported chats, liked replies.

Plain likelihood of the completion alone; what a prompt says is not learned. It knows no wrong answers, so
it cannot tell what to avoid: ratings have better learners.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from policies.errors import LearnError
from policies.learners.lora import LearningSettings, TrainResult, fit
from policies.learners.trl_trainer import Progress
from policies.rows import Tokens


def train(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Tokens],
    config: LearningSettings,
    out_dir: Path,
    progress: Progress,
    cancel: threading.Event,
    anchors: Sequence[Tokens] = (),
) -> TrainResult:
    """Train a fresh LoRA on `rows` and save it in `out_dir`. `model` comes back without it."""
    from trl import SFTConfig, SFTTrainer

    rows = [row for row in rows if row.completion_ids]
    if not rows:
        raise LearnError("SFT needs texts to imitate, and there are none: import some, or like a reply.")
    known = {field.name for field in fields(SFTConfig)}

    def sft_config(**shared: Any) -> Any:
        return SFTConfig(**{name: value for name, value in shared.items() if name in known})

    examples = [
        {
            "input_ids": row.prompt_ids + row.completion_ids,
            "labels": [-100] * len(row.prompt_ids) + row.completion_ids,
        }
        for row in rows
    ]
    return fit(SFTTrainer, sft_config, model, tokenizer, examples, config, out_dir, progress, cancel, anchors)
