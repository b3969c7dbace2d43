"""`attune bench start`: from the command to the first screen, the model still to be loaded."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Progress = Callable[[float, str], None]
# The prompt's hint is painted with the first screen, and nothing before it says these words.
MARK = "Enter sends"
QUIT = "\x11"  # Ctrl+Q


def run(
    model: str | None = None,
    rounds: int = 5,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The report of `env.bench.start` for the chat, on a home that the first start makes."""
    from env.bench import start

    with tempfile.TemporaryDirectory(prefix="attune-start-", ignore_cleanup_errors=True) as folder:
        home = str(Path(folder) / "home")
        command = [sys.executable, "-m", "agent.cli", "--home", home, *(["--model", model] if model else [])]
        return start.run(command, MARK, QUIT, rounds, progress=progress, cancelled=cancelled)
