"""Leaving while the model and the memories are still being loaded in another thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.config import Settings
from agent.runtime import Runtime
from memory.errors import DatabaseError
from tests.agent.scripted import HashEmbedder, ScriptedPolicy


class SlowEmbedder(HashEmbedder):
    """Stays in its first `embed` until it may go on."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.inside.set()
        assert self.go_on.wait(60)
        return super().embed(texts)


def test_the_database_is_not_closed_under_a_load_that_goes_on(tmp_path: Path) -> None:
    """SQLite crashes where another thread is at work on the connection, and takes the process with it."""
    embedder, policy = SlowEmbedder(), ScriptedPolicy("Yes.")
    runtime = Runtime(tmp_path / "home", Settings(), policy=policy, embedder=embedder)
    runtime.facts.remember("The dog is called Fitzo.")
    wrong: list[Exception] = []

    def load() -> None:
        try:
            runtime.warm()
        except Exception as error:
            wrong.append(error)

    loading = threading.Thread(target=load, daemon=True)
    loading.start()
    assert embedder.inside.wait(60)
    runtime.close()
    assert policy.closed
    embedder.go_on.set()
    loading.join(60)
    assert wrong == [], "the load had its database to the end"
    runtime.close()
    with pytest.raises(DatabaseError, match="was closed"):
        runtime.facts.count()
