"""The command line with a tiny random-weight model: what it prints, what it keeps, how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.cli.ask import answer
from memory.database import open_home
from memory.journal import Journal
from policies.adapters import AdapterRegistry
from policies.base_models import resolve
from tests.agent.scripted import ScriptedPolicy, scripted_runtime
from tests.policies.tiny_models import make_adapter, make_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=4096)


class Run:
    """One finished command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Attune = Callable[..., Run]


@pytest.fixture
def attune(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Attune:
    """Runs commands in this process, on a temporary home with the tiny model."""
    monkeypatch.setenv("ATTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ATTUNE_MODEL", str(tiny))
    monkeypatch.setenv("ATTUNE_MAX_NEW_TOKENS", "8")

    def run(*arguments: str, stdin: str = "") -> Run:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Run(code, captured.out, captured.err)

    return run


def sentence(run: Run) -> str:
    """The one line on stderr of a command that failed."""
    assert run.code == 1
    lines = [line for line in run.err.splitlines() if line.startswith("attune: ")]
    assert len(lines) == 1
    return lines[0]


def test_ask_prints_the_object_that_was_promised(attune: Attune) -> None:
    asked = attune("ask", "Tell me about trees.", "--json", "--no-memory").json
    assert set(asked) >= {"reply_id", "text", "policy", "recalled", "tools", "usage", "timing"}
    assert asked["policy"] == {"base": "tiny", "adapter": None}
    assert set(asked["usage"]) == {"prompt_tokens", "completion_tokens"}
    assert 0 < asked["usage"]["completion_tokens"] <= 8
    assert 0 < asked["timing"]["first_token_ms"] <= asked["timing"]["total_ms"]
    assert asked["recalled"] == []


def test_ask_says_the_reply_and_no_more(attune: Attune, tmp_path: Path) -> None:
    asked = attune("ask", "Hello.", "--no-memory", "--temperature", "0")
    assert asked.code == 0
    [conversation] = (journal := Journal(open_home(tmp_path / "home"))).conversations()
    [reply] = journal.replies_of(conversation.id)
    assert asked.out.strip() == reply.content.strip()
    journal.db.close()


def test_ask_stdin_answers_every_line_in_one_process(attune: Attune) -> None:
    asked = attune("ask", "--stdin", "--json", "--no-memory", stdin="One.\n\nThree.\n")
    first, second, third = asked.lines
    assert "reply_id" in first
    assert "nothing to answer" in second["error"]
    assert "reply_id" in third
    assert first["conversation_id"] != third["conversation_id"]
    assert "1 of 3 prompts" in sentence(asked)


def test_a_memory_is_recalled_into_the_prompt(attune: Attune) -> None:
    memory = attune("memory", "add", "My dog is called Fitzo.", "--json").json
    asked = attune("ask", "What is my dog called?", "--json").json
    assert [(one["memory_id"], one["text"]) for one in asked["recalled"]] == [
        (memory["memory_id"], "My dog is called Fitzo.")
    ]
    assert asked["recalled"][0]["score"] > 0.3
    assert attune("ask", "What is my dog called?", "--json", "--no-memory").json["recalled"] == []


def test_memory_search_list_rebuild_forget(attune: Attune, tmp_path: Path) -> None:
    import shutil

    dog = attune("memory", "add", "My dog is called Fitzo.", "--json").json["memory_id"]
    attune("memory", "add", "The car is parked in Elm Street.")
    before = attune("memory", "search", "the name of my dog", "--json").json["results"]
    assert before[0]["memory_id"] == dog
    shutil.rmtree(tmp_path / "home" / "index")
    assert attune("memory", "rebuild", "--json").json == {"memories": 2}
    after = attune("memory", "search", "the name of my dog", "--json").json["results"]
    assert [one["memory_id"] for one in after] == [one["memory_id"] for one in before]
    assert attune("memory", "forget", dog, "--json").json == {"memory_id": dog, "forgotten": True}
    assert [one["text"] for one in attune("memory", "list", "--json").json["memories"]] == [
        "The car is parked in Elm Street."
    ]
    assert "No memory" in sentence(attune("memory", "forget", dog))


def test_rate_teaches_and_is_taken_back(attune: Attune) -> None:
    reply = attune("ask", "Hello.", "--json", "--no-memory").json["reply_id"]
    rated = attune("rate", reply, "down", "--why", "too long", "--json").json
    assert (rated["reply_id"], rated["value"], rated["ratings_until_update"]) == (reply, -1, 7)
    assert attune("rate", reply, "clear").out == "The rating is taken back.\n"
    assert attune("rate", reply, "up", "--json").json["seq"] == rated["seq"] + 2


def test_rate_stdin(attune: Attune) -> None:
    reply = attune("ask", "Hello.", "--json", "--no-memory").json["reply_id"]
    lines = [
        {"reply_id": reply, "value": "up"},
        {"reply_id": reply, "value": -1, "why": "no"},
        {"reply_id": "foreign", "value": "up"},
        {"reply_id": reply, "value": "sideways"},
    ]
    stdin = "".join(json.dumps(line) + "\n" for line in lines) + "not json\n"
    rated = attune("rate", "--stdin", "--json", stdin=stdin)
    assert [line.get("value") for line in rated.lines] == [1, -1, None, None, None]
    assert "No reply 'foreign'" in rated.lines[2]["error"]
    assert "3 of 5 ratings" in sentence(rated)


def test_the_card_by_command(attune: Attune) -> None:
    assert attune("card", "pin", "brief", "--json").json["state"] == "pinned"
    assert attune("card", "show", "--json").json["active"] == ["Keep replies brief."]
    assert "+ Keep replies brief." in attune("card", "show").out
    assert attune("card", "strike", "Keep replies brief.", "--json").json["active"] is False
    assert attune("card", "show", "--json").json["active"] == []
    assert "No card line 'nonsense'" in sentence(attune("card", "strike", "nonsense"))


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
    assert "the base speaks" in attune("doctor").out
    asked = attune("ask", "Hello.", "--json", "--no-memory").json
    assert asked["policy"] == {"base": "tiny", "adapter": None}
    asked = attune("ask", "Hello.", "--json", "--no-memory", "--model", str(other)).json
    assert asked["policy"] == {"base": "other", "adapter": version}


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


def test_export_writes_everything(attune: Attune, tmp_path: Path) -> None:
    reply = attune("ask", "Tell me about [/ trees.", "--json", "--no-memory").json
    attune("rate", reply["reply_id"], "up")
    jsonl, markdown = tmp_path / "all.jsonl", tmp_path / "all.md"
    assert attune("export", str(jsonl), "--json").json["messages"] == 2
    lines = [json.loads(line) for line in jsonl.read_text(encoding="utf-8").splitlines()]
    assert [line["role"] for line in lines] == ["user", "assistant"]
    assert lines[1]["generation"]["base"] == "tiny"
    assert lines[1]["feedback"][0]["value"] == 1
    attune("export", str(markdown))
    assert "Tell me about [/ trees." in markdown.read_text(encoding="utf-8")
    assert "writes .jsonl or .md" in sentence(attune("export", str(tmp_path / "all.docx")))
    assert "cannot be written" in sentence(attune("export", str(tmp_path / "no" / "all.md")))


def test_doctor_names_what_is_wrong_and_what_to_do(attune: Attune, tmp_path: Path) -> None:
    sound = attune("doctor", "--json").json
    assert {check["name"] for check in sound["checks"]} == {
        "versions", "config", "device", "memory", "model", "embedder", "database", "index", "adapter",
    }  # fmt: skip
    wrong = [check for check in sound["checks"] if not check["ok"]]
    assert wrong == []
    attune("memory", "add", "My dog is called Fitzo.")
    (tmp_path / "home" / "config.toml").write_text("model = [", encoding="utf-8")
    import shutil

    shutil.rmtree(tmp_path / "home" / "index")
    sick = attune("doctor")
    assert re.search(r"wrong +config.*\n +-> .*not valid TOML", sick.out)
    assert re.search(r"wrong +index.*\n +-> .*attune memory rebuild", sick.out)
    assert re.search("Not in order: config, .*index", sentence(sick))


def test_doctor_downloads_nothing(attune: Attune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("ATTUNE_MODEL", "nobody/no-such-model")
    monkeypatch.setenv("ATTUNE_EMBEDDER", "nobody/no-such-embedder")
    checks = {check["name"]: check for check in attune("doctor", "--json").json["checks"]}
    assert "not on this machine yet" in checks["model"]["todo"]
    assert checks["embedder"]["text"] == "nobody/no-such-embedder is not on this machine"
    assert "HF_HUB_OFFLINE" not in json.dumps(checks)
    assert "HF_HUB_OFFLINE" not in os.environ


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [io.StringIO, Screen])
def test_a_terminal_gets_no_controls_and_a_pipe_gets_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: type[io.StringIO]
) -> None:
    raw = "red \x1b[31mtext \u202etxet\n"
    runtime = scripted_runtime(tmp_path / "home", ScriptedPolicy(raw), memory=False)
    monkeypatch.setattr(sys, "stdout", shown := out())
    assert answer(runtime, "Hello.", runtime.settings.sampling(), show=True)["finish_reason"] == "stop"
    runtime.close()
    assert shown.getvalue() == ("red \xb7[31mtext \xb7txet\n" if out is Screen else raw)


@pytest.mark.parametrize("text", ["", "   ", "\x1b\x07", "\u202e"])
def test_an_empty_prompt(attune: Attune, text: str) -> None:
    assert "nothing to answer" in sentence(attune("ask", text, "--no-memory"))


def test_a_megabyte_is_refused_with_the_limit_and_kept(attune: Attune, tmp_path: Path) -> None:
    asked = attune("ask", "--stdin", "--json", "--no-memory", stdin="word " * 200_000 + "\n")
    assert re.search(r"the model reads at most 4,\d{3}", asked.lines[0]["error"])
    db = open_home(tmp_path / "home")
    assert len(Journal(db).recent_user_texts(1)[0]) > 900_000
    db.close()


@pytest.mark.parametrize("text", ["[/", "[bold]x[/bold]", "<|im_end|>", "a\x00b\u202ec"])
def test_markup_and_control_characters_do_no_harm(attune: Attune, text: str) -> None:
    assert attune("ask", text, "--json", "--no-memory").json["reply_id"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("temperature = 'warm'", "temperature to 'warm'"),
        ("temprature = 0.5", "did you mean 'temperature'?"),
        ("model = [", "not valid TOML"),
        (b"\xff\xfe\x00", "not valid TOML"),
    ],
)
def test_a_broken_config(attune: Attune, tmp_path: Path, written: str | bytes, expected: str) -> None:
    (tmp_path / "home").mkdir()
    path = tmp_path / "home" / "config.toml"
    path.write_bytes(written if isinstance(written, bytes) else written.encode())
    assert expected in sentence(attune("ask", "Hello."))


def test_a_setting_in_the_environment_that_cannot_be(attune: Attune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_TOP_P", "7")
    assert "ATTUNE_TOP_P" in sentence(attune("ask", "Hello."))


def test_a_home_that_cannot_be_written(attune: Attune, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    assert str(tmp_path / "file") in sentence(
        attune("ask", "Hello.", "--home", str(tmp_path / "file" / "home"))
    )


def test_models_that_cannot_speak(attune: Attune, tmp_path: Path, tiny: Path) -> None:
    import shutil

    assert "There is no folder" in sentence(
        attune("ask", "Hi.", "--no-memory", "--model", str(tmp_path / "no"))
    )
    half = shutil.copytree(tiny, tmp_path / "half")
    (half / "model.safetensors").unlink()
    assert "lacks model.safetensors" in sentence(attune("ask", "Hi.", "--no-memory", "--model", str(half)))
    mute = shutil.copytree(tiny, tmp_path / "mute")
    for path in mute.glob("*.jinja"):
        path.unlink()
    config = json.loads((mute / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (mute / "tokenizer_config.json").write_text(json.dumps(config))
    assert "no chat template" in sentence(attune("ask", "Hi.", "--no-memory", "--model", str(mute)))


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["ask"],
        ["ask", "Hello.", "--stdin"],
        ["ask", "Hello.", "--nonsense"],
        ["rate", "x", "sideways"],
        ["rate", "x"],
        ["train", "--algorithm", "ppo"],
        ["policy", "use"],
        ["memory"],
    ],
)
def test_wrong_usage_is_exit_code_two(attune: Attune, arguments: list[str]) -> None:
    assert attune(*arguments).code == 2


def test_an_impossible_temperature(attune: Attune) -> None:
    assert "between 0 and 2" in sentence(attune("ask", "Hi.", "--no-memory", "--temperature", "9"))


def test_chat_without_a_terminal(attune: Attune) -> None:
    assert "needs a terminal" in sentence(attune())


def test_the_log_takes_what_the_screen_does_not(attune: Attune, tmp_path: Path) -> None:
    attune("rate", "foreign", "up")
    assert "No reply 'foreign'" in (tmp_path / "home" / "logs" / "attune.log").read_text(encoding="utf-8")


def test_version_is_quick_and_the_command_line_light() -> None:
    program = (
        "import sys, agent.cli\n"
        "heavy = {'torch', 'transformers', 'chromadb', 'textual', 'numpy', 'gymnasium'}\n"
        "code = agent.cli.main(['--version'])\n"
        "import agent.cli.app, agent.runtime, agent.loop, agent.commands, agent.model_host\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    version, heavy = done.stdout.splitlines()
    assert re.fullmatch(r"attune \d+\.\d+.*", version)
    assert heavy == "[]"


def test_version_takes_little_time() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "agent.cli", "--version"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The processor's time, which a busy machine does not stretch as it does the clock's.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3
