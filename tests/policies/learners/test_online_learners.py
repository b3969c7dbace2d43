"""PPO, GRPO and SFT: the same promises as KTO and DPO, on a tiny model."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from policies.adapters.files import max_abs_b
from policies.base_models import resolve
from policies.errors import Cancelled, LearnError
from policies.language_policy import LanguagePolicy
from policies.learners import grpo, ppo, sft
from policies.learners.kto import Thumb
from policies.learners.lora import LearningSettings, TrainResult
from policies.reward_model import RewardModel
from policies.rows import Tokens, padding, score
from tests.policies.tiny_models import make_model

SETTINGS = LearningSettings(learning_rate=5e-3, epochs=2)
PROMPTS = [[5, 6, 7 + at] for at in range(8)]
LIKED, OTHER = 50, 60
Learn = Callable[..., TrainResult]


@pytest.fixture(scope="module")
def reward(policy: LanguagePolicy) -> RewardModel:
    """Someone likes replies that are full of one token."""
    rows = [
        Thumb(Tokens(PROMPTS[at % 8], [LIKED if at % 2 else OTHER + at % 20] * 4), bool(at % 2))
        for at in range(24)
    ]
    return RewardModel.fit(policy.model, policy.tokenizer, rows)


def learn(
    name: str, policy: LanguagePolicy, reward: RewardModel, out: Path, settings: LearningSettings, **more: Any
) -> TrainResult:
    progress, cancel = more.get("progress", lambda fraction, text: None), threading.Event()
    common = (settings, out, progress, more.get("cancel", cancel), [Tokens([5, 9], [33, 34])])
    if name == "sft":
        rows = [Tokens(prompt, [LIKED] * 4) for prompt in PROMPTS]
        return sft.train(policy.model, policy.tokenizer, rows, *common)
    module = {"ppo": ppo, "grpo": grpo}[name]
    return module.train(policy.model, policy.tokenizer, PROMPTS, reward, 8, *common)


@pytest.mark.parametrize("name", ["ppo", "grpo", "sft"])
def test_a_run_learns_saves_and_leaves_the_base_alone(
    name: str, policy: LanguagePolicy, reward: RewardModel, tmp_path: Path
) -> None:
    rows = [Tokens(prompt, [LIKED] * 4) for prompt in PROMPTS]
    before, ends = score(policy.model, rows), policy.model.generation_config.eos_token_id
    seen: list[tuple[float, str]] = []
    done = learn(
        name, policy, reward, tmp_path / "out", SETTINGS, progress=lambda *report: seen.append(report)
    )
    assert score(policy.model, rows) == before, "the base came back changed"
    assert not [n for n, _ in policy.model.named_parameters() if "lora" in n]
    assert policy.model.generation_config.eos_token_id == ends
    assert done.grad_norm > 0
    assert done.max_abs_b == pytest.approx(max_abs_b(done.folder))
    assert seen[-1][0] == 1.0
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)
    policy.swap("v1", str(done.folder))
    after = score(policy.model, rows)
    policy.swap(None)
    assert after != before
    assert policy.served_sha256 is None


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguagePolicy]:
    """A model whose output layer is its embedding: what looks alike to the reward model is said alike."""
    folder = tmp_path_factory.mktemp("models") / "tied"
    make_model(folder, initializer_range=0.1, tie_word_embeddings=True)
    loaded = LanguagePolicy(resolve(str(folder)), device="cpu")
    yield loaded
    loaded.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppo", "grpo"])
def test_replies_get_what_is_rewarded(name: str, tied: LanguagePolicy, tmp_path: Path) -> None:
    """Someone likes replies of tokens from one half of the vocabulary."""
    half = tied.model.get_input_embeddings().weight[:, 0] > 0
    sides = [half.nonzero()[:, 0].tolist(), (~half).nonzero()[:, 0].tolist()]
    dice = random.Random(0)
    rows = [Thumb(Tokens(PROMPTS[at % 8], dice.sample(sides[at % 2], 6)), at % 2 == 0) for at in range(64)]
    reward = RewardModel.fit(tied.model, tied.tokenizer, rows)
    assert reward.knows
    eager = LearningSettings(learning_rate=2e-2, epochs={"ppo": 12, "grpo": 30}[name], anchor_weight=0.0)
    done = learn(name, tied, reward, tmp_path / "out", eager)

    def liked_tokens() -> float:
        torch.manual_seed(1)
        drawn = grpo.sample(tied.model, PROMPTS * 8, 8, sorted(tied.stop_ids), padding(tied.tokenizer))
        said = [token for reply in drawn for token in reply]
        return float(half[said].float().mean())

    base = liked_tokens()
    tied.swap("v1", str(done.folder))
    learned = liked_tokens()
    tied.swap(None)
    assert learned > base + 0.06


@pytest.mark.parametrize("name", ["ppo", "grpo", "sft"])
def test_a_stopped_run_saves_nothing(
    name: str, policy: LanguagePolicy, reward: RewardModel, tmp_path: Path
) -> None:
    stop = threading.Event()
    long = LearningSettings(learning_rate=5e-3, epochs=200)
    with pytest.raises(Cancelled):
        learn(name, policy, reward, tmp_path / "out", long, progress=lambda *report: stop.set(), cancel=stop)
    assert not list((tmp_path / "out").glob("*.safetensors"))
    assert not [n for n, _ in policy.model.named_parameters() if "lora" in n]


@pytest.mark.parametrize("name", ["ppo", "grpo"])
def test_a_run_that_could_not_move_says_why(
    name: str, policy: LanguagePolicy, reward: RewardModel, tmp_path: Path
) -> None:
    with pytest.raises(LearnError, match="Training changed nothing"):
        learn(name, policy, reward, tmp_path / "out", LearningSettings(learning_rate=0.0, epochs=1))


def test_too_little_is_said_so(policy: LanguagePolicy, reward: RewardModel, tmp_path: Path) -> None:
    common = (SETTINGS, tmp_path, lambda fraction, text: None, threading.Event())
    with pytest.raises(LearnError, match="PPO needs 2 prompts"):
        ppo.train(policy.model, policy.tokenizer, PROMPTS[:1], reward, 8, *common)
    with pytest.raises(LearnError, match="GRPO needs 2 prompts"):
        grpo.train(policy.model, policy.tokenizer, PROMPTS[:1], reward, 8, *common)
    with pytest.raises(LearnError, match="texts to imitate"):
        sft.train(policy.model, policy.tokenizer, [Tokens([5], [])], *common)


def test_rollouts_end_at_any_stop(policy: LanguagePolicy) -> None:
    stops = list(range(0, 300, 2))
    for said in grpo.sample(policy.model, PROMPTS, 6, stops, padding(policy.tokenizer)):
        assert all(token not in stops for token in said[:-1])
        assert said[-1] in stops or len(said) == 6
