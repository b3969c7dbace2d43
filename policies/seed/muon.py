"""Muon: momentum, then the nearest semi-orthogonal matrix by Newton-Schulz.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks" (quintic
coefficients 3.4445, -4.7750, 2.0315; five steps). torch.optim.Muon always does it in bf16,
which is several times slower than fp32 on CPUs without bf16 units; here those use fp32. Matrices of one
shape go in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch


def orthogonal(stack: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """(n, rows, columns) -> the same shape, every singular value near 1."""
    flip = stack.size(1) > stack.size(2)
    x = stack.transpose(1, 2) if flip else stack
    if torch.cpu._is_avx512_bf16_supported():
        x = x.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.transpose(1, 2) if flip else x).to(stack.dtype)


class Muon(torch.optim.Optimizer):
    """For the two-dimensional weights between embedding and head; Nesterov momentum."""

    def __init__(
        self, weights: Iterable[torch.Tensor], lr: float, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(list(weights), {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for weight in group["params"]:
                by_shape[weight.shape].append(weight)
            for shape, weights in by_shape.items():
                moved = []
                for weight in weights:
                    state = self.state[weight]
                    momentum = state.setdefault("momentum", torch.zeros_like(weight))
                    assert weight.grad is not None
                    momentum.lerp_(weight.grad, 1 - group["momentum"])
                    moved.append(torch.lerp(weight.grad, momentum, group["momentum"]))
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for weight, change in zip(weights, orthogonal(torch.stack(moved)), strict=True):
                    weight.mul_(1 - group["lr"] * group["decay"]).add_(change, alpha=-group["lr"] * scale)
