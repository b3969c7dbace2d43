"""`attune bench device` on a model small enough for any machine: real updates, each in its own process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import main
from memory.errors import AttuneError
from policies import shapes
from policies.base_models import parameters, resolve
from policies.language_policy import LanguagePolicy
from policies.policy import Generated, SamplingParams

TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shapes.SHAPES, "tiny", TINY)


def test_a_shape_speaks_at_length_in_ids_that_its_tokenizer_reads(tmp_path: Path) -> None:
    folder = shapes.make("tiny", tmp_path / "tiny", "cpu", vocabulary=20_000)
    spec = resolve(str(folder))
    assert parameters(spec) > 20_000 * 64
    policy = LanguagePolicy(spec, device="cpu")
    *_, last = policy.stream([{"role": "user", "content": "Hi"}], SamplingParams(0.0, max_new_tokens=40))
    assert isinstance(last, Generated)
    assert (len(last.completion_ids), last.finish_reason) == (40, "length")
    assert max(last.completion_ids) < len(policy.tokenizer)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--shape", "tiny", "--shape", "foo"], "There is no shape 'foo': choose qwen3-0.6b or"),
        (["--shape", "tiny", "--learner", "nope"], "There is no plain script for 'nope'"),
        (["--shape", "tiny", "--out", "missing/x.json"], "missing/x.json cannot be written (No such file"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_measured(
    asked: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "make", lambda *_: pytest.fail("weights were made"))
    assert main(["bench", "device", *asked]) == 1
    assert sentence in capsys.readouterr().err


def test_what_was_measured_before_stays_until_there_are_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "figures.json"
    out.write_text("old figures")

    def fails(*_: object) -> None:
        raise AttuneError("no room for weights")

    monkeypatch.setattr(shapes, "make", fails)
    assert main(["bench", "device", "--shape", "tiny", "--out", str(out)]) == 1
    assert out.read_text() == "old figures"


@pytest.mark.slow
def test_it_prints_what_a_shape_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # on two cores nearly all of its time went into the logits of a vocabulary 20 times as large
    monkeypatch.setattr(shapes, "VOCABULARY", 8192)
    out = tmp_path / "figures.json"
    asked = ["--quick", "--shape", "tiny", "--learner", "kto", "--out", str(out)]
    assert main(["bench", "device", "--json", *asked]) == 0
    result = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text("utf-8")) == result
    one = result["shapes"]["tiny"]
    assert one["parameters"] > shapes.VOCABULARY * TINY["hidden_size"]
    assert one["update"]["ours"]["kto"]["peak_bytes"] > one["update"]["ours"]["kto"]["loaded_bytes"]
    for state in ("alone", "training"):
        assert one[state]["tokens_per_s"] > 0
        assert one[state]["tokens"] == one[state]["replies"] * 64
    assert one["training"]["updates"] >= 1


def test_an_unknown_shape_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "device", "--shape", "gpt-9"]) == 1
    assert "no shape 'gpt-9'" in capsys.readouterr().err
