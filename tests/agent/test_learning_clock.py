"""Eight signals and an idle person: a real update of a tiny model in its own process, told once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.events import ReplyDone
from agent.learning_clock import UpdateNews
from agent.runtime import Runtime
from memory.errors import AttuneError
from memory.taste.preferences import taste_in_words
from tests.policies.tiny_models import make_model

IDLE, BUSY = 20.0, 19.9


def open_runtime(tmp_path: Path) -> Runtime:
    """With the learning settings that everybody starts with; greedy, so that no run differs from another."""
    return Runtime.open(
        tmp_path / "home", model=str(tmp_path / "tiny"), memory=False, max_new_tokens=8, temperature=0.0
    )


def speak(runtime: Runtime, text: str) -> ReplyDone:
    return next(event for event in runtime.loop.turn(text) if isinstance(event, ReplyDone))


def until_the_end(runtime: Runtime) -> list[UpdateNews]:
    news: list[UpdateNews] = []
    deadline = time.monotonic() + 240
    while runtime.clock.updating:
        assert time.monotonic() < deadline, runtime.learning_status()
        news += runtime.poll_update()
        time.sleep(0.05)
    return news


def test_eight_signals_start_one_update_and_its_verdict_is_shown(tmp_path: Path) -> None:
    make_model(tmp_path / "tiny", initializer_range=0.1, max_position_embeddings=2048)
    runtime = open_runtime(tmp_path)
    try:
        replies = [speak(runtime, f"Tell me about number {number}.").message.id for number in range(8)]
        for number, reply in enumerate(replies[:7]):
            runtime.rate(reply, 1 if number % 2 else -1)
        assert runtime.learning_status().ratings_until_update == 1
        assert not runtime.maybe_update(1000.0)
        runtime.rate(replies[7], 1)
        assert runtime.learning_status().ratings_until_update == 0
        assert not runtime.maybe_update(BUSY)
        assert not runtime.clock.updating

        assert runtime.maybe_update(IDLE)
        assert runtime.learning_status().progress is not None
        assert not runtime.maybe_update(1000.0), "one at a time"
        with pytest.raises(AttuneError, match="training already"):
            runtime.start_update()
        # the agent speaks on while it trains
        assert speak(runtime, "Are you there?").generation.adapter is None

        news = until_the_end(runtime)
        shares = [one.fraction for one in news if one.kind == "progress" and one.fraction is not None]
        assert shares == sorted(shares)
        [told] = [one for one in news if one.kind != "progress"]
        assert told.kind == "result", told.text
        verdict = told.report["verdict"]
        assert told.report["signals"] == 8
        assert told.text.startswith("v1 was rejected" if verdict == "rejected" else "v1 speaks")
        assert told.report["reasons"][0] in told.text
        if verdict != "rejected":
            assert taste_in_words(runtime.registry.get("v1").report["taste"], most=1) in told.text

        status = runtime.learning_status()
        assert (status.progress, status.stage) == (None, "")
        assert status.adapter == (None if verdict == "rejected" else "v1")
        assert speak(runtime, "And now?").generation.adapter == status.adapter
        assert runtime.registry.get("v1").status == verdict

        assert status.ratings_until_update == 8
        assert not runtime.maybe_update(1000.0), "these signals were read"
        assert runtime.poll_update() == []
    finally:
        runtime.close()
    again = open_runtime(tmp_path)
    try:
        assert not again.maybe_update(1000.0), "nor after a restart"
        assert again.learning_status().ratings_until_update == 8
        again.rate(replies[0], 0)
        again.rate(replies[0], 1)
        assert again.learning_status().ratings_until_update == 7
    finally:
        again.close()


def test_updates_that_are_off_are_said_and_do_not_start(make_runtime: Callable[..., Runtime]) -> None:
    runtime = make_runtime("Hello.", update_after=1, updates=False)
    runtime.rate(speak(runtime, "Hi.").message.id, 1)
    status = runtime.learning_status()
    assert (status.ratings_until_update, status.updates) == (0, False)
    assert not runtime.maybe_update(1000)
