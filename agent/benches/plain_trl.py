"""What anyone would write for the same update: rows of text, a LoraConfig, TRL's trainer.

As TRL's documentation shows KTOTrainer and DPOTrainer with `peft_config`. Set besides the settings that
both sides share: the precision and the checkpointing that ours has (TRL's own defaults, bf16 and
checkpointing, are slower here) and no checkpoints on disk.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def train(
    learner: str,
    model: Any,
    tokenizer: Any,
    rows: Sequence[Mapping[str, Any]],
    shared: Mapping[str, Any],
    lora: Mapping[str, Any],
    folder: Path,
) -> tuple[Any, float, float]:
    """Train `learner` ("kto" or "dpo") on `rows` and save the adapter in `folder`.

    Returns TRL's trainer, the seconds of its train() alone, and the mean loss over the steps.

    `rows` are {"prompt", "completion", "label"} or {"prompt", "chosen", "rejected"}, `shared` fields of
    the TRL config, `lora` those of the LoraConfig.
    """
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

    set_seed(shared["seed"])
    config_class, trainer_class = {"kto": (KTOConfig, KTOTrainer), "dpo": (DPOConfig, DPOTrainer)}[learner]
    trainer = trainer_class(
        model=model,
        args=config_class(
            output_dir=str(folder / "trainer"),
            save_strategy="no",
            report_to="none",
            **shared,
        ),
        train_dataset=Dataset.from_list([dict(row) for row in rows]),
        processing_class=tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **lora),
    )
    began = time.perf_counter()
    loss = trainer.train().training_loss
    seconds = time.perf_counter() - began
    trainer.save_model(str(folder))
    return trainer, seconds, loss
