"""TRL's trainers on rows that are ready: exact ids, the base's hold on the loss, a way to stop, and a check
that something was learned.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from policies.errors import LearnError
from policies.learners.anchor_kl import AnchorHold

Progress = Callable[[float, str], None]
# (model with its adapter, places of the batch's rows) -> (loss, what to log of it)
Objective = Callable[[Any, list[int]], tuple[Any, dict[str, float]]]


def exact(trainer_class: Any, hold: AnchorHold, objective: Objective | None = None) -> Any:
    """`trainer_class` on ids that are already there, with the anchors' KL added to its loss.

    With an `objective` the loss is that one instead of TRL's (see `dataset`).
    """

    class Exact(trainer_class):
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _send_telemetry(self) -> None:
            """Not even that somebody trains leaves this machine."""

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if objective is None:
                result = super().compute_loss(model, inputs, *args, **kwargs)
            else:
                result, seen = objective(model, inputs["place"].tolist())
                for name, value in seen.items():
                    self._metrics["train"][name].append(value)
            pull = hold(model, self.state.global_step)
            if pull is None:
                return result
            return (result[0] + pull, result[1]) if isinstance(result, tuple) else result + pull

    return Exact


def dataset(examples: Sequence[Any], objective: Objective | None = None) -> dict[str, Any]:
    """What a trainer takes of `examples`; an `objective` holds its rows itself, and is told their places."""
    from datasets import Dataset

    if objective is None:
        return {"train_dataset": Dataset.from_list(list(examples))}
    return {
        "train_dataset": Dataset.from_dict({"place": range(len(examples))}),
        "data_collator": _places,
    }


def _places(rows: Sequence[dict[str, int]]) -> dict[str, Any]:
    import torch

    return {"place": torch.tensor([row["place"] for row in rows])}


def report(progress: Progress, cancel: threading.Event) -> Any:
    """A callback: progress after every step, and the way to stop."""
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(
                state.global_step / max(1, state.max_steps), f"step {state.global_step}/{state.max_steps}"
            )
            if cancel.is_set():
                control.should_training_stop = True

    return Report()


def learned(trainer: Any) -> tuple[float, float]:
    """(largest gradient norm before clipping, largest entry of any LoRA B) of a trainer that is done.

    Raises LearnError where one of them is zero, or a weight is not finite.
    """
    import torch

    b = [p for name, p in trainer.model.named_parameters() if "lora_B" in name]
    largest = max(float(p.detach().abs().max()) for p in b)
    norms = [float(entry["grad_norm"]) for entry in trainer.state.log_history if "grad_norm" in entry]
    if not all(bool(torch.isfinite(p).all()) for p in b):
        raise LearnError("Training went wrong (weights are not finite); nothing was changed.")
    if not norms or max(norms) <= 0:
        raise LearnError("Training changed nothing (the gradient was zero); nothing was saved.")
    if largest <= 0:
        raise LearnError(
            "Training changed nothing (the learning rate was too small for the gradient of "
            f"{max(norms):.2g}); nothing was saved."
        )
    return max(norms), largest
