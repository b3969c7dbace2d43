"""Several base models in one home: whose ratings count, and whose adapter is left out at the start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import Settings
from agent.events import ReplyDone
from agent.runtime import Runtime
from policies.base_models import BaseSpec, resolve
from tests.agent.scripted import HashEmbedder, ScriptedPolicy
from tests.policies.tiny_models import make_model, shared_adapter, shared_model

ONE, OTHER = BaseSpec("one", "", "1" * 64), BaseSpec("other", "", "2" * 64)


class Named(ScriptedPolicy):
    def __init__(self, base: str) -> None:
        super().__init__("Hello.")
        self._name = base

    @property
    def base(self) -> str:
        return self._name


@pytest.fixture
def both(tmp_path: Path) -> Iterator[list[Runtime]]:
    """One home, open on two base models."""
    settings = Settings(memory=False, update_after=3)
    made = [
        Runtime(tmp_path / "home", settings, policy=Named(spec.name), embedder=HashEmbedder(), spec=spec)
        for spec in (ONE, OTHER)
    ]
    yield made
    for runtime in made:
        runtime.close()


def speak(runtime: Runtime) -> str:
    return next(e for e in runtime.loop.turn("Hello.") if isinstance(e, ReplyDone)).message.id


def left(both: list[Runtime]) -> list[int]:
    return [runtime.learning_status().ratings_until_update for runtime in both]


def test_a_rating_counts_for_the_base_that_spoke(both: list[Runtime]) -> None:
    one, other = both
    replies = [speak(one) for _ in range(3)]
    for reply in replies[:2]:
        one.rate(reply, 1)
    assert left(both) == [1, 3]
    other.rate(speak(other), -1)
    assert left(both) == [1, 2]
    other.rate(replies[2], -1)
    assert left(both) == [0, 2], "whoever is loaded when it is given"
    assert not other.maybe_update(idle_seconds=1000)


def test_what_an_update_of_another_base_has_read_is_still_new_here(both: list[Runtime]) -> None:
    one, other = both
    for runtime in (one, one, other):
        runtime.rate(speak(runtime), 1)
    meta: dict[str, Any] = {"algorithm": "kto", "report": {"last_seq": one.journal.last_seq()}}
    other.registry.add(shared_adapter(), {**meta, "base": "other", "base_sha256": OTHER.sha256})
    assert left(both) == [1, 3]


def test_ratings_count_before_the_model_is_loaded(tmp_path: Path) -> None:
    tiny = shared_model()
    spec = resolve(str(tiny))
    speaking = Runtime(
        tmp_path / "home",
        Settings(memory=False),
        policy=Named(spec.name),
        embedder=HashEmbedder(),
        spec=spec,
    )
    speaking.rate(speak(speaking), 1)
    speaking.close()
    for model, expected in ((str(tiny), 7), (str(tmp_path / "nowhere"), 8)):
        runtime = Runtime.open(tmp_path / "home", model=model)
        assert not runtime.ready
        assert runtime.learning_status().ratings_until_update == expected
        runtime.close()


def test_at_the_start_the_person_hears_which_adapter_is_left_out(tmp_path: Path) -> None:
    tiny, other = shared_model(), make_model(tmp_path / "other", seed=5)
    runtime = Runtime.open(tmp_path / "home", model=str(other), memory=False)
    spec = resolve(str(tiny))
    meta = {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto", "status": "promoted"}
    version = runtime.registry.add(shared_adapter(), meta).version
    runtime.registry.activate(version, "test")
    runtime.warm()
    [told] = runtime.take_notices()
    assert f"The adapter {version} belongs to the model {tiny.name} and is left out on other" in told
    assert f"`/model {tiny}`" in told
    runtime.warm()
    assert runtime.take_notices() == []
    runtime.use_model(str(tiny))
    assert runtime.learning_status().adapter == version
    runtime.close()
    again = Runtime.open(tmp_path / "home", model=str(tiny), memory=False)
    again.warm()
    assert again.take_notices() == []
    again.close()
