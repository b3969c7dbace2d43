"""One prompt under several adapters in one batch: each row as that adapter alone, and no trace left."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from policies.adapters.files import AdapterError
from policies.language_policy import LanguagePolicy, PolicyError
from policies.policy import Mixes, SamplingParams, Side
from tests.policies.saying import GREEDY, HELLO, SYSTEM, say
from tests.policies.tiny_models import make_adapter, make_model, shared_adapter, shared_model

BASE = Side(None)


def sides(family: str = "llama") -> tuple[Side, Side]:
    return Side("v1", str(shared_adapter(family))), Side("v2", str(shared_adapter(family, seed=1)))


def alone(policy: LanguagePolicy, side: Side, sampling: SamplingParams = GREEDY) -> tuple[int, ...]:
    policy.swap(side.version, side.path)
    return say(policy, [SYSTEM, HELLO], sampling).completion_ids


def test_a_row_says_what_its_adapter_says_alone(shared: tuple[str, LanguagePolicy]) -> None:
    import torch

    family, policy = shared
    one, two = sides(family)
    wanted = {side: alone(policy, side) for side in (BASE, two, one)}
    assert len(set(wanted.values())) == 3
    served = {name: values.clone() for name, values in policy.model.state_dict().items()}
    for order in ([one, two], [two, one], [one, BASE], [BASE, two, one]):
        made = policy.mixed([SYSTEM, HELLO], order, GREEDY)
        assert [reply.completion_ids for reply in made] == [wanted[side] for side in order]
        assert [reply.adapter for reply in made] == [side.version for side in order]
        assert all(reply.prompt_ids == made[0].prompt_ids and reply.finish_reason for reply in made)
    after = policy.model.state_dict()
    assert after.keys() == served.keys()
    assert all(torch.equal(after[name], served[name]) for name in served)
    assert policy.adapter == "v1"
    assert say(policy, [SYSTEM, HELLO]).completion_ids == wanted[one]
    policy.swap(None)
    assert say(policy, [SYSTEM, HELLO]).completion_ids == wanted[BASE]


def test_rows_end_one_by_one(llama: LanguagePolicy) -> None:
    one, two = sides()
    wanted = {side: alone(llama, side) for side in (BASE, one, two)}
    stop = wanted[one][3]
    late = [side for side in (BASE, two) if stop not in wanted[side][:8]]
    assert late
    kept, llama.stop_ids = llama.stop_ids, llama.stop_ids | {stop}
    try:
        first, *others = llama.mixed([SYSTEM, HELLO], [one, *late], GREEDY)
    finally:
        llama.stop_ids = kept
    assert first.finish_reason == "stop"
    assert first.completion_ids == wanted[one][: wanted[one].index(stop) + 1]
    for side, other in zip(late, others, strict=True):
        assert len(other.completion_ids) > len(first.completion_ids)
        assert other.completion_ids == wanted[side][: len(other.completion_ids)]
        assert other.total_ms > first.total_ms


def test_beside_a_wrapped_adapter(llama: LanguagePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large model is never merged: its adapter stays in peft's wrappers, and so does the other one."""
    one, two = sides()
    wanted = [alone(llama, side) for side in (two, one)]
    monkeypatch.setattr("policies.adapters.swap.COPY_BYTES", 0)
    assert alone(llama, one) == wanted[1]
    for _ in range(2):
        made = llama.mixed([SYSTEM, HELLO], [two, one], GREEDY)
        assert [reply.completion_ids for reply in made] == wanted
    assert say(llama, [SYSTEM, HELLO]).completion_ids == wanted[1]
    llama.swap(None)
    assert not [name for name, _ in llama.model.named_modules() if "lora" in name]


def test_draws_of_the_adapter_in_use_need_no_wrapper(llama: LanguagePolicy) -> None:
    one, _ = sides()
    llama.swap(one.version, one.path)
    warm = SamplingParams(temperature=1.0, max_new_tokens=12, seed=3)
    made = llama.mixed([SYSTEM, HELLO], [Side("v1")] * 4, warm)
    assert [reply.adapter for reply in made] == ["v1"] * 4
    assert len({reply.completion_ids for reply in made}) > 1
    assert [reply.completion_ids for reply in llama.mixed([SYSTEM, HELLO], [one] * 4, warm)] == [
        reply.completion_ids for reply in made
    ]


def test_cancel_stops_all_of_them(llama: LanguagePolicy) -> None:
    cancel = threading.Event()
    steps: list[int] = []
    forward = llama.forward

    def third(*args: object, **more: object):
        steps.append(1)
        if len(steps) == 3:
            cancel.set()
        return forward(*args, **more)  # type: ignore[arg-type]

    llama.forward = third  # type: ignore[method-assign, assignment]
    try:
        made = llama.mixed([HELLO], sides(), GREEDY, cancel=cancel)
    finally:
        del llama.forward
    assert [reply.finish_reason for reply in made] == ["cancelled"] * 2
    assert [len(reply.completion_ids) for reply in made] == [3, 3]


@pytest.mark.parametrize("wrapped", [False, True], ids=["merged", "wrapped"])
def test_what_cannot_be_mixed_is_said_and_changes_nothing(
    llama: LanguagePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrapped: bool
) -> None:
    one, two = sides()
    if wrapped:
        monkeypatch.setattr("policies.adapters.swap.COPY_BYTES", 0)
    wanted = alone(llama, one)
    dora = make_adapter(tmp_path / "dora", shared_model(), use_dora=True)
    zero = make_adapter(tmp_path / "zero", shared_model(), scale=0.0)
    deep = make_model(tmp_path / "deep", num_hidden_layers=3)
    foreign = make_adapter(tmp_path / "foreign", deep)
    for bad in (dora, zero, foreign, tmp_path):
        with pytest.raises(AdapterError):
            llama.mixed([SYSTEM, HELLO], [one, two, Side("v3", str(bad))], GREEDY)
        assert say(llama, [SYSTEM, HELLO]).completion_ids == wanted
    with pytest.raises(PolicyError, match="v3"):
        llama.mixed([HELLO], [one, Side("v3")], GREEDY)
    assert isinstance(llama, Mixes)
    llama.swap(None)
    assert not [name for name, _ in llama.model.named_modules() if "lora" in name]


def test_the_base_shows_through_for_a_while(llama: LanguagePolicy) -> None:
    import torch

    one, _ = sides()
    llama.swap(None)
    base = {name: values.clone() for name, values in llama.model.state_dict().items()}
    llama.swap(one.version, one.path)
    served = {name: values.clone() for name, values in llama.model.state_dict().items()}
    with llama.as_base():
        assert all(torch.equal(values, base[name]) for name, values in llama.model.state_dict().items())
        with pytest.raises(PolicyError, match="finish it or close it"):
            llama.swap(None)
    with pytest.raises(ValueError, match="broken"), llama.as_base():
        raise ValueError("broken")
    assert any(not torch.equal(values, base[name]) for name, values in served.items())
    assert all(torch.equal(values, served[name]) for name, values in llama.model.state_dict().items())
