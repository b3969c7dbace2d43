"""Every signal goes down its route, and the report of the adapter says how many went which way."""

from __future__ import annotations

from pathlib import Path

import pytest

from env.datasets import Unpaired
from env.imported import FOLDER
from memory.database import open_home
from memory.journal import Journal
from policies.adapters.files import REWARD
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from policies.errors import LearnError
from policies.language_policy import LanguagePolicy
from policies.learners import ppo
from policies.reward_model import RewardModel
from policies.update.material import NothingToLearn, TasteChanged, material
from tests.policies.rated import Rated, state, up_and_down, update


def short_is_good(home: Path, policy: LanguagePolicy) -> None:
    """32 thumbs that a reward model can understand: 16 replies of a few tokens up, 16 longer ones down."""
    short, long = Rated(home, policy).talk(16, length=3), Rated(home, policy).talk(16, length=24)
    db = open_home(home)
    journal = Journal(db)
    # by turns: first all of the one and then all of the other is what a change of taste looks like
    for good, bad in zip(short, long, strict=True):
        journal.rate(good.id, 1)
        journal.rate(bad.id, -1)
    db.close()


def test_thumbs_and_edits_go_to_kto_and_are_counted(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.talk(10, up_and_down)
    db = open_home(home)
    Journal(db).edit_reply(rated.replies[0].id, "Trees are tall.")
    db.close()
    algorithm, report = update(home, policy)
    assert algorithm == "kto"
    routes = report["routes"]
    assert (routes["thumb"], routes["edit"], routes["pick"], routes["why"]) == (10, 1, 0, 0)
    # what a random model says when it is asked for a style is nothing to count on
    learned_as = {
        name: many for name, many in routes["learned_as"].items() if name not in ("distilled", "transferred")
    }
    assert learned_as == {
        "algorithm": "kto", "rows": 11, "hindsight": 0, "hindsight_unanswered": 0, "hindsight_objected": 0,
    }  # fmt: skip
    assert report["reward_model"]["n"] == 11
    assert 0 <= report["reward_model"]["low"] <= report["reward_model"]["accuracy"] <= 1


def test_the_reward_model_lies_beside_its_adapter(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(10, up_and_down)
    _, report = update(home, policy)
    reward = RewardModel.load(home / "adapters" / "v1", policy.model, policy.tokenizer)
    assert reward is not None
    assert dict(reward.held_out) == report["reward_model"]
    db = open_home(home)
    AdapterRegistry(db, home).verify("v1")
    db.close()


def test_few_thumbs_make_no_reward_model(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(4, up_and_down)
    _, report = update(home, policy)
    assert report["reward_model"] is None
    assert not (home / "adapters" / "v1" / REWARD).exists()


def test_reasons_make_pairs_by_hindsight(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.talk(6)
    db = open_home(home)
    for reply in rated.replies:
        Journal(db).rate(reply.id, -1, why=f"Say less than {len(reply.content)} letters.")
    chosen = material(Journal(db))
    db.close()
    assert chosen.algorithm == "dpo"
    assert "reason in words" in chosen.why
    algorithm, report = update(home, policy, "dpo")
    routes = report["routes"]
    assert (algorithm, routes["why"]) == ("dpo", 6)
    learned = routes["learned_as"]
    assert learned["hindsight"] > 0
    assert learned["hindsight"] + learned["hindsight_unanswered"] + learned["hindsight_objected"] == 6
    assert len(report["trained_on"]["feedback"]) == learned["hindsight"]


def test_of_reasons_too_something_is_held_out(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.talk(24)
    db = open_home(home)
    for at, reply in enumerate(rated.replies):
        Journal(db).rate(reply.id, -1 if at % 3 else 1, why="too long" if at % 3 else None)
    chosen = material(Journal(db))
    db.close()
    assert chosen.algorithm == "dpo"
    liked = [row.label for row in chosen.test if isinstance(row, Unpaired)]
    assert min(liked.count(True), liked.count(False)) >= 2
    held = {row.reply_id for row in chosen.test}
    assert held.isdisjoint(row.reply_id for row in chosen.thumbs), "what is held out is not answered anew"
    assert len(held) + len(chosen.thumbs) == 24
    _, report = update(home, policy)
    assert report["held_out"]["liked"] == liked.count(True)


def test_reasons_that_lead_to_no_better_answer_are_thumbs_down_all_the_same(
    home: Path, policy: LanguagePolicy
) -> None:
    """The crash bench met it: DPO was chosen for the reasons, no pair came of them, and the update failed."""
    rated = Rated(home, policy)
    rated.talk(5)
    db = open_home(home)
    for at, reply in enumerate(rated.replies):
        # with such a reason in the prompt there is no room for an answer
        Journal(db).rate(reply.id, 1 if at == 4 else -1, why=None if at == 4 else "too long " * 1000)
    assert material(Journal(db)).algorithm == "dpo"
    db.close()
    algorithm, report = update(home, policy)
    learned = report["routes"]["learned_as"]
    assert (algorithm, learned["algorithm"], learned["rows"]) == ("kto", "kto", 5)
    assert (learned["hindsight"], learned["hindsight_unanswered"]) == (0, 4)
    assert "no better answer came" in report["why"]


def test_where_few_better_answers_come_the_other_ratings_are_not_left_out(
    home: Path, policy: LanguagePolicy
) -> None:
    """DPO was chosen for the pairs that reasons would make: of one pair it would learn one rating."""
    rated = Rated(home, policy)
    rated.talk(12, lambda at: -1)
    db = open_home(home)
    for at, reply in enumerate(rated.replies):
        if at % 2 == 0:
            Journal(db).rate(reply.id, -1, why="too long" if at < 4 else "too long " * 1000)
    chosen = material(Journal(db))
    db.close()
    assert (chosen.algorithm, len(chosen.thumbs)) == ("dpo", 12)
    algorithm, report = update(home, policy)
    learned = report["routes"]["learned_as"]
    assert (algorithm, learned["hindsight"], learned["hindsight_unanswered"]) == ("kto", 1, 5)
    assert learned["rows"] == 12 + 1
    assert "better answers alone came of the reasons" in report["why"]
    algorithm, report = update(home, policy, "dpo")
    assert (algorithm, report["routes"]["learned_as"]["rows"]) == ("dpo", 1), "who asks for it gets it"


def test_dpo_that_was_chosen_for_edits_stays_what_it_is(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.talk(31)
    db = open_home(home)
    for at, reply in enumerate(rated.replies):
        if at % 2:
            Journal(db).rate(reply.id, 1)
        else:
            Journal(db).rate(reply.id, 0)
            Journal(db).edit_reply(reply.id, f"Rivers and bread {at}.")
    chosen = material(Journal(db))
    db.close()
    assert (chosen.algorithm, len(chosen.test) > 0) == ("dpo", True)
    algorithm, report = update(home, policy)
    assert (algorithm, report["routes"]["learned_as"]["rows"]) == ("dpo", len(chosen.train))
    assert "reasons" not in report["why"]


@pytest.mark.parametrize("algorithm", ["ppo", "grpo"])
def test_online_learners_learn_from_the_reward_model(
    home: Path, policy: LanguagePolicy, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ppo, "REPLIES", 8)
    monkeypatch.setattr(ppo, "MINI_BATCHES", 2)
    short_is_good(home, policy)
    used, report = update(home, policy, algorithm)
    assert used == algorithm
    assert report["reward_model"]["gain_low"] > 0
    assert report["routes"]["held_out"] + report["routes"]["thumb"] == 32
    assert report["proof"]["grad_norm"] > 0
    assert report["proof"]["max_abs_b"] > 0
    assert report["proof"]["logits_changed"] > 0
    assert report["proof"]["sha256_trained"] == report["proof"]["sha256_served"]


@pytest.mark.parametrize("count", [4, 12])
def test_without_a_reward_model_that_knows_something_they_refuse(
    home: Path, policy: LanguagePolicy, count: int
) -> None:
    Rated(home, policy).talk(count, lambda at: 1 if at in (1, 2, 5, 6, 9) else -1)
    with pytest.raises(LearnError, match="PPO learns from a reward model"):
        update(home, policy, "ppo")
    assert state(home) == ([], None)


def test_imported_texts_are_imitated(home: Path, policy: LanguagePolicy) -> None:
    (home / FOLDER).mkdir(parents=True)
    (home / FOLDER / "mine.txt").write_text("The river is long and cold.\n\nTrees are green in the summer.")
    algorithm, report = update(home, policy)
    assert algorithm == "sft"
    assert report["routes"]["text"] == 2
    assert report["trained_on"] == {"feedback": [], "replies": [], "imports": ["mine.txt"]}
    assert report["why"] == "2 imported texts and no rating"


def test_a_taste_for_more_than_was_ever_said_is_taught_whole(home: Path) -> None:
    """Six edits make short replies a little longer; the answers beside them may be longer yet."""
    sprout = LanguagePolicy(resolve(None), device="cpu")
    rated = Rated(home, sprout)
    rated.talk(6, length=4)
    db = open_home(home)
    for reply in rated.replies:
        Journal(db).edit_reply(reply.id, "It is old. It is big. It is far away. It is cold at night.")
    db.close()
    algorithm, report = update(home, sprout)
    assert algorithm == "dpo"
    assert report["taste"]["likely"][0]["features"] == ["detailed"]
    assert report["routes"]["learned_as"]["distilled"] > 12
    sprout.close()


def test_sft_imitates_what_was_liked(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.talk(6, up_and_down)
    algorithm, report = update(home, policy, "sft")
    assert algorithm == "sft"
    assert report["trained_on"]["replies"] == sorted(reply.id for reply in rated.replies[1::2])


def test_there_is_nothing_to_imitate(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(3, lambda at: -1)
    with pytest.raises(NothingToLearn, match="imports"):
        update(home, policy, "sft")


def test_what_is_held_out_is_nobodys_lesson(home: Path, policy: LanguagePolicy) -> None:
    """Neither the reward model nor hindsight sees a question that the gate will ask about."""
    rated = Rated(home, policy)
    rated.talk(30, up_and_down)
    rated.siblings(10)
    db = open_home(home)
    for algorithm in ("kto", "dpo", "ppo", "sft"):
        cut = material(Journal(db), algorithm)
        asked = {row.prompt.question for row in cut.test}
        lessons = {row.prompt.question for row in (*cut.train, *cut.thumbs, *cut.pairs)}
        assert lessons
        assert not asked & lessons
    db.close()


@pytest.mark.parametrize(("up", "held"), [(0, 0), (1, 0), (2, 0), (12, 4)])
def test_nothing_is_held_out_that_could_not_tell_the_gate_anything(
    home: Path, policy: LanguagePolicy, up: int, held: int
) -> None:
    rated = Rated(home, policy)
    rated.talk(24, lambda at: 1 if at * up % 24 < up else -1)
    db = open_home(home)
    cut = material(Journal(db), "kto")
    db.close()
    assert sum(row.label for row in (*cut.train, *cut.test) if isinstance(row, Unpaired)) == up
    assert (len(cut.train), len(cut.test)) == (24 - held, held)
    assert len(cut.thumbs) == len(cut.train)


def test_after_a_change_of_taste_the_base_speaks_until_something_is_liked(
    home: Path, policy: LanguagePolicy
) -> None:
    rated = Rated(home, policy)
    rated.talk(16, lambda at: -1 if at == 0 else 1)
    update(home, policy)
    db = open_home(home)
    journal, registry = Journal(db), AdapterRegistry(db, home)
    registry.activate("v1", "for this test")
    rated.talk(16)
    for reply in rated.replies[16:]:
        journal.rate(reply.id, -1)
    with pytest.raises(TasteChanged, match="the base speaks until"):
        update(home, policy)
    assert registry.active(policy.spec.sha256) is None
    assert "changed" in str(registry.activations()[-1])
    # the random model has one kind of reply: six thumbs up in a row would be one more change
    for reply in rated.replies[-6::2]:
        journal.rate(reply.id, 1)
    db.close()
    assert update(home, policy)[0] == "kto"


def test_what_has_faded_is_neither_trained_on_nor_tested_with(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.talk(24)
    db = open_home(home)
    journal = Journal(db)
    # the random model has one kind of reply: all disliked for a while, then all liked
    for at, reply in enumerate(rated.replies):
        journal.rate(reply.id, 1 if at >= 14 or at == 0 else -1)
    cut = material(journal, "sft")
    db.close()
    known = {row.reply_id for row in (*cut.train, *cut.test, *cut.thumbs)}
    assert not known & {reply.id for reply in rated.replies[:8]}
    assert cut.routes["faded"] >= 8
    assert cut.signals == 24


def test_a_thumb_that_has_faded_does_not_return_in_a_pair(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.talk(24, lambda at: 1 if at < 14 else -1)
    db = open_home(home)
    journal = Journal(db)
    again = {}
    for number in (0, 23):  # one of before the change of taste, and one of after it
        reply = rated.replies[number]
        made = journal.generation(reply.id)
        again[number] = journal.add_reply(reply.conversation_id, reply.parent_id, reply.content, made)
    journal.rate(again[0].id, -1)
    journal.rate(again[23].id, 1)
    cut = material(journal, "kto", hold_out=0.0)
    db.close()
    assert [(pair.chosen_id, pair.rejected_id) for pair in cut.pairs] == [
        (again[23].id, rated.replies[23].id)
    ]
    assert cut.routes["faded"] == 26 - len(cut.thumbs) + 1
