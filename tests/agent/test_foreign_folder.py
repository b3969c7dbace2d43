"""Started in any folder, Attune runs its own code: what lies there may have the names of its modules."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from agent.model_host import ModelHost
from memory.database import open_home
from policies.base_models import BaseSpec, resolve
from policies.update.job import UpdateJob


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with modules that say so when they are run."""
    folder = tmp_path / "foreign"
    for module in ("queue.py", "agent/__init__.py", "memory/__init__.py", "policies/__init__.py"):
        file = folder / module
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(folder / 'was run')!r}, 'w').close()\n")
    monkeypatch.chdir(folder)
    return folder


def test_the_model_starts_in_a_folder_with_modules_of_the_same_names(foreign: Path, tiny: Path) -> None:
    with closing(ModelHost()) as host:
        assert BaseSpec(**host.call("resolve", model=str(tiny))) == resolve(str(tiny))
    assert not (foreign / "was run").exists()


def test_an_update_starts_in_a_folder_with_modules_of_the_same_names(
    foreign: Path, home: Path, tiny: Path
) -> None:
    open_home(home).close()
    job = UpdateJob(home, str(tiny), device="cpu")
    job.start()
    job.wait(timeout=120)
    assert job.error == "Nothing has been rated yet: rate a few replies up and down, then train."
    assert not (foreign / "was run").exists()
