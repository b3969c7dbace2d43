"""LoRA layers as one operation: the same values and gradients as PEFT's, in every place they stand."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from policies.base_models import load, resolve
from policies.learners import kto, lora, packed
from policies.learners.lora import LearningSettings
from policies.rows import Tokens
from tests.policies.tiny_models import FAMILIES, make_model, shared_model

SETTINGS = LearningSettings(rank=4, alpha=12, epochs=4, batch_size=3, seed=1)


def adapted(folder: Path, dtype: str = "float32", **more: Any) -> Any:
    """A model whose adapter already says something."""
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, lora_alpha=12, target_modules="all-linear", task_type="CAUSAL_LM", **more)
    base = load(resolve(str(folder)), "cpu")[0].to(getattr(torch, dtype))
    model: Any = get_peft_model(base, config)
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "lora_B" in name:
                values.copy_(torch.randn(values.shape, generator=noise) * 0.1)
    return model.train()


def one_step(model: Any) -> tuple[Any, dict[str, Any]]:
    """(logits, gradients of the adapter) of a few tokens."""
    import torch

    model.zero_grad()
    ids = torch.arange(24).view(2, 12) % 300
    logits = model(input_ids=ids, use_cache=False).logits
    logits.float().log_softmax(-1)[..., 7].sum().backward()
    return logits.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("checkpointed", [False, True], ids=["kept", "checkpointed"])
@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients_are_those_of_peft(family: str, checkpointed: bool) -> None:
    import torch

    from policies.learners.fused import fused

    model = adapted(shared_model(family))
    if checkpointed:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    theirs, their_gradients = one_step(model)
    with fused(model) as layers:
        assert layers == sum("lora_A" in name for name, _ in model.named_parameters())
        ours, our_gradients = one_step(model)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert set(our_gradients) == set(their_gradients)
    for name, gradient in their_gradients.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(our_gradients[name], gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_the_gradient_is_the_derivative(bias: bool) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from policies.learners.fused import fused

    torch.manual_seed(2)
    plain = torch.nn.Sequential(torch.nn.Linear(5, 3, bias=bias)).double()
    model = get_peft_model(plain, LoraConfig(r=2, lora_alpha=5, target_modules=["0"])).double()
    named = dict(model.named_parameters())
    a, b = (next(p for n, p in named.items() if key in n) for key in ("lora_A", "lora_B"))
    torch.nn.init.normal_(b)
    x = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)

    def said(x: Any, *_: Any) -> Any:
        return model(x)

    with fused(model) as layers:
        assert layers == 1
        assert torch.autograd.gradcheck(said, (x, a, b))


def test_rounding_is_no_worse_than_that_of_peft_in_bfloat16(tmp_path: Path) -> None:
    import torch

    from policies.learners.fused import fused

    folder = make_model(tmp_path / "tiny", initializer_range=0.1)
    exact, _ = one_step(adapted(folder))
    model = adapted(folder, "bfloat16")
    assert {p.dtype for n, p in model.named_parameters() if "lora_" in n} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        theirs, _ = one_step(model)
        with fused(model):
            ours, gradients = one_step(model)
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
    off, their_off = ((each.float() - exact).square().mean().sqrt() for each in (ours, theirs))
    assert 0 < off < 1.2 * their_off


def test_weights_that_autocast_casts_are_left_to_peft(tmp_path: Path) -> None:
    import torch

    from policies.learners.fused import fused

    model = adapted(make_model(tmp_path / "tiny"))
    with torch.autocast("cpu", torch.bfloat16):
        theirs, their_gradients = one_step(model)
        with fused(model):
            ours, our_gradients = one_step(model)
    assert torch.equal(ours, theirs)
    assert all(torch.equal(our_gradients[name], each) for name, each in their_gradients.items())


def test_a_model_is_its_base_while_the_adapter_is_off_and_as_before_afterwards() -> None:
    import torch

    from policies.learners.fused import fused

    model = adapted(shared_model("llama"))
    ids = torch.arange(12)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        with model.disable_adapter():
            base = model(input_ids=ids).logits
        with fused(model), model.disable_adapter():
            assert torch.equal(model(input_ids=ids).logits, base)
        assert torch.equal(model(input_ids=ids).logits, before)
    assert not torch.equal(base, before)
    assert not any("forward" in vars(module) for module in model.modules())


@pytest.mark.filterwarnings("ignore:`lora_bias=True` was passed")
@pytest.mark.parametrize("more", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}], ids=str)
def test_other_layers_stay_as_they_are(more: dict[str, Any]) -> None:
    import torch

    from policies.learners.fused import fused

    model = adapted(shared_model("llama"), **more).eval()
    theirs, _ = one_step(model)
    with fused(model) as layers:
        assert layers == 0
        assert torch.equal(one_step(model)[0], theirs)


def test_layers_that_are_trained_themselves_stay_as_they_are() -> None:
    """Their own gradient has no place in the one operation."""
    from policies.learners.fused import fused

    model = adapted(shared_model("llama"))
    model.requires_grad_(True)
    with fused(model) as layers:
        assert layers == 0


def test_two_adapters_at_once_stay_as_they_are() -> None:
    from peft import LoraConfig

    from policies.learners.fused import fused

    model = adapted(shared_model("llama"))
    model.add_adapter("other", LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    with fused(model) as layers:
        assert layers == 0


def test_an_update_learns_the_same_as_on_an_accelerator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer calls, as there, every step's loss is that of the CPU."""
    from policies.learners import fused as fusing

    model, tokenizer = load(resolve(str(shared_model("qwen3"))), "cpu")
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20 + at, 30 + at]), at % 2 == 0) for at in range(6)]

    def update(name: str) -> lora.TrainResult:
        return kto.train(
            model, tokenizer, thumbs, SETTINGS, tmp_path / name, lambda share, text: None, threading.Event()
        )

    here, layers = update("here"), set()
    real = fusing._forward

    def noted(layer: Any, *args: Any, **more: Any) -> Any:
        layers.add(layer)
        return real(layer, *args, **more)

    for module in (lora, packed):
        monkeypatch.setattr(module, "few_calls", lambda device: True)
    monkeypatch.setattr(fusing, "_forward", noted)
    there = update("there")
    assert layers, "nothing was fused"
    for name in ("train_loss", "rewards/margins", "grad_norm"):
        assert there.metrics[name] == pytest.approx(here.metrics[name], rel=1e-3)
    assert there.max_abs_b == pytest.approx(here.max_abs_b, rel=1e-3)
