"""Adapters put on a policy and taken off, between and during replies."""

from __future__ import annotations

import pkgutil
import threading
from pathlib import Path
from typing import Any

import pytest

from policies import weights_file
from policies.adapters.files import WEIGHTS, AdapterError
from policies.base_models import resolve
from policies.language_policy import LanguagePolicy, PolicyError
from policies.policy import Generated
from tests.policies.saying import GREEDY, HELLO, SYSTEM, raw_greedy, say
from tests.policies.tiny_models import make_adapter, make_model, shared_adapter, shared_model


def test_swap_waits_for_the_reply_in_flight(llama: LanguagePolicy) -> None:
    stream = llama.stream([HELLO], GREEDY)
    next(stream)
    swapped = threading.Event()

    def swap() -> None:
        llama.swap("v1", str(shared_adapter()))
        swapped.set()

    thread = threading.Thread(target=swap)
    thread.start()
    rest = list(stream) if not swapped.wait(0.2) else []
    assert rest, "the swap did not wait"
    thread.join(30)
    assert isinstance(rest[-1], Generated)
    assert rest[-1].adapter is None
    assert rest[-1].completion_ids == say_base(rest[-1])
    assert say(llama, [HELLO]).adapter == "v1"


def say_base(reply: Generated) -> tuple[int, ...]:
    return raw_greedy(LanguagePolicy(resolve(str(shared_model("llama"))), device="cpu"), reply.prompt_ids)


def test_a_swap_in_the_middle_of_ones_own_reply_is_refused(llama: LanguagePolicy) -> None:
    stream = llama.stream([HELLO], GREEDY)
    next(stream)
    with pytest.raises(PolicyError, match="finish it or close it"):
        llama.swap(None)
    stream.close()  # type: ignore[attr-defined]
    llama.swap(None)


def test_an_adapter_speaks_as_peft_says_and_leaves_no_trace(shared: tuple[str, LanguagePolicy]) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    family, policy = shared
    policy.swap(None)
    before = {name: values.clone() for name, values in policy.model.state_dict().items()}
    base = say(policy, [SYSTEM, HELLO])
    folder = shared_adapter(family)
    policy.swap("v1", str(folder))
    adapted = say(policy, [SYSTEM, HELLO])
    assert adapted.adapter == policy.adapter == "v1"
    assert policy.served_sha256 == weights_file.digest(folder / WEIGHTS)
    assert adapted.completion_ids != base.completion_ids

    plain = AutoModelForCausalLM.from_pretrained(shared_model(family), dtype=torch.float32)
    wanted = PeftModel.from_pretrained(plain, folder).eval()
    ids = torch.tensor([adapted.prompt_ids])
    with torch.inference_mode():
        ours, theirs = policy.model(ids).logits, wanted(ids).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)

    policy.swap("v2", str(shared_adapter(family, seed=1)))
    assert say(policy, [SYSTEM, HELLO]).completion_ids != adapted.completion_ids
    policy.swap(None)
    after = policy.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert policy.served_sha256 is None
    assert say(policy, [SYSTEM, HELLO]).completion_ids == base.completion_ids


def test_an_adapter_that_cannot_be_merged_speaks_wrapped(llama: LanguagePolicy, tmp_path: Path) -> None:
    import torch

    before = {name: values.clone() for name, values in llama.model.state_dict().items()}
    base = say(llama, [HELLO])
    dora = make_adapter(tmp_path / "dora", shared_model("llama"), use_dora=True)
    llama.swap("v1", str(dora))
    assert say(llama, [HELLO]).completion_ids != base.completion_ids
    assert llama.generate([[HELLO]], GREEDY)[0].completion_ids == say(llama, [HELLO]).completion_ids
    llama.swap("v2", str(shared_adapter()))
    adapted = say(llama, [HELLO])
    assert adapted.adapter == "v2"
    llama.swap("v1", str(dora))
    llama.swap(None)
    after = llama.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_failed_swap_changes_nothing(llama: LanguagePolicy, tmp_path: Path) -> None:
    llama.swap("v1", str(shared_adapter()))
    adapted = say(llama, [HELLO])
    wide = make_model(tmp_path / "wide", "llama", hidden_size=48, head_dim=12)
    foreign = make_adapter(tmp_path / "foreign", wide)
    deep = make_model(tmp_path / "deep", "llama", num_hidden_layers=3)
    unknown = make_adapter(tmp_path / "unknown", deep)
    for bad in (
        foreign,
        unknown,
        make_adapter(tmp_path / "zero", shared_model("llama"), scale=0.0),
        tmp_path,
    ):
        with pytest.raises(AdapterError):
            llama.swap("v2", str(bad))
        assert llama.adapter == "v1"
        assert say(llama, [HELLO]).completion_ids == adapted.completion_ids
    with pytest.raises(PolicyError, match="v3"):
        llama.swap("v3")


@pytest.mark.parametrize("where", ["peft.tuners.lora.Linear.get_delta_weight", "torch.Tensor.clone"])
def test_where_a_swap_fails_for_want_of_memory_the_base_speaks_and_says_so(
    llama: LanguagePolicy, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    import torch

    before = {name: values.clone() for name, values in llama.model.state_dict().items()}
    base = say(llama, [HELLO])
    llama.swap("v1", str(shared_adapter()))
    whole, room = pkgutil.resolve_name(where), 3

    def full(*asked: Any, **how: Any) -> Any:
        nonlocal room
        room -= 1
        if room < 0:
            raise torch.OutOfMemoryError("out of memory")
        return whole(*asked, **how)

    with monkeypatch.context() as patched:
        patched.setattr(where, full)
        with pytest.raises(torch.OutOfMemoryError):
            llama.swap("v2", str(shared_adapter(seed=1)))
    assert (llama.adapter, llama.served_sha256) == (None, None)
    after = llama.model.state_dict()
    assert after.keys() == before.keys(), "layers of the adapter were left inside"
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert say(llama, [HELLO]).completion_ids == base.completion_ids
    llama.swap("v1", str(shared_adapter()))
    assert say(llama, [HELLO]).adapter == "v1"


def test_an_adapter_on_weights_of_half_precision_loses_nothing_to_rounding(tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    half = LanguagePolicy(resolve(str(shared_model("llama"))), device="cpu", dtype="bfloat16")
    ids = torch.tensor([half.prompt([HELLO])[1]])
    before = {name: values.clone() for name, values in half.model.state_dict().items()}
    slight = make_adapter(tmp_path / "slight", shared_model("llama"), scale=0.002)
    plain = AutoModelForCausalLM.from_pretrained(shared_model("llama"), dtype=torch.bfloat16)
    wanted = PeftModel.from_pretrained(plain, slight).eval()
    half.swap("v1", str(slight))
    with torch.inference_mode():
        assert torch.equal(half.model(ids).logits, wanted(ids).logits)
    half.swap("v2", str(shared_adapter()))
    assert say(half, [HELLO]).adapter == "v2"
    half.swap(None)
    after = half.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
