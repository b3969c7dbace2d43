"""Ctrl+C, as a terminal sends it: exit code 130, no traceback, and what was said is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.database import open_home
from memory.journal import Journal
from memory.text import as_written
from policies import child
from tests.agent.command_line import Attune
from tests.policies.tiny_models import make_model, shared_adapter


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """Jobs that a script starts in the background ignore Ctrl+C, and so would all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(home: Path, model: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agent.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "ATTUNE_HOME": str(home), "ATTUNE_MODEL": str(model)},
    )


def told(errors: str) -> bool:
    """Exactly one line for the person, and nothing else."""
    return errors.strip() == "attune: Stopped; what was done until then is kept."


def test_in_the_middle_of_a_reply(tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny", max_position_embeddings=65_536)
    # Hot, and of several hundred tokens with this seed: the interrupt comes long before their end.
    process = run(
        tmp_path / "home", model, "ask", "Go on.", "--no-memory", "--temperature", "2",
        "--max-new-tokens", "60000", "--seed", "4",
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.read(1)
    assert first
    process.send_signal(signal.SIGINT)
    stopper = threading.Timer(60, process.kill)
    stopper.start()
    # Not communicate(): it reads the pipe itself and loses what read(1) took beyond its one character.
    rest = process.stdout.read()
    _, errors = process.communicate()
    stopper.cancel()
    assert process.returncode == 130
    assert told(errors)
    db = open_home(tmp_path / "home")
    journal = Journal(db)
    [conversation] = journal.conversations()
    [reply] = journal.replies_of(conversation.id)
    generation = journal.generation(reply.id)
    assert generation.finish_reason in ("cancelled", "stop")
    # A random model writes control characters, which the journal keeps as replacement characters, and
    # carriage returns, which a text pipe reads as newlines.
    assert reply.content.replace("\r", "\n").strip() == as_written(first + rest).strip()
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
    # Whether the random model's reply ended or was cut at its longest length is chance, and told as well.
    told_of_length = errors.startswith("The reply reached its longest length")
    assert told(errors.partition("\n")[2] if told_of_length else errors)


# Stands for the child of an update: it presses Ctrl+C, before its last transaction or after it, and again
# when it is asked to stop.
PRESSES = """
import json, os, signal, sys
from pathlib import Path
from memory.database import open_home
from policies.adapters.registry import AdapterRegistry
folder, when, order = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
report = {"verdict": "promoted", "reasons": ["It is better."], "held_out": {}, "settings": {}}
meta = {"base": "tiny", "base_sha256": "0" * 64, "algorithm": "kto", "status": "promoted", "signals": 8}
if when == "after":
    home = Path(order["home"])
    AdapterRegistry(open_home(home), home).add(folder, {**meta, "report": report}, speaks="promoted")
press = lambda *_: os.kill(os.getppid(), signal.SIGINT)
if when == "twice":
    signal.signal(signal.SIGTERM, press)
signal.alarm(60)
press()
while True:
    signal.pause()
"""
NOTHING = "attune: The update was stopped; nothing was changed.\n"
KEPT = "attune: Stopped; what was done until then is kept.\n"


@pytest.mark.parametrize(
    ("command", "when", "code", "out", "err"),
    [
        (("train",), "before", 130, "", NOTHING),
        (("train",), "twice", 130, "", NOTHING),
        (("train",), "after", 0, "v1 (kto, 8 signals): promoted\n- It is better.\n", ""),
        (("forget", "--retrain"), "before", 130, "", KEPT),
    ],
    ids=["train", "twice", "too late", "forget"],
)
def test_while_an_update_trains(
    attune: Attune, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...], when: str, code: int, out: str, err: str,
) -> None:  # fmt: skip
    program = [sys.executable, "-c", PRESSES, str(shared_adapter()), when]
    capsys.readouterr()  # what making an adapter printed
    monkeypatch.setattr(child, "command", lambda module, *order: [*program, *order])
    stopped = attune(*command)
    assert (stopped.code, stopped.out, stopped.err) == (code, out, err)


# Ctrl+C at a moment that no timing could hit: each program presses it from inside.
DURING_IMPORTS = """
import os, signal, sys
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "agent.cli.ask":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
"""
AGAIN_WHILE_CLOSING = """
import os, signal, sys
from agent.runtime import Runtime
def press(*_):
    os.kill(os.getpid(), signal.SIGINT)
close = Runtime.close
def closing(self):
    close(self)
    press()
Runtime.warm, Runtime.close = press, closing
"""


@pytest.mark.parametrize("before", [DURING_IMPORTS, AGAIN_WHILE_CLOSING])
def test_at_any_other_moment(tmp_path: Path, before: str) -> None:
    program = f"{before}\nfrom agent.cli import main\nsys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "ask", "Hello.", "--no-memory", "--home", str(tmp_path / "home")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 130
    assert told(done.stderr)
