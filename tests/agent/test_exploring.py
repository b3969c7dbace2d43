"""Trials of styles in real turns: who gets one, what is written down, and what Why says of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from agent.benches.learning import BenchLearner
from agent.config import Settings, defaults, load_settings
from agent.events import ReplyDone
from agent.runtime import Runtime
from agent.tui.screens.why import WhyScreen
from agent.why import TRIED
from memory.taste.card_texts import CARD_TEXTS
from tests.agent.scripted import call
from tests.policies.tiny_models import make_model

Make = Callable[..., Runtime]
BRIEF = "Trees have leaves."


def speak(runtime: Runtime, text: str = "Tell me about trees.", value: int = 0, **how: bool) -> ReplyDone:
    done = next(event for event in runtime.loop.turn(text, **how) if isinstance(event, ReplyDone))
    if value:
        runtime.rate(done.message.id, value)
    return done


def system(runtime: Runtime) -> str:
    return str(runtime.policy.seen[-1][0]["content"])  # type: ignore[attr-defined]


def test_a_rating_person_is_shown_a_style_once_and_why_says_so(make_runtime: Make) -> None:
    runtime = make_runtime(BRIEF, memory=False)
    first = speak(runtime, value=-1)
    assert first.generation.card_lines == ()
    assert runtime.why(first.message.id).trial == ()
    asked = runtime.card.trial()
    lines = tuple(CARD_TEXTS[style] for style in asked)
    tried = speak(runtime)
    assert system(runtime).endswith("Preferences of the owner:" + "".join(f"\n- {line}" for line in lines))
    assert tried.generation.card_lines == lines
    assert tried.generation.trial == asked != ()
    assert runtime.journal.generation(tried.message.id) == tried.generation
    assert runtime.card.active_lines() == []
    why = runtime.why(tried.message.id)
    assert why.card == why.trial
    assert tuple(line.text for line in why.card) == lines
    shown = [text for _, text, _ in WhyScreen(runtime, tried.message.id)._explain()]
    assert any(TRIED in text for text in shown)
    assert not any(TRIED in text for _, text, _ in WhyScreen(runtime, first.message.id)._explain())


def test_who_does_not_rate_is_never_explored_on(make_runtime: Make) -> None:
    runtime = make_runtime(BRIEF, memory=False)
    for _ in range(8):
        assert speak(runtime).generation.trial == ()
    speak(runtime, value=-1)
    assert speak(runtime).generation.trial == ()  # one thumb in five


def test_a_learned_line_ends_the_trials(make_runtime: Make) -> None:
    replies = [BRIEF, "Certainly. " + " ".join([BRIEF] * 5), "Great! " + " ".join([BRIEF] * 3), BRIEF]
    runtime = make_runtime(*replies, memory=False)
    for value in (1, -1, -1):
        done = speak(runtime, value=value)
    assert done.generation.trial
    done = speak(runtime)
    assert done.generation.card_lines == ("Keep replies brief.",)
    assert done.generation.trial == ()


def test_a_trial_lasts_for_the_whole_turn_and_tool_chatter_teaches_nothing(make_runtime: Make) -> None:
    runtime = make_runtime(BRIEF, call("calculator", expression="6*14"), "84.", memory=False)
    speak(runtime, value=-1)
    asked = runtime.card.trial()
    done = speak(runtime, "What is 6*14?", value=1)
    path = runtime.journal.path(done.message.id)
    assert [message.role for message in path] == ["user", "assistant", "tool", "assistant"]
    assert runtime.journal.generation(path[1].id).trial == done.generation.trial == asked != ()
    assert runtime.card.line("brief").summary == "0 of 1 brief replies liked"
    assert runtime.card.trial() == asked  # it was not seen yet


@pytest.mark.parametrize(
    ("settings", "how"), [({"explore": False}, {}), ({"card": False}, {}), ({}, {"use_card": False})]
)
def test_it_can_be_turned_off(make_runtime: Make, settings: dict[str, bool], how: dict[str, bool]) -> None:
    runtime = make_runtime(BRIEF, memory=False, **settings)
    speak(runtime, value=-1, **how)
    assert runtime.card.trial()
    done = speak(runtime, **how)
    assert done.generation.trial == ()
    assert done.generation.card_lines == ()


def test_the_setting_is_on_unless_the_home_says_otherwise(tmp_path: Path) -> None:
    assert Settings().explore
    (tmp_path / "config.toml").write_text("explore = false\n", encoding="utf-8")
    assert not load_settings(tmp_path).explore


def test_in_the_learning_bench_only_the_card_explores_and_only_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.benches.learner.defaults", partial(defaults, max_new_tokens=12))
    tiny = str(make_model(tmp_path / "tiny", max_position_embeddings=4096))
    for arm, explores in (("card", True), ("weights", False)):
        learner = BenchLearner(arm, 0, tiny)
        try:
            learner.rate(learner.reply("Tell me about trees.")[0], -1)
            reply_id, _ = learner.reply("What is bread?")
            made = learner.runtime.journal.generation(reply_id)
            assert bool(made.trial) is explores
            learner.rate(reply_id, -1)
            plain = BenchLearner("base", 0, tiny)
            try:
                asked = ["What is tea?", "Tell me about rain."]
                assert learner.replies(asked, seed=3) == plain.replies(asked, seed=3)
            finally:
                plain.close()
        finally:
            learner.close()
