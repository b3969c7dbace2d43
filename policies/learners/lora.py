"""What every learner shares: a fresh LoRA on a frozen base, exact token rows, one bounded TRL run.

The reference model is the base itself with the adapter switched off, so that one copy of the weights
is enough. A few of the base's own replies hold the skills in place (anchor_kl.py). The base is handed back
without the adapter.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policies.errors import Cancelled
from policies.learners import checkpointing
from policies.learners.anchor_kl import AnchorHold
from policies.learners.packed import few_calls, packing
from policies.learners.trl_trainer import Objective, Progress, dataset, exact, learned, report
from policies.rows import Tokens, padding

TINY = 20_000_000
LARGE = 500_000_000
# A warm-up's first step has rate 0: of a few steps that would be a good part, of a single one all.
WARM_UP, FEWEST_TO_WARM_UP = 2, 10
TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """Knobs of one update. None: chosen by the learner, the model's size and the number of signals.

    `anchors` of the base's own replies are drawn once, `anchors_a_step` of them are held on to at a time.
    """

    learning_rate: float | None = None
    epochs: int | None = None
    rank: int = 8
    alpha: int = 16
    batch_size: int = 8
    beta: float | None = None
    anchor_weight: float = 4.0
    anchors: int = 78
    anchors_a_step: int = 6
    hold_out: float = 0.2
    max_length: int = 1024
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainResult:
    """`grad_norm` is the largest seen before clipping, `max_abs_b` the largest entry of any LoRA B."""

    folder: Path
    steps: int
    seconds: float
    grad_norm: float
    max_abs_b: float
    sha256: str
    metrics: dict[str, float] = field(default_factory=dict)


def parameters(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


def learning_rate(settings: LearningSettings, size: int) -> float:
    """Small models move too little at the rates that suit large ones: 2e-3 below 20 M parameters, 2e-4
    below 500 M, 5e-5 above."""
    if settings.learning_rate is not None:
        return settings.learning_rate
    return 2e-3 if size < TINY else 2e-4 if size < LARGE else 5e-5


def epochs(settings: LearningSettings, examples: int, size: int) -> int:
    """Enough passes for about 30 optimiser steps (20 for models that are not tiny): 2 to 10 of them."""
    if settings.epochs is not None:
        return settings.epochs
    steps = 30 if size < TINY else 20
    return max(2, min(10, round(steps / max(1, math.ceil(examples / settings.batch_size)))))


def warm_up(steps: int) -> int:
    """How many of `steps` optimiser steps the learning rate takes to rise; a tiny run starts at full rate."""
    return WARM_UP if steps >= FEWEST_TO_WARM_UP else 0


def fit(
    trainer_class: Any,
    config_class: Any,
    model: Any,
    tokenizer: Any,
    examples: Sequence[Any],
    settings: LearningSettings,
    out_dir: Path,
    progress: Progress,
    cancel: threading.Event,
    anchors: Sequence[Tokens] = (),
    objective: Objective | None = None,
    tokens: int | None = None,
    **options: Any,
) -> TrainResult:
    """Train a fresh LoRA on `examples` (columns as the trainer's collator wants them), save it in `out_dir`.

    The columns include the reference's log-probabilities: the base never changes, so each row is scored
    once (`score`) rather than once an epoch. With an `objective` the loss is that one instead of TRL's, over
    rows that it holds itself: `examples` are then only counted. `tokens` is the most that a step has, without
    the anchors' (None: not known).
    `options` are extra fields of the TRL config. Raises Cancelled, and LearnError where nothing was
    learned (a zero gradient or learning rate, weights that are not finite). The base is left as it came.
    """
    from peft import LoraConfig
    from transformers import PrinterCallback, set_seed
    from trl.trainer.utils import disable_dropout_in_model

    from policies.learners.fused import fused

    started = time.monotonic()
    padding(tokenizer)
    hold = AnchorHold(anchors, settings.anchors_a_step, settings.anchor_weight)
    if tokens is not None:
        tokens += checkpointing.most_tokens([[row] for row in anchors], settings.anchors_a_step)
    if objective is not None:
        options["remove_unused_columns"] = False
    with _given_back(model), warnings.catch_warnings():
        # transformers warns of names of its own that TRL still uses
        warnings.simplefilter("ignore", FutureWarning)
        set_seed(settings.seed)
        args = config_class(**arguments(model, len(examples), settings, out_dir, tokens), **options)
        # transformers would spread a batch over all GPUs, through a module that hides the model
        args._n_gpu = min(1, args.n_gpu)
        trainer = exact(trainer_class, hold, objective)(
            model=model,
            args=args,
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                lora_dropout=0.0,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
            callbacks=[report(progress, cancel)],
            **dataset(examples, objective),
        )
        # what the base says of the anchors, and a reward, are no throw of dice
        disable_dropout_in_model(trainer.model)
        trainer.remove_callback(PrinterCallback)
        try:
            with (
                packing(model) if objective else nullcontext(),
                fused(trainer.model) if few_calls(model.device) else nullcontext(),
            ):
                loss = trainer.train().training_loss
            if cancel.is_set():
                raise Cancelled()
            grad_norm, max_abs_b = learned(trainer)
            trainer.model.save_pretrained(out_dir, safe_serialization=True)
        finally:
            trainer.model.unload()
            shutil.rmtree(out_dir / "trainer", ignore_errors=True)
    weights = out_dir / "adapter_model.safetensors"
    last = [entry for entry in trainer.state.log_history if "loss" in entry][-1] | {"train_loss": loss}
    return TrainResult(
        folder=out_dir,
        steps=trainer.state.global_step,
        seconds=time.monotonic() - started,
        grad_norm=grad_norm,
        max_abs_b=max_abs_b,
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        metrics={key: float(value) for key, value in last.items() if isinstance(value, int | float)},
    )


@contextmanager
def _given_back(model: Any) -> Iterator[None]:
    """Whatever trainers do to the base in here, it comes out as it went in.

    Of its generation config the tokens alone hold here: a penalty that it names would draw other replies than
    those whose probabilities PPO and GRPO compare.
    """
    from transformers import GenerationConfig

    came = {name: model.__dict__.get(name) for name in ("forward", "generation_config")}
    ends = {name: getattr(model.generation_config, name, None) for name in TOKENS}
    model.generation_config = GenerationConfig(**ends)
    try:
        yield
    finally:
        # peft leaves these marks on the base and warns about them the next time
        for mark in ("peft_config", "_hf_peft_config_loaded", *came):
            model.__dict__.pop(mark, None)
        model.__dict__.update({name: value for name, value in came.items() if value is not None})
        model.requires_grad_(False).eval()


def arguments(
    model: Any, examples: int, settings: LearningSettings, out_dir: Path, tokens: int | None = None
) -> dict[str, Any]:
    """Fields that every TRL config shares: no checkpoints, no reports, no bars, no worker processes.

    `tokens` of the longest step decide whether gradients of a large model are checkpointed (None: they are).
    """
    size = parameters(model)
    checkpoint = size >= LARGE and (tokens is None or checkpointing.needed(model, tokens))
    passes, batch = epochs(settings, examples, size), min(settings.batch_size, examples)
    return {
        "output_dir": str(out_dir / "trainer"),
        "learning_rate": learning_rate(settings, size),
        "num_train_epochs": passes,
        "per_device_train_batch_size": batch,
        "beta": settings.beta,
        "lr_scheduler_type": "cosine",
        "warmup_steps": warm_up(passes * math.ceil(examples / batch)),
        "max_grad_norm": 1.0,
        "max_length": None,
        "precompute_ref_log_probs": True,
        "gradient_checkpointing": checkpoint,
        "use_cpu": model.device.type == "cpu",
        "bf16": model.device.type == "cuda",
        "seed": settings.seed,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
    }
