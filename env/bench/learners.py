"""Which learner learns most from how many ratings? The table behind the rule of `auto`.

The learning bench with learners for arms: the person always rates replies of the base, so that all learners
get the same ledger, and at each count of ratings one update of each is trained from the base and asked for
the held-out prompts, whatever the gate said of it. Ledgers are of three kinds, the habits of env.people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from env.bench.learning_cell import Experiment
from env.bench.learning_conditions import Condition
from env.bench.report import table
from env.people import Habit

LEARNERS = ("kto", "dpo", "ppo", "grpo")
RATINGS = (8, 16, 32, 64)
LEDGERS: Mapping[Habit, str] = {
    "thumbs": "every reply gets a thumb",
    "edits": "replies that are not liked are rewritten",
    "says_why": "every reply gets a thumb, and a thumb down a reason in words",
}


def ledgers(ratings: tuple[int, ...] = RATINGS) -> dict[str, Condition]:
    """A condition for each kind of ledger, with an update at each of `ratings`."""
    return {
        habit: Condition(
            habit,
            about,
            Experiment(max(ratings), (0, *ratings), update_at=tuple(ratings), habit=habit, skills=False),
        )
        for habit, about in LEDGERS.items()
    }


def as_table(result: Mapping[str, Any]) -> str:
    """`run_all` over `ledgers`, for the terminal: what each learner adds to the base, by ledger and taste."""
    blocks = []
    for name, figures in result["conditions"].items():
        counts = [count for count in figures["arms"]["base"]["satisfaction"] if count != "0"]
        tastes = figures["settings"]["tastes"]
        rows: list[list[Any]] = []
        for arm, one in figures["arms"].items():
            rows.append([arm, "all", *[_band(one["satisfaction"][count]) for count in counts]])
            if arm != "base":
                rows.append(["", "over base", *[_band(one["against_base"][count], True) for count in counts]])
            for taste in tastes:
                by_taste = figures["per_taste"][arm][taste]["satisfaction"]
                rows.append(["", taste, *[_band(by_taste[count]) for count in counts]])
        blocks.append(f"{name}: {figures['about']}\n\n{table(['learner', 'taste', *counts], rows)}")
    return "\n\n".join(blocks)


def _band(band: list[float], signed: bool = False) -> str:
    mean, low, high = band
    sign = "+" if signed else ""
    return f"{mean:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"
