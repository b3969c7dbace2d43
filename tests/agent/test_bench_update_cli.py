"""`attune bench update` on a tiny model: real updates, each in its own process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.benches import update as update_bench
from agent.cli import main
from env.bench.errors import BenchCancelled, BenchError
from tests.policies.tiny_models import make_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(
        tmp_path_factory.mktemp("models") / "tiny", initializer_range=0.1, max_position_embeddings=2048
    )


@pytest.mark.slow
def test_it_prints_the_object_that_was_promised(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "update", "--json", "--quick", "--model", str(model)]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    result = json.loads(out)
    assert {"time_ratio", "cpu_ratio", "memory_ratio", "rounds", "ours", "plain", "learners"} <= set(result)
    assert [(one["learner"], one["first"]) for one in result["rounds"]] == [("kto", "ours"), ("dpo", "ours")]
    assert result["settings"] == {"model": "tiny", "ratings": 16, "anchors": False}
    for learner in ("kto", "dpo"):
        ours, plain = result["ours"][learner], result["plain"][learner]
        assert ours["tokens"] == plain["tokens"]
        assert ours["steps"] == plain["steps"] == 20
        assert ours["loss"] == pytest.approx(plain["loss"], abs=2e-3)
        for side in (ours, plain):
            assert side["peak_bytes"] > side["loaded_bytes"] > 0
            assert side["seconds"] >= side["training_seconds"] > 0
            assert side["cpu_seconds"] > 0


def test_it_is_told_apart_what_can_be_compared() -> None:
    with pytest.raises(BenchError, match="choose kto or dpo"):
        update_bench.run(learners=["ppo"])


def test_a_stop_ends_the_child(model: Path) -> None:
    asked = iter([False, True])
    with pytest.raises(BenchCancelled):
        update_bench.run(str(model), quick=True, cancelled=lambda: next(asked))


def test_a_side_that_fails_says_what_it_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_bench, "QUICK_RATINGS", 0)
    with pytest.raises(BenchError, match=r"The update of ours \(kto\) ended with code 1: .*at least 2 rated"):
        update_bench.run(str(model), quick=True)
