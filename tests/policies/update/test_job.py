"""One writer a home, and updates in a process of their own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from memory.database import open_home
from memory.errors import DatabaseError
from policies import child
from policies.language_policy import LanguagePolicy
from policies.update.job import LearningSettings, UpdateBusy, UpdateError, UpdateJob, run_update, update_lock
from tests.policies.rated import SETTINGS, Rated, small_exam, state, up_and_down
from tests.policies.tiny_models import shared_adapter


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
    """Wait for the child's report of `moment`, however long it takes to get the processor."""
    while job.running:
        report = job.next_report(timeout=120)
        if report is not None and report.text.startswith(moment):
            return
    pytest.fail(f"ended before {moment!r}: {job.error}")


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_a_child_had_no_time_to_sweep_goes_when_it_is_cancelled(
    home: Path, policy: LanguagePolicy, folder: Path
) -> None:
    Rated(home, policy).talk(6, up_and_down)
    job = UpdateJob(home, str(folder), settings=replace(SETTINGS, epochs=2000), device="cpu")
    job.start()
    until(job, "kto step")
    assert job.pid is not None
    os.kill(job.pid, signal.SIGSTOP)  # as in a long step: it does not hear that it shall stop
    assert (home / "training").is_dir()
    job.cancel(grace=0.0)
    assert not (home / "training").exists()
    job.wait(timeout=60)
    assert job.error == "The update was stopped; nothing was changed."
    assert state(home) == ([], None)


# Stands for the child: saves an adapter as its last step does, and has then not yet told of it.
SAVES = """
import json, signal, sys
from pathlib import Path
from memory.database import open_home
from policies.adapters.registry import AdapterRegistry
folder, when, order = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
report = {"verdict": "promoted", "reasons": ["It is better."], "held_out": {"liked": 4}, "settings": {}}
meta = {"base": "tiny", "base_sha256": "0" * 64, "algorithm": "kto", "status": "promoted", "signals": 8}
db = open_home(Path(order["home"]))
if when == "after":
    AdapterRegistry(db, Path(order["home"])).add(folder, {**meta, "report": report}, speaks="promoted")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print(json.dumps({"event": "progress", "fraction": 0.98, "text": "here"}), flush=True)
signal.alarm(60)
signal.sigwait([signal.SIGUSR1])
print(json.dumps({"event": "error", "text": "The update failed (OSError); nothing was changed."}), flush=True)
"""
ENDS: dict[str, Callable[[UpdateJob], None]] = {
    "cancelled": lambda job: job.cancel(grace=0.0),
    "killed": lambda job: os.kill(job.pid or 0, signal.SIGKILL),
    "failed": lambda job: os.kill(job.pid or 0, signal.SIGUSR1),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_child_that_ended_says_what_the_registry_says(
    home: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    folder = str(shared_adapter())

    def ended(when: str) -> UpdateJob:
        monkeypatch.setattr(
            child, "command", lambda module, *order: [sys.executable, "-c", SAVES, folder, when, *order]
        )
        job = UpdateJob(home)
        job.start()
        until(job, "here")
        ENDS[end](job)
        job.wait(timeout=60)
        return job

    late = ended("after")
    assert (late.error, late.cancelled) == (None, False)
    assert late.result is not None
    assert (late.result.adapter, late.result.verdict, late.result.signals) == ("v1", "promoted", 8)
    early = ended("before")
    assert early.result is None
    assert "nothing was changed" in str(early.error)
    assert state(home) == (["promoted"], "v1"), "the one of before"


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
