"""PPO: draw replies, reward whole ones, and learn what each token was worth, through TRL's PPOTrainer.

Proximal Policy Optimisation (arXiv 1707.06347) on the reward model, less KL to the base (arXiv
1909.08593). TRL 1.12 is the last release that has it. The reward and the value model are heads over the
same frozen base that the policy's LoRA sits on (`heads`): one copy of the weights, where the textbook
has four.

TRL's loop knows no limit on the gradient, no way to stop and no anchors; all three are done at its
optimiser's door, where the gradients lie ready.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from policies.errors import Cancelled, LearnError
from policies.learners.anchor_kl import AnchorHold
from policies.learners.heads import head
from policies.learners.lora import LearningSettings, TrainResult, fit
from policies.learners.trl_trainer import Progress
from policies.rows import Tokens, padding

if TYPE_CHECKING:
    from policies.reward_model import RewardModel

# replies in one round, how many rounds there are, and how often each round is learned from
REPLIES, ROUNDS, EPOCHS, MINI_BATCHES = 32, 8, 2, 4
KL_WEIGHT = 0.05
# its steps are many
ANCHORS_A_STEP = 2
# what a reply loses that ran out of room, in logits
UNFINISHED = 1.0


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
    end_of_turn: int | None = None,
) -> TrainResult:
    """Train a fresh LoRA on replies of up to `room` tokens to `prompts`; save it in `out_dir`.

    A reply ends at `end_of_turn` (default: the tokenizer's end); `config.epochs`, where it is set, is the
    number of rounds. `model` comes back without the LoRA.
    """
    if len(prompts) < 2:
        raise LearnError(f"PPO needs 2 prompts or more, and there are {len(prompts)}.")
    end = tokenizer.eos_token_id if end_of_turn is None else end_of_turn
    # all prompts are padded to one width, so that the heads know where replies begin
    width = max(len(prompt) for prompt in prompts)
    trainer = _trainer(
        _silent_id(tokenizer, prompts, end),
        end,
        width,
        head(model, width, reward.module(model.device), reward.taste_logit),
        head(model, width, _value(reward, model.device)),
        AnchorHold(anchors, ANCHORS_A_STEP, config.anchor_weight),
        cancel,
    )
    rounds = ROUNDS if config.epochs is None else config.epochs
    settings = partial(_settings, rounds=rounds, room=room, end=end)
    examples = [{"input_ids": list(prompt)} for prompt in prompts]
    while len(examples) < REPLIES:
        # TRL drops a round that is not full
        examples += examples[: REPLIES - len(examples)]
    return fit(trainer, settings, model, tokenizer, examples, config, out_dir, progress, cancel, ())


def _trl() -> tuple[Any, Any]:
    """(PPOConfig, PPOTrainer)"""
    with warnings.catch_warnings():
        # TRL calls everything below it experimental, once
        warnings.simplefilter("ignore", UserWarning)
        from trl.experimental.ppo import PPOConfig, PPOTrainer

    return PPOConfig, PPOTrainer


def _settings(*, rounds: int, room: int, end: int, **shared: Any) -> Any:
    """TRL's config: what every learner shares (`lora.arguments`), as far as it knows that, and our own."""
    config, _ = _trl()
    known = {field.name for field in fields(config)}
    ours: dict[str, Any] = {
        "per_device_train_batch_size": REPLIES,
        "total_episodes": REPLIES * rounds,
        "num_mini_batches": MINI_BATCHES,
        "num_ppo_epochs": EPOCHS,
        "local_rollout_forward_batch_size": REPLIES,
        "response_length": room,
        "stop_token_id": end,
        "missing_eos_penalty": UNFINISHED,
        "temperature": 1.0,
        "kl_coef": KL_WEIGHT,
        "warmup_steps": 0,
        "num_sample_generations": 0,
    }
    return config(**{name: value for name, value in shared.items() if name in known} | ours)


def _value(reward: RewardModel, device: Any) -> Any:
    """The value head's only weights, over features that are scaled as the reward model has them."""
    import torch

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(len(reward.found.centre), 1, device=device)
            torch.nn.init.zeros_(self.linear.weight)
            torch.nn.init.zeros_(self.linear.bias)
            self.centre = reward.found.centre.to(device, torch.float32)
            self.scale = reward.found.scale.to(device, torch.float32)

        def forward(self, features: Any) -> Any:
            return self.linear((features - self.centre) / self.scale)

    return Scaled()


def _trainer(
    pad_id: int,
    end: int,
    width: int,
    reward_head: Any,
    value_head: Any,
    hold: AnchorHold,
    cancel: threading.Event,
) -> Any:
    """TRL's trainer over these two heads, which stops, is held and has its gradient clipped before a step."""
    import torch

    # its annotations ask for a tokenizer and a collator of transformers, its code for much less
    trainer: Any = _trl()[1]

    def collate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        ids = [row["input_ids"] for row in rows]
        return {"input_ids": torch.tensor([[pad_id] * (width - len(row)) + row for row in ids])}

    class Trainer(trainer):
        model: Any
        optimizer: Any

        def __init__(self, processing_class: Any, **arguments: Any) -> None:
            super().__init__(
                processing_class=SimpleNamespace(pad_token_id=pad_id, eos_token_id=end),
                ref_model=None,
                reward_model=reward_head,
                value_model=value_head,
                data_collator=collate,
                **arguments,
            )
            # a line on the screen that nobody asked for
            self.accelerator.print = lambda *_: None
            self._norms: list[float] = []
            self._taken = 0
            optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
            optimizer.register_step_pre_hook(self._at_the_door)

        def _at_the_door(self, *_: Any) -> None:
            """Before every optimiser step: stop if asked, pull towards the anchors, clip."""
            if cancel.is_set():
                raise Cancelled()
            policy = self.model.policy
            with torch.enable_grad():
                pull = hold(policy, self._taken)
                if pull is not None:
                    pull.backward()
            self._taken += 1
            lora = [p for p in policy.parameters() if p.grad is not None]
            self._norms.append(float(torch.nn.utils.clip_grad_norm_(lora, self.args.max_grad_norm)))

        def log(self, logs: dict[str, float], *more: Any, **named: Any) -> None:
            """TRL's figures under the names that every other trainer has for loss and gradient."""
            logs = logs | {"loss": logs.get("loss/policy_avg", 0.0), "grad_norm": max(self._norms)}
            self._norms = []
            super().log(logs, *more, **named)

        def train(self, *_: Any, **__: Any) -> Any:
            try:
                super().train()
                return SimpleNamespace(training_loss=self.state.log_history[-1]["loss"])
            finally:
                # the LoRA alone is saved and taken out; the value head has done its work
                self.model = self.accelerator.unwrap_model(self.model).policy

    return Trainer


def _silent_id(tokenizer: Any, prompts: Sequence[Sequence[int]], end: int) -> int:
    """An id for padding that no prompt says and that ends nothing: TRL masks it wherever it stands."""
    said = {token for prompt in prompts for token in prompt} | {end}
    for candidate in (padding(tokenizer), *tokenizer.all_special_ids, *range(len(tokenizer) - 1, -1, -1)):
        if candidate not in said:
            return int(candidate)
    raise LearnError("PPO found no token that these prompts do not use: choose another algorithm.")
