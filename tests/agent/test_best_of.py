"""Best of several replies: only when the owner asks for it, only with a reward model that is worth it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config import ConfigError, load_settings
from agent.events import RecallDone, ReplyDone, TextDelta, TurnStarted
from agent.runtime import Runtime
from memory.errors import AttuneError
from policies.base_models import BaseSpec
from policies.policy import Generated
from tests.agent.scripted import ScriptedPolicy, call, scripted_runtime
from tests.agent.tui.kept import make_adapter
from tests.agent.turns import done, kinds, said

KNOWS = {"reward_model": {"accuracy": 0.9, "gain_low": 0.2}}
GUESSES = {"reward_model": {"accuracy": 0.6, "gain_low": -0.1}}


class Chooser(ScriptedPolicy):
    """`asked` keeps (how many, folder of the reward model) of every choice; `refuses` raises instead."""

    def __init__(self, *lines: Any, refuses: bool = False) -> None:
        super().__init__(*lines)
        self.asked: list[tuple[int, str]] = []
        self._refuses = refuses

    def best_of(
        self, messages: Any, n: int, reward: str, sampling: Any, tools: Any = (), cancel: Any = None
    ) -> Generated:
        self.asked.append((n, reward))
        if self._refuses:
            raise AttuneError("The reward model is damaged.")
        return self.generate([messages], sampling, tools)[0]


def opened(tmp_path: Any, policy: Chooser, report: dict[str, Any], **settings: Any) -> Runtime:
    runtime = scripted_runtime(tmp_path / "home", policy, **settings)
    make_adapter(runtime, "rejected", report)  # type: ignore[arg-type]
    return runtime


def test_the_reward_model_of_the_newest_adapter_chooses(tmp_path: Any) -> None:
    policy = Chooser("Tea is a drink.")
    runtime = opened(tmp_path, policy, KNOWS, best_of=4)
    newest = make_adapter(runtime, "promoted", KNOWS)  # type: ignore[arg-type]
    make_adapter(runtime, "rejected", GUESSES)  # type: ignore[arg-type]
    events = list(runtime.loop.turn("What is tea?"))
    assert kinds(events) == [TurnStarted, RecallDone, TextDelta, ReplyDone]
    assert policy.asked == [(4, runtime.registry.get(newest).path)]
    reply = done(events)
    assert said(events) == reply.message.content == "Tea is a drink."
    assert runtime.journal.generation(reply.message.id).sampling["best_of"] == 4


def test_a_reward_model_of_another_base_does_not_choose(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Chooser("Tea is a drink.")
    runtime = opened(tmp_path, policy, GUESSES, best_of=4)
    runtime._spec = BaseSpec("this", "nowhere", "0" * 64)
    monkeypatch.setattr("policies.base_models.parameters", lambda spec: 1)
    mine = make_adapter(runtime, "promoted", KNOWS)  # type: ignore[arg-type]
    make_adapter(runtime, "promoted", KNOWS, "other", "1" * 64)  # type: ignore[arg-type]
    done(list(runtime.loop.turn("What is tea?")))
    assert policy.asked == [(4, runtime.registry.get(mine).path)]


@pytest.mark.parametrize(("report", "best_of"), [(KNOWS, 1), (GUESSES, 4), ({}, 4)])
def test_otherwise_one_reply_is_streamed(tmp_path: Any, report: dict[str, Any], best_of: int) -> None:
    policy = Chooser("Tea is a drink.")
    runtime = opened(tmp_path, policy, report, best_of=best_of)
    events = list(runtime.loop.turn("What is tea?"))
    assert kinds(events).count(TextDelta) == 4
    assert policy.asked == []
    assert "best_of" not in runtime.journal.generation(done(events).message.id).sampling


def test_after_a_change_of_taste_no_older_reward_model_chooses(tmp_path: Any) -> None:
    policy = Chooser("Tea is a drink.")
    runtime = opened(tmp_path, policy, KNOWS, best_of=4)
    make_adapter(runtime, "provisional", {**KNOWS, "set_aside": "the taste has changed"})  # type: ignore[arg-type]
    list(runtime.loop.turn("What is tea?"))
    assert policy.asked == []
    newest = make_adapter(runtime, "rejected", KNOWS)  # type: ignore[arg-type]
    list(runtime.loop.turn("What is tea?"))
    assert policy.asked == [(4, runtime.registry.get(newest).path)]


def test_a_reward_model_that_fails_is_asked_once(tmp_path: Any) -> None:
    policy = Chooser("Tea is a drink.", refuses=True)
    runtime = opened(tmp_path, policy, KNOWS, best_of=2)
    for _ in range(2):
        assert said(list(runtime.loop.turn("What is tea?"))) == "Tea is a drink."
    assert len(policy.asked) == 1


def test_a_tool_is_used_and_its_result_answered(tmp_path: Any) -> None:
    policy = Chooser(call("calculator", expression="6 * 7"), "It is 42.")
    runtime = opened(tmp_path, policy, KNOWS, best_of=3)
    events = list(runtime.loop.turn("What is 6 * 7?"))
    assert done(events).message.content == "It is 42."
    assert len(policy.asked) == 2


def test_how_many_has_bounds(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="best_of"):
        load_settings(tmp_path, best_of=9)
