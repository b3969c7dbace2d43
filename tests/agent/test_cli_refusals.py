"""Commands that cannot be done: one sentence each, and the exit code that was promised."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config import ConfigError, load_settings
from memory.database import open_home
from memory.journal import Journal
from tests.agent.command_line import Attune, sentence
from tests.support import ROOT


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
        ("top_p = 'warm'", "top_p to 'warm'"),
        ("temprature = 0.5", "did you mean 'temperature'?"),
        ("model = [", "not valid TOML"),
        ('tools_allowed = ["clock", "shell"]', "there is no tool 'shell', the tools are clock, calculator,"),
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


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ("clock,calculator", ("clock", "calculator")),
        (" recall , ", ("recall",)),
        ('["clock"]', ("clock",)),
        ("[]", ()),
        ("", ()),
        ("shell", "ATTUNE_TOOLS_ALLOWED to 'shell': there is no tool 'shell'"),
        ("[clock", "ATTUNE_TOOLS_ALLOWED to '[clock'"),
        ("[1]", "ATTUNE_TOOLS_ALLOWED.0 to 1"),
    ],
)
def test_tools_named_in_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch, said: str, allowed: tuple[str, ...] | str
) -> None:
    monkeypatch.setenv("ATTUNE_TOOLS_ALLOWED", said)
    if isinstance(allowed, str):
        with pytest.raises(ConfigError, match=re.escape(allowed)):
            load_settings(home)
    else:
        assert load_settings(home).tools_allowed == allowed


def test_a_log_level_that_there_is_none_of(attune: Attune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_LOG", "loud")
    assert "ATTUNE_LOG to 'loud', which is none of DEBUG, INFO" in sentence(attune("memory", "list"))
    assert "ATTUNE_LOG" in attune("doctor").out
    for level in ("", "debug", "WARNING", "warn"):
        monkeypatch.setenv("ATTUNE_LOG", level)
        assert attune("memory", "list").code == 0


def test_a_home_that_cannot_be_written(attune: Attune, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    assert str(tmp_path / "file") in sentence(
        attune("ask", "Hello.", "--home", str(tmp_path / "file" / "home"))
    )


@pytest.mark.parametrize("inside", [".", "home"])
def test_a_home_that_is_a_file(attune: Attune, tmp_path: Path, inside: str) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a folder", encoding="utf-8")
    said = f"{file} is a file, and a home is a folder; choose a folder with --home or ATTUNE_HOME."
    assert sentence(attune("--home", str(file / inside), "memory", "list")) == f"attune: {said}"
    assert f"-> {said}\n" in attune("--home", str(file / inside), "doctor").out
    assert file.read_text(encoding="utf-8") == "not a folder"


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
        ["train", "--algorithm", "rlhf"],
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


@pytest.mark.parametrize(
    ("line", "out", "err"),
    [
        ("rate --stdin --json <&-", "", ""),
        ("rate --stdin <&-", "0 replies rated.", ""),
        ("<&-", "", "needs a terminal"),
        (">&-", "", "needs a terminal"),
        ("2>&-", "", ""),
        ("rate foreign up 2>&-", "", ""),
        ("rate foreign up <&- >&-", "", "No reply 'foreign'"),
        ("forget --everything <&-", "", "--yes"),
        ("memory list --json 2>&- <&-", '{"memories": []}', ""),
        ("memory list --json <&- >&- 2>&-", "", ""),
    ],
)
def test_a_stream_that_is_closed(tmp_path: Path, line: str, out: str, err: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m agent.cli {line}', sys.executable],
        cwd=ROOT,
        env={**os.environ, "ATTUNE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == out
    assert err in done.stderr
    assert done.stderr.count("\n") == bool(err)
    refused = err or "foreign" in line or line.startswith("2")
    assert done.returncode == bool(refused)


@pytest.mark.parametrize("stderr", ["&-", "$ATTUNE_HOME.err"])
def test_chat_that_could_not_draw(tmp_path: Path, stderr: str) -> None:
    """The screen is drawn on stderr, whatever stdin and stdout are."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" -m agent.cli 2>{stderr}', sys.executable],
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm-256color", "ATTUNE_HOME": str(tmp_path / "home")},
            stdin=theirs,
            stdout=theirs,
            timeout=60,
        )
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 1
    assert not (tmp_path / "home").exists()
    if stderr != "&-":
        assert "needs a terminal" in (tmp_path / "home.err").read_text()


def test_the_log_takes_what_the_screen_does_not(attune: Attune, tmp_path: Path) -> None:
    attune("rate", "foreign", "up")
    assert "No reply 'foreign'" in (tmp_path / "home" / "logs" / "attune.log").read_text(encoding="utf-8")
