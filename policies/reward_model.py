"""The reward model: how much the owner would like a reply, learned from thumbs and pairs.

Two views of a reply are pooled (`reward_fit`): a Bayesian logistic regression (`bayesian_logistic`) over what
the frozen base thinks of it (`learners.heads`), the adapter switched off, so one copy of the base and a file
of a few hundred kilobytes; and the taste that all judgements make probable, read off its text features.
A thumb is a judgement of one reply; a pair is a comparison (Bradley and Terry 1952), in which what both
replies share cancels out. Its probabilities are calibrated: the strength of the prior is learned, a reply
unlike all that were judged gets a probability near one half, and what is still too cautious or too bold in
them is scaled away (`sharpness`).

What it is worth is measured by cross-validation, no prompt standing on both sides (`held_out`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.taste.features import Features, features
from memory.taste.posterior import TastePosterior
from policies.adapters.files import REWARD
from policies.bayesian_logistic import COMPARISON, Posterior, sigmoid
from policies.errors import LearnError
from policies.learners.dpo import Preference
from policies.learners.heads import reply_features
from policies.learners.kto import Thumb
from policies.reward_fit import Fit, fit, judgements, pooled, taste_logit
from policies.rows import Tokens, padding

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = 8


@dataclass(frozen=True, slots=True)
class RewardModel:
    """What was fitted (`found`) over `model`, whose replies `tokenizer` turns into words.

    `held_out`: "accuracy" (share of held-out judgements foretold) with its 95 % interval "low" to "high"
    over "n" judgements, "commoner" (what always giving the commoner verdict would score) and "gain": nats
    a judgement by which its probabilities beat that constant guess, with the low end of a 95 % interval.
    """

    model: Any
    tokenizer: Any
    found: Fit

    @classmethod
    def fit(
        cls,
        model: Any,
        tokenizer: Any,
        thumbs: Sequence[Thumb],
        pairs: Sequence[Preference] = (),
        times: Sequence[float] = (),
        styles: Sequence[bool] = (),
    ) -> RewardModel:
        """Learn from all judgements. `model` must be the base (LoRA layers in it are switched off). `times`
        say when the thumbs and then the pairs were given; without any, in this order. `styles` say which of
        them are about style, and not about what a reply says; without any, all are.

        Raises LearnError below FEWEST judgements, or where all are thumbs the same way.
        """
        rows, seen = judgements(thumbs, pairs, times, styles)
        if len(seen) < FEWEST or (not pairs and len({each.sign for each in seen}) < 2):
            raise LearnError(
                f"A reward model needs {FEWEST} ratings, some up and some down (or pairs), and there are "
                f"{len(seen)}: rate a few more replies."
            )
        hidden = reply_features(model, rows, padding(tokenizer)).double()
        return cls(model, tokenizer, fit(hidden, [_shows(tokenizer, row) for row in rows], seen))

    @property
    def held_out(self) -> Mapping[str, float]:
        return self.found.held_out

    def beyond_taste(self) -> RewardModel:
        """What the hidden states alone say (of one that was fitted just now), for whoever has read the taste
        off the thumbs already."""
        return self if self.found.alone is None else replace(self, found=self.found.alone)

    @property
    def knows(self) -> bool:
        """Whether it foretells held-out judgements better than a constant guess does, beyond chance."""
        return self.held_out["gain_low"] > 0.0

    def score(self, rows: Sequence[Tokens]) -> list[float]:
        """The moderated logit of each reply: 0 is "as likely liked as not"."""
        if not rows:
            return []
        found = self.found
        heads = found.head.logit(self._features(rows)).tolist()
        tastes = [self.taste_logit(row.completion_ids) for row in rows]
        return [
            found.sharpness * pooled(found.share, head, taste)
            for head, taste in zip(heads, tastes, strict=True)
        ]

    def probability(self, rows: Sequence[Tokens]) -> list[float]:
        """How probable it is that the owner likes each reply."""
        return [sigmoid(score) for score in self.score(rows)]

    def preference(self, one: Tokens, other: Tokens) -> float:
        """How probable it is that the owner prefers `one` to `other`."""
        found = self.found
        first, second = self._features([one, other])
        head = float(found.head.logit(first - second, COMPARISON))
        taste = self.taste_logit(one.completion_ids) - self.taste_logit(other.completion_ids)
        return sigmoid(found.sharpness * pooled(found.share, head, taste))

    def taste_logit(self, completion_ids: Sequence[int]) -> float:
        """What its text features alone say of a reply."""
        return taste_logit(self.found.taste, _shows(self.tokenizer, Tokens([], list(completion_ids))))

    def save(self, folder: Path) -> Path:
        """Write it into `folder`, beside the adapter that came of the same ratings."""
        from safetensors.torch import save_file

        found, head = self.found, self.found.head
        tensors = {
            "centre": found.centre,
            "scale": found.scale,
            "directions": head.directions.contiguous(),
            "mean": head.mean,
            "covariance": head.covariance.contiguous(),
        }
        about = {
            "held_out": dict(found.held_out),
            "sharpness": found.sharpness,
            "share": found.share,
            "taste": [
                [list(taste), probability, *found.taste.rates[taste]]
                for taste, probability in found.taste.probability.items()
            ],
            "spread": head.spread,
            "evidence": head.evidence,
        }
        path, incoming = folder / REWARD, folder / f".{REWARD}"
        save_file({name: t.float() for name, t in tensors.items()}, incoming, {"about": json.dumps(about)})
        incoming.replace(path)
        return path

    @classmethod
    def load(cls, folder: Path, model: Any, tokenizer: Any) -> RewardModel | None:
        """The one in `folder`, over `model`; None where there is none or it belongs to a base of another
        size. Raises LearnError when its file is damaged."""
        from safetensors import safe_open

        path = folder / REWARD
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                about = json.loads(file.metadata()["about"])
                tensors = {name: file.get_tensor(name).double() for name in file.keys()}  # noqa: SIM118
            found = Fit(
                tensors["centre"],
                tensors["scale"],
                Posterior(
                    tensors["directions"],
                    tensors["mean"],
                    tensors["covariance"],
                    about["spread"],
                    about["evidence"],
                ),
                # one that was saved before there was a taste goes on without
                _taste(about.get("taste", [[[], 1.0, 0.5, 0.5]])),
                about.get("share", 1.0),
                about["sharpness"],
                about["held_out"],
            )
        except Exception as error:
            # safetensors has its own errors for each way in which a file can be damaged
            raise LearnError(f"The reward model {path} is damaged: delete it, then train again.") from error
        if len(found.centre) != 2 * model.config.get_text_config(decoder=True).hidden_size + 1:
            return None
        return cls(model, tokenizer, found)

    def module(self, device: Any) -> Any:
        """A torch module from features (..., features + 1), the last being `taste_logit`, to moderated
        logits (..., 1), in float32."""
        import torch

        found = self.found
        centre, scale = (each.to(device=device, dtype=torch.float32) for each in (found.centre, found.scale))
        head = found.head.to(device)

        class Score(torch.nn.Module):
            def forward(self, features: Any) -> Any:
                liked = torch.sigmoid(head.logit((features[..., :-1] - centre) / scale))
                pool = found.share * liked + (1.0 - found.share) * torch.sigmoid(features[..., -1])
                return found.sharpness * torch.logit(pool, 1e-6).unsqueeze(-1)

        return Score()

    def _features(self, rows: Sequence[Tokens]) -> Tensor:
        hidden = reply_features(self.model, rows, padding(self.tokenizer)).double()
        return (hidden - self.found.centre) / self.found.scale


def _shows(tokenizer: Any, row: Tokens) -> Features:
    return features(tokenizer.decode(row.completion_ids, skip_special_tokens=True))


def _taste(saved: Sequence[Any]) -> TastePosterior:
    """What `save` wrote of it: [features, probability, rate within, rate outside] of each taste."""
    return TastePosterior(
        {tuple(taste): probability for taste, probability, _, _ in saved},
        {tuple(taste): (within, outside) for taste, _, within, outside in saved},
    )
