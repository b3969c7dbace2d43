"""Ctrl+C, as a terminal sends it: exit code 130, no traceback, and what was said is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from memory.database import open_home
from memory.journal import Journal
from tests.policies.tiny_models import make_model


def run(home: Path, model: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agent.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "ATTUNE_HOME": str(home), "ATTUNE_MODEL": str(model)},
    )


def test_in_the_middle_of_a_reply(tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny", max_position_embeddings=65_536)
    # Hot, and with no way to end: nothing but the interrupt stops it in time.
    process = run(
        tmp_path / "home", model, "ask", "Go on.", "--no-memory", "--temperature", "2",
        "--max-new-tokens", "60000", "--seed", "1",
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.read(1)
    assert first
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    db = open_home(tmp_path / "home")
    journal = Journal(db)
    [conversation] = journal.conversations()
    [reply] = journal.replies_of(conversation.id)
    generation = journal.generation(reply.id)
    assert generation.finish_reason in ("cancelled", "stop")
    assert reply.content.strip() == (first + rest).strip()
    assert generation.completion_ids
    db.close()


def test_while_waiting_for_a_line(tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny", max_position_embeddings=4096)
    process = run(tmp_path / "home", model, "ask", "--stdin", "--json", "--no-memory")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("Hello.\n")
    process.stdin.flush()
    assert process.stdout.readline().startswith("{")
    process.send_signal(signal.SIGINT)
    stopper = threading.Timer(60, process.kill)
    stopper.start()
    errors = process.stderr.read() if process.stderr else ""
    process.wait()
    stopper.cancel()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    assert process.returncode == 130
    assert "Traceback" not in errors
