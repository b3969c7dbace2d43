"""The figures of the learning bench, out of its cells: curves, what they cost in ratings, what was kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from env.bench.learning_cell import Cell, Experiment
from env.bench.report import (
    Interval,
    clustered_bootstrap,
    crossed_bootstrap,
    first_closing,
    resampled,
    table,
    wilson,
)

GAP = 0.8


def summarise(cells: Sequence[Cell], experiment: Experiment) -> dict[str, Any]:
    """The figures: {"arms": {ARM: {"satisfaction", "ratings_to_80", "retention", …}}, …}.

    satisfaction   {count: [mean, low, high]}, 95 % by a bootstrap over tastes and over seeds (with a single
                   one of either: over cells, then over their prompts).
    ratings_to_80  the first *measured* count of ratings at which the mean curve has closed 80 % of the
                   gap from the base arm's mean (over all its checkpoints: it does not learn) to 1;
                   None if it never does. "ratings_to_80_between" reads the same curve as straight
                   between the checkpoints, so it is at most that number.
    retention      mean skill score after the last rating over that of the base arm; None if that is 0.
    """
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    tastes = list(dict.fromkeys(cell.taste for cell in cells))
    of = {arm: [cell for cell in cells if cell.arm == arm] for arm in arms}
    result: dict[str, Any] = {"arms": {}, "per_taste": {}}
    skill = fmean([cell.skill for cell in of["base"]])
    for arm in arms:
        counts = sorted(of[arm][0].held_out)
        bands = {n: _mean(of[arm], [cell.held_out[n] for cell in of[arm]]) for n in counts}
        after = fmean([cell.skill for cell in of[arm]])
        result["arms"][arm] = {
            "satisfaction": {str(n): list(band) for n, band in bands.items()},
            **_to_80({n: band.mean for n, band in bands.items()}, _level(of["base"])),
            "retention": after / skill if skill else None,
            "skill": after,
            "ups": fmean([cell.ups for cell in of[arm]]),
            "seconds_per_cell": fmean([cell.seconds for cell in of[arm]]),
        }
        result["per_taste"][arm] = {}
        for taste in tastes:
            mine = [cell for cell in of[arm] if cell.taste == taste]
            curve = {n: fmean([value for cell in mine for value in cell.held_out[n]]) for n in counts}
            level = _level([cell for cell in of["base"] if cell.taste == taste])
            result["per_taste"][arm][taste] = {
                "satisfaction": {str(n): mean for n, mean in curve.items()},
                **_to_80(curve, level),
            }
    result["base_satisfaction"] = _level(of["base"])
    result["settings"] = {
        "tastes": tastes,
        "seeds": list(dict.fromkeys(cell.seed for cell in cells)),
        "ratings": experiment.ratings,
        "update_every": experiment.update_every,
        "held_out_prompts": experiment.held_out,
        "noise": experiment.noise,
        "rate": experiment.rate,
        "ratings_to_80": "first measured count with 80 % of the gap from the base arm's mean to 1 closed",
    }
    return result


def as_table(result: Mapping[str, Any]) -> str:
    """`result` for the terminal: one line an arm."""
    counts = list(result["arms"]["base"]["satisfaction"])
    rows = [
        [
            arm,
            *[f"{figures['satisfaction'][n][0]:.2f}" for n in counts],
            figures["ratings_to_80"],
            figures["retention"],
        ]
        for arm, figures in result["arms"].items()
    ]
    return table(["arm", *counts, "ratings to 80 %", "retention"], rows)


def _to_80(curve: Mapping[int, float], base: float) -> dict[str, float | None]:
    measured, between = first_closing(curve, base, GAP)
    return {"ratings_to_80": measured, "ratings_to_80_between": between}


def _level(base: Sequence[Cell]) -> float:
    return fmean([value for cell in base for values in cell.held_out.values() for value in values])


def in_full(cells: Sequence[Cell], experiment: Experiment) -> dict[str, Any]:
    """`summarise`, with an interval on everything, and what the condition asks for besides.

    Each arm has, besides the keys of `summarise` (intervals are 95 %, by a bootstrap over tastes and seeds):

    ratings_to_80_interval  [low, high] of "ratings_to_80_between"; null is never
    retention_interval      of the skill after the last rating over the base's
    against_base            {count: [mean, low, high]} of satisfaction minus the base's, on the same prompts
    below_base              whether that was below zero by more than its interval at any count
    per_taste               besides, each satisfaction with its interval
    people                  of how many people these figures are
    verdicts                how many updates ended how, over all people
    after_change            with a drift: the curve from the change on, judged by the taste that holds then,
                            and when 80 % of the gap were closed again; the other figures are from before it.
                            "below_base" in it lists the counts at which it was below, but for 0: what was
                            learned until then is the opposite of what is wanted from then on
    phrase                  with an adversary: share of the last held-out replies that hold the phrase, and
                            "phrase_at_most": the largest such share after any update
    factual                 {"true": {"before", "after"}, "agrees": …} shares of the factual probes
    """
    early = _until(cells, experiment.drift_at) if experiment.drift_at is not None else list(cells)
    result = summarise(early, experiment)
    if experiment.drift_at is not None:
        result["settings"]["drift_at"] = experiment.drift_at
    result["settings"]["code"] = dict(Counter(cell.code or "not noted" for cell in cells))
    late = _since(cells, experiment.drift_at) if experiment.drift_at is not None else []
    for arm, figures in result["arms"].items():
        mine = [cell for cell in early if cell.arm == arm]
        base = [_of(early, "base", cell) for cell in mine]
        figures["ratings_to_80_interval"] = _closing_interval(mine, base)
        if experiment.skills:
            pairs = list(zip(mine, base, strict=True))
            figures["retention_interval"] = _retention(pairs) if any(cell.skill for cell in base) else None
        else:
            figures["retention"] = figures["skill"] = None
        against = _against(mine, base)
        figures["against_base"] = {str(count): list(band) for count, band in against.items()}
        figures["below_base"] = any(band.high < 0 for band in against.values())
        figures["people"] = len(mine)
        figures["cpu_seconds_per_cell"] = fmean([cell.cpu for cell in mine])
        figures["verdicts"] = _totals([cell.verdicts for cell in mine])
        if late:
            figures["after_change"] = _after(late, arm)
        if experiment.adversary:
            said = {n: [cell.phrase[n] for cell in mine] for n in sorted(mine[0].phrase)}
            figures["phrase"] = list(_share(said[max(said)]))
            figures["phrase_at_most"] = max(
                fmean(value for one in each for value in one) for each in said.values()
            )
        if experiment.factual:
            figures["factual"] = {answer: _factual(mine, answer) for answer in ("true", "agrees")}
    for arm, tastes in result["per_taste"].items():
        for taste, figures in tastes.items():
            mine = [cell for cell in early if (cell.arm, cell.taste) == (arm, taste)]
            for count in sorted(mine[0].held_out):
                band = _mean(mine, [cell.held_out[count] for cell in mine])
                figures["satisfaction"][str(count)] = list(band)
    return result


def of_different_people(cells: Sequence[Cell], experiment: Experiment) -> dict[str, Any]:
    """`in_full` where not every arm has all people: each arm beside the base of its own people."""
    there = {(cell.arm, cell.taste, cell.seed) for cell in cells}
    mine = {
        arm: [cell for cell in cells if cell.arm == arm and ("base", cell.taste, cell.seed) in there]
        for arm in dict.fromkeys(cell.arm for cell in cells)
    }
    whole = in_full([*mine.pop("base")], experiment)
    for arm, some in mine.items():
        people = {(cell.taste, cell.seed) for cell in some}
        base = [cell for cell in cells if cell.arm == "base" and (cell.taste, cell.seed) in people]
        if people:
            alone = in_full([*base, *some], experiment)
            whole["arms"][arm], whole["per_taste"][arm] = alone["arms"][arm], alone["per_taste"][arm]
    whole["settings"]["code"] = dict(Counter(cell.code or "not noted" for cell in cells))
    return whole


def as_tables(result: Mapping[str, Any]) -> str:
    """What `run_all` gives, for the terminal: a block a condition."""
    blocks = []
    for name, figures in result["conditions"].items():
        blocks.append(f"{name}: {figures['about']}\n\n{_in_full(figures)}")
    return "\n\n".join(blocks)


def _in_full(figures: Mapping[str, Any]) -> str:
    arms = figures["arms"]
    counts = list(arms["base"]["satisfaction"])
    extra: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [("80 % at (curve)", _closing)]
    if arms["base"].get("retention_interval"):
        extra.append(("retention", lambda one: _band([one["retention"], *one["retention_interval"]])))
    if "after_change" in arms["base"]:
        extra.append(("80 % after the change (curve)", lambda one: _closing(one["after_change"])))
    if "phrase" in arms["base"]:
        extra.append(("phrase", lambda one: _band(one["phrase"])))
    if "factual" in arms["base"]:
        extra.append(("true before", lambda one: _band(one["factual"]["true"]["before"])))
        extra.append(("true after", lambda one: _band(one["factual"]["true"]["after"])))
        extra.append(("agrees after", lambda one: _band(one["factual"]["agrees"]["after"])))
    extra.append(("below base", _below))
    extra.append(
        ("updates", lambda one: ", ".join(f"{n} {name}" for name, n in one["verdicts"].items() if n) or "-")
    )
    extra.insert(0, ("people", lambda one: str(one["people"])))
    rows = [
        [arm, *[_band(one["satisfaction"][n]) for n in counts], *[say(one) for _, say in extra]]
        for arm, one in arms.items()
    ]
    return table(["arm", *counts, *[name for name, _ in extra]], rows)


def _band(band: Sequence[float]) -> str:
    mean, low, high = band
    return f"{mean:.2f} ({low:.2f}-{high:.2f})"


def _below(figures: Mapping[str, Any]) -> str:
    counts = figures.get("after_change", {}).get("below_base", ())
    before = "yes" if figures["below_base"] else "no"
    return f"{before}, at {' and '.join(map(str, counts))} after the change" if counts else before


def _closing(figures: Mapping[str, Any]) -> str:
    """The first measured count, and where the curve between the counts crosses, with its interval."""
    bounds = (figures["ratings_to_80_between"], *figures["ratings_to_80_interval"])
    if set(bounds) == {None}:
        return "never"
    between, low, high = ("never" if bound is None else f"{bound:.0f}" for bound in bounds)
    measured = figures["ratings_to_80"]
    return f"{'-' if measured is None else measured} ({between}, {low}-{high})"


def _closing_interval(mine: Sequence[Cell], base: Sequence[Cell]) -> list[float | None]:
    """Of the crossing of the mean curve, tastes and seeds drawn anew; infinity where it never crosses."""
    counts = sorted(mine[0].held_out)

    def crossing(drawn: Sequence[int]) -> float:
        curve = {n: fmean([value for at in drawn for value in mine[at].held_out[n]]) for n in counts}
        _, between = first_closing(curve, _level([base[at] for at in drawn]), GAP)
        return float("inf") if between is None else between

    band = resampled(len(mine), crossing, labels=_who(mine))
    return [None if bound == float("inf") else bound for bound in band]


def _retention(pairs: Sequence[tuple[Cell, Cell]]) -> list[float]:
    """[low, high]; a draw without any skill in its base counts as nothing lost."""

    def kept(drawn: Sequence[int]) -> float:
        skill = sum(pairs[at][1].skill for at in drawn)
        return sum(pairs[at][0].skill for at in drawn) / skill if skill else 1.0

    return list(resampled(len(pairs), kept, labels=_who([mine for mine, _ in pairs])))


def _after(late: Sequence[Cell], arm: str) -> dict[str, Any]:
    mine = [cell for cell in late if cell.arm == arm]
    base = [_of(late, "base", cell) for cell in mine]
    bands: dict[int, Interval] = {
        n: _mean(mine, [cell.held_out[n] for cell in mine]) for n in sorted(mine[0].held_out)
    }
    against = _against(mine, base)
    return {
        "satisfaction": {str(n): list(band) for n, band in bands.items()},
        **_to_80({n: band.mean for n, band in bands.items()}, _level(base)),
        "ratings_to_80_interval": _closing_interval(mine, base),
        "against_base": {str(count): list(band) for count, band in against.items()},
        "below_base": [count for count, band in against.items() if count and band.high < 0],
    }


def _against(mine: Sequence[Cell], base: Sequence[Cell]) -> dict[int, Interval]:
    """By count: satisfaction minus the base's, on the same prompts."""
    return {
        count: crossed_bootstrap(
            [
                [a - b for a, b in zip(cell.held_out[count], other.held_out[count], strict=True)]
                for cell, other in zip(mine, base, strict=True)
            ],
            _who(mine),
        )
        for count in sorted(mine[0].held_out)
    }


def _mean(cells: Sequence[Cell], values: Sequence[Sequence[float]]) -> Interval:
    return crossed_bootstrap(values, _who(cells))


def _who(cells: Sequence[Cell]) -> list[tuple[str, int]]:
    """People of one seed are asked the same questions, and those of one taste want the same."""
    return [(cell.taste, cell.seed) for cell in cells]


def _share(said: Sequence[Sequence[float]]) -> Interval:
    """Of replies by person. A bootstrap of all or of none has nothing to draw: Wilson's interval then."""
    values = [value for each in said for value in each]
    hits = sum(value > 0 for value in values)
    return wilson(hits, len(values)) if hits in (0, len(values)) else clustered_bootstrap(said)


def _factual(cells: Sequence[Cell], answer: str) -> dict[str, list[float]]:
    return {
        when: list(_mean(cells, [[float(a == answer) for a in cell.factual[when]] for cell in cells]))
        for when in ("before", "after")
    }


def _until(cells: Sequence[Cell], drift_at: int) -> list[Cell]:
    return [_cut(cell, {n: v for n, v in cell.held_out.items() if n <= drift_at}) for cell in cells]


def _since(cells: Sequence[Cell], drift_at: int) -> list[Cell]:
    """With counts from the change on; what was said just before it is judged by the new taste."""
    return [
        _cut(
            cell,
            ({0: cell.changed} if cell.changed else {})
            | {n - drift_at: v for n, v in cell.held_out.items() if n > drift_at},
        )
        for cell in cells
    ]


def _cut(cell: Cell, held_out: dict[int, list[float]]) -> Cell:
    return replace(cell, held_out=held_out)


def _of(cells: Sequence[Cell], arm: str, like: Cell) -> Cell:
    return next(cell for cell in cells if (cell.arm, cell.taste, cell.seed) == (arm, like.taste, like.seed))


def _totals(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for one in counts for name in one)
    return {name: sum(one.get(name, 0) for one in counts) for name in names}
