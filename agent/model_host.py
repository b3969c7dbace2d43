"""Policy and embedder in one child process, so that the screen never waits for a model.

The child is `python -m agent.model_host`; requests go to its stdin and answers come from its stdout, a
JSON object a line. It ends when its stdin closes, and so dies with its parent. When it crashes, the
request in flight fails with a sentence and the next one starts it again. The parent imports no torch.
"""

from __future__ import annotations

import itertools
import json
import logging
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from memory.database import writing
from memory.errors import AttuneError
from policies import child
from policies.adapters.files import AdapterError

Progress = Callable[[float, str], None]
# How often a waiting stream looks at its cancel event, in seconds.
TICK = 0.02
log = logging.getLogger("attune.host")


class HostError(AttuneError):
    """The child process that holds the model failed."""


class ModelHost:
    """The child, from the parent's side. Calls may come from several threads."""

    def __init__(self, log_file: Path | None = None) -> None:
        self.log_file = log_file
        self.starts = 0
        self._process: subprocess.Popen[str] | None = None
        self._ids = itertools.count(1)
        self._answers: dict[int, tuple[subprocess.Popen[str], queue.SimpleQueue[dict[str, Any]]]] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def ensure(self) -> int:
        """Start the child if it is not running; returns how many times it was started."""
        with self._lock:
            if self._closed:
                raise HostError("The model was closed; start Attune again.")
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self.starts

    def _start(self) -> None:
        if self._process is not None:
            _close(self._process.stdin)
        errors: Any = subprocess.DEVNULL
        if self.log_file is not None:
            with writing(self.log_file.parent.parent):
                self.log_file.parent.mkdir(parents=True, exist_ok=True)
                errors = self.log_file.open("w", encoding="utf-8")
        try:
            # A session of its own: Ctrl+C in the terminal is for the parent, which cancels and closes.
            process = subprocess.Popen(
                child.command("agent.model_host"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=child.environment(),
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as wrong:
            raise HostError(
                f"The model's process could not be started ({wrong.strerror}); "
                "close other programs and try again."
            ) from wrong
        finally:
            if errors is not subprocess.DEVNULL:
                errors.close()
        self._process = process
        self.starts += 1
        threading.Thread(target=self._read, args=(process,), name="model-host-reader", daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Hand out answers until the child ends; whatever happens, those who wait are told of its end."""
        assert process.stdout is not None
        try:
            with process.stdout as lines:
                for line in lines:
                    self._hand_out(line)
        except (OSError, ValueError):
            log.exception("the answers of the model's process cannot be read any more")
            process.kill()
        finally:
            process.wait()
            for asked, waiting in list(self._answers.values()):
                if asked is process:
                    waiting.put({"died": process.returncode})

    def _hand_out(self, line: str) -> None:
        try:
            answer = json.loads(line)
            number = answer["id"]
        except (ValueError, KeyError, TypeError):
            log.warning("an answer was cut short: %r", line[:80])  # the child died while it wrote
            return
        asked = self._answers.get(number)
        if asked is not None:
            asked[1].put(answer)

    def send(self, op: str, **parts: Any) -> int:
        """Write a request without waiting for its answer; returns its id."""
        number = next(self._ids)
        self._write(self._process, {"id": number, "op": op, **parts})
        return number

    def _write(self, process: subprocess.Popen[str] | None, request: dict[str, Any]) -> None:
        try:
            with self._writing:
                assert process is not None
                assert process.stdin is not None
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
        except (OSError, ValueError) as broken:
            raise HostError("The model's process ended; try again, and it starts anew.") from broken

    def request(
        self, op: str, cancel: threading.Event | None = None, **parts: Any
    ) -> Iterator[dict[str, Any]]:
        """Answers to one request until its last, or HostError. Closing the iterator cancels the request."""
        self.ensure()
        process, number = self._process, next(self._ids)
        if process is None:
            raise HostError("The model was closed; start Attune again.")
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._answers[number] = (process, answers)
        ended = told = False
        try:
            self._write(process, {"id": number, "op": op, **parts})
            while True:
                if cancel is not None and cancel.is_set() and not told:
                    told = True
                    self.send("cancel", target=number)
                try:
                    answer = answers.get(timeout=None if cancel is None or told else TICK)
                except queue.Empty:
                    continue
                ended = "died" in answer or "error" in answer or bool(answer.get("last"))
                if "died" in answer:
                    raise HostError(
                        f"The model's process ended unexpectedly (code {answer['died']}); "
                        "send the message again, and it starts anew."
                    )
                if "error" in answer:
                    raise (AdapterError if answer.get("unsound") else HostError)(answer["error"])
                yield answer
                if ended:
                    return
        finally:
            self._answers.pop(number, None)
            if not ended and not told and self.pid is not None:
                self.send("cancel", target=number)

    def call(self, op: str, progress: Progress | None = None, **parts: Any) -> Any:
        """One request with one value; progress lines on the way go to `progress`."""
        for answer in self.request(op, **parts):
            if "progress" in answer and progress is not None:
                progress(*answer["progress"])
            if answer.get("last"):
                return answer.get("value")
        raise HostError("The model's process gave no answer; try again.")

    def close(self) -> None:
        """End the child. Safe to call twice."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is None:
            return
        _close(process.stdin)
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _close(pipe: IO[str] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:
        pass  # what was still to be written has no reader any more


if __name__ == "__main__":
    from agent.model_server import serve

    serve()
