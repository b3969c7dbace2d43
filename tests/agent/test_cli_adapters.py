"""`attune policy` and `attune train` with a tiny random-weight model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memory.database import open_home
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from tests.agent.command_line import Attune, sentence
from tests.policies.tiny_models import make_adapter, make_model


def put_adapter(home: Path, model: Path, folder: Path, seed: int, status: str = "promoted") -> str:
    db = open_home(home)
    spec = resolve(str(model))
    adapter = AdapterRegistry(db, home).add(
        make_adapter(folder, model, seed=seed),
        {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto", "status": status, "signals": 8},
    )
    db.close()
    return adapter.version


def test_policy_use_show_and_rollback(attune: Attune, tmp_path: Path, tiny: Path) -> None:
    home = tmp_path / "home"
    assert attune("policy", "list", "--json").json == {"active": None, "adapters": []}
    assert "nothing to roll back" in sentence(attune("policy", "rollback"))
    plain = attune("ask", "Hello.", "--json", "--no-memory", "--temperature", "0").json
    version = put_adapter(home, tiny, tmp_path / "lora", seed=1)
    assert attune("policy", "use", version, "--json").json == {"active": version}
    asked = attune("ask", "Hello.", "--json", "--no-memory", "--temperature", "0").json
    assert asked["policy"]["adapter"] == version
    assert asked["text"] != plain["text"]
    listed = attune("policy", "list", "--json").json
    assert listed["active"] == version
    assert listed["adapters"][0]["status"] == "promoted"
    assert attune("policy", "show", version, "--json").json["signals"] == 8
    assert attune("policy", "rollback", "--json").json == {"active": None}
    again = attune("ask", "Hello.", "--json", "--no-memory", "--temperature", "0").json
    assert again["text"] == plain["text"]
    assert "no adapter 'v99'" in sentence(attune("policy", "use", "v99"))


def test_a_corrupt_adapter_never_speaks(attune: Attune, tmp_path: Path, tiny: Path) -> None:
    home = tmp_path / "home"
    attune("policy", "list")
    version = put_adapter(home, tiny, tmp_path / "lora", seed=1)
    attune("policy", "use", version)
    weights = home / "adapters" / version / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    asked = attune("ask", "Hello.", "--json", "--no-memory")
    assert asked.json["policy"]["adapter"] is None
    assert version in asked.err
    assert attune("policy", "use", version).code == 1


def test_an_adapter_of_another_base_stays_out(attune: Attune, tmp_path: Path, tiny: Path) -> None:
    other = make_model(tmp_path / "other", seed=5, max_position_embeddings=4096)
    attune("policy", "list")
    version = put_adapter(tmp_path / "home", other, tmp_path / "lora", seed=1)
    assert "another base" in sentence(attune("policy", "use", version))
    assert attune("--model", str(other), "policy", "use", version, "--json").json == {"active": version}
    assert attune("policy", "list", "--json").json["active"] is None
    assert attune("policy", "show", version, "--json").json["active"] is False
    doctor = attune("doctor").out
    assert "the base speaks" in doctor
    assert f"`/model {other}`" in doctor
    asked = attune("ask", "Hello.", "--json", "--no-memory")
    assert asked.json["policy"] == {"base": "tiny", "adapter": None}
    assert f"The adapter {version} belongs to the model other" in asked.err
    asked = attune("ask", "Hello.", "--json", "--no-memory", "--model", str(other)).json
    assert asked["policy"] == {"base": "other", "adapter": version}


@pytest.mark.slow
def test_train_needs_ratings_and_then_makes_an_adapter(attune: Attune) -> None:
    assert "rate a few replies" in sentence(attune("train", "--json"))
    prompts = "".join(f"Tell me about number {number}.\n" for number in range(8))
    asked = attune("ask", "--stdin", "--json", "--no-memory", stdin=prompts).lines
    ratings = [
        {"reply_id": one["reply_id"], "value": "up" if number % 2 else "down"}
        for number, one in enumerate(asked)
    ]
    attune("rate", "--stdin", stdin="".join(json.dumps(line) + "\n" for line in ratings))
    trained = attune("train", "--json").json
    assert set(trained) == {
        "adapter", "algorithm", "signals", "verdict", "reasons", "held_out", "seconds", "peak_rss_mb",
    }  # fmt: skip
    assert (trained["adapter"], trained["algorithm"], trained["signals"]) == ("v1", "kto", 8)
    assert trained["verdict"] in ("promoted", "provisional", "rejected")
    assert trained["reasons"]
    speaks = attune("policy", "list", "--json").json["active"]
    assert speaks == (None if trained["verdict"] == "rejected" else "v1")
