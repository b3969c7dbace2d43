"""The child's side of the pipe, without a child: when text goes out, and what makes way for what."""

from __future__ import annotations

import io
import json
import queue
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from agent import model_server
from agent.model_server import CHUNK_SECONDS, Server
from policies.policy import Generated, TokenChunk

SAMPLING = {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 8, "seed": None}


class Out(io.StringIO):
    """Answers as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()

    def write(self, line: str) -> int:
        self.answers.put(json.loads(line))
        return len(line)


class Speaking:
    """A policy whose clock moves on by `pause` with every token; `prefill` runs until it is cancelled."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.now = 100.0
        self.began = threading.Event()
        self.made_way: list[bool] = []

    def stream(self, *_: Any) -> Iterator[TokenChunk | Generated]:
        for number in range(40):
            yield TokenChunk(f"{number} ")
            self.now += self.pause
        yield Generated("", "", (), (), None, "stop", 0.0, 0.0, 0)

    def prefill(self, messages: Any, tools: Any, cancel: threading.Event) -> None:
        self.began.set()
        self.made_way.append(cancel.wait(30))

    def count_tokens(self, *_: Any) -> int:
        return 7


def serving(policy: Speaking, monkeypatch: pytest.MonkeyPatch) -> tuple[Server, Out]:
    monkeypatch.setattr(model_server, "time", SimpleNamespace(monotonic=lambda: policy.now))
    out = Out()
    server = Server(out)
    server._policies["one"] = policy
    return server, out


@pytest.mark.parametrize("pause", [0.002, 0.012, 0.2])
def test_text_goes_out_at_once_first_and_then_in_pieces(
    pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, out = serving(Speaking(pause), monkeypatch)
    server.accept(
        {"id": 1, "op": "stream", "handle": "one", "messages": [], "tools": [], "sampling": SAMPLING}
    )
    chunks = []
    while "chunk" in (answer := out.answers.get(timeout=30)):
        chunks.append(answer["chunk"])
    assert answer["last"]
    assert chunks[0] == "0 "
    assert "".join(chunks) == "".join(f"{number} " for number in range(40))
    # what a piece holds is never older than the wait between two of them and one token more
    assert max(len(chunk.split()) for chunk in chunks) * pause < CHUNK_SECONDS + 1.5 * pause
    assert len(chunks) == {0.002: 5, 0.012: 21, 0.2: 40}[pause]


def test_computing_ahead_makes_way_for_what_is_asked_and_not_for_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = Speaking(0.0)
    server, out = serving(policy, monkeypatch)
    server._embedders[None] = SimpleNamespace(embed=lambda texts: [[1.0]])
    server.accept({"id": 1, "op": "prefill", "handle": "one", "messages": [], "tools": []})
    assert policy.began.wait(30)
    server.accept({"id": 2, "op": "embed", "setting": None, "texts": ["a"]})
    assert out.answers.get(timeout=30)["id"] == 2
    assert policy.made_way == []
    server.accept({"id": 3, "op": "count", "handle": "one", "messages": [], "tools": []})
    assert [out.answers.get(timeout=30)["id"] for _ in range(2)] == [1, 3]
    assert policy.made_way == [True]
