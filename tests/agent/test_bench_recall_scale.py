"""`attune bench recall --scale` on a small home: real processes, the real embedder."""

from __future__ import annotations

import json

import pytest

from agent.benches import recall_scale as bench
from agent.cli import main
from env.bench.errors import BenchCancelled, BenchError


@pytest.mark.slow
def test_it_prints_the_object_that_was_promised(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "recall", "--scale", "40,20", "--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["sizes"]) == ["20", "40"]
    for figures in result["sizes"].values():
        # each of them is rounded by itself
        expected = pytest.approx(figures["recall_p95_ms"] / figures["raw_p95_ms"], rel=1e-3)
        assert figures["ratio_p95"] == expected
        for name in ("add_ms", "rebuild_per_s", "rss_mb", "disk_mb", "first_recall_ms", "forget_ms"):
            assert figures[name] > 0, name
    assert result["first_recall_ms"] == max(one["first_recall_ms"] for one in result["sizes"].values())
    assert (result["growth"]["from"], result["growth"]["to"]) == (20, 40)
    loading = result["embedder"]
    assert loading["largest_difference"] < 1e-4
    assert loading["ratio"] == pytest.approx(loading["load_ms"] / loading["plain_load_ms"], rel=1e-3)


@pytest.mark.parametrize("sizes", ["many", "10,", "1000;2000", "-5"])
def test_sizes_are_numbers(sizes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "recall", f"--scale={sizes}"]) == 2
    assert "whole numbers" in capsys.readouterr().err


def test_something_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "recall"]) == 2
    assert "--scale SIZES" in capsys.readouterr().err


def test_sizes_that_say_nothing_are_refused() -> None:
    with pytest.raises(BenchError, match="at least 10"):
        bench.run([3])


def test_a_stop_ends_the_child() -> None:
    asked = iter([False, True])
    with pytest.raises(BenchCancelled):
        bench.run([10], quick=True, cancelled=lambda: next(asked))
