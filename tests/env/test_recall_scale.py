"""What the bench of recall at scale makes of a store, without any process."""

from itertools import islice

import numpy as np
import pytest

from env.bench import recall_scale as bench
from env.bench.errors import BenchCancelled


class Listed:
    """A store that writes down what it is asked."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def recall(self, question: str) -> None:
        self.said.append("recall")

    def raw(self, question: str) -> None:
        self.said.append("raw")

    def add(self, text: str) -> None:
        self.said.append("add")


def test_both_ways_are_asked_turn_about() -> None:
    store = Listed()
    figures = bench.measure(store, ["a", "b", "c", "d"], ["e"])
    assert store.said[:8] == ["raw", "recall", "recall", "raw"] * 2
    assert store.said[8:] == ["add", "recall"]
    assert figures["ratio_p95"] == pytest.approx(figures["recall_p95_ms"] / figures["raw_p95_ms"])
    assert all(value > 0 for value in figures.values())


def test_a_stop_is_heard_between_two_questions() -> None:
    store = Listed()
    with pytest.raises(BenchCancelled):
        bench.measure(store, ["a", "b"], [], cancelled=lambda: len(store.said) == 2)
    assert len(store.said) == 2


def test_memories_are_different_and_the_same_for_a_seed() -> None:
    some = [text for text, _ in islice(bench.memories(), 2_000)]
    assert len(set(some)) == 2_000
    assert some == [text for text, _ in islice(bench.memories(), 2_000)]
    assert some[:5] != [text for text, _ in islice(bench.memories(seed=1), 5)]
    assert all("{" not in text + question for text, question in islice(bench.memories(), 50))


def test_vectors_are_spread_around_their_own() -> None:
    vectors = np.eye(384, dtype=np.float32)[:5]
    near = bench.spread(vectors, seed=1)
    assert near.dtype == np.float32
    assert np.allclose(np.linalg.norm(near, axis=1), 1.0, atol=1e-5)
    assert np.allclose((near * vectors).sum(axis=1), 0.94, atol=0.03)
    assert not np.allclose(near, bench.spread(vectors, seed=2))


def test_growth_is_the_largest_over_the_smallest() -> None:
    small = {"recall_p95_ms": 10.0, "raw_p95_ms": 8.0, "add_ms": 5.0, "rss_mb": 200.0, "disk_mb": 1.0}
    large = {"recall_p95_ms": 20.0, "raw_p95_ms": 8.0, "add_ms": 5.0, "rss_mb": 400.0, "disk_mb": 10.0}
    found = bench.growth({"1000": small, "20000": large})
    assert found == {"from": 1000, "to": 20000, "recall_p95": 2, "raw_p95": 1, "add": 1, "rss": 2, "disk": 10}
    assert bench.growth({"1000": small}) is None
