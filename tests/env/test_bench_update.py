"""The update bench over sides whose figures are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from env.bench.errors import BenchCancelled, BenchError
from env.bench.report import to_json
from env.bench.update import Update, as_table, run


def update(seconds: float, peak: int = 100, steps: int = 32, loss: float = 0.5) -> Update:
    return Update(seconds, seconds / 2, seconds / 4, peak, 50, steps, 1000, loss)


class Machine:
    """Every update on it takes one second longer than the one before: ours twice that, plain ten times."""

    def __init__(self) -> None:
        self.order: list[tuple[str, str]] = []

    def side(self, name: str, factor: float, peak: int) -> Callable[[str], Update]:
        def work(learner: str) -> Update:
            self.order.append((name, learner))
            return update(factor * len(self.order), peak)

        return work

    def sides(self) -> dict[str, Any]:
        return {"ours": self.side("ours", 2.0, 90), "plain": self.side("plain", 10.0, 100)}


def test_sides_alternate_and_ratios_are_paired() -> None:
    machine = Machine()
    result = run(machine.sides(), ["kto"], rounds=3)
    assert [side for side, _ in machine.order] == ["ours", "plain", "plain", "ours", "ours", "plain"]
    assert [one["first"] for one in result["rounds"]] == ["ours", "plain", "ours"]
    paired = [2 * 1 / (10 * 2), 2 * 4 / (10 * 3), 2 * 5 / (10 * 6)]
    assert [one["time_ratio"] for one in result["rounds"]] == pytest.approx(paired)
    assert result["time_ratio"] == pytest.approx(sorted(paired)[1])
    assert result["cpu_ratio"] == pytest.approx(result["time_ratio"])
    assert result["memory_ratio"] == pytest.approx(0.9)
    assert result["holds"]
    assert result["ours"]["kto"]["seconds"] == 8.0
    assert result["plain"]["kto"]["peak_bytes"] == 100


def test_the_learner_that_comes_off_worst_is_the_headline() -> None:
    sides = {
        "ours": lambda learner: update(1.0, 90) if learner == "kto" else update(9.0, 100),
        "plain": lambda learner: update(10.0, 100),
    }
    result = run(sides, ["kto", "dpo"], rounds=1)
    assert (result["time_ratio"], result["memory_ratio"]) == (0.9, 1.0)
    assert result["learners"]["kto"]["time_ratio"] == 0.1
    assert not result["holds"]


def test_more_memory_than_plain_does_not_hold() -> None:
    sides = {"ours": lambda learner: update(1.0, 101), "plain": lambda learner: update(10.0, 100)}
    assert not run(sides, ["kto"], rounds=1)["holds"]


def test_the_difference_of_the_losses_is_reported_whatever_its_sign() -> None:
    losses = iter([0.5, 0.3, 0.4, 0.5])
    sides = {name: lambda learner: update(1.0, loss=next(losses)) for name in ("ours", "plain")}
    figures = run(sides, ["kto"], rounds=2)["learners"]["kto"]
    # the second round begins with the plain side
    assert figures["loss_difference"] == pytest.approx(0.2)
    assert figures["tokens"] == {"ours": 1000, "plain": 1000}


def test_sides_that_do_not_do_the_same_are_refused() -> None:
    sides = {"ours": lambda learner: update(1.0, steps=8), "plain": lambda learner: update(1.0, steps=9)}
    with pytest.raises(BenchError, match="8 and 9 steps of kto"):
        run(sides, ["kto"], rounds=1)


def test_it_stops_between_two_updates() -> None:
    machine = Machine()
    with pytest.raises(BenchCancelled):
        run(machine.sides(), ["kto"], rounds=3, cancelled=lambda: len(machine.order) == 3)
    assert len(machine.order) == 3


def test_it_reads_as_json_and_as_a_table() -> None:
    told: list[tuple[float, str]] = []
    result = run(Machine().sides(), ["kto", "dpo"], rounds=2, progress=lambda *said: told.append(said))
    assert to_json(result).startswith('{"time_ratio"')
    shown = as_table(result)
    assert "kto: seconds" in shown
    assert "dpo: peak MB" in shown
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[0][1] == "round 1 of 2: kto, ours"
