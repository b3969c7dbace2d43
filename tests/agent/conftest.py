from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.runtime import Runtime
from tests.agent.command_line import Attune, runner
from tests.agent.scripted import ScriptedPolicy, scripted_runtime
from tests.policies.tiny_models import make_model


@pytest.fixture
def make_runtime(tmp_path: Path) -> Iterator[Callable[..., Runtime]]:
    """Runtimes on one temporary home with a policy that says the given lines; all closed at the end."""
    made: list[Runtime] = []

    def make(*lines: Any, context_length: int = 1000, **settings: Any) -> Runtime:
        policy = ScriptedPolicy(*lines, context_length=context_length)
        made.append(scripted_runtime(tmp_path / "home", policy, **settings))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=4096)


@pytest.fixture
def attune(
    home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Attune:
    """Runs commands in this process, on a temporary home with the tiny model."""
    monkeypatch.setenv("ATTUNE_HOME", str(home))
    monkeypatch.setenv("ATTUNE_MODEL", str(tiny))
    monkeypatch.setenv("ATTUNE_MAX_NEW_TOKENS", "8")
    # What a random model draws is chance; what it says greedily is the same in every run.
    monkeypatch.setenv("ATTUNE_TEMPERATURE", "0")
    return runner(monkeypatch, capsys)


@pytest.fixture
def reply(attune: Attune) -> str:
    """The id of a reply in the home."""
    return str(attune("ask", "Hello.", "--no-memory", "--json").json["reply_id"])
