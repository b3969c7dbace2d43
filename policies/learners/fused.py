"""A linear layer with LoRA as one operation with its own backward pass, for training on an accelerator.

PEFT's layer is about ten operations forward and more backward, most of them smaller than what it costs to
ask an accelerator for them, and under autocast each layer keeps its own copy of its input. The result is
the same but for rounding, which has fewer steps here.

    y = x W' + bias + s (x A') B'
    dA = s (dy B)' x,  dB = s dy' (x A'),  dx = dy W + s (dy B) A
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear


@contextmanager
def fused(model: Any) -> Iterator[int]:
    """Within it the plain LoRA layers of `model`, a peft model, are fused; says how many those are.

    Plain ones have one adapter without dropout or variant, on a frozen linear layer. Others stay, as do those
    whose weights autocast casts.
    """
    layers = [module for module in model.modules() if _plain(module)]
    for layer in layers:
        layer.forward = partial(_forward, layer, layer.forward)
    try:
        yield len(layers)
    finally:
        for layer in layers:
            del layer.forward


def _plain(module: Any) -> bool:
    from peft.tuners.lora import Linear

    if type(module) is not Linear or type(module.get_base_layer()) is not torch.nn.Linear:
        return False
    if len(module.lora_A) != 1 or module.lora_variant or list(module.lora_A) != list(module.active_adapters):
        return False
    (name,) = module.lora_A
    if module.lora_B[name].bias is not None or type(module.lora_dropout[name]) is not torch.nn.Identity:
        return False
    return all(p.is_floating_point() and not p.requires_grad for p in module.get_base_layer().parameters())


def _forward(layer: Any, unfused: Any, x: Any, *args: Any, **more: Any) -> Any:
    base = layer.get_base_layer()
    kind = base.weight.device.type
    cast = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) != base.weight.dtype
    if layer.disable_adapters or layer.merged or cast or args or more:
        return unfused(x, *args, **more)
    (name,) = layer.lora_A
    return _Adapted.apply(
        x.to(base.weight.dtype),
        base.weight,
        base.bias,
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
    )


class _Adapted(torch.autograd.Function):
    """(…, in) to (…, out), in the dtype of the weight; the gradients of A and B are in their own."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scaling: float) -> Any:
        flat = x.reshape(-1, x.shape[-1])
        low_a, low_b = a.to(weight.dtype), b.to(weight.dtype)
        down = flat @ low_a.t()
        ctx.save_for_backward(flat, weight, low_a, low_b, down)
        ctx.scaling, ctx.shape, ctx.dtype = scaling, x.shape, a.dtype
        said = linear(flat, weight, bias).addmm_(down, low_b.t(), alpha=scaling)
        return said.view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Any) -> Any:
        flat, weight, low_a, low_b, down = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])
        up = grad @ low_b
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (grad @ weight).addmm_(up, low_a, alpha=ctx.scaling).view(ctx.shape)
        # with beta=0 the first argument is not read: only its shape counts
        of_a = torch.addmm(low_a, up.t(), flat, beta=0, alpha=ctx.scaling).to(ctx.dtype)
        of_b = torch.addmm(low_b, grad.t(), down, beta=0, alpha=ctx.scaling).to(ctx.dtype)
        return of_x, None, None, of_a, of_b, None
