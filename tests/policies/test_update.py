from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from memory.database import open_home
from memory.errors import DatabaseError
from memory.journal import Journal
from policies.adapters import AdapterRegistry
from policies.base_models import resolve
from policies.gate import Limits
from policies.language_policy import LanguagePolicy
from policies.policy import SamplingParams
from policies.update import (
    Cancelled,
    LearningSettings,
    NothingToLearn,
    UpdateBusy,
    UpdateError,
    UpdateJob,
    run_update,
    update_lock,
)
from tests.policies.rated import Rated, chat, small_exam
from tests.policies.tiny_models import make_model

SETTINGS = LearningSettings(learning_rate=2e-3, epochs=2, batch_size=4)
# a random model says much nonsense, and says other nonsense after training: only what a test is about
# may decide it
LENIENT = Limits(degenerate=1.0, truncated=1.0, longest=1e9, shortest=0.0, distinct=0.0, kl=1e9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(
        tmp_path_factory.mktemp("models") / "tiny", initializer_range=0.1, max_position_embeddings=2048
    )


@pytest.fixture(scope="module")
def policy(folder: Path) -> Iterator[LanguagePolicy]:
    loaded = LanguagePolicy(resolve(str(folder)), device="cpu")
    yield loaded
    loaded.close()


def up_and_down(at: int) -> int:
    return 1 if at % 2 else -1


def state(home: Path) -> tuple[list[str], str | None]:
    """(statuses of all adapters, the active version)"""
    db = open_home(home)
    registry = AdapterRegistry(db, home)
    active = registry.active()
    found = [adapter.status for adapter in registry.list()], active and active.version
    db.close()
    return found


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
    [(0, 1, "Nothing has been rated yet"), (4, 1, "thumbs up (4)"), (4, -1, "thumbs down (4)")],
)
def test_a_ledger_that_teaches_nothing_is_said_so(
    home: Path, policy: LanguagePolicy, count: int, value: int, says: str
) -> None:
    Rated(home, policy).talk(count, lambda at: value) if count else open_home(home).close()
    with pytest.raises(NothingToLearn) as error:
        run_update(home, policy=policy, exam=small_exam())
    assert says in str(error.value)
    assert state(home) == ([], None)


def test_wishes_that_cannot_be_met(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(4, up_and_down)
    with pytest.raises(NothingToLearn, match="edit a reply"):
        run_update(home, algorithm="dpo", policy=policy, exam=small_exam())
    with pytest.raises(UpdateError, match="choose auto, kto, dpo"):
        run_update(home, algorithm="ppo", policy=policy, exam=small_exam())


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


def test_one_writer_a_home(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(4, up_and_down)
    with update_lock(home):
        sentence = f"Another process is training on this home (pid {os.getpid()}); wait for it or stop it."
        with pytest.raises(UpdateBusy) as error:
            run_update(home, policy=policy, exam=small_exam())
        assert str(error.value) == sentence
        with pytest.raises(UpdateBusy):
            UpdateJob(home).start()
    with update_lock(home):
        pass


def until(job: UpdateJob, moment: str) -> None:
    """Wait for the child's report of `moment`."""
    while job.running:
        job_said = job.next_report(timeout=120)
        if job_said is None or job_said.text.startswith(moment):
            break
    assert job.running, job.error


def test_the_job_of_a_child_process(home: Path, policy: LanguagePolicy, folder: Path) -> None:
    Rated(home, policy).talk(6, up_and_down)
    job = UpdateJob(home, str(folder), settings=SETTINGS, device="cpu")
    job.start()
    assert job.running
    assert job.pid != os.getpid()
    with pytest.raises(UpdateError, match="already"):
        job.start()
    reports = job.wait(timeout=200)
    assert not job.running
    assert job.error is None, (home / "logs" / "update.log").read_text()
    assert job.result is not None
    assert job.result.adapter == "v1"
    assert job.result.algorithm == "kto"
    assert reports[0].text == "starting"
    assert any(r.text.startswith("kto step") for r in reports)
    assert state(home)[0] == [job.result.verdict]


def test_an_error_of_the_child_is_one_sentence(home: Path, folder: Path) -> None:
    open_home(home).close()
    job = UpdateJob(home, str(folder), device="cpu")
    job.start()
    job.wait(timeout=120)
    assert job.result is None
    assert job.error == "Nothing has been rated yet: rate a few replies up and down, then train."


def test_killed_or_cancelled_children_leave_no_half_adapter(
    home: Path, policy: LanguagePolicy, folder: Path
) -> None:
    Rated(home, policy).talk(6, up_and_down)
    long = LearningSettings(learning_rate=2e-3, epochs=2000, batch_size=4)
    killed = UpdateJob(home, str(folder), settings=long, device="cpu")
    killed.start()
    until(killed, "kto step")
    assert killed.pid is not None
    with pytest.raises(UpdateBusy, match=f"pid {killed.pid}"):
        UpdateJob(home).start()
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(timeout=60)
    assert killed.error is not None
    assert "exit code -9" in killed.error
    assert not killed.cancelled
    assert (home / "training").is_dir()
    assert state(home) == ([], None)

    stopped = UpdateJob(home, str(folder), settings=long, device="cpu")
    stopped.start()
    until(stopped, "kto step")
    stopped.cancel(grace=30.0)
    stopped.wait(timeout=60)
    assert stopped.cancelled
    assert stopped.error == "The update was stopped; nothing was changed."
    assert not (home / "training").exists()
    assert state(home) == ([], None)
    with update_lock(home):
        pass


def test_a_home_that_cannot_be_written_is_a_sentence(home: Path) -> None:
    (home / "update.lock").mkdir(parents=True)
    with pytest.raises(DatabaseError, match="cannot be used"), update_lock(home):
        pass
    (home / "update.lock").rmdir()
    (home / "logs").write_text("not a folder")
    job = UpdateJob(home)
    with pytest.raises(DatabaseError, match="cannot be used"):
        job.start()
    assert not job.running
