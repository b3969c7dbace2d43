"""What holds the skills in place: the base's own replies to prompts that have nothing to do with taste.

KL(base || policy) on these "anchors" is added to the loss (forgetting follows the KL on other tasks, arXiv
2509.04259).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policies.learners.packed import completion_logits
from policies.rows import Tokens

# what the base says of the anchors is kept up to this size: all of it for a small vocabulary
KEPT_BYTES = 32 * 2**20


class AnchorHold:
    """`per_step` of the anchors at a time, in turn; their KL has `weight` in the loss."""

    def __init__(self, anchors: Sequence[Tokens], per_step: int, weight: float) -> None:
        self._anchors, self._weight = anchors, weight
        self._per_step = min(len(anchors), per_step)
        self._references: dict[int, Any] = {}

    def __call__(self, model: Any, step: int) -> Any:
        """What is added to the loss of optimiser step `step`; None where nothing holds.

        The anchors come round again, and the base never changes: what it says of them is computed once.
        """
        if not self._per_step or self._weight == 0:
            return None
        start = step * self._per_step % len(self._anchors)
        rows = [self._anchors[(start + at) % len(self._anchors)] for at in range(self._per_step)]
        reference = self._references.get(start)
        if reference is None:
            reference = anchor_reference(model, rows)
            if sum(map(_bytes, self._references.values())) + _bytes(reference) <= KEPT_BYTES:
                self._references[start] = reference
        return self._weight * anchor_kl(model, rows, reference)


def anchor_reference(model: Any, rows: Sequence[Tokens]) -> Any:
    """log p(token) of the base, `model` without its adapter: (completion tokens of `rows`, vocabulary)."""
    import torch
    from torch.nn.functional import log_softmax

    with torch.no_grad(), model.disable_adapter():
        return log_softmax(completion_logits(model, rows)[0].float(), -1)


def anchor_kl(model: Any, rows: Sequence[Tokens], reference: Any) -> Any:
    """KL(base || policy) in nats per completion token, the base being `anchor_reference` of the same rows."""
    from torch.nn.functional import kl_div, log_softmax

    policy = log_softmax(completion_logits(model, rows)[0].float(), -1)
    return kl_div(policy, reference, log_target=True, reduction="batchmean")


def _bytes(tensor: Any) -> int:
    return tensor.numel() * tensor.element_size()
