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


def on_a_terminal(*arguments: str) -> tuple[int, subprocess.Popen[bytes]]:
    """Python with `arguments` on a terminal of its own: our end of it, and the process."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    return ours, process


def read_until(terminal: int, text: bytes) -> None:
    screen = b""
    while text not in screen:
        assert select.select([terminal], [], [], 60)[0], screen[-500:]
        screen += os.read(terminal, 65_536)


def test_it_leaves_when_its_terminal_is_gone(home: Path, tiny: Path) -> None:
    """Without a controlling terminal no signal says so, and a read gives nothing at once, for ever."""
    ours, process = on_a_terminal("-m", "agent.cli", "--home", str(home), "--model", str(tiny))
    try:
        read_until(ours, b"Enter sends")
        os.close(ours)
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.wait()


BREAKS = """
import sys
from agent.cli import main
from agent.tui.screens.chat import ChatScreen
def breaks(*_):
    raise ZeroDivisionError("oops")
ChatScreen.now_ready = breaks
sys.exit(main(sys.argv[1:]))
"""


def test_a_crash_of_the_screen_is_told_by_the_exit_status(home: Path, tiny: Path) -> None:
    ours, process = on_a_terminal("-c", BREAKS, "--home", str(home), "--model", str(tiny))
    try:
        read_until(ours, b"Something went wrong: ZeroDivisionError")
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.wait()
        os.close(ours)
