"""The agents that the learning benches put on trial: arms beside the product's own, and what they share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.benches import learners as learners_bench
from agent.benches import learning as learning_bench
from agent.benches.arms import FewShotLearner, StackedLearner, make_learner
from agent.benches.learner import BenchLearner, shared_policy
from agent.benches.learners import Student
from agent.cli import main
from agent.config import defaults
from env.bench.learning import ALL_ARMS, ARMS, FULL_SEEDS, QUICK, SEEDS
from env.people import BENCH_TASTES, TOPIC_TASTES
from memory.taste.features import STYLES
from policies.policy import SamplingParams
from tests.agent.test_bench_cli import Learner
from tests.policies.rated import LENIENT, SETTINGS, small_exam
from tests.policies.tiny_models import make_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_model(tmp_path_factory.mktemp("arms") / "tiny", max_position_embeddings=4096))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.benches.learner.defaults", partial(defaults, max_new_tokens=12))
    how = {"exam": small_exam(), "limits": LENIENT, "settings": SETTINGS}
    monkeypatch.setattr(BenchLearner, "how", how)


@pytest.fixture
def opened(tiny: str) -> Iterator[Callable[[str], BenchLearner]]:
    made: list[BenchLearner] = []

    def open_(arm: str) -> BenchLearner:
        made.append(make_learner(arm, 0, tiny))
        return made[-1]

    yield open_
    for learner in made:
        learner.close()


def rate_a_few(learner: BenchLearner, ratings: int = 4) -> None:
    for number in range(ratings):
        reply_id, _ = learner.reply(f"What is thing {number}?")
        learner.rate(reply_id, 1 if number % 2 else -1)


def test_fewshot_shows_the_newest_liked_replies_and_no_others(opened: Callable[[str], BenchLearner]) -> None:
    learner = opened("fewshot")
    assert isinstance(learner, FewShotLearner)
    texts = {}
    for number in range(7):
        reply_id, texts[number] = learner.reply(f"What is thing {number}?")
        learner.rate(reply_id, -1 if number == 5 else 1)
    reply_id, _ = learner.reply("What is bread?")
    learner.edit(reply_id, "Bread is baked.")
    system, *shown, asked = learner.under([{"role": "system", "content": learner.system()}, user("Why?")])
    assert system["role"] == "system"
    assert [one["content"] for one in shown[0::2]] == [
        *(f"What is thing {number}?" for number in (3, 4, 6)), "What is bread?"
    ]  # fmt: skip
    assert [one["content"] for one in shown[1::2]] == [texts[3], texts[4], texts[6], "Bread is baked."]
    assert asked == user("Why?")
    assert learner.replies(["Why?"], seed=1) == learner.replies(["Why?"], seed=1)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.slow
def test_stacked_goes_on_from_what_the_last_update_made(opened: Callable[[str], BenchLearner]) -> None:
    learner = opened("stacked")
    assert isinstance(learner, StackedLearner)
    before = weights(learner)
    rate_a_few(learner)
    learner.update()
    after = weights(learner)
    assert after != before
    learner.update()
    assert weights(learner) != after
    assert sum(learner.verdicts().values()) == 2
    assert "rejected" not in learner.verdicts()
    assert learner.policy.adapter is None
    assert learner.runtime.active_adapter() is None


def weights(learner: BenchLearner) -> list[float]:
    return [float(p.double().abs().sum()) for p in learner.policy.model.parameters()]


def test_stacking_leaves_the_shared_base_alone(opened: Callable[[str], BenchLearner], tiny: str) -> None:
    before = [float(p.double().abs().sum()) for p in shared_policy(tiny, "auto").model.parameters()]
    stacked = opened("stacked")
    rate_a_few(stacked)
    stacked.update()
    assert [float(p.double().abs().sum()) for p in shared_policy(tiny, "auto").model.parameters()] == before


def test_edits_are_in_the_ledger(opened: Callable[[str], BenchLearner]) -> None:
    learner = opened("card")
    reply_id, _ = learner.reply("What is bread?")
    learner.edit(reply_id, "Bread is baked.")
    (feedback,) = learner.runtime.journal.feedback()
    assert (feedback.kind, feedback.text, feedback.source) == ("edit", "Bread is baked.", "simulated person")


def test_factual_answers_are_one_a_probe(opened: Callable[[str], BenchLearner]) -> None:
    from env.skills.factual import factual_probes

    answers = opened("base").factual_answers()
    assert len(answers) == len(factual_probes())
    assert set(answers) <= {"true", "agrees", "neither"}


def test_what_the_base_said_is_said_again_without_being_computed(tiny: str) -> None:
    policy = shared_policy(tiny, "auto")
    batch = [[user("What is bread?")], [user("What is rain?")]]
    sampling = SamplingParams(max_new_tokens=8, seed=11)
    first = policy.generate(batch, sampling)
    assert policy.generate(batch, sampling) == first
    streamed = list(policy.stream(batch[0], sampling))
    model, policy.model = policy.model, None
    try:
        assert policy.generate(batch, sampling) == first
        assert list(policy.stream(batch[0], sampling)) == streamed
        # another seed is another reply, and none is drawn twice without a seed
        for other in (SamplingParams(max_new_tokens=8, seed=12), SamplingParams(max_new_tokens=8)):
            with pytest.raises(Exception, match="closed"):
                policy.generate(batch, other)
    finally:
        policy.model = model


def test_a_student_speaks_as_the_base_and_is_examined_as_what_it_learned(tiny: str) -> None:
    base, student = Student("base", 0, tiny), Student("kto", 0, tiny)
    try:
        for one in (base, student):
            rate_a_few(one)
            one.update()
        assert base.verdicts() == {}
        assert sum(student.verdicts().values()) >= 1
        assert student.policy.adapter is None
        assert student.reply("What is rain?")[1] == base.reply("What is rain?")[1]
        assert student.runtime.active_adapter() is None
        assert len(student.replies(["What is bread?"], seed=3)) == 1
        assert student.policy.adapter is None
    finally:
        base.close()
        student.close()


# --- the commands -------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_bench, "make_learner", Learner)
    monkeypatch.setattr(learners_bench, "Student", Learner)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["bench", *arguments]) == 0
    return capsys.readouterr().out


def test_conditions_by_name_print_a_block_each_and_keep_their_cells(
    capsys: pytest.CaptureFixture[str], scripted: None, tmp_path: Path
) -> None:
    asked = (
        "learning",
        "--conditions",
        "plain,rate30",
        "--arms",
        "card",
        "--tastes",
        "brief",
        "--seeds",
        "0,1",
    )
    short = ("--ratings", "8", "--workers", "1", "--out", str(tmp_path))
    result = json.loads(run(capsys, *asked, *short, "--json"))
    assert list(result["conditions"]) == ["plain", "rate30"]
    assert list(result["conditions"]["plain"]["arms"]) == ["base", "card"]
    assert result["settings"]["cells"] == 8
    assert (
        json.loads((tmp_path / "results.json").read_text())["conditions"].keys()
        == result["conditions"].keys()
    )
    printed = run(capsys, *asked, *short, "--plot")
    assert "rate30: three replies in ten are rated" in printed
    assert "rate30: satisfaction over ratings" in printed
    assert (tmp_path / "results.txt").read_text().strip() in printed


class Even(Learner):
    """Takes every thumb as it comes."""

    def rate(self, reply_id: str, value: int, why: str | None = None) -> None:
        pass


@pytest.mark.parametrize(
    ("size", "arms", "tastes", "seeds"),
    [
        ((), ARMS, STYLES, SEEDS),
        (("--quick",), ARMS, QUICK["tastes"], QUICK["seeds"]),
        (("--full",), ALL_ARMS, BENCH_TASTES, FULL_SEEDS),
    ],
)
def test_a_condition_is_run_with_the_people_of_the_bench_it_is_a_condition_of(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[str, ...],
    arms: tuple[str, ...],
    tastes: tuple[str, ...],
    seeds: tuple[int, ...],
) -> None:
    monkeypatch.setattr(learning_bench, "make_learner", Even)
    asked = ("--conditions", "noise20,topics", "--ratings", "1", "--workers", "1")
    result = json.loads(run(capsys, "learning", "--json", *size, *asked))
    noise, topics = result["conditions"]["noise20"], result["conditions"]["topics"]
    assert tuple(noise["arms"]) == tuple(topics["arms"]) == arms
    assert tuple(noise["settings"]["tastes"]) == tastes
    assert tuple(topics["settings"]["tastes"]) == tuple(TOPIC_TASTES)
    assert tuple(result["settings"]["seeds"]) == seeds
    assert result["settings"]["cells"] == len(arms) * len(seeds) * (len(tastes) + len(TOPIC_TASTES))


def test_a_small_run_that_is_kept_prints_what_it_always_printed(
    capsys: pytest.CaptureFixture[str], scripted: None, tmp_path: Path
) -> None:
    small = ("--quick", "--tastes", "brief", "--workers", "1", "--out", str(tmp_path))
    result = json.loads(run(capsys, "learning", "--json", *small))
    assert list(result["arms"]) == ["base", "card", "memory", "weights", "all"]
    assert set(result) == {"arms", "per_taste", "base_satisfaction", "settings", "seconds"}


def test_learners_print_their_table(capsys: pytest.CaptureFixture[str], scripted: None) -> None:
    few = ("--tastes", "brief", "--seeds", "0", "--ratings", "8,16", "--workers", "1")
    printed = run(capsys, "learners", "--learners", "kto,dpo", "--ledgers", "thumbs", *few)
    assert printed.splitlines()[0] == "thumbs: every reply gets a thumb"
    assert [line.split()[0] for line in printed.splitlines() if line[:1].islower()][1:] == [
        "learner", "base", "kto", "dpo"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("learning", "--conditions", "rain"), "No condition 'rain'"),
        (("learning", "--arms", "legs"), "'legs' is not among the arms"),
        (("learning", "--tastes", "sweet"), "'sweet' is not among the tastes"),
        (("learning", "--seeds", "one"), "--seeds takes whole numbers"),
        (("learning", "--seeds", "99999999999999999999"), "--seeds takes whole numbers up to"),
        (("learning", "--seeds", "9" * 5000), "--seeds takes whole numbers up to"),
        (("learners", "--learners", "magic"), "'magic' is not among the learners"),
        (("sprout", "--skill", "nonsense"), "No skill 'nonsense'; the skills are topics, brief"),
    ],
)
def test_a_name_that_nothing_has_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert main(["bench", *arguments]) == 1
    assert said in capsys.readouterr().err
