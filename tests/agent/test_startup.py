"""What starting imports: nothing that takes long before somebody needs it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

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


def test_it_leaves_when_its_terminal_is_gone(home: Path, tiny: Path) -> None:
    """Without a controlling terminal no signal says so, and a read gives nothing at once, for ever."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "--home", str(home), "--model", str(tiny)],
        stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        screen = b""
        while b"Enter sends" not in screen:
            assert select.select([ours], [], [], 60)[0], screen[-500:]
            screen += os.read(ours, 65_536)
        os.close(ours)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
