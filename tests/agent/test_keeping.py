"""What keeps a home in order: doctor, the log, and an index that can be made anew."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.doctor import Check, examine
from agent.logs import KEPT, SIZE, start_log, stop_log
from memory.database import open_home
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from tests.policies.tiny_models import shared_adapter, shared_model
from tests.support import HashEmbedder

FACTS = (
    "My dog is called Fitzo.",
    "My cat is called Plim.",
    "The car is parked in Elm Street.",
    "I live in Ghent.",
    "My sister Blortana lives in Oslo.",
    "I am allergic to peanuts.",
    "My favourite colour is teal.",
    "I work as a nurse at night.",
    "My birthday is on 4 May.",
    "The wifi password is qx-77-zu.",
    "I drive a Saab 900.",
    "I prefer tea to coffee.",
    "Quigley is the plumber.",
    "The rent is due on the first of the month.",
    "I play the cello on Tuesdays.",
    "My doctor is called Zelinka.",
    "I am learning Portuguese.",
    "The spare key lies under the blue pot.",
    "My brother collects stamps.",
    "I run five kilometres every morning.",
)
QUESTIONS = (
    "What are my pets called?",
    "Where is my car?",
    "What should I drink?",
    "Who is the plumber?",
    "Where does my sister live?",
)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], dict[str, Check]]:
    """What doctor says, by name; the embedder is not what is looked at here, so a quick one is there."""
    monkeypatch.setattr("memory.index.embedder.load_embedder", lambda setting: HashEmbedder())
    return lambda home, model: {check.name: check for check in examine(home, model)}


def test_doctor_on_a_deleted_adapter_and_a_model_that_is_not_there(tmp_path: Path, checks: Any) -> None:
    home, spec = tmp_path / "home", resolve(str(shared_model()))
    db = open_home(home)
    registry = AdapterRegistry(db, home)
    meta = {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto", "status": "promoted"}
    registry.activate(registry.add(shared_adapter(), meta).version, "test")
    db.close()
    assert checks(home, str(shared_model()))["adapter"].ok
    shutil.rmtree(home / "adapters" / "v1")
    adapter = checks(home, str(shared_model()))["adapter"]
    assert not adapter.ok
    assert "v1" in adapter.text
    assert "attune policy rollback" in adapter.todo
    found = checks(home, str(tmp_path / "nowhere"))
    assert not found["adapter"].ok
    assert "attune policy" in found["adapter"].todo
    assert not found["model"].ok
    assert str(tmp_path / "nowhere") in found["model"].todo
    assert found["database"].ok
    assert found["index"].ok


@pytest.mark.parametrize("damage", ["no database", "rubbish inside"])
def test_doctor_on_a_corrupt_database(tmp_path: Path, checks: Any, damage: str) -> None:
    home = tmp_path / "home"
    db = open_home(home)
    with db.transaction() as connection:
        connection.execute("CREATE TABLE much (text TEXT)")
        connection.executemany("INSERT INTO much VALUES (?)", [("x" * 500,)] * 500)
    db.close()
    path = home / "attune.db"
    body = bytearray(path.read_bytes())
    if damage == "no database":
        body[:] = b"this is no database" * 1000
    else:
        body[len(body) // 2 :] = b"\xa5" * (len(body) - len(body) // 2)
    path.write_bytes(body)
    found = checks(home, str(shared_model()))
    assert not found["database"].ok
    assert str(path) in found["database"].todo
    assert "restores what can still be read" in found["database"].todo
    assert found["backups"].ok
    for name in ("index", "adapter"):
        assert (found[name].ok, found[name].todo) == (False, "Put the database in order first.")
    assert found["model"].ok


def test_the_log_never_outgrows_its_bound(tmp_path: Path) -> None:
    log = logging.getLogger("attune.test")
    start_log(tmp_path)
    try:
        for number in range(6_000):
            log.info("%d %s", number, "x" * 1_000)
    finally:
        stop_log()
    files = sorted((tmp_path / "logs").iterdir())
    assert [path.name for path in files] == ["attune.log", *(f"attune.log.{at + 1}" for at in range(KEPT))]
    assert all(path.stat().st_size <= SIZE for path in files)
    assert "5999 x" in (tmp_path / "logs" / "attune.log").read_text(encoding="utf-8").splitlines()[-1]
    start_log(tmp_path)
    try:
        log.info("after a restart")
    finally:
        stop_log()
    assert "after a restart" in (tmp_path / "logs" / "attune.log").read_text(encoding="utf-8")
    assert len(list((tmp_path / "logs").iterdir())) <= KEPT + 1


def test_a_rebuilt_index_gives_the_same_ids_order_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], minilm: Any
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("ATTUNE_HOME", str(home))
    # one loaded embedder for all commands of this test
    monkeypatch.setattr("memory.index.embedder.load_embedder", lambda setting: minilm)

    def attune(*arguments: str) -> Any:
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    def results() -> list[list[tuple[str, float]]]:
        found = [attune("memory", "search", question)["results"] for question in QUESTIONS]
        return [[(one["memory_id"], one["score"]) for one in some] for some in found]

    for fact in FACTS:
        attune("memory", "add", fact)
    before = results()
    assert all(before)
    shutil.rmtree(home / "index")
    assert attune("memory", "rebuild") == {"memories": len(FACTS)}
    after = results()
    assert [[one for one, _ in some] for some in after] == [[one for one, _ in some] for some in before]
    for was, now in zip(before, after, strict=True):
        assert [score for _, score in now] == pytest.approx([score for _, score in was], abs=1e-4)
