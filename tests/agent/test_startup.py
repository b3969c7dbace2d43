"""What starting imports: nothing that takes long before somebody needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "sentence_transformers", "chromadb", "numpy"}
HEAVY |= {"gymnasium", "textual_plotext"}
OPEN = """
from agent.runtime import Runtime
runtime = Runtime.open(sys.argv[1])
runtime.learning_status(), runtime.card.lines(), runtime.registry.list(), runtime.poll_update()
runtime.maybe_update(1000.0), runtime.journal.conversations(), runtime.facts.all()
runtime.close()
"""


def loaded(code: str, *arguments: str) -> set[str]:
    """Top-level modules that `code` brings into a new process."""
    program = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["agent.cli", "agent.cli.app", "agent.tui.app", "agent.runtime", "memory", "policies.policy", "env"],
)
def test_importing_is_light(module: str) -> None:
    found = loaded(f"import {module}")
    assert module.partition(".")[0] in found
    assert found & HEAVY == set()
    if "tui" not in module:
        assert "textual" not in found


def test_opening_a_home_is_light(tmp_path) -> None:
    found = loaded(OPEN, str(tmp_path / "home"))
    assert "sqlite3" in found
    assert found & {*HEAVY, "textual"} == set()
