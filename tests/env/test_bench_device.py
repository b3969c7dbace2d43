"""The speed that the device bench reports, over scripted replies and updates on a scripted clock."""

from __future__ import annotations

import pytest

from env.bench.device import as_table, speed
from env.bench.errors import BenchCancelled, BenchError


class Clock:
    """Every reply takes a second of it, or as many as the update slows it down to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.replies = 0
        self.slow = 1.0

    def __call__(self) -> float:
        return self.now

    def speak(self, prompt: str) -> int:
        self.replies += 1
        self.now += self.slow
        return 10


class Update:
    """Trains from its second look on, for `looks` looks."""

    def __init__(self, looks: int) -> None:
        self.looks, self.seen, self.stopped = looks, 0, False

    def running(self) -> bool:
        self.seen += 1
        return 1 < self.seen <= self.looks

    def ended(self) -> bool:
        return self.seen > self.looks

    def stop(self) -> None:
        self.stopped = True


def test_alone_every_reply_counts_but_the_first_two() -> None:
    clock = Clock()
    found = speed(clock.speak, ["a", "b"], 4, clock=clock)
    assert (found["tokens_per_s"], found["replies"], found["updates"]) == (10.0, 4, 0)
    assert clock.replies == 6


def test_beside_an_update_only_replies_wholly_inside_it_count() -> None:
    clock, made = Clock(), []

    def training() -> Update:
        clock.slow = 2.0
        made.append(Update(looks=5))
        return made[-1]

    found = speed(clock.speak, ["a"], 3, training, clock=clock)
    assert (found["tokens_per_s"], found["replies"], found["updates"]) == (5.0, 3, 2)
    assert all(one.ended() or one.stopped for one in made)


def test_updates_that_are_over_before_a_reply_is_are_told() -> None:
    clock = Clock()
    with pytest.raises(BenchError, match="0 of 3 replies were given beside 10 updates"):
        speed(clock.speak, ["a"], 3, lambda: Update(looks=1), clock=clock)


def test_it_stops_when_it_is_told_to_and_ends_the_update() -> None:
    clock, made = Clock(), []

    def training() -> Update:
        made.append(Update(looks=100))
        return made[-1]

    with pytest.raises(BenchCancelled):
        speed(clock.speak, ["a"], 3, training, cancelled=lambda: clock.replies > 3, clock=clock)
    assert made[0].stopped


def test_the_table_has_a_row_for_each_shape_and_learner() -> None:
    side = {"kto": {"seconds": 1.5, "peak_bytes": 3e9}, "dpo": {"seconds": 2.5, "peak_bytes": 4e9}}
    one = {
        "update": {"learners": {"kto": {}, "dpo": {}}, "ours": side, "plain": side},
        "alone": {"tokens_per_s": 40.0},
        "training": {"tokens_per_s": 20.0},
    }
    shown = as_table({"device": "a card", "dtype": "bfloat16", "shapes": {"qwen3-4b": one}})
    assert shown.splitlines()[0] == "a card, bfloat16"
    assert shown.count("qwen3-4b") == 2
