"""`attune bench recall --scale`: the same search in homes of different sizes, and how the embedder loads."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from env.bench import recall_scale as bench
from env.bench.errors import BenchCancelled, BenchError

Progress = Callable[[float, str], None]
Stop = Callable[[], bool]
ROUNDS, QUICK_ROUNDS = 3, 1
TICK = 0.2
TEXTS = 64
CHILD = [sys.executable, "-m", "agent.benches.recall_scale_child"]
# What anybody would write: the library imported, the model loaded, one text embedded.
PLAIN = """
import json, sys, time
order = json.loads(sys.argv[1])
began = time.perf_counter()
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(order["folder"], device="cpu")
model.encode(["ready"], normalize_embeddings=True, show_progress_bar=False)
ms = (time.perf_counter() - began) * 1000
vectors = model.encode(order["texts"], normalize_embeddings=True, show_progress_bar=False).tolist()
print(json.dumps({"result": {"ms": ms, "vectors": vectors}}))
"""


def run(
    sizes: Sequence[int] = bench.SIZES,
    quick: bool = False,
    progress: Progress | None = None,
    cancelled: Stop | None = None,
) -> dict[str, Any]:
    """{"sizes": {"1000": {…}}, "growth", "embedder", "first_recall_ms": the slowest of all sizes}.

    Each home is filled by one process and measured by a fresh one, so that its memory is its own and its
    first search the first after a start. Raises BenchCancelled at any point, BenchError when a step fails.
    """
    if not sizes or min(sizes) < 10:
        raise BenchError("Name sizes of at least 10 memories, such as --scale 1000,10000.")
    tell: Progress = progress or (lambda share, text: None)
    stop: Stop = cancelled or (lambda: False)
    loading = _loading(QUICK_ROUNDS if quick else ROUNDS, lambda share, text: tell(0.1 * share, text), stop)
    done, every = 0, sum(sizes)
    found: dict[str, dict[str, float]] = {}
    for size in sorted(set(sizes)):
        begin, width = 0.1 + 0.9 * done / every, 0.9 * size / every

        def told(
            share: float, text: str, size: int = size, begin: float = begin, width: float = width
        ) -> None:
            tell(begin + width * share, f"{size} memories: {text}")

        found[str(size)] = _size(size, quick, told, stop)
        done += size
    return {
        "sizes": found,
        "growth": bench.growth(found),
        "embedder": loading,
        "first_recall_ms": max(one["first_recall_ms"] for one in found.values()),
    }


def _size(size: int, quick: bool, tell: Progress, stop: Stop) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="attune-bench-recall-") as folder:
        home = Path(folder) / "home"
        order = {"home": str(home), "size": size, "quick": quick}
        filled = _step(CHILD, order | {"step": "fill"}, lambda share, text: tell(0.6 * share, text), stop)
        disk = sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / 1e6
        figures: dict[str, float] = _step(
            CHILD, order | {"step": "measure"}, lambda share, text: tell(0.6 + 0.4 * share, text), stop
        )
    embedded, stored = figures["embed_per_s"], filled["store_per_s"]
    # Measured apart, since a real rebuild of the largest home embeds for most of an hour.
    both = 1 / (1 / embedded + 1 / stored)
    return figures | {"store_per_s": stored, "rebuild_per_s": both, "disk_mb": disk}


def _loading(rounds: int, tell: Progress, stop: Stop) -> dict[str, float]:
    """Our embedder and a plain sentence-transformers, in fresh processes, who goes first turn about."""
    from memory.index.embedder import load_embedder

    some = [text for text, _ in islice(bench.memories(), TEXTS)]
    texts = ["", " ", "naïve 日本語 🙂", "word " * 600, *some, " ".join(some)[:4_000]]
    ours: dict[str, Any] = {"step": "load", "texts": texts}
    plain: dict[str, Any] = {"folder": load_embedder().source, "texts": texts}
    took: dict[str, list[float]] = {"ours": [], "plain": []}
    vectors: dict[str, list[list[float]]] = {}
    for number in range(rounds):
        for side in ("ours", "plain") if number % 2 else ("plain", "ours"):
            tell(number / rounds, f"loading the embedder, {side}")
            command = CHILD if side == "ours" else [sys.executable, "-c", PLAIN]
            loaded = _step(command, ours if side == "ours" else plain, tell, stop)
            took[side].append(loaded["ms"])
            vectors[side] = loaded["vectors"]
    return {
        "load_ms": median(took["ours"]),
        "plain_load_ms": median(took["plain"]),
        "ratio": median(mine / other for mine, other in zip(took["ours"], took["plain"], strict=True)),
        "largest_difference": max(
            abs(one - other)
            for mine, theirs in zip(vectors["ours"], vectors["plain"], strict=True)
            for one, other in zip(mine, theirs, strict=True)
        ),
    }


def _step(command: Sequence[str], order: dict[str, Any], tell: Progress, stop: Stop) -> Any:
    """What a child says as its result; it is killed when the person stops the bench."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        child = subprocess.Popen(
            [*command, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
        )
        assert child.stdout is not None
        try:
            result = None
            for line in _lines(child, stop):
                said = json.loads(line)
                if "progress" in said:
                    tell(*said["progress"])
                else:
                    result = said["result"]
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
            child.stdout.close()
        if child.returncode or result is None:
            errors.seek(0)
            last = errors.read().strip().splitlines()[-1:]
            raise BenchError(
                f"A step of the bench ended with code {child.returncode}: {' '.join(last) or 'no message'}"
            )
        return result


def _lines(child: subprocess.Popen[bytes], stop: Stop) -> Any:
    """Whole lines of the child's output as they come, until it ends."""
    assert child.stdout is not None
    held = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(child.stdout, selectors.EVENT_READ)
        while True:
            if stop():
                raise BenchCancelled
            if not waiting.select(TICK):
                continue
            some = os.read(child.stdout.fileno(), 1 << 16)
            if not some:
                child.wait()
                return
            *lines, held = (held + some).split(b"\n")
            yield from lines


def _environment() -> dict[str, str]:
    """The child's: the packages of this process, and no network."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
