"""While the watch looks at one adapter, another process lets another one speak: that one is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.events import ReplyDone
from agent.runtime import Runtime
from tests.policies.light import light_adapter, light_meta

Make = Callable[..., Runtime]


def speak(runtime: Runtime) -> str:
    return next(event for event in runtime.loop.turn("Hello.") if isinstance(event, ReplyDone)).message.id


def add(runtime: Runtime, folder: Path, status: str, **report: Any) -> str:
    about = light_meta(base="scripted", status=status, report=report)
    return runtime.registry.add(folder, about).version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return light_adapter(tmp_path / "light")


@pytest.fixture
def overtake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runtime, Runtime, str], None]:
    """Lets `other` activate a version at the moment at which the watch of `runtime` weighs the thumbs."""

    def prepare(runtime: Runtime, other: Runtime, version: str) -> None:
        weights = runtime.card.weights

        def weighed(**asked: Any) -> Any:
            monkeypatch.undo()
            other.registry.activate(version, "an update has ended")
            return weights(**asked)

        monkeypatch.setattr(runtime.card, "weights", weighed)

    return prepare


def test_an_adapter_that_came_meanwhile_is_not_rolled_back_for_the_one_before(
    make_runtime: Make, folder: Path, overtake: Callable[[Runtime, Runtime, str], None]
) -> None:
    runtime, other = make_runtime("Hello."), make_runtime("Hello.")
    for _ in range(6):
        runtime.rate(speak(runtime), 1)
    worse, next_one = add(runtime, folder, "provisional"), add(runtime, folder, "provisional")
    runtime.use(worse)
    for _ in range(3):
        runtime.rate(speak(runtime), -1)
    last = speak(runtime)
    overtake(runtime, other, next_one)
    runtime.rate(last, -1)
    active = runtime.active_adapter()
    assert active is not None
    assert active.version == next_one
    assert [one.status for one in runtime.adapters()] == ["provisional", "provisional"]
    assert [entry["kind"] for entry in runtime.registry.activations()] == ["activate", "activate"]
    assert runtime.poll_update() == []


def test_an_adapter_that_came_meanwhile_is_not_set_aside_for_the_one_before(
    make_runtime: Make, folder: Path, overtake: Callable[[Runtime, Runtime, str], None]
) -> None:
    runtime, other = make_runtime("Hello."), make_runtime("Hello.")
    learned = [speak(runtime) for _ in range(16)]
    for reply in learned:
        runtime.rate(reply, 1)
    # Its replies are disliked before it is known what it learned from, so that one thumb sets it aside.
    for _ in range(8):
        runtime.rate(speak(runtime), -1)
    old = add(runtime, folder, "promoted", trained_on={"feedback": [], "replies": learned})
    fresh = add(runtime, folder, "promoted")
    runtime.use(old)
    last = speak(runtime)
    overtake(runtime, other, fresh)
    runtime.rate(last, -1)
    active = runtime.active_adapter()
    assert active is not None
    assert active.version == fresh
    assert "set_aside" not in runtime.registry.get(old).report
    assert runtime.poll_update() == []
    runtime.use(old)
    runtime.rate(last, -1)
    assert runtime.active_adapter() is None, "else nothing was to be set aside"


def test_an_adapter_that_does_not_speak_any_more_is_not_promoted(
    make_runtime: Make, folder: Path, overtake: Callable[[Runtime, Runtime, str], None]
) -> None:
    runtime, other = make_runtime("Hello."), make_runtime("Hello.")
    for _ in range(8):
        runtime.rate(speak(runtime), -1)
    better, next_one = add(runtime, folder, "provisional"), add(runtime, folder, "provisional")
    runtime.use(better)
    for _ in range(3):
        runtime.rate(speak(runtime), 1)
    last = speak(runtime)
    overtake(runtime, other, next_one)
    runtime.rate(last, 1)
    assert [one.status for one in runtime.adapters()] == ["provisional", "provisional"]
    assert runtime.poll_update() == []
    runtime.use(better)
    runtime.rate(last, 1)
    assert runtime.registry.get(better).status == "promoted", "else the thumbs decide nothing"
