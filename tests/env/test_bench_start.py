"""The start bench: it stops its clock at the mark, and says why when the mark does not come."""

from __future__ import annotations

import sys
import time

import pytest

from env.bench import start
from env.bench.errors import BenchCancelled, BenchError

# Paints, then waits for the key that tells it to leave, as a screen does.
SCREEN = """
import os, sys, time, tty
tty.setraw(0)
time.sleep({before})
print("READY", os.get_terminal_size().columns, flush=True)
while os.read(0, 1) != b"q":
    pass
"""


def screen(before: float = 0.0) -> list[str]:
    return [sys.executable, "-c", SCREEN.format(before=before)]


def test_the_clock_stops_at_the_mark() -> None:
    result = start.run(screen(before=0.4), "READY 100", leave="q", rounds=3)
    times = result["first_screen_ms"]
    assert len(times["all"]) == 3
    assert times["median"] == sorted(times["all"])[1]
    assert 400 <= min(times["all"]) <= times["median"] <= times["worst"] < 30_000
    assert result["very_first_ms"] >= 400
    # asleep for 0.4 s it uses no processor; that is counted in ticks of a hundredth
    assert 0 <= result["cpu_ms"] <= times["median"] - 380


def test_a_command_that_ends_without_a_screen_is_told_with_its_last_words() -> None:
    with pytest.raises(BenchError, match="no such model"):
        start.run([sys.executable, "-c", "print('no such model')"], "READY", rounds=1)


def test_a_screen_that_does_not_come_is_not_waited_for_for_ever() -> None:
    with pytest.raises(BenchError, match="did not come in time"):
        start.run(screen(before=60), "READY", rounds=1, timeout=0.5)


def test_a_command_that_does_not_leave_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "SETTLE_SECONDS", 0.2)
    began = time.monotonic()
    result = start.run(screen(), "READY", leave="x", rounds=1)
    assert len(result["first_screen_ms"]["all"]) == 1
    assert time.monotonic() - began < 30


def test_it_can_be_stopped_between_two_starts() -> None:
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    with pytest.raises(BenchCancelled):
        start.run(screen(), "READY", leave="q", rounds=3, cancelled=cancelled)
    assert len(asked) == 2
