"""GRPO: draw a group of replies to each prompt, and learn from how the reward model ranks them.

Group Relative Policy Optimisation (arXiv 2402.03300), through TRL's GRPOTrainer. The advantage of a reply
is its reward against the mean of its group, so no value model is needed. The reference is the base with
the LoRA switched off, and so is what the reward model looks through: one copy of the weights.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.degenerate import degenerate
from policies.errors import Cancelled, LearnError
from policies.learners.lora import LearningSettings, TrainResult, fit
from policies.learners.trl_trainer import Progress
from policies.rows import Tokens, padding

if TYPE_CHECKING:
    from policies.reward_model import RewardModel

GROUP = 8
# weight of the KL to the base
BETA = 0.05
# prompts in one optimiser step, and steps in all
PROMPTS_A_STEP, STEPS = 2, 16
# what a reply loses that ran out of room, and one that is no text at all, in logits
UNFINISHED, NO_TEXT = 1.0, 4.0


def train(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    reward: RewardModel,
    room: int,
    config: LearningSettings,
    out_dir: Path,
    progress: Progress,
    cancel: threading.Event,
    anchors: Sequence[Tokens] = (),
    stop_ids: Sequence[int] = (),
) -> TrainResult:
    """Train a fresh LoRA on replies of up to `room` tokens to `prompts`; save it in `out_dir`.

    A reply ends at any of `stop_ids` (default: the tokenizer's end); `config.epochs`, where it is set, is the
    number of steps. `model` comes back without the LoRA.
    """
    from trl import GRPOConfig, GRPOTrainer

    if len(prompts) < PROMPTS_A_STEP:
        raise LearnError(f"GRPO needs {PROMPTS_A_STEP} prompts or more, and there are {len(prompts)}.")
    pad_id, stops = padding(tokenizer), sorted(set(stop_ids) or {tokenizer.eos_token_id})
    known = {field.name for field in fields(GRPOConfig)}

    def grpo_config(**shared: Any) -> Any:
        ours: dict[str, Any] = {
            "max_steps": STEPS if config.epochs is None else config.epochs,
            "warmup_steps": 0,
            "per_device_train_batch_size": GROUP * PROMPTS_A_STEP,
            "num_generations": GROUP,
            "max_completion_length": room,
            # one drawing serves two steps: generating is most of the time
            "steps_per_generation": 2,
            "temperature": 1.0,
            "beta": BETA if config.beta is None else config.beta,
        }
        return GRPOConfig(**{name: value for name, value in shared.items() if name in known} | ours)

    def draw(batch: list[Any], trainer: Any) -> dict[str, Any]:
        """TRL's rollout: ids of prompts to ids of replies."""
        if cancel.is_set():
            raise Cancelled()
        return {"prompt_ids": batch, "completion_ids": sample(trainer.model, batch, room, stops, pad_id)} | {
            "logprobs": None
        }

    def rewards(prompts: list[list[int]], completion_ids: list[list[int]], **_: Any) -> list[float | None]:
        rows = [Tokens(asked, said) for asked, said in zip(prompts, completion_ids, strict=True)]
        texts = tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
        return [
            score - UNFINISHED * (row.completion_ids[-1] not in stops) - NO_TEXT * bool(degenerate(text))
            for score, row, text in zip(reward.score(rows), rows, texts, strict=True)
        ]

    class Trainer(GRPOTrainer):
        def __init__(self, **arguments: Any) -> None:
            with warnings.catch_warnings():
                # TRL calls its way to draw replies ourselves experimental
                warnings.simplefilter("ignore", UserWarning)
                super().__init__(reward_funcs=rewards, rollout_func=draw, **arguments)

    examples = [{"prompt": list(prompt)} for prompt in prompts]
    return fit(Trainer, grpo_config, model, tokenizer, examples, config, out_dir, progress, cancel, anchors)


def sample(
    model: Any, prompts: Sequence[Sequence[int]], room: int, stops: Sequence[int], pad_id: int
) -> list[list[int]]:
    """A reply of up to `room` ids to each prompt, drawn at temperature 1; one that ended ends in a stop."""
    import torch

    width = max(len(prompt) for prompt in prompts)
    ids = [[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    training = model.training
    model.eval()
    with torch.no_grad():
        whole = model.generate(
            input_ids=torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            max_new_tokens=room,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            eos_token_id=list(stops),
            pad_token_id=pad_id,
            use_cache=True,
        )
    model.train(training)
    replies = []
    for said in whole[:, width:].tolist():
        end = next((at + 1 for at, token in enumerate(said) if token in stops), len(said))
        replies.append(said[:end])
    return replies
