"""The product behind the Protocols of the benches."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.benches import serving
from agent.benches.learning import BenchLearner
from agent.benches.serving import RunningAgent
from agent.cli import main
from agent.config import Settings, defaults
from agent.runtime import Runtime
from memory.errors import AttuneError
from tests.agent.scripted import ScriptedPolicy, scripted_runtime
from tests.policies.tiny_models import make_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_model(tmp_path_factory.mktemp("bench") / "tiny", max_position_embeddings=4096))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.benches.learner.defaults", partial(defaults, max_new_tokens=12))


@pytest.fixture
def own_habits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone whose own agent is set otherwise than the defaults are."""
    monkeypatch.setenv("ATTUNE_TEMPERATURE", "0.1")
    monkeypatch.setenv("ATTUNE_MODEL", "mine")
    monkeypatch.setenv("ATTUNE_MEMORY", "false")
    monkeypatch.setenv("ATTUNE_TOOLS_ALLOWED", '["clock"]')


@pytest.mark.parametrize(
    ("arm", "card"), [("base", False), ("card", True), ("weights", False), ("all", True)]
)
def test_an_arm_uses_what_its_name_says(tiny: str, arm: str, card: bool) -> None:
    learner = BenchLearner(arm, 0, tiny)
    try:
        learner.runtime.card.pin("brief")
        reply_id, _ = learner.reply("Tell me about trees.")
        learner.rate(reply_id, 1)
        generation = learner.runtime.journal.generation(reply_id)
        assert generation.card_lines == (("Keep replies brief.",) if card else ())
        feedback = learner.runtime.journal.effective(reply_id)
        assert feedback is not None
        assert feedback.source == "simulated person"
    finally:
        learner.close()


def test_what_you_set_for_yourself_does_not_change_an_arm(tiny: str, own_habits: None) -> None:
    learner = BenchLearner("memory", 0, tiny)
    try:
        settings = learner.runtime.settings
        assert (settings.temperature, settings.top_p, settings.recall_k) == (0.7, 0.95, 5)
        assert (settings.model, settings.memory, settings.card) == (tiny, True, False)
        assert "recall" in settings.tools_allowed
    finally:
        learner.close()


def test_what_you_set_for_yourself_does_not_change_how_serving_is_measured(
    monkeypatch: pytest.MonkeyPatch, own_habits: None
) -> None:
    asked: list[Settings] = []

    def runtime(home: Path, settings: Settings, in_process: bool) -> Any:
        asked.append(settings)
        raise AttuneError("Enough.")

    monkeypatch.setattr(serving, "Runtime", runtime)
    with pytest.raises(AttuneError, match="Enough"):
        serving.run()
    assert asked == [defaults(updates=False, explore=False)]
    assert (asked[0].temperature, asked[0].model, asked[0].memory) == (0.7, None, True)


def test_held_out_replies_are_repeatable_and_leave_no_trace(tiny: str) -> None:
    one, other = BenchLearner("base", 0, tiny), BenchLearner("base", 0, tiny)
    try:
        texts = one.replies(["What is bread?", "Tell me about trees."], seed=3)
        assert other.replies(["What is bread?", "Tell me about trees."], seed=3) == texts
        assert one.runtime.journal.conversations() == []
        assert 0.0 <= one.skill_score() <= 1.0
    finally:
        one.close()
        other.close()


def test_an_arm_that_does_not_train_makes_no_adapter(tiny: str) -> None:
    learner = BenchLearner("card", 0, tiny)
    try:
        learner.rate(learner.reply("Hello.")[0], 1)
        learner.update()
        assert learner.runtime.registry.list() == []
    finally:
        learner.close()


def test_the_running_agent_times_a_turn(tmp_path: Path) -> None:
    runtime = scripted_runtime(tmp_path, ScriptedPolicy("One two three."), memory=False)
    try:
        agent = RunningAgent(runtime)
        agent.prime(["a", "b"])
        assert [event.value for event in runtime.journal.feedback()] == [-1, 1]
        agent.new_conversation()
        turn = agent.turn("Hello.")
        assert turn.tokens == 3
        assert 0 < turn.first_token_ms <= turn.total_ms
        agent.turn("Again.")
        assert len(runtime.journal.conversations()) == 3
        assert not agent.training_running()
    finally:
        runtime.close()


def test_a_turn_that_fails_raises(tmp_path: Path) -> None:
    runtime: Runtime = scripted_runtime(tmp_path, ScriptedPolicy("x", context_length=4), memory=False)
    try:
        with pytest.raises(AttuneError, match="at most"):
            RunningAgent(runtime).turn("word " * 50)
    finally:
        runtime.close()


def test_the_learning_bench_uses_every_core_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def run(model: object, quick: bool, workers: int, *_: object) -> dict[str, object]:
        asked.append(workers)
        raise AttuneError("Enough.")

    monkeypatch.setattr("agent.benches.learning.run", run)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert main(["bench", "learning"]) == 1
    assert main(["bench", "learning", "--workers", "2"]) == 1
    assert asked == [6, 2]
