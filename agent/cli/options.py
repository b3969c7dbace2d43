"""What the commands share: their common options, the way to open a home, and the way to print."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime

log = logging.getLogger("attune.cli")
REPLY_ID = "As `attune ask --json` prints it, or as a report shortens it."
Home = Annotated[
    Path | None, typer.Option("--home", metavar="DIR", help="The folder that holds all state (ATTUNE_HOME).")
]
Owner = Annotated[
    str | None,
    typer.Option(
        "--owner", metavar="NAME", help="Whose home; may stand anywhere in the line (ATTUNE_OWNER)."
    ),
]
Model = Annotated[str | None, typer.Option("--model", metavar="M", help="A hub id or a folder; else sprout.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Stopped(AttuneError):
    """Ctrl+C, where there is more to say than that what was done until then is kept."""


@dataclass(frozen=True, slots=True)
class State:
    """The root's options; those of a command win over them."""

    home: Path | None = None
    model: str | None = None
    owner: str | None = None

    def with_options(self, home: Path | None = None, model: str | None = None) -> State:
        return replace(self, home=home or self.home, model=model or self.model)

    @property
    def folder(self) -> Path:
        from agent.paths import home_folder

        return home_folder(self.home, self.owner)

    @contextmanager
    def runtime(self, in_process: bool = True, **flags: Any) -> Iterator[Runtime]:
        """The open home, closed whatever happens, with its log running."""
        from agent.runtime import Runtime

        runtime = Runtime.open(self.folder, in_process=in_process, model=self.model, **flags)
        try:
            from agent.logs import start_log, stop_log

            start_log(runtime.home)
            if in_process:  # the chat shows them on its screen
                for sentence in runtime.take_notices():
                    note(sentence)
            yield runtime
        except AttuneError as wrong:
            log.warning("%s", wrong)
            raise
        except Exception:
            log.exception("unexpected")
            raise
        finally:
            runtime.close()
            stop_log()


def opened(context: typer.Context, home: Path | None = None, model: str | None = None) -> State:
    """The state for a command, also when it was called without the root."""
    state = context.obj if isinstance(context.obj, State) else State()
    return state.with_options(home, model)


def print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False), flush=True)


def note(text: str) -> None:
    """One line for the person beside the result."""
    print(text, file=sys.stderr, flush=True)


class ProgressLine:
    """Progress on stderr: a bar that rewrites its line in a terminal, nothing in a pipe."""

    def __init__(self, shown: bool | None = None) -> None:
        self._shown = sys.stderr.isatty() if shown is None else shown
        self._width = 0

    def __call__(self, fraction: float, stage: str) -> None:
        if not self._shown:
            return
        full = round(20 * min(max(fraction, 0.0), 1.0))
        line = f"[{'#' * full}{'.' * (20 - full)}] {fraction:4.0%} {stage}"[:100]
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def done(self) -> None:
        if self._shown and self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0


@contextmanager
def interruptible(cancel: threading.Event) -> Iterator[None]:
    """Within it the first Ctrl+C sets `cancel`, so that work ends in order; the second one breaks off."""

    def pressed(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
