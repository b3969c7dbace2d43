"""The learning bench over scripted learners, of whom it is known when they learn."""

import json
from functools import partial
from pathlib import Path

import pytest

from env.bench.errors import BenchCancelled, BenchError
from env.bench.learning import ARMS, QUICK, Cell, Experiment, as_table, run, summarise
from env.bench.learning_cell import run_cell
from env.bench.report import to_json
from env.people import Person
from memory.taste.features import STYLES

REPLY = {
    "brief": "Cats sleep most of the day.",
    "detailed": "Cats sleep a lot. They hunt at dusk. They see in dim light. They keep warm.",
    "bullets": "- Cats sleep a lot by day and wake up late.\n- Cats hunt at dusk and see well in dim light.\n"
    "- Cats clean themselves with a rough tongue, often.",
    "friendly": "Oh, I love cats! They are great fun, and they sleep for so much of the day. "
    "You will enjoy how softly they purr when they are calm and safe.",
    "formal": "Certainly. Please note that cats sleep for most of the day and for much of the night. "
    "In addition, they clean themselves with a rough tongue.",
}


def prompts(split: str, n: int, seed: int) -> list[str]:
    return [f"{split} {seed} {number}" for number in range(n)]


class Scripted:
    """Replies in each style in turn, until it has learnt which of them the person likes.

    card: right after its tenth rating. weights: at the third update. all: at the first update, at the
    price of a tenth of its skill. memory and base: never.
    """

    def __init__(self, log: Path | None, arm: str, seed: int) -> None:
        self.arm, self.log = arm, log
        self.liked: str | None = None
        self.learnt: str | None = None
        self.given: dict[str, str] = {}
        self.ratings = self.updates = 0

    def reply(self, prompt: str) -> tuple[str, str]:
        style = self.learnt or STYLES[len(self.given) % 5]
        reply_id = f"r{len(self.given)}"
        self.given[reply_id] = style
        return reply_id, REPLY[style]

    def rate(self, reply_id: str, value: int, why: str | None = None) -> None:
        self.ratings += 1
        if value > 0:
            self.liked = self.given[reply_id]
        if self.arm == "card" and self.ratings == 10:
            self.learnt = self.liked

    def update(self) -> None:
        self.updates += 1
        if (self.arm, self.updates) in {("weights", 3), ("all", 1)}:
            self.learnt = self.liked

    def replies(self, asked, seed: int) -> list[str]:
        return [REPLY[self.learnt or STYLES[number % 5]] for number in range(len(asked))]

    def edit(self, reply_id: str, text: str) -> None:
        self.ratings += 1

    def factual_answers(self) -> list[str]:
        return ["true", "true", "agrees" if self.arm == "all" and self.learnt else "true"]

    def verdicts(self) -> dict[str, int]:
        return {"promoted": self.updates}

    def skill_score(self) -> float:
        return 0.72 if self.arm == "all" else 0.8

    def close(self) -> None:
        if self.log:
            with self.log.open("a") as lines:
                lines.write(f"{self.arm} {self.ratings} {self.updates}\n")


class Faulty(Scripted):
    def update(self) -> None:
        raise RuntimeError("the update broke")


class Silent(Scripted):
    def reply(self, prompt: str) -> tuple[str, str]:
        return super().reply(prompt)[0], " "


make = partial(Scripted, None)


def test_the_replies_of_this_test_meet_their_own_style_alone():
    for style, text in REPLY.items():
        assert [taste for taste in STYLES if Person(taste).satisfied(text)] == [style]


@pytest.fixture(scope="module")
def result():
    return run(make, seeds=(0, 1), experiment=Experiment(prompts=prompts))


def test_each_arm_is_measured_at_each_checkpoint_from_its_start_to_what_it_learnt(result):
    assert tuple(result["arms"]) == ARMS
    means = {
        arm: [band[0] for band in figures["satisfaction"].values()] for arm, figures in result["arms"].items()
    }
    assert list(result["arms"]["base"]["satisfaction"]) == ["0", "4", "8", "16", "24", "32", "40"]
    assert means["base"] == means["memory"] == pytest.approx([0.2] * 7)
    assert means["card"] == pytest.approx([0.2, 0.2, 0.2, 1, 1, 1, 1])
    assert means["weights"] == pytest.approx([0.2, 0.2, 0.2, 0.2, 1, 1, 1])
    assert means["all"] == pytest.approx([0.2, 0.2, 1, 1, 1, 1, 1])


def test_ratings_to_80_is_the_first_measured_count_that_got_there(result):
    measured = {arm: figures["ratings_to_80"] for arm, figures in result["arms"].items()}
    assert measured == {"base": None, "card": 16, "memory": None, "weights": 24, "all": 8}
    between = {arm: figures["ratings_to_80_between"] for arm, figures in result["arms"].items()}
    assert between == {"base": None, "card": 14.4, "memory": None, "weights": 22.4, "all": 7.2}
    for taste in STYLES:
        assert result["per_taste"]["card"][taste]["ratings_to_80"] == 16
        assert result["per_taste"]["card"][taste]["satisfaction"]["40"] == 1.0


def test_retention_is_skill_over_that_of_the_base(result):
    kept = {arm: figures["retention"] for arm, figures in result["arms"].items()}
    assert kept == pytest.approx({"base": 1.0, "card": 1.0, "memory": 1.0, "weights": 1.0, "all": 0.9})


def test_intervals_hold_the_mean_and_vanish_where_nothing_varies(result):
    for figures in result["arms"].values():
        assert all(low <= mean <= high for mean, low, high in figures["satisfaction"].values())
    assert result["arms"]["card"]["satisfaction"]["40"] == [1.0, 1.0, 1.0]
    # of the base one prompt in five pleases, whoever asks
    assert result["arms"]["base"]["satisfaction"]["0"] == [0.2, 0.2, 0.2]


def test_the_result_is_json_with_the_settings_and_prints_as_a_table(result):
    read = json.loads(to_json(result))
    assert read["arms"]["card"]["satisfaction"]["16"][0] == 1.0
    assert read["settings"]["tastes"] == list(STYLES)
    assert (read["settings"]["seeds"], read["settings"]["ratings"]) == ([0, 1], 40)
    assert read["seconds"] >= 0
    lines = as_table(result).splitlines()
    assert lines[0].split()[:3] == ["arm", "0", "4"]
    assert lines[3].split() == ["card", "0.20", "0.20", "0.20", *["1.00"] * 4, "16", "1.000"]


def without_times(result):
    del result["seconds"], result["settings"]["workers"]
    for figures in result["arms"].values():
        del figures["seconds_per_cell"]
    return result


def test_processes_give_the_figures_of_one_process_and_tell_of_every_rating(tmp_path):
    told = []
    settings = {
        "arms": ("base", "card"),
        "experiment": Experiment(prompts=prompts, noise=0.2, rate=0.5),
        **QUICK,
    }
    alone = run(make, **settings)
    log = tmp_path / "closed"
    spread = run(
        partial(Scripted, log), workers=2, progress=lambda share, text: told.append((share, text)), **settings
    )
    assert without_times(spread) == without_times(alone)
    assert sorted(log.read_text().splitlines()) == ["base 40 5"] * 2 + ["card 40 5"] * 2
    assert told[-1] == (1.0, "160 of 160 ratings, 4 learners")
    assert [share for share, _ in told] == sorted(share for share, _ in told)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_learner_that_breaks_ends_the_bench_and_is_closed(tmp_path, workers):
    log = tmp_path / "closed"
    with pytest.raises(RuntimeError, match="the update broke"):
        run(partial(Faulty, log), experiment=Experiment(prompts=prompts), workers=workers, **QUICK)
    closed = log.read_text().splitlines()
    assert any(line.endswith(" 8 0") for line in closed)


@pytest.mark.parametrize("workers", [1, 2])
def test_it_stops_when_it_is_told_to_and_closes_its_learners(tmp_path, workers):
    log, seen = tmp_path / "closed", []
    long = Experiment(ratings=20_000, update_every=20_000, prompts=prompts)
    with pytest.raises(BenchCancelled, match="stopped"):
        run(
            partial(Scripted, log),
            arms=("base",),
            tastes=("brief", "formal"),
            seeds=(0,),
            experiment=long,
            workers=workers,
            progress=lambda share, text: seen.append(share),
            cancelled=lambda: bool(seen) and seen[-1] > 0,
        )
    given = [int(line.split()[1]) for line in log.read_text().splitlines()]
    assert len(given) in (1, workers)
    assert all(0 <= ratings < 20_000 for ratings in given)


def test_a_person_who_rarely_rates_is_asked_until_all_ratings_are_given(tmp_path):
    log = tmp_path / "closed"
    run(
        partial(Scripted, log),
        arms=(),
        tastes=("brief",),
        seeds=(0,),
        experiment=Experiment(ratings=10, rate=0.2, prompts=prompts),
    )
    assert log.read_text() == "base 10 1\n"


def test_a_person_who_never_rates_ends_the_bench_with_a_sentence():
    with pytest.raises(BenchError, match="only 0 ratings"):
        run(make, tastes=("brief",), seeds=(0,), experiment=Experiment(ratings=1, rate=0.0, prompts=prompts))


def test_an_editor_who_likes_every_reply_is_named_with_what_to_do():
    pleased = Experiment(8, prompts=prompts, habit="edits")
    with pytest.raises(BenchError, match=r"only 0 ratings in 40 turns: .*'no_emoji'.*; leave that taste out"):
        run(make, arms=(), tastes=("no_emoji",), seeds=(0,), experiment=pleased)


def test_an_editor_with_nothing_left_to_edit_is_no_failure(tmp_path):
    """After the first update every reply is right: what is asked for later is what speaks now."""

    class Quick(Scripted):
        def update(self) -> None:
            self.updates += 1
            self.learnt = "brief"

    done = Experiment(24, (0, 8, 16, 24), prompts=prompts, habit="edits", skills=False)
    cell = run_cell(partial(Quick, tmp_path / "closed"), "weights", "brief", 0, done)
    assert (tmp_path / "closed").read_text() == "weights 8 1\n"
    assert cell.content == 8
    assert {count: sum(each) / len(each) for count, each in cell.held_out.items()} == {
        0: 0.2, 8: 1.0, 16: 1.0, 24: 1.0,
    }  # fmt: skip


def test_silence_pleases_not_even_an_adversary(tmp_path):
    others = Experiment(8, prompts=prompts, adversary=1.0, skills=False)
    result = run(partial(Silent, tmp_path / "closed"), (), ("brief",), (0,), others)
    assert (tmp_path / "closed").read_text() == "base 8 1\n"
    assert result["arms"]["base"]["ups"] == 0


def test_an_adversary_among_few_ratings_is_as_silent_as_the_person(monkeypatch):
    read = []
    answer = Person.respond

    def noted(self, *what):
        did = answer(self, *what)
        read.append((self.seed, did.read))
        return did

    monkeypatch.setattr(Person, "respond", noted)
    few = Experiment(40, prompts=prompts, rate=0.3, adversary=0.5, skills=False)
    run(make, (), ("brief",), (0,), few)
    own = min(seed for seed, _ in read)
    said = [bothered for seed, bothered in read if seed == own + 1]
    assert len(said) > 30
    assert 0.1 < sum(said) / len(said) < 0.5


def test_fewer_ratings_end_at_a_checkpoint_of_their_own():
    found = run(make, arms=("base",), **QUICK, experiment=Experiment(ratings=10, prompts=prompts))
    assert list(found["arms"]["base"]["satisfaction"]) == ["0", "4", "8", "10"]


def test_base_is_run_though_only_another_arm_was_asked_for():
    found = run(make, arms=("card",), **QUICK, experiment=Experiment(prompts=prompts))
    assert list(found["arms"]) == ["base", "card"]
    assert found["settings"]["tastes"] == list(QUICK["tastes"])


def test_who_is_named_twice_is_one_person(tmp_path):
    few = Experiment(ratings=4, prompts=prompts)
    log = tmp_path / "closed"
    once = run(make, ("card",), ("brief", "formal"), (0, 1), few)
    twice = run(partial(Scripted, log), ("card", "card"), ("brief", "formal", "brief"), (0, 1, 1), few)
    assert without_times(twice) == without_times(once)
    assert len(log.read_text().splitlines()) == 8


def test_nothing_to_run_is_refused():
    with pytest.raises(BenchError, match="at least one taste"):
        run(make, tastes=())


def test_retention_of_a_base_without_skill_is_unknown():
    cells = [Cell(arm, "brief", 0, held_out={0: [0.0, 1.0]}, skill=0.0) for arm in ("base", "card")]
    assert summarise(cells, Experiment(ratings=1))["arms"]["card"]["retention"] is None
