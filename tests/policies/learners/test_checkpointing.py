"""Gradients are checkpointed where what a step keeps would not fit, and not where there is room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policies.base_models import load, resolve
from policies.learners import lora
from policies.learners.checkpointing import kept_bytes, most_tokens, needed
from policies.learners.lora import LearningSettings, arguments
from policies.learners.packed import log_probabilities, packing
from policies.rows import Tokens
from tests.policies.tiny_models import make_model, shared_model

SIZES = {"hidden_size": 512, "intermediate_size": 1024, "head_dim": 128, "num_hidden_layers": 4}


@pytest.fixture
def model() -> Any:
    return load(resolve(str(shared_model("llama"))), "cpu")[0]


def kept(model: Any, length: int) -> int:
    """Bytes that a forward pass over one row of `length` tokens keeps, without the weights."""
    import torch

    weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
    seen: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        place = tensor.untyped_storage()
        if place.data_ptr() not in weights:
            seen[place.data_ptr()] = tensor
        return tensor

    row = Tokens([at * 7 % 300 for at in range(length - 1)], [5])
    with packing(model), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        log_probabilities(model, [row]).sum()
    return sum(tensor.untyped_storage().nbytes() for tensor in seen.values())


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_what_is_kept_is_estimated_from_above(family: str, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model = load(resolve(str(make_model(tmp_path / family, family, **SIZES))), "cpu")[0]
    lora_config = LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, lora_config).train()
    measured = (kept(adapted, 480) - kept(adapted, 300)) / 180
    assert measured < kept_bytes(model, 1) < 2 * measured


def test_room_decides(model: Any) -> None:
    bytes_kept = kept_bytes(model, 100)
    assert needed(model, 100, free=3 * bytes_kept)
    assert not needed(model, 100, free=5 * bytes_kept)
    assert kept_bytes(model, 200) == 2 * bytes_kept


def test_only_large_models_are_checkpointed(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checkpoints(tokens: int | None) -> bool:
        made = arguments(model, 8, LearningSettings(), tmp_path, tokens)
        return bool(made["gradient_checkpointing"])

    assert not checkpoints(None)
    assert not checkpoints(10**9)
    monkeypatch.setattr(lora, "LARGE", 0)
    assert checkpoints(None)
    assert checkpoints(10**9)
    assert not checkpoints(100)


def test_the_longest_step_is_that_of_the_longest_examples() -> None:
    rows = [Tokens([1] * size, [1]) for size in (4, 1, 9, 2)]
    assert most_tokens([[row] for row in rows], 2) == 10 + 5
    assert most_tokens([rows[:2], rows[2:]], 8) == 5 + 2 + 10 + 3
    assert most_tokens([], 8) == 0
