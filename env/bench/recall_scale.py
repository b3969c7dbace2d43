"""How does recall grow with the number of memories? Beside the plainest way to ask the same index.

The plain way is to embed the question and ask Chroma once for the nearest; recall does that too, and all
the rest. Both are asked the same questions in one run, turn about, so that a busy machine slows both. The
store is a parameter; nothing here imports it.

The memories are made up from templates with a seed. Their vectors are those of a smaller number of texts
that were embedded, each with a little noise for every further text of its kind: to embed a hundred
thousand would take most of an hour and tell nothing about the search.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from env.bench.errors import BenchCancelled
from env.bench.report import percentile, table

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[float, str], None]


def _words(text: str) -> list[str]:
    return text.split()


SIZES = (1_000, 10_000, 100_000)
TIMES = ("recall_p50_ms", "recall_p95_ms", "raw_p50_ms", "raw_p95_ms")
MOST_RATIO, MOST_FIRST_MS, MOST_LOAD, MOST_DIFFERENCE = 1.5, 1_000.0, 0.5, 1e-4
SYLLABLES = _words("ba bel cor da den el fa gri ha is jo kel la mar ne or pa qui ro sa ta ul ve wyn yo zan")
RELATIONS = _words("sister brother aunt uncle cousin neighbour colleague teacher doctor plumber friend")
THINGS = _words("bicycle tent piano camera ladder drill kettle guitar telescope sledge lamp printer")
PLACES = _words("garden attic cellar kitchen office library harbour station museum bakery park pool")
FOODS = _words("peanuts cherries oysters pears lentils figs almonds plums rhubarb mussels leeks")
FRAMES = (
    (
        "My {relation} {name} likes to spend Sundays in the {place} of {town}.",
        "Where does {name} spend Sundays?",
    ),
    ("The {thing} that {name} lent me stands in the {place}.", "Where is the {thing} of {name}?"),
    ("{name} from {town} is allergic to {food}.", "What is {name} allergic to?"),
    ("I meet {name} in {town} to talk about the {thing}.", "Whom do I meet in {town}?"),
    ("My {relation} in {town} bought a {thing} from {name}.", "Who sold a {thing} to my {relation}?"),
)


class Store(Protocol):
    """A home with memories."""

    def recall(self, question: str) -> object:
        """The ordinary search."""
        ...

    def raw(self, question: str) -> object:
        """The question embedded, and the index asked once."""
        ...

    def add(self, text: str) -> object:
        """Remember one more, durably and found by the next search."""
        ...


def memories(seed: int = 0) -> Iterator[tuple[str, str]]:
    """(text, a question about it) without end; no two texts are the same."""
    chance, used = random.Random(seed), set()
    while True:
        words = {
            "name": _name(chance),
            "town": _name(chance),
            "relation": chance.choice(RELATIONS),
            "thing": chance.choice(THINGS),
            "place": chance.choice(PLACES),
            "food": chance.choice(FOODS),
        }
        text, question = (part.format(**words) for part in chance.choice(FRAMES))
        if text not in used:
            used.add(text)
            yield text, question


def spread(vectors: np.ndarray, seed: int, noise: float = 0.35) -> np.ndarray:
    """Unit vectors near those of the rows: the cosine to them is about 1 / sqrt(1 + noise^2), 0.94."""
    import numpy as np

    scale = noise / np.sqrt(vectors.shape[1])
    moved = vectors + np.random.default_rng(seed).normal(0.0, scale, vectors.shape)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)


def measure(
    store: Store,
    questions: Sequence[str],
    more: Sequence[str],
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, float]:
    """Milliseconds of `questions` both ways, turn about, and of remembering each of `more`.

    "after_add_ms" is the median search right after an addition. Raises BenchCancelled between two steps.
    """
    tell: Progress = progress or (lambda share, text: None)
    stop = cancelled or (lambda: False)
    ways: dict[str, Callable[[str], object]] = {"recall": store.recall, "raw": store.raw}
    took: dict[str, list[float]] = {"recall": [], "raw": []}
    for number, question in enumerate(questions):
        if stop():
            raise BenchCancelled
        tell(number / (len(questions) + len(more)), "asking")
        for way in ("recall", "raw") if number % 2 else ("raw", "recall"):
            took[way].append(_milliseconds(ways[way], question))
    adding, after = [], []
    for number, text in enumerate(more):
        if stop():
            raise BenchCancelled
        tell((len(questions) + number) / (len(questions) + len(more)), "adding")
        adding.append(_milliseconds(store.add, text))
        after.append(_milliseconds(store.recall, text))
    found = {
        f"{way}_{name}_ms": percentile(values, share)
        for way, values in took.items()
        for name, share in (("p50", 0.5), ("p95", 0.95))
    }
    return found | {
        "ratio_p50": found["recall_p50_ms"] / found["raw_p50_ms"],
        "ratio_p95": found["recall_p95_ms"] / found["raw_p95_ms"],
        "add_ms": percentile(adding, 0.5),
        "after_add_ms": percentile(after, 0.5),
    }


def as_table(result: Mapping[str, Any]) -> str:
    """The figures of a run, one size a line, with the bounds."""
    columns = [
        *TIMES,
        "ratio_p95",
        "add_ms",
        "first_recall_ms",
        "rebuild_per_s",
        "forget_ms",
        "rss_mb",
        "disk_mb",
    ]
    rows = [[size, *(figures[name] for name in columns)] for size, figures in result["sizes"].items()]
    lines = [table(["memories", *columns], rows)]
    if growth := result.get("growth"):
        lines.append(
            f"From {growth['from']} to {growth['to']} memories the p95 of recall"
            f" grows {growth['recall_p95']:.1f} fold, memory {growth['rss']:.1f} fold,"
            f" disk {growth['disk']:.1f} fold."
        )
    if loading := result.get("embedder"):
        lines.append(
            f"embedder: {loading['load_ms']:.0f} ms, plain {loading['plain_load_ms']:.0f} ms, ratio"
            f" {loading['ratio']:.3f} (at most {MOST_LOAD}), largest difference"
            f" {loading['largest_difference']:.1e} (at most {MOST_DIFFERENCE:.0e})"
        )
    lines.append(f"ratio_p95 at most {MOST_RATIO}, first_recall_ms at most {MOST_FIRST_MS:.0f}")
    return "\n".join(lines)


def growth(sizes: Mapping[str, Mapping[str, float]]) -> dict[str, float] | None:
    """How many times the largest size costs what the smallest does; None with one size."""
    if len(sizes) < 2:
        return None
    small, large = min(sizes, key=int), max(sizes, key=int)
    times = {
        name: sizes[large][f"{name}_{unit}"] / sizes[small][f"{name}_{unit}"]
        for name, unit in (
            ("recall_p95", "ms"),
            ("raw_p95", "ms"),
            ("add", "ms"),
            ("rss", "mb"),
            ("disk", "mb"),
        )
    }
    return {"from": int(small), "to": int(large)} | times


def _name(chance: random.Random) -> str:
    return "".join(chance.choice(SYLLABLES) for _ in range(chance.choice((2, 3)))).capitalize()


def _milliseconds(work: Callable[[str], object], text: str) -> float:
    began = time.perf_counter()
    work(text)
    return (time.perf_counter() - began) * 1000
