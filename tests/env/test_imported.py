from __future__ import annotations

import json
from pathlib import Path

import pytest

from env.imported import FOLDER, BadImport, imported


@pytest.fixture
def folder(home: Path) -> Path:
    (home / FOLDER).mkdir(parents=True)
    return home / FOLDER


def test_a_home_without_imports_has_none(home: Path, folder: Path) -> None:
    assert imported(home) == []
    assert imported(home / "nowhere") == []


def test_every_assistant_turn_is_imitated_under_what_was_said_before(home: Path, folder: Path) -> None:
    turns = [("system", "Be kind."), ("user", "Trees?"), ("assistant", " Tall. "), ("user", "And rivers?")]
    chat = [{"role": role, "content": text} for role, text in [*turns, ("assistant", "Long.")]]
    greeting = [{"role": "assistant", "content": "Hello."}]
    lines = [json.dumps({"messages": chat}), "", json.dumps({"messages": greeting, "id": 7})]
    (folder / "chats.jsonl").write_text("\n".join(lines), encoding="utf-8")
    first, second = imported(home)
    assert (first.reply, second.reply) == ("Tall.", "Long.")
    assert [turn["role"] for turn in first.messages] == ["system", "user"]
    assert len(second.messages) == 4
    assert first.file == "chats.jsonl"


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_a_chat_may_hold_the_line_ends_of_unicode(home: Path, folder: Path, mark: str) -> None:
    chat = [{"role": "user", "content": "Trees?"}, {"role": "assistant", "content": f"Tall.{mark}Green."}]
    line = json.dumps({"messages": chat}, ensure_ascii=False)
    (folder / "chats.jsonl").write_bytes(f"{line}\r\n\r\n{line}\r\n{{\r\n".encode())
    with pytest.raises(BadImport, match="line 4"):
        imported(home)
    (folder / "chats.jsonl").write_bytes(f"{line}\r\n\r\n{line}\r\n".encode())
    assert [text.reply for text in imported(home)] == [f"Tall.{mark}Green."] * 2


def test_prose_is_cut_into_paragraphs(home: Path, folder: Path) -> None:
    (folder / "b.md").write_text("# Title\n\nThe river is long and cold.\nIt runs to the sea.\n \n\nShort.\n")
    (folder / "a.TXT").write_bytes(b"\xef\xbb\xbfTrees are green in the summer.")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    assert [(text.reply, text.file) for text in imported(home)] == [
        ("Trees are green in the summer.", "a.TXT"),
        ("The river is long and cold.\nIt runs to the sea.", "b.md"),
    ]
    assert [text.messages[-1]["role"] for text in imported(home)] == ["user", "user"]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "3",
        '{"text": "Hello."}',
        '{"messages": 3}',
        '{"messages": [{"role": "user"}]}',
        '{"messages": [{"role": "user", "content": 3}]}',
        '{"messages": [{"role": "narrator", "content": "a"}]}',
    ],
)
def test_what_is_no_chat_is_named(home: Path, folder: Path, line: str) -> None:
    (folder / "chats.jsonl").write_text(f'\n{{"messages": []}}\n{line}\n')
    with pytest.raises(BadImport, match=r"chats\.jsonl, line 3, is no chat"):
        imported(home)


def test_a_file_that_is_not_text_is_named(home: Path, folder: Path) -> None:
    (folder / "notes.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(BadImport, match=r"notes\.txt cannot be read"):
        imported(home)
