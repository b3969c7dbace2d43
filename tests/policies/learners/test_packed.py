"""Shared and packed rows give what padded rows give, and our losses what TRL's trainers give."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from policies.base_models import load, resolve
from policies.learners import dpo, kto, packed, token_tree
from policies.learners.packed import completion_logits, log_probabilities, packing
from policies.learners.token_tree import grow
from policies.rows import Tokens, score
from tests.policies.tiny_models import FAMILIES, make_model, shared_model

OPENING = list(range(30, 50))


def row(seed: int, prompt: int, completion: int, opening: Sequence[int] = OPENING) -> Tokens:
    chance = random.Random(seed)
    some = [chance.randrange(10, 300) for _ in range(prompt + completion)]
    return Tokens([*opening, *some[:prompt]], some[prompt:])


def ragged(count: int = 6) -> list[Tokens]:
    """Rows that begin alike, of which the first two share their whole prompt."""
    rows = [row(at, 1 + at % 3, 3 + 5 * at % 17) for at in range(count)]
    return [Tokens(rows[1].prompt_ids, rows[0].completion_ids), *rows[1:]]


@pytest.fixture(params=["level by level", "whole"])
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How attention goes over the tree: as on a CPU, and as on an accelerator."""
    if request.param == "whole":
        monkeypatch.setattr(packed, "grow", lambda rows, device, whole: grow(rows, device, whole=True))
    return str(request.param)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> Any:
    return load(resolve(str(shared_model(request.param))), "cpu")[0]


@pytest.mark.parametrize(
    "rows",
    [
        ragged(),
        [row(1, 4, 7)],
        [row(1, 1, 1, opening=()), row(2, 3, 2, opening=())],
        [row(1, 2, 5), row(1, 2, 5)],
        [row(1, 3, 4), Tokens(OPENING, [5, 6]), Tokens([*OPENING, 7], [])],
    ],
    ids=["ragged", "one", "nothing shared", "twice the same", "one prompt begins another, one says nothing"],
)
def test_packing_changes_no_logit(model: Any, rows: list[Tokens], layout: str) -> None:
    import torch

    with torch.inference_mode():
        padded, targets, whose = completion_logits(model, rows)
        with packing(model) as packs:
            assert packs
            packed, packed_targets, packed_whose = completion_logits(model, rows)
    assert targets.tolist() == packed_targets.tolist() == [t for row in rows for t in row.completion_ids]
    assert whose.tolist() == packed_whose.tolist()
    torch.testing.assert_close(packed, padded, rtol=1e-3, atol=1e-3)


def test_the_model_is_given_back_as_it_came(model: Any) -> None:
    before = model.config._attn_implementation
    with packing(model), packing(model):
        pass
    assert model.config._attn_implementation == before


def test_a_tree_holds_each_shared_token_once() -> None:
    rows = ragged()
    tree = grow(rows)
    pair = rows[0].prompt_ids[len(OPENING) : -1]
    own = sum(len(r.prompt_ids) - len(OPENING) + len(r.completion_ids) - 1 for r in rows[2:])
    replies = sum(len(r.completion_ids) for r in rows[:2])
    assert tree.input_ids.shape[1] == len(OPENING) + len(pair) + replies + own
    assert tree.position_ids.max() == max(len(r.prompt_ids) + len(r.completion_ids) for r in rows) - 2


def test_a_whole_tree_has_one_level_until_it_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ragged()
    levels, whole = grow(rows), grow(rows, whole=True)
    assert (len(levels.levels), len(whole.levels)) == (3, 1)
    assert whole.input_ids.tolist() == levels.input_ids.tolist()
    assert whole.position_ids.tolist() == levels.position_ids.tolist()
    monkeypatch.setattr(token_tree, "WHOLE", whole.input_ids.shape[1] - 1)
    assert len(grow(rows, whole=True).levels) == 3


def test_a_mask_is_aligned_and_made_once() -> None:
    import torch

    level = grow(ragged(), whole=True).levels[0]
    mask = level.added(torch.bfloat16)
    assert mask is level.added(torch.bfloat16) is not level.added(torch.bfloat16, 4)
    assert mask.stride()[-2] % token_tree.ALIGNED == 0
    assert ((mask == 0) == level.seen()).all()
    assert bool((level.seen(4) <= level.seen()).all())
    assert level.seen(4).sum() < level.seen().sum()


def test_rows_are_scored_few_at_a_time_where_their_logits_are_many(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ragged(9)
    at_once = score(model, rows)
    monkeypatch.setattr("policies.rows.LOGIT_BYTES", 4 * model.config.vocab_size * 20)
    asked: list[int] = []
    real = log_probabilities

    def counted(model: Any, batch: Sequence[Tokens], floor: float | None = None) -> Any:
        asked.append(len(batch))
        return real(model, batch, floor)

    monkeypatch.setattr(packed, "log_probabilities", counted)
    assert score(model, rows) == pytest.approx(at_once, abs=1e-3)
    assert sum(asked) == len(rows)
    assert max(asked) < len(rows)


def test_a_model_that_mixes_tokens_in_another_way_is_padded(tmp_path: Path) -> None:
    model = load(resolve(str(make_model(tmp_path / "tiny"))), "cpu")[0]
    attention = model.model.layers[0].self_attn
    forward = attention.forward

    def leaky(hidden_states: Any, **more: Any) -> Any:
        said, weights = forward(hidden_states=hidden_states, **more)
        said[:, 1:] += hidden_states[:, :-1]
        return said, weights

    attention.forward = leaky
    with packing(model) as packs:
        assert not packs
        found = score(model, ragged())
    assert found == pytest.approx([score(model, [one])[0] for one in ragged()], abs=1e-2)


def test_scores_are_those_of_each_row_alone(model: Any, layout: str) -> None:
    import torch

    rows = ragged(9)
    alone = []
    for one in rows:
        ids = torch.tensor([one.prompt_ids + one.completion_ids])
        with torch.inference_mode():
            told = model(input_ids=ids).logits[0].log_softmax(-1)
        start = len(one.prompt_ids)
        alone.append(sum(float(told[start + at - 1, t]) for at, t in enumerate(one.completion_ids)))
    assert score(model, rows, batch_size=4) == pytest.approx(alone, abs=1e-2)


def test_checkpointed_layers_give_the_same_gradient(tmp_path: Path, layout: str) -> None:
    """Their second forward pass runs in the backward pass, and must find the tree again."""
    model = load(resolve(str(make_model(tmp_path / "tiny"))), "cpu")[0].train()
    model.lm_head.requires_grad_(True)
    model.model.embed_tokens.requires_grad_(True)
    with packing(model) as packs:
        assert packs
        plain = gradients(model, log_probabilities(model, ragged()).sum())
        model.gradient_checkpointing_enable()
        checkpointed = gradients(model, log_probabilities(model, ragged()).sum())
    assert set(plain) == set(checkpointed) == {"model.embed_tokens.weight", "lm_head.weight"}
    for name, grad in plain.items():
        assert (grad - checkpointed[name]).abs().max() < 1e-4


@pytest.fixture
def trainer_model(tmp_path: Path) -> tuple[Any, Any]:
    return load(resolve(str(make_model(tmp_path / "tiny", initializer_range=0.1))), "cpu")


def adapted(trainer: Any) -> Any:
    """The trainer's model with an adapter that already says something: at its start every ratio is zero."""
    import torch

    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, values in trainer.model.named_parameters():
            if "lora_B" in name:
                values.copy_(torch.randn(values.shape, generator=noise) * 0.05)
    trainer.model.train()
    return trainer.model


def gradients(model: Any, loss: Any) -> dict[str, Any]:
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def trl_side(
    trainer_class: Any, config_class: Any, loaded: Any, rows: list[dict[str, Any]], **more: Any
) -> Any:
    from datasets import Dataset
    from peft import LoraConfig

    model, tokenizer = loaded
    return trainer_class(
        model=model,
        args=config_class(
            per_device_train_batch_size=len(rows),
            train_sampling_strategy="sequential",
            max_length=None,
            report_to="none",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            **more,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )


def the_same(ours: tuple[Any, dict[str, Any]], theirs: tuple[Any, dict[str, Any]]) -> None:
    import torch

    assert float(ours[0]) == pytest.approx(float(theirs[0]), abs=1e-4)
    assert set(ours[1]) == set(theirs[1])
    largest = max(float(grad.abs().max()) for grad in theirs[1].values())
    assert largest > 0
    for name, grad in theirs[1].items():
        torch.testing.assert_close(ours[1][name], grad, rtol=0, atol=1e-4 * max(1.0, largest))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loss_type", ["kto", "apo_zero_unpaired"])
def test_our_kto_is_that_of_trl(trainer_model: tuple[Any, Any], tmp_path: Path, loss_type: str) -> None:
    from trl import KTOConfig, KTOTrainer

    rows = [
        {
            "prompt": f"My dog.{'?' * at}",
            "completion": " rivers and bread" * (at + 1),
            "label": at % 3 > 0,
        }
        for at in range(6)
    ]
    weights = (1.5, 0.75)
    trainer = trl_side(
        KTOTrainer, KTOConfig, trainer_model, rows, output_dir=str(tmp_path), loss_type=loss_type, beta=0.3,
        desirable_weight=weights[0], undesirable_weight=weights[1],
    )  # fmt: skip
    batch = next(iter(trainer.get_train_dataloader()))
    model = adapted(trainer)
    theirs = trainer.compute_loss(model, batch)
    their_gradients = gradients(model, theirs)

    data = trainer.train_dataset
    thumbs = [kto.Thumb(Tokens(r["prompt_ids"], r["completion_ids"]), r["label"]) for r in data]
    said = [thumb.tokens for thumb in thumbs]
    other = kto.mismatched(said) if loss_type == "kto" else None
    if other is not None:
        assert [one.completion_ids for one in other] == data["KL_completion_ids"][:]
    with packing(model) as packs:
        assert packs
        with model.disable_adapter():
            objective = kto.objective(model, thumbs, other, 0.3, weights)
        ours, seen = objective(model, list(range(6)))
        our_gradients = gradients(model, ours)
    the_same((ours, our_gradients), (theirs, their_gradients))
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert seen == pytest.approx({name: logged[name] for name in seen}, abs=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_our_dpo_is_that_of_trl(trainer_model: tuple[Any, Any], tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    rows = [
        {
            "prompt": f"My dog.{'?' * at}",
            "chosen": " rivers" * (at + 1),
            "rejected": " bread" * (4 - at),
        }
        for at in range(4)
    ]
    trainer = trl_side(
        DPOTrainer, DPOConfig, trainer_model, rows, output_dir=str(tmp_path), beta=0.3,
        loss_type=dpo.LOSSES, loss_weights=dpo.LOSS_WEIGHTS,
    )  # fmt: skip
    batch = next(iter(trainer.get_train_dataloader()))
    model = adapted(trainer)
    theirs = trainer.compute_loss(model, batch)
    their_gradients = gradients(model, theirs)
    pairs = [
        dpo.Preference(Tokens(r["prompt_ids"], r["chosen_ids"]), Tokens(r["prompt_ids"], r["rejected_ids"]))
        for r in trainer.train_dataset
    ]
    with packing(model) as packs:
        assert packs
        with model.disable_adapter():
            objective = dpo.objective(model, pairs, 0.3)
        ours, seen = objective(model, list(range(4)))
        our_gradients = gradients(model, ours)
    the_same((ours, our_gradients), (theirs, their_gradients))
    logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert seen == pytest.approx({name: logged[name] for name in seen}, abs=1e-3)


@pytest.mark.parametrize("floor", [-3.0, -0.5])
def test_a_floor_is_one_for_every_token(model: Any, floor: float) -> None:
    import torch

    rows = ragged()
    with torch.inference_mode():
        logits, targets, whose = completion_logits(model, rows)
        each = logits.float().log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    expected = [each[whose == at].clamp(min=floor).sum().item() for at in range(len(rows))]
    found = score(model, rows, floor=floor)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert all(floored > plain for floored, plain in zip(found, score(model, rows), strict=True))


def test_the_loss_of_a_taught_row_is_the_one_that_is_written_down(model: Any) -> None:
    import torch
    from torch.nn.functional import softplus

    rows = ragged(4)
    thumbs = [kto.Thumb(one, at % 2 == 0, taught=at == 2) for at, one in enumerate(rows)]
    before, floored = score(model, rows), score(model, rows, floor=kto.HEARD)
    assert before[2] < floored[2] - 10
    objective = kto.objective(model, thumbs, None, 0.5)
    with torch.no_grad():
        loss, _ = objective(model, [2])
        judged, _ = objective(model, [0, 1, 3])
    assert loss.item() == pytest.approx(
        softplus(torch.tensor(-0.5 * (before[2] - floored[2]))).item() / 2, rel=1e-3
    )
    assert judged.item() == pytest.approx(0.5, abs=1e-3), "the base is KTO's reference for what was judged"


def test_log_probabilities_have_a_gradient_only_where_something_was_said(model: Any, layout: str) -> None:
    """A mistake in who sees whom would let one row's loss move through another row's reply."""
    import torch

    rows = ragged()
    with packing(model):
        embedded = model.get_input_embeddings()
        seen: list[torch.Tensor] = []

        def keep(module: Any, arguments: Any, output: torch.Tensor) -> torch.Tensor:
            seen.append(output.detach().requires_grad_())
            return seen[-1]

        hook = embedded.register_forward_hook(keep)
        log_probabilities(model, rows)[3].backward()
        hook.remove()
    touched = (seen[0].grad[0].abs().sum(-1) > 0).nonzero()[:, 0].tolist()
    tree = grow(rows)
    # of the tokens that are no opening, just those of row 3 that come before its last
    own = [at for at in touched if at >= len(OPENING)]
    assert len(own) == len(rows[3].prompt_ids) - len(OPENING) + len(rows[3].completion_ids) - 1
    told = [*rows[3].prompt_ids, *rows[3].completion_ids][len(OPENING) : -1]
    assert [int(tree.input_ids[0, at]) for at in own] == told
