"""Commands run in the process of the tests: what they printed, and how they ended."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from memory.database import open_home
from memory.journal import Journal

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Run:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def sentence(self) -> str:
        """The one line that a refused command leaves on stderr."""
        assert (self.code, self.err.count("\n")) == (1, 1), self.err
        assert self.err.startswith("attune: ")
        assert not CONTROL.search(self.err[:-1])
        return self.err.strip()


Attune = Callable[..., Run]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Attune:
    """Runs `main` in this process, with what stdin is to hold."""

    def run(*arguments: str, stdin: str = "") -> Run:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Run(code, captured.out, captured.err)

    return run


def sentence(run: Run) -> str:
    """The one line on stderr of a command that failed."""
    assert run.code == 1
    lines = [line for line in run.err.splitlines() if line.startswith("attune: ")]
    assert len(lines) == 1
    return lines[0]


def thumb(home: Path, reply_id: str) -> int | None:
    with closing(open_home(home)) as db:
        event = Journal(db).effective(reply_id)
        return None if event is None else event.value
