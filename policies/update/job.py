"""The update job: an update in a child process at the lowest priority, watched from the parent.

The parent never waits: `poll` returns what was reported since the last call. The child speaks JSON
lines on its standard output, and stops by itself when its standard input closes, which is what
happens when the parent dies. A child that is killed leaves nothing active (see `run`), unless that
came after its last transaction: the registry then knows what came of it, and is asked.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memory.database import open_home, writing
from memory.errors import AttuneError
from memory.forgetting import erase
from memory.records import Adapter
from policies import child
from policies.errors import Cancelled, LearnError
from policies.learners.lora import LearningSettings
from policies.update.lock import UpdateBusy, UpdateError, update_lock
from policies.update.material import NothingToLearn
from policies.update.run import UpdateResult, run_update

__all__ = [
    "Cancelled",
    "LearnError",
    "LearningSettings",
    "NothingToLearn",
    "UpdateBusy",
    "UpdateError",
    "UpdateJob",
    "UpdateProgress",
    "UpdateResult",
    "run_update",
    "update_lock",
]

ENDED: Any = None


@dataclass(frozen=True, slots=True)
class UpdateProgress:
    """How far the update is: `fraction` from 0 to 1, and what it is doing."""

    fraction: float
    text: str


class UpdateJob:
    """One update of the home in a child process. Afterwards either `result` or `error` is set.

    `error` is one sentence for the person; `cancelled` says whether it was they who stopped it.
    """

    def __init__(
        self,
        home: Path | str,
        model: str | None = None,
        algorithm: str = "auto",
        settings: LearningSettings | None = None,
        device: str = "auto",
    ) -> None:
        self._home = Path(home)
        self._order = {
            "home": str(self._home),
            "model": model,
            "algorithm": algorithm,
            "settings": asdict(settings or LearningSettings()),
            "device": device,
        }
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._ended = False
        self._before = 0
        self._started = 0.0
        self.result: UpdateResult | None = None
        self.error: str | None = None
        self.cancelled = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Started, and its end not yet seen by `poll`."""
        return self._process is not None and not self._ended

    def start(self) -> None:
        """Start the child. Raises UpdateBusy at once if another process is training on this home, and
        DatabaseError when its log cannot be written."""
        if self._process is not None:
            raise UpdateError("This update was started already; make a new one.")
        with update_lock(self._home):
            newest = self._newest()
        self._before, self._started = _number(newest), time.monotonic()
        logs = self._home / "logs"
        with writing(self._home):
            logs.mkdir(parents=True, exist_ok=True)
            log = (logs / "update.log").open("w")
        with log:
            self._process = subprocess.Popen(
                child.command("policies.update.worker", json.dumps(self._order)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environment(),
                # Ctrl+C in the terminal is for the screen to handle, and reaches the child through us
                start_new_session=True,
            )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def poll(self) -> list[UpdateProgress]:
        """What was reported since the last call; never waits. Sets `result` or `error` at the end."""
        found: list[UpdateProgress] = []
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return found
            self._take(line, found)

    def wait(self, timeout: float | None = None) -> list[UpdateProgress]:
        """Like `poll`, but stays until the child has ended or `timeout` seconds without a report."""
        found: list[UpdateProgress] = []
        while self.running:
            try:
                self._take(self._lines.get(timeout=timeout), found)
            except queue.Empty:
                break
        return found

    def next_report(self, timeout: float | None = None) -> UpdateProgress | None:
        """The next report, waited for; None at the end of the child or after `timeout` seconds."""
        found: list[UpdateProgress] = []
        while self.running and not found:
            try:
                self._take(self._lines.get(timeout=timeout), found)
            except queue.Empty:
                return None
        return found[0] if found else None

    def cancel(self, grace: float = 1.0) -> None:
        """Stop the child and wait until it is gone: asked first, killed after `grace` seconds.

        Killing is safe at any moment: nothing is known to the registry before the update's last transaction,
        and what the child could not sweep away any more is swept here. After that transaction it comes too
        late, and `result` tells what the update did.
        """
        process = self._process
        if process is None or self._ended:
            return
        self.cancelled = True
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        erase.clear_workshop(self._home)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict):
                    self._lines.put(event)
        process.wait()
        self._lines.put(ENDED)

    def _take(self, event: dict[str, Any] | None, found: list[UpdateProgress]) -> None:
        if event is not None:
            kind = event.get("event")
            if kind == "progress":
                found.append(UpdateProgress(event["fraction"], event["text"]))
            elif kind == "result":
                body = event["result"]
                self.result = UpdateResult(**{**body, "reasons": tuple(body["reasons"])})
            elif kind == "error":
                self.error = event["text"]
            return
        self._ended = True
        assert self._process is not None
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self.result is None:
            self._look_up()
        if self.result is not None:
            self.cancelled, self.error = False, None
        elif self.error is None and self.cancelled:
            self.error = str(Cancelled())
        elif self.error is None:
            self.error = (
                f"The update ended unexpectedly (exit code {self._process.returncode}); nothing was changed: "
                f"see {self._home / 'logs' / 'update.log'}, then train again."
            )

    def _look_up(self) -> None:
        """The child ended, however that was, and told of no result: take it from the registry, where its last
        transaction stands or does not. Where that cannot be read, the error is why."""
        try:
            newest = self._newest()
        except AttuneError as error:
            self.error = self.error or str(error)
            return
        if newest is not None and _number(newest) > self._before:
            self.result = UpdateResult.of(newest, time.monotonic() - self._started)

    def _newest(self) -> Adapter | None:
        from policies.adapters.registry import AdapterRegistry

        with closing(open_home(self._home)) as db:
            return next(reversed(AdapterRegistry(db, self._home).list()), None)


def _number(adapter: Adapter | None) -> int:
    return 0 if adapter is None else int(adapter.version[1:])


def _environment() -> dict[str, str]:
    """The child's: few threads, so that the screen and the replies keep a core."""
    cores = os.cpu_count() or 1
    threads = "1" if cores <= 2 else str(cores // 2)
    return child.environment(OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads)
