"""The child's side of `model_host`: holds the models and answers requests, a JSON object a line.

Two lanes, so that a memory search never waits for a reply: one thread for the policies, one for the
embedder. A third kind of thread loads, so that the old model speaks while the new one comes. What is
computed ahead of a request makes way for it: any other work for the policies cancels it.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TextIO

from memory.errors import AttuneError
from policies.adapters.files import AdapterError
from policies.policy import SamplingParams, Side, TokenChunk

log = logging.getLogger("attune.server")
Request = dict[str, Any]
LANES = {"embed": "embedder", "load": "loader", "resolve": "loader"}
# Text goes out at most this often, in seconds: a line a token would wake the parent, and on two cores
# that takes the processor from the model. The first piece of a reply goes out at once.
CHUNK_SECONDS = 0.02


class Server:
    """One per child. `out` takes the answers."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._writing = threading.Lock()
        self._policies: dict[str, Any] = {}
        self._embedders: dict[str | None, Any] = {}
        self._cancels: dict[int, threading.Event] = {}
        self._ahead: dict[int, threading.Event] = {}
        self._lanes: dict[str, queue.SimpleQueue[Request]] = {}

    def accept(self, request: Request) -> None:
        """Called by the reading thread: cancels take effect here, everything else goes to its lane."""
        if request["op"] == "cancel":
            if waiting := self._cancels.get(request["target"]):
                waiting.set()
            return
        self._cancels[request["id"]] = threading.Event()
        lane = LANES.get(request["op"], "policy")
        if lane == "policy":
            for ahead in list(self._ahead.values()):
                ahead.set()
        if request["op"] == "prefill":
            self._ahead[request["id"]] = self._cancels[request["id"]]
        if lane not in self._lanes:
            self._lanes[lane] = queue.SimpleQueue()
            threading.Thread(target=self._work, args=(self._lanes[lane],), name=lane, daemon=True).start()
        self._lanes[lane].put(request)

    def _work(self, lane: queue.SimpleQueue[Request]) -> None:
        while True:
            request = lane.get()
            number = request["id"]
            try:
                value = self._operation(request["op"])(request)
            except AttuneError as wrong:
                self._say(number, error=str(wrong), unsound=isinstance(wrong, AdapterError))
            except Exception as wrong:
                log.exception("%s failed", request["op"])
                self._say(
                    number,
                    error=f"The model failed ({type(wrong).__name__}: {_first_line(wrong)}); try again.",
                )
            else:
                self._say(number, value=value, last=True)
            finally:
                self._cancels.pop(number, None)
                self._ahead.pop(number, None)

    def _operation(self, op: str) -> Callable[[Request], Any]:
        return {
            "resolve": self._resolve,
            "load": self._load,
            "release": self._release,
            "count": self._count,
            "prefill": self._prefill,
            "stream": self._stream,
            "generate": self._generate,
            "mixed": self._mixed,
            "best_of": self._best_of,
            "swap": self._swap,
            "adapter": self._adapter,
            "embed": self._embed,
        }[op]

    def _say(self, number: int, **parts: Any) -> None:
        line = json.dumps({"id": number, **parts})
        try:
            with self._writing:
                self._out.write(line + "\n")
                self._out.flush()
        except OSError:
            os._exit(0)  # nobody listens any more

    def _resolve(self, request: Request) -> dict[str, str]:
        from policies.base_models import resolve

        def told(fraction: float, stage: str) -> None:
            self._say(request["id"], progress=[fraction, stage])

        return asdict(resolve(request["model"], told))

    def _load(self, request: Request) -> int:
        from policies.base_models import BaseSpec
        from policies.language_policy import LanguagePolicy

        number, spec = request["id"], BaseSpec(**request["spec"])
        self._say(number, progress=[0.2, f"loading {spec.name}"])
        policy = LanguagePolicy(spec, device=request["device"])
        self._policies[request["handle"]] = policy
        self._say(number, progress=[1.0, f"{spec.name} is loaded"])
        return policy.context_length

    def _release(self, request: Request) -> None:
        policy = self._policies.pop(request["handle"], None)
        if policy is not None:
            policy.close()

    def _policy(self, request: Request) -> Any:
        return self._policies[request["handle"]]

    def _count(self, request: Request) -> int:
        return self._policy(request).count_tokens(request["messages"], request["tools"])

    def _prefill(self, request: Request) -> None:
        cancel = self._cancels[request["id"]]
        self._policy(request).prefill(request["messages"], request["tools"], cancel)

    def _stream(self, request: Request) -> Any:
        sampling = SamplingParams(**request["sampling"])
        cancel = self._cancels[request["id"]]
        held, due = "", 0.0
        for item in self._policy(request).stream(request["messages"], sampling, request["tools"], cancel):
            if not isinstance(item, TokenChunk):
                if held:
                    self._say(request["id"], chunk=held)
                return asdict(item)
            held += item.text
            if (now := time.monotonic()) >= due:
                self._say(request["id"], chunk=held)
                held, due = "", now + CHUNK_SECONDS
        raise AttuneError("The model stopped without a reply; try again.")

    def _generate(self, request: Request) -> list[dict[str, Any]]:
        sampling = SamplingParams(**request["sampling"])
        made = self._policy(request).generate(request["batch"], sampling, request["tools"])
        return [asdict(one) for one in made]

    def _mixed(self, request: Request) -> list[dict[str, Any]]:
        sides = [Side(**side) for side in request["sides"]]
        sampling, cancel = SamplingParams(**request["sampling"]), self._cancels[request["id"]]
        policy = self._policy(request)
        made = policy.mixed(request["messages"], sides, sampling, request["tools"], cancel)
        return [asdict(one) for one in made]

    def _best_of(self, request: Request) -> dict[str, Any]:
        sampling, cancel = SamplingParams(**request["sampling"]), self._cancels[request["id"]]
        made = self._policy(request).best_of(
            request["messages"], request["n"], request["reward"], sampling, request["tools"], cancel
        )
        return asdict(made)

    def _swap(self, request: Request) -> str | None:
        """The digest of what is in the model now."""
        policy = self._policy(request)
        policy.swap(request["version"], request["path"])
        served: str | None = policy.served_sha256
        return served

    def _adapter(self, request: Request) -> str | None:
        adapter: str | None = self._policy(request).adapter
        return adapter

    def _embed(self, request: Request) -> list[list[float]]:
        from memory.index.embedder import load_embedder

        setting = request["setting"]
        if setting not in self._embedders:
            self._embedders[setting] = load_embedder(setting)
        return [
            [float(value) for value in vector] for vector in self._embedders[setting].embed(request["texts"])
        ]


def serve() -> None:
    """Answer until stdin closes. Whatever libraries print goes to stderr, never between the answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    server = Server(out)
    for line in sys.stdin:
        server.accept(json.loads(line))
    # At once, and not through interpreter shutdown: a lane may be deep inside a forward pass.
    os._exit(0)


def _first_line(wrong: Exception) -> str:
    return (str(wrong).splitlines() or [""])[0][:200]
