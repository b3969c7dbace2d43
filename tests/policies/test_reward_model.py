"""The reward model over a tiny model and over sprout; best-of-n with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from env.people import Person
from env.skills.probes import everyday_prompts, system, user
from policies.adapters.files import REWARD
from policies.base_models import resolve
from policies.errors import LearnError
from policies.generation.best_of import best_of
from policies.language_policy import LanguagePolicy
from policies.learners.dpo import Preference
from policies.learners.heads import adapters_off, head, reply_features, running_features
from policies.learners.kto import Thumb
from policies.policy import SamplingParams
from policies.reward_model import RewardModel
from policies.rows import Tokens, pad_batch
from tests.policies.rated import chat
from tests.policies.tiny_models import shared_adapter


def reply(at: int, long: bool) -> Tokens:
    """A reply to prompt number `at`: of two ids, or of many."""
    return Tokens([5, 6, 7 + at], [20 + at % 50, 30] + ([40 + at % 7, 41] * 4 if long else []))


def thumbs(count: int) -> list[Thumb]:
    """Short replies are liked."""
    return [Thumb(reply(at, at % 3 > 0), at % 3 == 0) for at in range(count)]


@pytest.fixture(scope="module")
def sprout() -> LanguagePolicy:
    return LanguagePolicy(resolve(None), device="cpu")


def test_it_tells_new_replies_apart(policy: LanguagePolicy) -> None:
    reward = RewardModel.fit(policy.model, policy.tokenizer, thumbs(24))
    liked = reward.probability([reply(at, False) for at in range(30, 40)])
    disliked = reward.probability([reply(at, True) for at in range(30, 40)])
    assert min(liked) > 0.5 > max(disliked)
    assert reward.knows
    held = reward.held_out
    assert held["n"] == 24
    assert held["low"] <= held["accuracy"] <= held["high"]
    assert held["commoner"] == pytest.approx(16 / 24)
    assert held["accuracy"] > 0.9


def test_thumbs_that_say_nothing_make_a_model_that_knows_nothing(policy: LanguagePolicy) -> None:
    noise = [Thumb(reply(at, at % 3 > 0), (at * 7919) % 11 < 5) for at in range(24)]
    reward = RewardModel.fit(policy.model, policy.tokenizer, noise)
    assert not reward.knows
    assert reward.held_out["low"] < 0.5


def test_pairs_teach_it_as_well(policy: LanguagePolicy) -> None:
    pairs = [Preference(reply(at, False), reply(at, True)) for at in range(12)]
    reward = RewardModel.fit(policy.model, policy.tokenizer, [], pairs)
    assert reward.preference(reply(33, False), reply(33, True)) > 0.7
    assert reward.preference(reply(33, True), reply(33, False)) < 0.3
    assert reward.held_out["commoner"] == 0.5
    both = RewardModel.fit(policy.model, policy.tokenizer, thumbs(12), pairs)
    assert both.held_out["n"] == 24


@pytest.mark.parametrize("about_style", [True, False])
def test_a_taste_is_read_off_verdicts_on_style_alone(sprout: LanguagePolicy, about_style: bool) -> None:
    """Short replies are liked; "I do not know that yet." is short, too, and disliked for what it says."""

    def said(at: int, text: str) -> Tokens:
        ids = sprout.tokenizer(text, add_special_tokens=False)["input_ids"]
        return Tokens([5, 6, 7 + at], [*ids, *sorted(sprout.stop_ids)[:1]])

    short = "Owls hunt at night."
    long = f"{short} They eat mice. They sleep by day. They live in trees."
    rated = [Thumb(said(at, long if at % 2 else short), at % 2 == 0) for at in range(20)]
    unknown = [Thumb(said(20 + at, "I do not know that yet."), False) for at in range(20)]
    styles = [True] * 20 + [about_style] * 20
    reward = RewardModel.fit(sprout.model, sprout.tokenizer, [*rated, *unknown], styles=styles)
    likes_short = reward.taste_logit(said(50, "Bees make honey.").completion_ids)
    assert (likes_short > 1.0) is not about_style


@pytest.mark.parametrize("rows", [[], thumbs(7), [replace(one, liked=True) for one in thumbs(20)]])
def test_too_little_to_fit_is_said_so(policy: LanguagePolicy, rows: list[Thumb]) -> None:
    with pytest.raises(LearnError, match="some up and some down"):
        RewardModel.fit(policy.model, policy.tokenizer, rows)


def test_ratings_of_one_question_alone_cannot_be_checked(policy: LanguagePolicy) -> None:
    same = [Thumb(Tokens([5], one.tokens.completion_ids), one.liked) for one in thumbs(12)]
    with pytest.raises(LearnError, match="one question"):
        RewardModel.fit(policy.model, policy.tokenizer, same)


def test_it_comes_back_from_its_file(policy: LanguagePolicy, tmp_path: Path) -> None:
    reward = RewardModel.fit(policy.model, policy.tokenizer, thumbs(24))
    rows = [reply(at, at % 2 > 0) for at in range(40, 48)]
    assert RewardModel.load(tmp_path, policy.model, policy.tokenizer) is None
    assert reward.save(tmp_path) == tmp_path / REWARD
    again = RewardModel.load(tmp_path, policy.model, policy.tokenizer)
    assert again is not None
    assert again.score(rows) == pytest.approx(reward.score(rows), abs=1e-4)
    assert again.held_out == reward.held_out
    assert [path.name for path in tmp_path.iterdir()] == [REWARD]
    (tmp_path / REWARD).write_bytes(b"not that")
    with pytest.raises(LearnError, match="damaged"):
        RewardModel.load(tmp_path, policy.model, policy.tokenizer)


def test_one_that_was_saved_before_it_read_words_goes_on_without(
    policy: LanguagePolicy, tmp_path: Path
) -> None:
    reward = RewardModel.fit(policy.model, policy.tokenizer, thumbs(24))
    path = reward.save(tmp_path)
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["about"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del about["share"], about["taste"]
    save_file(tensors, path, {"about": json.dumps(about)})
    again = RewardModel.load(tmp_path, policy.model, policy.tokenizer)
    assert again is not None
    hidden_alone = replace(reward, found=replace(reward.found, share=1.0))
    rows = [reply(at, at % 2 > 0) for at in range(40, 48)]
    assert again.score(rows) == pytest.approx(hidden_alone.score(rows), abs=1e-4)


def test_ppo_is_given_the_same_scores(policy: LanguagePolicy) -> None:
    reward = RewardModel.fit(policy.model, policy.tokenizer, thumbs(24))
    rows = [reply(at, at % 2 > 0) for at in range(40, 48)]
    width = len(rows[0].prompt_ids)
    scorer = head(policy.model, width, reward.module(policy.device), reward.taste_logit)
    batch = pad_batch(rows, 0, policy.device)
    hidden = scorer.frozen(batch["input_ids"], batch["attention_mask"]).hidden_states[-1]
    scores = scorer.score(hidden)[..., 0]
    ends = batch["attention_mask"].sum(1) - 1
    last = [float(scores[at, end]) for at, end in enumerate(ends)]
    assert last == pytest.approx(reward.score(rows), abs=1e-3)


def test_features_at_the_last_place_are_those_of_the_whole_reply(policy: LanguagePolicy) -> None:
    rows = [Tokens([5, 6, 7], [20, 30, 40]), Tokens([6, 7], [21, 31])]
    whole = reply_features(policy.model, rows, 0)
    for at, row in enumerate(rows):
        batch = pad_batch([row], 0, policy.device)
        running = running_features(
            policy.model, batch["input_ids"], batch["attention_mask"], len(row.prompt_ids)
        )
        assert running[0, -1].tolist() == pytest.approx(whole[at].tolist(), abs=1e-4)
        assert running[0, len(row.prompt_ids) - 1, -1] == 0.0, "no reply yet, no length"


def test_the_base_judges_whatever_adapter_speaks(llama: LanguagePolicy) -> None:
    rows = [Tokens([5, 6, 7], [20, 30, 40])]
    base = reply_features(llama.model, rows, 0)
    llama.swap("v1", str(shared_adapter()))
    assert not reply_features(llama.model, rows, 0).equal(base)
    served = {name: values.clone() for name, values in llama.model.state_dict().items()}
    with llama.as_base():
        assert reply_features(llama.model, rows, 0).equal(base)
    assert all(values.equal(served[name]) for name, values in llama.model.state_dict().items())
    assert llama.served_sha256 is not None


def test_switching_lora_off_and_on_leaves_no_mark(policy: LanguagePolicy) -> None:
    from peft import LoraConfig, get_peft_model

    rows = [Tokens([5, 6, 7], [20, 30, 40])]
    base = reply_features(policy.model, rows, 0)
    lora = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    wrapped = get_peft_model(policy.model, lora)
    try:
        flags = [values.requires_grad for values in wrapped.parameters()]
        assert reply_features(policy.model, rows, 0).equal(base)
        with adapters_off(policy.model), adapters_off(policy.model):
            pass
        assert [values.requires_grad for values in wrapped.parameters()] == flags
        assert any(flags)
    finally:
        wrapped.unload()
        for mark in ("peft_config", "_hf_peft_config_loaded"):
            policy.model.__dict__.pop(mark, None)
        policy.model.requires_grad_(False)


def test_the_best_of_several_replies_is_what_this_person_likes(sprout: LanguagePolicy) -> None:
    person, sampling = Person("brief"), SamplingParams(temperature=0.9, max_new_tokens=96, seed=5)
    asked = everyday_prompts("train", 24, 1)
    said = sprout.generate([[system(), user(text)] for text in asked], sampling)
    rated = [
        Thumb(Tokens(list(one.prompt_ids), list(one.completion_ids)), person.satisfied(one.text))
        for one in said
    ]
    reward = RewardModel.fit(sprout.model, sprout.tokenizer, rated)
    fresh = everyday_prompts("held_out", 10, 2)
    one = [best_of(sprout, [system(), user(text)], 1, reward, sampling) for text in fresh]
    best = [best_of(sprout, [system(), user(text)], 6, reward, sampling) for text in fresh]
    pleased = [sum(person.satisfied(reply.text) for reply in replies) for replies in (one, best)]
    assert pleased[1] > pleased[0]
    assert pleased[1] >= 7


def test_the_best_reply_is_drawn_under_the_adapter_that_speaks(llama: LanguagePolicy) -> None:
    reward = RewardModel.fit(llama.model, llama.tokenizer, thumbs(12))
    llama.swap("v1", str(shared_adapter()))
    reply = best_of(llama, chat("Rivers?"), 3, reward, SamplingParams(max_new_tokens=8, seed=1))
    assert reply.adapter == "v1"
    assert llama.adapter == "v1"
