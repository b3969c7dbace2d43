"""The reward model: how much the owner would like a reply, learned from thumbs and pairs.

A Bayesian logistic regression (`bayesian_logistic`) over what the frozen base thinks of a reply
(`learners.heads`), the adapter switched off: one copy of the base, and a file of a few hundred kilobytes.
A thumb is a judgement of one reply; a pair is a comparison (Bradley and Terry 1952), in which what both
replies share cancels out. Its probabilities are calibrated: the strength of the prior is learned, a reply
unlike all that were judged gets a probability near one half, and what is still too cautious or too bold in
them is scaled away (`sharpness`).

What it is worth is measured by cross-validation, no prompt standing on both sides (`held_out`).
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from env.bench.report import wilson
from policies import bayesian_logistic
from policies.bayesian_logistic import COMPARISON, SINGLE, Posterior
from policies.learners.dpo import Preference
from policies.learners.heads import reply_features
from policies.learners.kto import Thumb
from policies.learners.rows import LearnError, Tokens, padding
from policies.policy import Side
from policies.statistics import paired_interval
from policies.tool_calls import parse_tool_calls

if TYPE_CHECKING:
    from torch import Tensor

    from policies.language_policy import LanguagePolicy
    from policies.policy import ChatMessage, Generated, SamplingParams

FILE = "reward_model.safetensors"
FOLDS = 5
FEWEST = 8
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class _Seen:
    """One judgement: the rows of its replies (`other` None for a thumb), and the prompt that it is about."""

    reply: int
    other: int | None
    sign: float
    prompt: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RewardModel:
    """`centre` and `scale` (features,) bring features to about unit length; `head` does the rest.

    `held_out`: "accuracy" (share of held-out judgements foretold) with its 95 % interval "low" to "high"
    over "n" judgements, "commoner" (what always giving the commoner verdict would score) and "gain": nats
    a judgement by which its probabilities beat that constant guess, with the low end of a 95 % interval.
    """

    model: Any
    pad_id: int
    centre: Tensor
    scale: Tensor
    head: Posterior
    sharpness: float
    held_out: Mapping[str, float]

    @classmethod
    def fit(
        cls, model: Any, tokenizer: Any, thumbs: Sequence[Thumb], pairs: Sequence[Preference] = ()
    ) -> RewardModel:
        """Learn from all judgements. `model` must be the base (LoRA layers in it are switched off).

        Raises LearnError below FEWEST judgements, or where all are thumbs the same way.
        """
        rows, seen = _judgements(thumbs, pairs)
        if len(seen) < FEWEST or (not pairs and len({each.sign for each in seen}) < 2):
            raise LearnError(
                f"A reward model needs {FEWEST} ratings, some up and some down (or pairs), and there are "
                f"{len(seen)}: rate a few more replies."
            )
        pad_id = padding(tokenizer)
        features = reply_features(model, rows, pad_id).double()
        centre, scale, head = _learn(features, seen)
        margins, held_out = _cross_validate(features, seen)
        sharpness = bayesian_logistic.sharpness(margins)
        return cls(model, pad_id, centre, scale, head, sharpness, held_out)

    @property
    def knows(self) -> bool:
        """Whether it foretells held-out judgements better than a constant guess does, beyond chance."""
        return self.held_out["gain_low"] > 0.0

    def score(self, rows: Sequence[Tokens]) -> list[float]:
        """The moderated logit of each reply: 0 is "as likely liked as not"."""
        if not rows:
            return []
        scores: list[float] = (self.sharpness * self.head.logit(self._features(rows))).tolist()
        return scores

    def probability(self, rows: Sequence[Tokens]) -> list[float]:
        """How probable it is that the owner likes each reply."""
        return [_sigmoid(score) for score in self.score(rows)]

    def preference(self, one: Tokens, other: Tokens) -> float:
        """How probable it is that the owner prefers `one` to `other`."""
        first, second = self._features([one, other])
        return _sigmoid(self.sharpness * float(self.head.logit(first - second, COMPARISON)))

    def save(self, folder: Path) -> Path:
        """Write it into `folder`, beside the adapter that came of the same ratings."""
        from safetensors.torch import save_file

        head = self.head
        tensors = {
            "centre": self.centre,
            "scale": self.scale,
            "directions": head.directions.contiguous(),
            "mean": head.mean,
            "covariance": head.covariance.contiguous(),
        }
        about = {
            "held_out": dict(self.held_out),
            "sharpness": self.sharpness,
            "spread": head.spread,
            "evidence": head.evidence,
        }
        path, incoming = folder / FILE, folder / f".{FILE}"
        save_file({name: t.float() for name, t in tensors.items()}, incoming, {"about": json.dumps(about)})
        incoming.replace(path)
        return path

    @classmethod
    def load(cls, folder: Path, model: Any, tokenizer: Any) -> RewardModel | None:
        """The one in `folder`, over `model`; None where there is none or it belongs to a base of another
        size. Raises LearnError when its file is damaged."""
        from safetensors import safe_open

        path = folder / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                about = json.loads(file.metadata()["about"])
                found = {name: file.get_tensor(name).double() for name in file.keys()}  # noqa: SIM118
            head = Posterior(
                found["directions"], found["mean"], found["covariance"], about["spread"], about["evidence"]
            )
            centre, scale, _ = found["centre"], found["scale"], about["sharpness"]
        except Exception as error:
            # safetensors has its own errors for each way in which a file can be damaged
            raise LearnError(f"The reward model {path} is damaged: delete it, then train again.") from error
        if len(centre) != 2 * model.config.get_text_config(decoder=True).hidden_size + 1:
            return None
        return cls(model, padding(tokenizer), centre, scale, head, about["sharpness"], about["held_out"])

    def module(self, device: Any) -> Any:
        """A torch module from features (..., features) to moderated logits (..., 1), in float32."""
        import torch

        centre, scale = (each.to(device=device, dtype=torch.float32) for each in (self.centre, self.scale))
        head, sharpness = self.head.to(device), self.sharpness

        class Score(torch.nn.Module):
            def forward(self, features: Any) -> Any:
                return sharpness * head.logit((features - centre) / scale).unsqueeze(-1)

        return Score()

    def _features(self, rows: Sequence[Tokens]) -> Tensor:
        return (reply_features(self.model, rows, self.pad_id).double() - self.centre) / self.scale


def best_of(
    policy: LanguagePolicy,
    messages: Sequence[ChatMessage],
    n: int,
    reward: RewardModel,
    sampling: SamplingParams,
    tools: Sequence[Mapping[str, Any]] = (),
    cancel: threading.Event | None = None,
) -> Generated:
    """The best of `n` replies to one prompt (as in Nakano et al. 2021, arXiv 2112.09332).

    All are drawn in one batch, under the adapter that speaks now; the base judges them. Whether a tool is
    called is not for taste to decide: the first reply does, and is compared with those that do as it does.
    Stopped by `cancel`, it is the first.
    """
    drawn = policy.mixed(messages, [Side(policy.adapter)] * n, sampling, tools, cancel)
    calls = [bool(parse_tool_calls(reply.text)[1]) for reply in drawn]
    said = [reply for reply, calling in zip(drawn, calls, strict=True) if calling == calls[0]]
    said = [reply for reply in said if reply.completion_ids]
    if len(said) < 2 or calls[0] or any(reply.finish_reason == "cancelled" for reply in said):
        return drawn[0]
    with policy.as_base():
        scores = reward.score([Tokens(list(r.prompt_ids), list(r.completion_ids)) for r in said])
    return said[max(range(len(said)), key=scores.__getitem__)]


def _judgements(thumbs: Sequence[Thumb], pairs: Sequence[Preference]) -> tuple[list[Tokens], list[_Seen]]:
    rows = [thumb.tokens for thumb in thumbs]
    seen = [
        _Seen(at, None, 1.0 if thumb.liked else -1.0, tuple(thumb.tokens.prompt_ids))
        for at, thumb in enumerate(thumbs)
    ]
    for pair in pairs:
        seen.append(_Seen(len(rows), len(rows) + 1, 1.0, tuple(pair.chosen.prompt_ids)))
        rows += [pair.chosen, pair.rejected]
    return rows, seen


def _learn(features: Tensor, seen: Sequence[_Seen]) -> tuple[Tensor, Tensor, Posterior]:
    """(centre, scale, head) from the judgements `seen` of replies with `features` (replies, features)."""
    import torch

    used = sorted({at for each in seen for at in (each.reply, each.other) if at is not None})
    centre, spread = features[used].mean(0), features[used].std(0, correction=0)
    hidden = (features.shape[1] - 1) // 2
    # the three blocks weigh the same, and a reply has unit length on average
    blocks = torch.tensor([hidden] * (2 * hidden) + [1], dtype=features.dtype)
    # a feature that hardly moved among these replies must not explode on the next one
    floor = 0.1 * spread[:-1].median().clamp(min=1e-6)
    scale = spread.clamp(min=float(floor)) * (3.0 * blocks).sqrt()
    x, kinds = _design(features, seen, centre, scale)
    y = torch.tensor([each.sign for each in seen], dtype=x.dtype)
    return centre, scale, bayesian_logistic.fit(x, y, kinds)


def _design(features: Tensor, seen: Sequence[_Seen], centre: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """((judgements, features), kinds): a reply, or the one minus the other."""
    import torch

    x = (features - centre) / scale
    rows = [x[s.reply] if s.other is None else x[s.reply] - x[s.other] for s in seen]
    kinds = [SINGLE if s.other is None else COMPARISON for s in seen]
    return torch.stack(rows), torch.tensor(kinds, dtype=x.dtype)


def _cross_validate(features: Tensor, seen: Sequence[_Seen]) -> tuple[list[float], dict[str, float]]:
    """(margins, figures) of judgements on prompts that the fold's model has not seen (see RewardModel)."""
    margins: list[float] = []
    gains: list[float] = []
    for train, test in _folds(seen):
        centre, scale, head = _learn(features, train)
        x, kinds = _design(features, test, centre, scale)
        thumbs = [each for each in train if each.other is None]
        ups = (sum(each.sign > 0 for each in thumbs) + 1.0) / (len(thumbs) + 2.0)
        for at, each in enumerate(test):
            margins.append(each.sign * float(head.logit(x[at], float(kinds[at]))))
            guess = 0.5 if each.other is not None else ups if each.sign > 0 else 1.0 - ups
            gains.append(math.log(max(_sigmoid(margins[-1]), 1e-12)) - math.log(guess))
    ups = sum(each.sign > 0 for each in seen if each.other is None)
    downs = sum(each.sign < 0 for each in seen)
    n, right = len(margins), sum(margin > 0 for margin in margins)
    share, gain = wilson(right, n), paired_interval(gains, CONFIDENCE)
    return margins, {
        "accuracy": share.mean,
        "low": share.low,
        "high": share.high,
        "n": n,
        "commoner": (max(ups, downs) + 0.5 * (n - ups - downs)) / n,
        "gain": gain.mean,
        "gain_low": gain.low,
    }


def _folds(seen: Sequence[_Seen]) -> list[tuple[list[_Seen], list[_Seen]]]:
    """Up to FOLDS cuts in (training, held out): no prompt on both sides, verdicts spread evenly."""
    groups: dict[tuple[int, ...], list[_Seen]] = {}
    for each in seen:
        groups.setdefault(each.prompt, []).append(each)
    ordered = sorted(groups, key=lambda prompt: (fmean(each.sign for each in groups[prompt]), prompt))
    count = min(FOLDS, len(ordered))
    if count < 2:
        raise LearnError("All ratings are about one question: rate replies to other questions too.")
    held = [{prompt for at, prompt in enumerate(ordered) if at % count == fold} for fold in range(count)]
    return [
        ([each for each in seen if each.prompt not in out], [each for each in seen if each.prompt in out])
        for out in held
    ]


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))
