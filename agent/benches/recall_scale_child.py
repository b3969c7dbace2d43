"""One step of `attune bench recall --scale` in a process of its own: fill a home, or measure it.

Said on stdout, a JSON object a line: {"progress": [share, stage]} and at the end {"result": {…}}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

from env.bench import recall_scale as bench
from env.bench.errors import BenchError
from memory.database import open_home
from memory.facts import Facts
from memory.index.embedder import Embedder, load_embedder
from memory.index.vector_index import VectorIndex
from memory.recall.recall import Recall

CHUNK = 1_000  # texts that are embedded, and further ones that are stored at once
QUESTIONS, MORE = 200, 20
QUICK_QUESTIONS, QUICK_MORE = 20, 5
REBUILT = 256
K = 5


def say(share: float, stage: str) -> None:
    print(json.dumps({"progress": [share, stage]}), flush=True)


def fill(home: Path, size: int, embedder: Embedder) -> dict[str, float]:
    """A home with `size` memories; how many vectors a second went into the index."""
    import numpy as np

    say(0.0, "embedding")
    made = [text for text, _ in islice(bench.memories(), size)]
    kinds = np.array(embedder.embed(made[:CHUNK]), dtype=np.float32)
    db = open_home(home)
    facts, index = Facts(db), VectorIndex(home / "index", embedder)
    stored = 0.0
    for start in range(0, size, CHUNK):
        say(start / size, f"storing {start} of {size}")
        some = made[start : start + CHUNK]
        with db.transaction():
            ids = [facts.remember(text).id for text in some]
        # The first ones too: around the very middle of each kind a graph becomes a star, and loses its ends.
        vectors = bench.spread(kinds[: len(some)], seed=start)
        began = time.perf_counter()
        index.put(ids, vectors)
        stored += time.perf_counter() - began
    index.close()
    db.close()
    return {"store_per_s": size / stored}


class Home:
    """A filled home as the bench asks it."""

    def __init__(self, home: Path, embedder: Embedder) -> None:
        self.db = open_home(home)
        self.index = VectorIndex(home / "index", embedder)
        self.memories = Recall(Facts(self.db), self.index)

    def recall(self, question: str) -> object:
        return self.memories.search(question, k=K)

    def raw(self, question: str) -> object:
        vectors = self.index.embedder.embed([question])
        return self.index.collection().query(query_embeddings=vectors, n_results=K)

    def add(self, text: str) -> object:
        return self.memories.remember(text)


def measure(home: Path, size: int, embedder: Embedder, quick: bool) -> dict[str, float]:
    """The figures of one size, in the order in which a start of Attune loads things."""
    import psutil

    began = time.perf_counter()
    store = Home(home, embedder)
    if store.memories.sync():
        raise BenchError("The index did not hold what was written to it; please report this.")
    opened = time.perf_counter()
    embedder.embed(["ready"])
    loaded = time.perf_counter()
    asked = [question for _, question in islice(bench.memories(), 0, size, max(1, size // QUESTIONS))]
    store.recall(asked[0])
    figures = {
        "first_recall_ms": (time.perf_counter() - loaded) * 1000,
        "open_ms": (opened - began) * 1000,
    }
    chosen = asked[: QUICK_QUESTIONS if quick else QUESTIONS]
    for question in chosen[:3]:
        store.raw(question)
    more = [text for text, _ in islice(bench.memories(seed=1), QUICK_MORE if quick else MORE)]
    figures |= bench.measure(store, chosen, more, say)
    figures["rss_mb"] = psutil.Process().memory_info().rss / 1e6
    began = time.perf_counter()
    embedder.embed([text for text, _ in islice(bench.memories(seed=2), REBUILT)])
    figures["embed_per_s"] = REBUILT / (time.perf_counter() - began)
    say(1.0, "forgetting one")
    began = time.perf_counter()
    store.index.forget([store.memories.remember(more[0]).id])
    figures["forget_ms"] = (time.perf_counter() - began) * 1000
    store.index.close()
    store.db.close()
    return figures


def load(texts: list[str]) -> dict[str, Any]:
    """From nothing to the first vector, and the vectors of `texts`."""
    began = time.perf_counter()
    embedder = load_embedder()
    embedder.embed(["ready"])
    return {"ms": (time.perf_counter() - began) * 1000, "vectors": embedder.embed(texts)}


def main() -> None:
    order = json.loads(sys.argv[1])
    home, size = Path(order.get("home", os.devnull)), order.get("size", 0)
    if order["step"] == "fill":
        result: dict[str, Any] = fill(home, size, load_embedder())
    elif order["step"] == "measure":
        result = measure(home, size, load_embedder(), order["quick"])
    else:
        result = load(order["texts"])
    print(json.dumps({"result": result}), flush=True)


if __name__ == "__main__":
    main()
