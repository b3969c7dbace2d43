from __future__ import annotations

import errno
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from env.datasets import judgements
from memory.database import open_home
from memory.journal import Journal
from memory.records import Generation
from policies.adapters.registry import AdapterError, AdapterRegistry
from policies.language_policy import LanguagePolicy
from policies.policy import SamplingParams
from policies.update.job import (
    Cancelled,
    LearnError,
    LearningSettings,
    NothingToLearn,
    UpdateError,
    run_update,
)
from policies.update.material import material
from tests.policies.rated import LENIENT, SETTINGS, Rated, chat, small_exam, state, up_and_down


def test_an_update_trains_registers_and_activates(home: Path, policy: LanguagePolicy) -> None:
    replies = Rated(home, policy).talk(10, up_and_down)
    before = policy.generate([chat("trees?")], SamplingParams(temperature=0.0, max_new_tokens=8))[0].text
    steps: list[tuple[float, str]] = []
    result = run_update(
        home,
        settings=SETTINGS,
        progress=lambda fraction, text: steps.append((fraction, text)),
        policy=policy,
        exam=small_exam(),
        limits=LENIENT,
    )
    assert (result.adapter, result.algorithm, result.signals, result.verdict) == (
        "v1",
        "kto",
        10,
        "provisional",
    )
    assert "Not enough evidence yet" in result.reasons[0]
    assert result.seconds > 0
    assert result.peak_rss_mb > 50
    assert set(result.to_json()) == {
        "adapter", "algorithm", "signals", "verdict", "reasons", "held_out", "seconds", "peak_rss_mb"
    }  # fmt: skip
    assert state(home) == (["provisional"], "v1")
    assert policy.adapter is None
    assert policy.served_sha256 is None
    after = policy.generate([chat("trees?")], SamplingParams(temperature=0.0, max_new_tokens=8))[0].text
    assert after == before, "the base came back changed"
    fractions = [fraction for fraction, _ in steps]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert not (home / "training").exists()

    db = open_home(home)
    adapter = AdapterRegistry(db, home).get("v1")
    proof = adapter.report["proof"]
    assert proof["grad_norm"] > 0
    assert proof["max_abs_b"] > 0
    assert proof["logits_changed"] > 0
    assert proof["sha256_trained"] == proof["sha256_served"] == adapter.sha256
    assert adapter.report["trained_on"]["replies"] == sorted(reply.id for reply in replies)
    assert len(adapter.report["trained_on"]["feedback"]) == 10
    assert adapter.report["last_seq"] == Journal(db).last_seq()
    db.close()
    policy.swap("v1", adapter.path)
    assert policy.served_sha256 == proof["sha256_trained"]
    policy.swap(None)


def test_each_update_starts_from_the_base_and_the_policy_speaks_on(
    home: Path, policy: LanguagePolicy
) -> None:
    Rated(home, policy).talk(6, up_and_down)
    common = {"settings": SETTINGS, "policy": policy, "exam": small_exam(), "limits": LENIENT}
    first = run_update(home, **common)
    db = open_home(home)
    path = AdapterRegistry(db, home).get(first.adapter).path
    policy.swap(first.adapter, path)
    second = run_update(home, **common)
    assert policy.adapter == "v1"
    assert policy.served_sha256 is not None
    policy.swap(None)
    registry = AdapterRegistry(db, home)
    assert registry.get("v2").sha256 == registry.get("v1").sha256, "the same ledger gives the same adapter"
    assert second.adapter == "v2"
    assert state(home) == (["provisional", "provisional"], "v2")
    db.close()


def test_held_out_replies_are_not_trained_on(home: Path, policy: LanguagePolicy) -> None:
    replies = Rated(home, policy).talk(20, up_and_down)
    result = run_update(home, settings=SETTINGS, policy=policy, exam=small_exam(), limits=LENIENT)
    assert result.held_out["liked"] == result.held_out["disliked"] == 2
    db = open_home(home)
    report = AdapterRegistry(db, home).get("v1").report
    db.close()
    assert len(report["trained_on"]["replies"]) == 16 < len(replies)
    assert result.signals == 20


def test_pairs_are_learned_with_dpo(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).siblings(6)
    result = run_update(home, settings=SETTINGS, policy=policy, exam=small_exam(), limits=LENIENT)
    assert (result.algorithm, result.signals) == ("dpo", 6)


def test_a_run_that_went_too_far_is_rejected_and_never_speaks(home: Path, policy: LanguagePolicy) -> None:
    rated, near = Rated(home, policy), replace(LENIENT, kl=0.5)
    rated.talk(8, up_and_down)
    good = run_update(home, settings=SETTINGS, policy=policy, exam=small_exam(), limits=near)
    assert good.verdict == "provisional"
    db = open_home(home)
    for reply in rated.replies:
        Journal(db).edit_reply(reply.id, "-" * 12)
    db.close()
    wild = LearningSettings(learning_rate=3e-2, epochs=30, beta=0.01, anchor_weight=0.0)
    bad = run_update(home, settings=wild, policy=policy, exam=small_exam(), limits=near)
    assert (bad.algorithm, bad.verdict) == ("dpo", "rejected")
    assert "nats a token from the base; the limit is 0.50" in bad.reasons[0]
    assert state(home)[0][1] == "rejected"
    assert state(home)[1] == good.adapter


@pytest.mark.parametrize(
    ("count", "value", "says"),
    [(0, 1, "Nothing has been rated yet"), (4, 1, "thumbs up (4)"), (3, -1, "thumbs down (3)")],
)
def test_a_ledger_that_teaches_nothing_is_said_so(
    home: Path, policy: LanguagePolicy, count: int, value: int, says: str
) -> None:
    Rated(home, policy).talk(count, lambda at: value) if count else open_home(home).close()
    with pytest.raises(NothingToLearn) as error:
        run_update(home, policy=policy, exam=small_exam())
    assert says in str(error.value)
    assert state(home) == ([], None)


def test_where_all_is_disliked_and_nothing_else_can_be_tried_that_is_said(
    home: Path, policy: LanguagePolicy
) -> None:
    """A random model has no styles to try."""
    Rated(home, policy).talk(4, lambda at: -1)
    with pytest.raises(LearnError, match="nothing that the model can do instead"):
        run_update(home, policy=policy, exam=small_exam())
    assert state(home) == ([], None)


def test_wishes_that_cannot_be_met(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(4, up_and_down)
    with pytest.raises(NothingToLearn, match="edit a reply"):
        run_update(home, algorithm="dpo", policy=policy, exam=small_exam())
    with pytest.raises(UpdateError, match="choose auto, kto, dpo, ppo, grpo, sft"):
        run_update(home, algorithm="rlhf", policy=policy, exam=small_exam())


def test_a_cancelled_update_leaves_nothing(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(6, up_and_down)
    for moment in ("kto step", "fresh replies of the candidate"):
        stop = threading.Event()

        def progress(fraction: float, text: str, moment: str = moment, stop: threading.Event = stop) -> None:
            if text.startswith(moment):
                stop.set()

        with pytest.raises(Cancelled):
            run_update(
                home, settings=SETTINGS, progress=progress, cancel=stop, policy=policy, exam=small_exam()
            )
        assert state(home) == ([], None)
        assert not (home / "training").exists()
        assert list((home / "adapters").iterdir()) == []


@pytest.mark.parametrize(
    "where",
    ["policies.reward_model.RewardModel.save", "policies.adapters.activation_log.ActivationLog.append"],
)
def test_an_update_that_fails_at_its_very_end_has_changed_nothing(
    home: Path, policy: LanguagePolicy, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    Rated(home, policy).talk(10, up_and_down)
    common = {"settings": SETTINGS, "policy": policy, "exam": small_exam(), "limits": LENIENT}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(where, full)
        with pytest.raises((OSError, AdapterError), match="No space left"):
            run_update(home, **common)
    assert not (home / "training").exists()
    assert state(home) == ([], None)
    assert list((home / "adapters").iterdir()) == [], "what was placed is swept at the next start"
    run_update(home, **common)
    assert state(home) == (["provisional"], "v1")


def test_of_many_pairs_with_one_reply_that_reply_is_one_judgement(home: Path) -> None:
    """One liked reply beside four disliked ones to each question; four pairs, two voices for one of them."""
    with closing(open_home(home)) as db:
        journal = Journal(db)
        for at in range(12):
            asked = journal.add_user(journal.start_conversation().id, None, f"Question {at}?")
            for version in range(5):
                made = Generation(
                    "", "tiny", None, ({"role": "user", "content": asked.content},), "", (), (), {}
                )
                reply = journal.add_reply(asked.conversation_id, asked.id, f"Reply {at}.{version}.", made)
                journal.rate(reply.id, 1 if version == 0 else -1)
        cut = material(journal, "dpo")
    said = [one for row in cut.test for one in judgements(row)]
    liked = {reply_id for _, good, reply_id in said if good}
    assert len(liked) >= 2
    assert sum(good for _, good, _ in said) == 4 * len(liked)


def test_an_update_names_ratings_as_they_were_given(home: Path, policy: LanguagePolicy) -> None:
    with closing(open_home(home)) as db:
        journal = Journal(db)
        picked, lost, edited = set(), set(), set()
        for at in range(6):
            asked = journal.add_user(journal.start_conversation().id, None, f"Tell me about trees {at}.")
            shown = ({"role": "user", "content": asked.content},)
            one, two = (
                journal.add_reply(
                    asked.conversation_id, asked.id, text, Generation("", "tiny", None, shown, "", (), (), {})
                )
                for text in (f"Rivers {at}.", f"Bread and music {at}.")
            )
            if at < 4:
                journal.pick(one.id, two.id)
                picked.add(one.id)
                lost.add(two.id)
            else:
                journal.edit_reply(two.id, f"Rain {at}.")
                edited.add(two.id)
    result = run_update(
        home, algorithm="dpo", settings=SETTINGS, policy=policy, exam=small_exam(), limits=LENIENT
    )
    with closing(open_home(home)) as db:
        causes = AdapterRegistry(db, home).get(result.adapter).report["caused_by"]
    assert (causes["liked"], causes["disliked"], causes["of"]) == (6, 6, 12)
    assert causes["telling"]
    for each in causes["telling"]:
        assert each["reply_id"] in (picked if each["liked"] else lost | edited)
