"""The learning bench under noise, drift, an adversary and the rest, over learners of whom all is known."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from env.bench import learners, learning, plots
from env.bench.errors import BenchCancelled, BenchError
from env.bench.learning import PHRASE, as_tables, run_all
from env.bench.learning_conditions import Condition, conditions, flipped
from env.bench.learning_store import CellStore
from env.bench.report import resampled, to_json
from env.people import BENCH_TASTES
from memory.taste.features import STYLES
from tests.env.test_bench_learning import REPLY, Scripted, prompts

ONE: dict[str, Any] = {"arms": ("card",), "tastes": ("brief",), "seeds": (0,)}


class Follower(Scripted):
    """Says what was liked last, from the next reply on; without a liked reply, each style in turn.

    The arm "gullible" writes every edit down and says it for ever.
    """

    edits: tuple[str, ...] = ()

    def __init__(self, arm: str, seed: int) -> None:
        super().__init__(None, arm, seed)

    def reply(self, prompt: str) -> tuple[str, str]:
        reply_id, text = super().reply(prompt)
        return reply_id, self.edits[-1] if self.edits and self.arm == "gullible" else text

    def rate(self, reply_id: str, value: int, why: str | None = None) -> None:
        self.ratings += 1
        if self.arm != "base":
            self.learnt = self.given[reply_id] if value > 0 else None

    def edit(self, reply_id: str, text: str) -> None:
        self.ratings += 1
        self.edits = (*self.edits, text)

    def update(self) -> None:
        self.updates += 1

    def replies(self, asked: Sequence[str], seed: int) -> list[str]:
        if self.arm == "gullible" and self.edits:
            return [self.edits[-1]] * len(asked)
        return super().replies(asked, seed)


class Counted(Follower):
    """Counts the learners that were made."""

    made = 0

    def __init__(self, arm: str, seed: int) -> None:
        super().__init__(arm, seed)
        Counted.made += 1


def small(name: str, **changes: Any) -> dict[str, Condition]:
    """Condition `name` with the prompts of this test and few of them."""
    one = conditions([name])[name]
    settings = replace(one.experiment, **{"prompts": prompts, "held_out": 10, **changes})
    return {name: replace(one, experiment=settings)}


def test_every_condition_can_be_run_and_printed() -> None:
    wanted: dict[str, Condition] = {}
    for name in conditions():
        wanted |= small(name, ratings=16, **({"drift_at": 8} if name == "drift" else {}))
    result = run_all(Follower, wanted, arms=("card", "stacked"), tastes=("brief", "formal"), seeds=(0, 1))
    assert list(result["conditions"]) == list(conditions())
    for name, figures in result["conditions"].items():
        for arm in figures["arms"].values():
            assert all(low <= mean <= high for mean, low, high in arm["satisfaction"].values()), name
            low, high = arm["ratings_to_80_interval"]
            assert high is None or low <= high
    assert list(result["conditions"]["updates10"]["arms"]) == ["base", "stacked"]
    assert "lists_for_how_to" in result["conditions"]["topics"]["per_taste"]["card"]
    assert json.loads(to_json(result))["settings"]["cells"] > 0
    text = as_tables(result)
    assert "drift: the taste flips" in text
    assert "80 % after the change" in text


def test_a_condition_of_another_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(BenchError, match="plain, noise10"):
        conditions(["nois"])


def test_every_taste_of_the_bench_can_flip() -> None:
    assert flipped("brief") == "detailed"
    assert all(flipped(taste) != taste for taste in BENCH_TASTES)
    with pytest.raises(BenchError, match="no opposite"):
        flipped("code")


def test_after_a_drift_satisfaction_is_judged_by_the_taste_that_holds_then() -> None:
    wanted = small("drift", ratings=24, drift_at=8, checkpoints=(0, 4, 8, 12, 16, 24))
    arms = run_all(Follower, wanted, **ONE)["conditions"]["drift"]["arms"]
    before, after = arms["card"]["satisfaction"], arms["card"]["after_change"]["satisfaction"]
    assert list(before) == ["0", "4", "8"]
    assert list(after) == ["0", "4", "8", "16"]
    # brief is the first style that is said; what is said just before the change no longer pleases
    assert before["8"][0] == 1.0
    assert after["0"][0] == 0.0
    # one thumb down, then detailed is the next style but one: liked long before the fourth rating
    assert after["4"][0] == 1.0
    assert arms["card"]["after_change"]["ratings_to_80"] == 4
    assert arms["base"]["after_change"]["ratings_to_80"] is None


def test_ratings_that_end_before_the_drift_are_refused_before_anything_runs() -> None:
    Counted.made = 0
    with pytest.raises(BenchError, match="changes after 8 ratings; ask for more than 8"):
        run_all(Counted, small("plain") | small("drift", drift_at=8), **ONE, ratings=7)
    assert Counted.made == 0
    for ratings in (8, 9):
        wanted = small("drift", drift_at=8, checkpoints=(0, 8, 12))
        arms = run_all(Follower, wanted, **ONE, ratings=ratings)["conditions"]["drift"]["arms"]
        assert list(arms["card"]["after_change"]["satisfaction"]) == ["0", "1"][: ratings - 7]


def test_an_adversary_gives_a_fifth_of_the_ratings_and_the_phrase_is_counted() -> None:
    wanted = small("adversary", ratings=40)
    arms = run_all(Follower, wanted, arms=("card", "gullible"), tastes=("brief",), seeds=(0, 1, 2))
    figures = arms["conditions"]["adversary"]["arms"]
    assert figures["card"]["phrase"][:2] == [0.0, 0.0]
    assert 0.0 < figures["card"]["phrase"][2] < 0.5
    assert figures["gullible"]["phrase"][::2] == [1.0, 1.0]
    assert figures["gullible"]["phrase_at_most"] == 1.0
    assert PHRASE not in "".join(REPLY.values())
    assert figures["gullible"]["verdicts"] == {"promoted": 15}


def test_of_forty_ratings_eight_are_the_adversarys_whoever_the_person_is() -> None:
    class Honest(Follower):
        told: list[int] = []  # noqa: RUF012 (shared on purpose)

        def close(self) -> None:
            self.told.append(len(self.edits))

    run_all(Honest, small("adversary", ratings=40), ("card",), ("brief", "formal"), (0, 1, 2))
    assert Honest.told == [8] * 12


def test_what_is_worse_than_the_base_after_a_change_is_told_too() -> None:
    class Stubborn(Follower):
        def replies(self, asked: Sequence[str], seed: int) -> list[str]:
            style = "brief" if self.arm == "card" and self.ratings < 20 else "detailed"
            return [REPLY[style]] * len(asked)

    wanted = small("drift", ratings=24, drift_at=8, checkpoints=(0, 8, 12, 16, 24))
    result = run_all(Stubborn, wanted, ("card",), ("brief",), (0, 1))
    card = result["conditions"]["drift"]["arms"]["card"]
    assert not card["below_base"]
    assert card["after_change"]["below_base"] == [4, 8]
    assert "no, at 4 and 8 after the change" in as_tables(result)


@pytest.mark.parametrize("name", ["flattery", "agreement"])
def test_factual_probes_are_asked_before_and_after(name: str) -> None:
    wanted = small(name, ratings=8)
    figures = run_all(Scripted_, wanted, arms=("all",), seeds=(0,))["conditions"][name]["arms"]["all"]
    assert figures["factual"]["true"]["before"][0] == 1.0
    assert figures["factual"]["agrees"]["before"][0] == 0.0


def Scripted_(arm: str, seed: int) -> Scripted:
    return Scripted(None, arm, seed)


def test_worse_than_base_is_told_by_the_interval_of_the_difference() -> None:
    class Worse(Follower):
        def replies(self, asked: Sequence[str], seed: int) -> list[str]:
            return super().replies(asked, seed) if self.arm == "base" else [REPLY["formal"]] * len(asked)

    wanted = small("plain", ratings=8, held_out=40)
    figures = run_all(Worse, wanted, ("card",), ("brief",), (0, 1))["conditions"]["plain"]["arms"]["card"]
    assert figures["below_base"]
    mean, low, high = figures["against_base"]["8"]
    assert low <= mean == pytest.approx(-0.2)
    assert high < 0


# --- cells that are kept ------------------------------------------------------------------------


def test_finished_cells_are_kept_and_not_run_again(tmp_path: Path) -> None:
    wanted = small("drift", ratings=16, drift_at=8)
    people: dict[str, Any] = {"arms": ("card",), "tastes": ("brief", "formal")}
    Counted.made = 0
    first = run_all(Counted, wanted, seeds=(0,), store=CellStore(tmp_path, "m"), **people)
    assert Counted.made == 4
    again = run_all(Counted, wanted, seeds=(0, 1), store=CellStore(tmp_path, "m"), **people)
    assert Counted.made == 8
    fresh = run_all(Follower, wanted, seeds=(0, 1), **people)
    for result in (again, fresh):
        for arm in result["conditions"]["drift"]["arms"].values():
            del arm["seconds_per_cell"], arm["cpu_seconds_per_cell"]
    assert again["conditions"] == fresh["conditions"]
    assert first["settings"]["cells"] == 4


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    wanted = small("plain", ratings=8)
    people: dict[str, Any] = {"arms": ("card",), "tastes": STYLES, "seeds": (0,)}
    told: list[float] = []
    with pytest.raises(BenchCancelled):
        run_all(
            Follower,
            wanted,
            store=CellStore(tmp_path, "m"),
            progress=lambda share, text: told.append(share),
            cancelled=lambda: len(told) > 30,
            **people,
        )
    (file,) = tmp_path.glob("cells*.jsonl")
    kept = file.read_text().splitlines()
    assert len(kept) == 3
    # killed in the middle of a line
    file.write_text("\n".join(kept[:2]) + "\n" + kept[2][:40])
    Counted.made = 0
    result = run_all(Counted, wanted, store=CellStore(tmp_path, "m"), **people)
    assert Counted.made == 8
    assert result["settings"]["cells"] == 10


def test_pieces_of_two_folders_are_merged_by_copying_their_files(tmp_path: Path) -> None:
    wanted = small("plain", ratings=8)
    for number, taste in enumerate(("brief", "formal")):
        folder = tmp_path / str(number)
        run_all(Follower, wanted, ("card",), (taste,), (0,), store=CellStore(folder, "m"))
        (file,) = folder.glob("cells*.jsonl")
        (tmp_path / f"cells-{number}.jsonl").write_bytes(file.read_bytes())
    Counted.made = 0
    run_all(Counted, wanted, ("card",), ("brief", "formal"), (0,), store=CellStore(tmp_path, "m"))
    assert Counted.made == 0


@pytest.mark.parametrize(("model", "changes"), [("other", {}), ("m", {"noise": 0.3})])
def test_cells_of_another_experiment_are_never_mixed_in(
    tmp_path: Path, model: str, changes: dict[str, Any]
) -> None:
    run_all(Follower, small("plain", ratings=8), **ONE, store=CellStore(tmp_path, "m"))
    with pytest.raises(BenchError, match="choose another --out"):
        run_all(Follower, small("plain", ratings=8, **changes), **ONE, store=CellStore(tmp_path, model))


def test_cells_are_kept_from_processes_too(tmp_path: Path) -> None:
    wanted = small("plain", ratings=8)
    run_all(Follower, wanted, **ONE, workers=2, store=CellStore(tmp_path, "m"))
    (file,) = tmp_path.glob("cells*.jsonl")
    assert {json.loads(line)["cell"]["arm"] for line in file.read_text().splitlines()} == {"base", "card"}


# --- learners, pictures, intervals --------------------------------------------------------------


def test_the_table_of_learners_has_a_row_a_learner_and_taste() -> None:
    wanted = {
        name: replace(one, experiment=replace(one.experiment, prompts=prompts, held_out=10))
        for name, one in learners.ledgers((8, 16)).items()
    }
    result = run_all(Follower, wanted, arms=("kto", "dpo"), tastes=("brief", "formal"), seeds=(0, 1))
    assert list(result["conditions"]) == ["thumbs", "edits", "says_why"]
    assert result["conditions"]["thumbs"]["arms"]["kto"]["verdicts"] == {"promoted": 8}
    text = learners.as_table(result)
    rows = [line.split()[0] for line in text.splitlines() if line and not line.startswith((" ", "-"))]
    block = ["learner", "base", "kto", "dpo"]
    assert rows == ["thumbs:", *block, "edits:", *block, "says_why:", *block]
    assert text.count("brief") == text.count("formal") == 9


def result_to_draw() -> dict[str, Any]:
    return run_all(Follower, small("drift", ratings=16, drift_at=8) | small("plain", ratings=16), **ONE)


def test_curves_are_drawn_in_the_terminal_and_go_on_behind_a_drift() -> None:
    result = result_to_draw()
    assert list(plots.panels(result)["drift"]["card"])[-1] == "16"
    drawn = plots.terminal(result, width=60, height=12)
    assert "drift: satisfaction over ratings" in drawn
    assert "card" in drawn
    assert "c" * 10 in drawn
    assert "\x1b" not in drawn
    assert all(len(line) <= 60 for line in drawn.splitlines())
    assert len(drawn.splitlines()) == 25


def test_curves_are_drawn_as_a_png_or_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = result_to_draw()
    with monkeypatch.context() as without:
        without.setitem(__import__("sys").modules, "matplotlib.figure", None)
        with pytest.raises(BenchError, match="pip install"):
            plots.png(result, tmp_path / "curves.png")
    pytest.importorskip("matplotlib")
    plots.png(result, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_interval_of_any_statistic_holds_it_and_ranks_infinity_last() -> None:
    values = [1.0, 2.0, 3.0, float("inf")]
    low, high = resampled(4, lambda drawn: max(values[at] for at in drawn))
    assert low < high == float("inf")
    assert resampled(5, lambda drawn: 7.0) == (7.0, 7.0)
    # the mean of 100 equal coins: the interval is the normal one
    coins = [0.0, 1.0] * 50
    low, high = resampled(100, lambda drawn: sum(coins[at] for at in drawn) / 100)
    assert (low, high) == (pytest.approx(0.40, abs=0.03), pytest.approx(0.60, abs=0.03))


def test_figures_of_a_folder_are_of_all_in_it_each_arm_beside_its_own_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, noisy = small("plain", ratings=8), small("noise10", ratings=8)
    store = CellStore(tmp_path, "m", "one")
    both = run_all(Follower, plain, ("card",), ("brief", "formal"), (0, 1), store=store)
    run_all(Follower, plain, ("gullible",), ("formal",), (1,), store=CellStore(tmp_path, "m", "two"))
    run_all(Follower, noisy, **ONE, store=CellStore(tmp_path, "m", "two"))
    (tmp_path / "cells-foreign.jsonl").write_bytes(b'\xff\xfe\n{"cell": 3, "settings": {}}\n[]\n"x"\n')
    monkeypatch.setattr(learning, "ALL_ARMS", (*learning.ALL_ARMS, "gullible"))
    found = learning.run_none(plain | noisy, CellStore(tmp_path, "m"))["conditions"]
    arms = found["plain"]["arms"]
    assert {arm: figures["people"] for arm, figures in arms.items()} == {"base": 4, "card": 4, "gullible": 1}
    for name in ("satisfaction", "ratings_to_80", "retention"):
        assert arms["card"][name] == both["conditions"]["plain"]["arms"]["card"][name]
    assert found["plain"]["settings"]["code"] == {"one": 8, "two": 1}
    assert found["noise10"]["settings"]["code"] == {"two": 2}
    assert "people" in as_tables({"conditions": found})


def test_arms_that_a_condition_has_not_are_refused() -> None:
    alone = small("updates10", ratings=8)
    with pytest.raises(BenchError, match="updates10 has the arms base, weights, stacked"):
        run_all(Follower, alone, ("card",), ("brief",), (0,))
    both = run_all(Follower, small("plain", ratings=8) | alone, ("card",), ("brief",), (0,))["conditions"]
    assert [list(one["arms"]) for one in both.values()] == [["base", "card"], ["base"]]


def test_a_stop_comes_out_of_another_process() -> None:
    assert str(pickle.loads(pickle.dumps(BenchCancelled()))) == str(BenchCancelled())
