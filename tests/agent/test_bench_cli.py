"""What `attune bench` prints: the promised shapes, over learners and agents whose figures are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.benches import learning as learning_bench
from agent.benches import serving as serving_bench
from agent.cli import main
from env.bench.errors import BenchCancelled
from env.bench.learning import QUICK
from env.bench.serving import Turn
from tests.agent.scripted import ScriptedPolicy, scripted_runtime
from tests.policies.tiny_models import make_model

ARMS = ["base", "card", "memory", "weights", "all"]
COUNTS = ["0", "4", "8", "16", "24", "32", "40"]
BRIEF = "Cats sleep most of the day."
LONG = "Cats sleep a lot. They hunt at dusk. They see in dim light. They keep warm. They climb trees well."

Bench = Callable[..., Any]


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Bench:
    def run(*arguments: str) -> Any:
        assert main(["bench", *arguments]) == 0
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return json.loads(out)

    return run


class Learner:
    """Speaks at length; briefly too after the third update, if its arm trains. No skill but in the base."""

    def __init__(self, arm: str, seed: int, model: str | None = None, device: str = "auto") -> None:
        self.arm, self.model, self.turns, self.updates = arm, model, 0, 0

    @property
    def text(self) -> str:
        return BRIEF if self.arm in ("weights", "all") and self.updates >= 3 else LONG

    def reply(self, prompt: str) -> tuple[str, str]:
        self.turns += 1
        return f"r{self.turns}", self.text

    def rate(self, reply_id: str, value: int, why: str | None = None) -> None:
        assert value == (1 if self.text == BRIEF else -1)

    def update(self) -> None:
        self.updates += 1

    def replies(self, prompts: Sequence[str], seed: int) -> list[str]:
        assert len(set(prompts)) == len(prompts)
        return [self.text for _ in prompts]

    def verdicts(self) -> dict[str, int]:
        return {}

    def skill_score(self) -> float:
        return 1.0 if self.arm == "base" else 0.99

    def close(self) -> None:
        pass


def test_learning_prints_the_object_that_was_promised(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_bench, "make_learner", Learner)
    # one taste, so that every figure is known
    monkeypatch.setitem(QUICK, "tastes", ("brief",))
    result = bench("learning", "--json", "--quick")
    arms = result["arms"]
    assert list(arms) == ARMS
    for figures in arms.values():
        assert {"satisfaction", "ratings_to_80", "retention"} <= set(figures)
        assert list(figures["satisfaction"]) == COUNTS
        for mean, low, high in figures["satisfaction"].values():
            assert 0.0 <= low <= mean <= high <= 1.0
    assert arms["weights"]["satisfaction"]["16"] == [0.0, 0.0, 0.0]
    assert arms["weights"]["satisfaction"]["24"] == [1.0, 1.0, 1.0]
    assert (arms["weights"]["ratings_to_80"], arms["weights"]["retention"]) == (24, 0.99)
    # an arm that does not help is printed just the same
    assert arms["memory"]["ratings_to_80"] is None
    assert arms["memory"]["satisfaction"]["40"] == [0.0, 0.0, 0.0]
    assert result["settings"]["seeds"] == [0]


class Agent:
    """10 ms to the first token, 20 while it trains; 100 tokens in a second. Every tenth such turn fails."""

    def __init__(self, runtime: Any) -> None:
        self.training, self.trained = 0, 0

    def prime(self, prompts: Sequence[str]) -> None:
        assert len(prompts) == serving_bench.RATED

    def new_conversation(self) -> None:
        pass

    def turn(self, text: str) -> Turn:
        if not self.training:
            return Turn(10.0, 100, 1000.0)
        self.trained += 1
        if self.trained % 10 == 0:
            raise OSError("gone")
        return Turn(20.0, 100, 1000.0)

    def start_training(self) -> None:
        self.training = 1

    def training_running(self) -> bool:
        return bool(self.training)

    def stop_training(self) -> None:
        self.training = 0


class Bare:
    def __init__(self, model: str | None, settings: Any) -> None:
        pass

    def tokens_per_s(self, prompts: Sequence[str]) -> float:
        return 125.0

    def close(self) -> None:
        pass


@pytest.mark.slow
def test_serving_prints_the_object_that_was_promised(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def runtime(home: Path, settings: Any, in_process: bool) -> Any:
        return scripted_runtime(tmp_path / "home", ScriptedPolicy("Hello."), memory=False)

    def typist(runtime: Any, presses: int) -> Callable[[str], list[float]]:
        return lambda state: [{"idle": 1.0, "streaming": 2.0, "training": 3.0}[state]] * presses

    for name, stand_in in (
        ("Runtime", runtime), ("RunningAgent", Agent), ("BareModel", Bare), ("Typist", typist)
    ):  # fmt: skip
        monkeypatch.setattr(serving_bench, name, stand_in)
    result = bench("serving", "--json", "--quick")
    assert result["failures_while_training"] == 1
    assert result["ttft_ratio_training"] == pytest.approx(2.0)
    assert result["ttft_ratio_turn20"] == pytest.approx(1.0)
    assert result["tokens_per_s_ratio_raw"] == pytest.approx(0.8)
    assert result["keypress_p95_ms"] == {"idle": 1.0, "streaming": 2.0, "training": 3.0}


def test_sprout_prints_a_row_a_skill(bench: Bench, tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny", max_position_embeddings=4096)
    result = bench("sprout", "--json", "-n", "2", "--skill", "brief", "--model", str(model))
    assert set(result) == {"skills", "holds", "seconds"}
    assert list(result["skills"]) == ["brief"]
    row = result["skills"]["brief"]
    assert {"passed", "n", "share", "low", "high", "floor", "holds", "failures"} == set(row)
    assert row["n"] == 2
    assert result["holds"] == row["holds"]


def test_forgetting_prints_what_the_weights_still_know(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.forgetting.EPOCHS", 2)
    folder = make_model(tmp_path / "tiny", "llama")
    found = bench("forgetting", "--canaries", "1", "--model", str(folder), "--json")
    assert set(found["exposure"]) == {"base", "planted", "retrained", "never_saw"}
    assert set(found["exposure"]["retrained"].values()) == {found["exposure"]["never_saw"]}
    assert found["identical"] == {"rating": 1, "conversation": 1, "memory": 1}
    assert found["exposure"]["planted"] > found["exposure"]["never_saw"]


def test_crash_prints_its_report(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def killed(families: Sequence[Any], folder: Path, kills: int, **settings: Any) -> dict[str, Any]:
        asked.update(audits=[len(family.audits) for family in families], folder=folder.is_dir())
        return {"kills": kills, "problems": []}

    monkeypatch.setattr("env.bench.crash.run_all", killed)
    assert bench("crash", "--json", "--quick", "--model", "x") == {"kills": 20, "problems": []}
    assert asked == {"audits": [3, 2], "folder": True}
    assert bench("crash", "--json")["kills"] == 100
    assert bench("crash", "--json", "--kills", "1000")["kills"] == 1000


def test_tastes_that_no_condition_asks_for_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "learning", "--conditions", "flattery", "--tastes", "brief"]) == 1
    assert "--tastes says nothing to flattery, which has its own" in capsys.readouterr().err


def test_a_bench_that_was_stopped_says_what_is_left_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> Any:
        raise BenchCancelled

    monkeypatch.setattr(learning_bench, "run", stopped)
    assert main(["bench", "learning", "--quick"]) == 130
    told = capsys.readouterr()
    assert (told.out, told.err.count("attune: ")) == ("", 1)
    assert "Stopped; what was done until then is kept." in told.err
