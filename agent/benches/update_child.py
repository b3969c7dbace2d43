"""The child of `attune bench update`: `python -m agent.benches.update_child ORDER`, ORDER one JSON object.

Loads the model, then does one update of the learner, ours or the plain script's, and writes its figures
(the fields of `env.bench.update.Update`) to report.json in the order's folder. The clock runs from rows
of text in memory to the adapter on disk.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import prompt
from agent.turn import SCHEMAS
from env.datasets import Prompt, Reply
from env.skills.probes import everyday_prompts
from env.skills.topics import topics

if TYPE_CHECKING:
    from policies.learners.lora import LearningSettings
    from policies.rows import Tokens

ROWS_SEED = 64_001
WARM_UP = 8
# what both sides have in common of the settings that our learners hand to TRL
SHARED = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "beta", "lr_scheduler_type",
    "warmup_steps", "max_grad_norm", "max_length", "gradient_checkpointing", "use_cpu", "bf16", "seed",
    "disable_tqdm",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, and two replies to it that differ in style; the owner prefers the first."""

    prompt: Prompt
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class Done:
    training_seconds: float
    steps: int
    tokens: int
    loss: float


def questions(count: int, tokenizer: Any, seed: int = ROWS_SEED) -> list[Question]:
    """Everyday questions under the agent's own system message; the owner likes bullets and brief replies.

    Texts only: a prompt knows how it reads, and which ids that makes is for either side to find out.
    """
    from policies.chat_format import ChatFormat
    from policies.seed.styles import PURE, render

    chance, chat = random.Random(seed), ChatFormat(tokenizer)
    liked = [style for style in PURE if style.bullets or style.length == "brief"]
    other = [style for style in PURE if style not in liked]
    found = []
    for text in everyday_prompts("train", count, seed):
        messages = ({"role": "system", "content": prompt.PERSONA}, {"role": "user", "content": text})
        shown = Prompt(messages, chat.render(messages, SCHEMAS), (), "", SCHEMAS)
        facts = chance.choice(topics()).facts
        pair = (render(facts, chance.choice(styles), chance) for styles in (liked, other))
        found.append(Question(shown, *pair))
    return found


def main(order: Mapping[str, Any]) -> None:
    warnings.simplefilter("ignore")
    from policies.base_models import load, resolve
    from policies.learners import dpo, kto
    from policies.learners.lora import LearningSettings

    _import_everything()
    spec = resolve(order["model"])
    model, tokenizer = load(spec)
    learner, folder = order["learner"], Path(order["folder"])
    asked = questions(order["ratings"], tokenizer)
    # named, since TRL has a default of its own
    settings = LearningSettings(beta=dpo.BETA if learner == "dpo" else kto.BETA)

    def update(asked: Sequence[Question], name: str) -> Done:
        if order["side"] == "ours":
            held = questions(settings.anchors if order["anchors"] else 0, tokenizer, ROWS_SEED + 1)
            return _ours(learner, model, tokenizer, asked, held, settings, folder / name)
        return _plain(learner, model, tokenizer, asked, settings, folder / name)

    if model.device.type == "cuda":
        import torch

        # The first kernel of each kind is fetched from disk, which takes longer than the update. An agent
        # that has spoken has done that.
        update(asked[:WARM_UP], "warm-up")
        model = None
        gc.collect()
        torch.cuda.empty_cache()
        model, _ = load(spec)
        torch.cuda.reset_peak_memory_stats()
    loaded = _peak(model)
    (folder / "began").touch()
    started, used = time.perf_counter(), time.process_time()
    for _ in range(order["times"]):
        done = update(asked, "adapter")
    report = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "peak_bytes": _peak(model),
        "loaded_bytes": loaded,
        **asdict(done),
    }
    (folder / "report.json").write_text(json.dumps(report), "utf-8")


def _thumbs(asked: Sequence[Question]) -> list[tuple[Prompt, str, bool]]:
    """One rated reply a question, up and down in turn: the order in which ours trains, whatever it gets."""
    return [(one.prompt, one.rejected if at % 2 else one.chosen, at % 2 == 0) for at, one in enumerate(asked)]


def _tokens(
    learner: str, tokenizer: Any, asked: Sequence[Question], settings: LearningSettings
) -> list[list[Tokens]]:
    """An example a question, as ours reads it: the pair for DPO, the rated reply for KTO."""
    from policies.rows import Tokeniser

    words = Tokeniser(tokenizer, "", max_length=settings.max_length)
    if learner == "dpo":
        return [[words.row(one.prompt, Reply(text)) for text in (one.chosen, one.rejected)] for one in asked]
    return [[words.row(shown, Reply(text))] for shown, text, _ in _thumbs(asked)]


def _ours(
    learner: str,
    model: Any,
    tokenizer: Any,
    asked: Sequence[Question],
    held: Sequence[Question],
    settings: LearningSettings,
    folder: Path,
) -> Done:
    from policies.learners import dpo, kto
    from policies.rows import Tokeniser

    words = Tokeniser(tokenizer, "", max_length=settings.max_length)
    anchors = [words.row(one.prompt, Reply(one.chosen)) for one in held]
    said = _tokens(learner, tokenizer, asked, settings)
    rows: list[Any] = (
        [dpo.Preference(better, worse) for better, worse in said]
        if learner == "dpo"
        else [kto.Thumb(one, liked) for (one,), (_, _, liked) in zip(said, _thumbs(asked), strict=True)]
    )
    train = dpo.train if learner == "dpo" else kto.train
    began = time.perf_counter()
    trained = train(
        model, tokenizer, rows, settings, folder, lambda share, text: None, threading.Event(), anchors
    )
    return Done(
        time.perf_counter() - began,
        trained.steps,
        sum(len(row.prompt_ids) + len(row.completion_ids) for example in said for row in example),
        trained.metrics["train_loss"],
    )


def _plain(
    learner: str,
    model: Any,
    tokenizer: Any,
    asked: Sequence[Question],
    settings: LearningSettings,
    folder: Path,
) -> Done:
    from agent.benches import plain_trl
    from policies.learners import dpo, kto
    from policies.learners.checkpointing import most_tokens
    from policies.learners.lora import arguments

    # no text of the rows: only what decides whether gradients are checkpointed, which is the same for both
    longest = most_tokens(_tokens(learner, tokenizer, asked, settings), settings.batch_size)
    ours = arguments(model, len(asked), settings, folder, longest)
    shared = {name: ours[name] for name in SHARED}
    rows: list[dict[str, Any]]
    if learner == "dpo":
        rows = [{"prompt": one.prompt.text, "chosen": one.chosen, "rejected": one.rejected} for one in asked]
        shared |= {"loss_type": dpo.LOSSES, "loss_weights": dpo.LOSS_WEIGHTS}
    else:
        rows = [
            {"prompt": shown.text, "completion": text, "label": liked}
            for shown, text, liked in _thumbs(asked)
        ]
        up = sum(row["label"] for row in rows)
        desirable, undesirable = kto.weights(up, len(rows) - up)
        shared |= {
            "loss_type": kto.loss_type(up, len(rows) - up),
            "desirable_weight": desirable,
            "undesirable_weight": undesirable,
            "train_sampling_strategy": "sequential",
        }
    lora = {"r": settings.rank, "lora_alpha": settings.alpha, "target_modules": "all-linear"}
    trainer, seconds, loss = plain_trl.train(learner, model, tokenizer, rows, shared, lora, folder)
    sides = ("chosen_ids", "rejected_ids") if learner == "dpo" else ("completion_ids",)
    tokens = sum(len(row["prompt_ids"]) + len(row[side]) for row in trainer.train_dataset for side in sides)
    return Done(seconds, trainer.state.global_step, tokens, loss)


def _import_everything() -> None:
    """Libraries load parts of themselves when they are first asked for; that is not the update's cost."""
    import datasets
    import peft
    import trl

    for library, names in (
        (trl, ("KTOConfig", "KTOTrainer", "DPOConfig", "DPOTrainer")),
        (peft, ("LoraConfig",)),
        (datasets, ("Dataset",)),
    ):
        for name in names:
            getattr(library, name)


def _peak(model: Any) -> int:
    """Bytes at the high-water mark: of the GPU's allocator, else of this process's resident memory.

    VmHWM, where there is one, since ru_maxrss of a child begins with that of the process that started it.
    """
    import resource

    if model.device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
