"""The recipe of the embedded model: what is trained on is what the agent will send."""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path

import pytest

from env.skills import phrasing
from env.skills.values import HELD_OUT
from memory.taste.features import features
from policies.seed import corpus, frames, tokenizer
from policies.seed.material import read_rows
from policies.seed.styles import PURE, Style, render

MODEL = Path(corpus.__file__).parent / "model"


@pytest.fixture(scope="module")
def talks() -> list[list[dict[str, object]]]:
    return list(itertools.islice(corpus.stream(11), 300))


def test_the_corpus_is_seeded_and_never_runs_dry(talks: list[list[dict[str, object]]]) -> None:
    assert list(itertools.islice(corpus.stream(11), 20)) == talks[:20]
    assert list(itertools.islice(corpus.stream(12), 20)) != talks[:20]


def test_no_held_out_name_is_ever_in_a_conversation() -> None:
    names = {name for kind in ("name", "word", "place", "thing") for name in HELD_OUT[kind]}
    for talk in itertools.islice(corpus.stream(3), 1500):
        words = set(re.findall(r"\w+", " ".join(str(m["content"]) for m in talk)))
        assert names.isdisjoint(words)


@pytest.mark.parametrize(("part", "pool"), [("state", frames.STATES), ("ask", frames.ASKS)])
def test_no_frame_is_a_held_out_phrasing(part: str, pool: dict[str, tuple[str, ...]]) -> None:
    rows = read_rows("personal.jsonl")
    held = {text for row in rows for text in row["held_out"][part]}
    for states, asks, _ in phrasing.RELATIONS["held_out"]:
        held |= set(states if part == "state" else asks)
    bare = {text.casefold().strip(".?!") for text in held}
    filled = {
        text.replace("{s}", about).replace("{p}", frames.plural(about)).casefold().strip(".?!")
        for texts in pool.values()
        for text in texts
        for about in ("{n}", *(row["subject"] for row in rows))
    }
    assert len(filled) > 1000
    assert bare.isdisjoint(filled)


def test_the_chat_template_writes_what_training_reads(talks: list[list[dict[str, object]]]) -> None:
    tok = tokenizer.build(("".join(t for t, _ in tokenizer.parts(talk)) for talk in talks), 1500)
    for talk in talks[:80]:
        names = talk[0].get("tools") or ()
        tools = [{"type": "function", "function": {"name": name}} for name in names]  # type: ignore[union-attr]
        messages = [
            {**m, "tool_calls": [{"type": "function", "function": call} for call in m["tool_calls"]]}  # type: ignore[union-attr]
            if "tool_calls" in m
            else m
            for m in talk
        ]
        text = tok.apply_chat_template(messages, tools=tools or None, tokenize=False)
        assert text == "".join(t for t, _ in tokenizer.parts(talk))
        assert tok.decode(tok(text).input_ids) == text


def test_unseen_words_are_spelled_and_any_text_comes_back_whole() -> None:
    tok = tokenizer.build(["the cat sat on the mat"] * 3, 300)
    ids = tok(" Fitzo", add_special_tokens=False).input_ids
    assert len(ids) == len("Fitzo")
    assert len(tok(" cat", add_special_tokens=False).input_ids) == 1
    for text in ("naïve 😊\n\n\tcafé", "汉字 12.5 —", "a  b   c"):
        assert tok.decode(tok(text).input_ids) == text


@pytest.mark.parametrize(
    ("style", "name"), zip(PURE, ("brief", "detailed", "bullets", "friendly", "formal"), strict=True)
)
def test_a_style_shows_the_feature_that_it_is_named_after(style: Style, name: str) -> None:
    from env.skills.topics import topics

    rng = random.Random(0)
    seen = [getattr(features(render(rng.choice(topics()).facts, style, rng)), name) for _ in range(200)]
    assert sum(seen) >= 196


def test_the_model_on_disk_is_small_honest_and_complete() -> None:
    weights = MODEL / "model.safetensors"
    assert weights.stat().st_size <= 16 * 2**20
    config = json.loads((MODEL / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    card = (MODEL.parent / "README.md").read_text()
    assert "/model" in card
    assert "cannot" in card
