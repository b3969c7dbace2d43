"""The command line with a tiny random-weight model: what it prints, what it keeps, how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.ask import answer
from memory.database import open_home
from memory.errors import AttuneError
from memory.journal import Journal
from tests.agent.command_line import Attune, sentence
from tests.agent.scripted import Broken, ScriptedPolicy, scripted_runtime


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


def test_memory_search_explains_its_hits(attune: Attune) -> None:
    attune("memory", "add", "My dog is called Fitzo.")
    attune("memory", "add", "The car is parked in Elm Street.")
    [line, why] = attune("memory", "search", "Who is Fitzo?", "--explain").out.splitlines()
    assert line.endswith("My dog is called Fitzo.")
    assert why.strip().startswith("similarity 0.")
    assert why.endswith("(vectors 1st, full text 1st)")
    [found] = attune("memory", "search", "Who is Fitzo?", "--explain", "--json").json["results"]
    assert found["ranks"] == {"vectors": 1, "full text": 1}
    assert found["score"] == pytest.approx(sum(found["parts"].values()), abs=1e-3)
    every = attune("memory", "search", "Who is Fitzo?", "--all", "--json").json["results"]
    assert len(every) == 2


def test_rate_teaches_and_is_taken_back(attune: Attune) -> None:
    reply = attune("ask", "Hello.", "--json", "--no-memory").json["reply_id"]
    rated = attune("rate", reply, "down", "--why", "too long", "--json").json
    assert (rated["reply_id"], rated["value"], rated["ratings_until_update"]) == (reply, -1, 7)
    assert attune("rate", reply, "clear").out == "The rating is taken back.\n"
    assert attune("rate", reply, "up", "--json").json["seq"] == rated["seq"] + 2
    # as a report shortens it
    assert attune("rate", reply[:8], "down", "--json").json["reply_id"] == reply
    assert attune("forget", "rating", reply[:8], "--yes", "--json").json["forgotten"] == {"ratings": 4}


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
    assert attune("card", "reset", "brief", "--json").json == {"feature": "brief", "state": "auto"}
    for own in ("Answer in French.", "Answer in Dutch."):
        attune("card", "pin", own)
    said = attune("card", "reset", "Answer in French.").out
    assert said == "Your line is deleted: Answer in French.\n"
    assert attune("card", "reset", "Answer in Dutch.", "--json").json["state"] == "deleted"
    assert attune("card", "show", "--json").json["active"] == []


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
    markdown.write_text("# Notes\n", encoding="utf-8")
    assert "`attune export --force` replaces it" in sentence(attune("export", str(markdown)))
    assert markdown.read_text(encoding="utf-8") == "# Notes\n"
    forced = attune("export", str(markdown), "--force")
    assert forced.out == f"Written to {markdown}: 2 messages, 1 rating.\n"
    assert "writes .jsonl or .md" in sentence(attune("export", str(tmp_path / "all.docx")))
    assert "cannot be written" in sentence(attune("export", str(tmp_path / "no" / "all.md")))


def test_doctor_names_what_is_wrong_and_what_to_do(attune: Attune, tmp_path: Path) -> None:
    sound = attune("doctor", "--json").json
    assert {check["name"] for check in sound["checks"]} == {
        "versions", "config", "device", "memory", "model", "embedder", "database", "backups", "index",
        "adapter",
    }  # fmt: skip
    # how much memory is free is the machine's matter
    wrong = [check for check in sound["checks"] if not check["ok"] and check["name"] != "memory"]
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


def test_a_reply_that_breaks_off_is_printed_as_far_as_it_came_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = ScriptedPolicy(Broken("One two ", AttuneError("The model is gone.")))
    runtime = scripted_runtime(tmp_path / "home", policy, memory=False)
    with pytest.raises(AttuneError, match="The model is gone"):
        answer(runtime, "Hello.", runtime.settings.sampling(), show=True)
    runtime.close()
    assert capsys.readouterr().out == "One two \n"


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
