from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.runtime import Runtime
from tests.agent.scripted import ScriptedPolicy, scripted_runtime


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
