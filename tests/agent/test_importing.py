"""Export and import: the same answers, nothing twice, and a broken line costs itself alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.events import ReplyDone
from agent.export import export
from agent.importing import ImportError_, import_file
from agent.runtime import Runtime
from memory.database import open_home
from memory.facts import Facts
from memory.journal import Journal
from tests.agent.scripted import ScriptedPolicy, scripted_runtime

Make = Callable[..., Runtime]
BOAT = "The blue boat lies in the harbour of Lindau."


@pytest.fixture
def lived(make_runtime: Make, tmp_path: Path) -> Runtime:
    """A home in which things were told, corrected, rated, picked and pinned."""
    runtime = make_runtime("First.", "Second.", "Third.", "Fourth.")
    for text in ("I work at Acme.", "I work at Globex since May 2023.", "My dog is called Fitzo."):
        *_, done = (one for one in runtime.loop.turn(text) if isinstance(one, ReplyDone))
        runtime.rate(done.message.id, 1, why="good")
    *_, again = (one for one in runtime.loop.turn("Where do I work?") if isinstance(one, ReplyDone))
    runtime.rate(again.message.id, -1)
    list(runtime.loop.regenerate(again.message.id))
    runtime.edit_reply(again.message.id, "At Globex.")
    runtime.facts.bump([runtime.facts.all()[0].id], helped=True)
    runtime.facts.remember("I may like tea.", origin="inferred")
    runtime.facts.retract(runtime.facts.remember("I hate rain.").id)
    runtime.card.pin("Be brief with me.")
    (tmp_path / "boat.md").write_text(f"# Boat\n\n{BOAT}\n")
    runtime.documents.learn([tmp_path / "boat.md"])
    return runtime


def state(runtime: Runtime) -> object:
    journal = runtime.journal
    return (
        sorted(map(repr, runtime.facts.all(include_past=True))),
        sorted(map(repr, journal.conversations())),
        sorted(repr(one) for talk in journal.conversations() for one in journal.messages(talk.id)),
        sorted(
            repr(journal.generation(one.id))
            for talk in journal.conversations()
            for one in journal.replies_of(talk.id)
        ),
        [(one.id, one.kind, one.value, one.why, one.text, one.other_id) for one in journal.feedback()],
        [(line.text, line.state, line.active) for line in runtime.card.lines()],
        [
            (one.memory_id, round(one.score, 3))
            for one in runtime.recall.search("Where do I work and what is my dog?")
        ],
        runtime.documents.store.all(),
        [
            (one.path, one.place, one.heading, one.text)
            for one in runtime.documents.passages.search("Where does the blue boat lie?")
        ],
    )


def test_an_import_restores_the_same_answers(lived: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    export(lived.journal, file)
    other = scripted_runtime(tmp_path / "other", ScriptedPolicy("x"))
    done = import_file(other.db, file)
    assert done.broken == []
    assert done.added["document"] == 1
    assert [one.text for one in other.documents.passages.search("Where does the blue boat lie?")] == [BOAT]
    assert state(other) == state(lived)
    assert other.db.check() == []
    again = import_file(other.db, file)
    assert (again.added, again.broken) == ({}, [])
    assert state(other) == state(lived)
    # what is imported obeys the rules as well
    other.facts.remember("I work at Initech.")
    assert "I work at Globex since May 2023." not in {one.text for one in other.facts.all()}
    other.close()


def test_what_is_written_is_counted_and_readable(lived: Runtime, tmp_path: Path) -> None:
    counts = export(lived.journal, tmp_path / "all.md")
    assert (counts["message"], counts["card"], counts["document"]) == (9, 1, 1)
    written = (tmp_path / "all.md").read_text(encoding="utf-8")
    assert written.count("# Memories") == written.count("# Card") == written.count("# Documents") == 1
    assert f"- {tmp_path / 'boat.md'} (text; learned " in written


def test_a_broken_line_is_named_and_loses_nothing_else(lived: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    export(lived.journal, file)
    lines = file.read_text(encoding="utf-8").splitlines()
    for broken in (
        "{",
        '{"type": "dream"}',
        "[]",
        '{"type": "memory", "id": "x"}',
        '{"role": "user"}',
        '"x"',
    ):
        lines.insert(len(lines) // 2, broken)
    file.write_text("\n".join(lines), encoding="utf-8")
    db = open_home(tmp_path / "other")
    done = import_file(db, file)
    assert len(done.broken) == 6
    assert all(one.startswith("line ") for one in done.broken)
    assert len(Facts(db).all(include_past=True)) == len(lived.facts.all(include_past=True))
    assert len(Journal(db).feedback()) == len(lived.journal.feedback())
    db.close()


def test_each_line_may_break_alone(lived: Runtime, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    export(lived.journal, file)
    lines = file.read_text(encoding="utf-8").splitlines()
    messages = sum(json.loads(line)["type"] == "message" for line in lines)
    for at in range(0, len(lines), 3):
        cut = tmp_path / "cut.jsonl"
        cut.write_text(
            "\n".join([*lines[:at], lines[at][: len(lines[at]) // 2], *lines[at + 1 :]]), encoding="utf-8"
        )
        db = open_home(tmp_path / f"home{at}")
        done = import_file(db, cut)
        assert done.broken[0].startswith(f"line {at + 1}:")
        lost = int(json.loads(lines[at])["type"] == "message")
        kept = db.row("SELECT COUNT(*) AS n FROM message")
        assert kept is not None
        assert kept["n"] == messages - lost
        assert db.check() == []
        db.close()


def test_what_is_no_export_is_a_sentence(tmp_path: Path) -> None:
    db = open_home(tmp_path / "home")
    with pytest.raises(ImportError_, match=r"\.jsonl"):
        import_file(db, tmp_path / "all.md")
    with pytest.raises(ImportError_, match="cannot be read"):
        import_file(db, tmp_path / "none.jsonl")
    (tmp_path / "junk.jsonl").write_bytes(b"\x00\xff\nnot json\n")
    with pytest.raises(ImportError_, match="no export of Attune: line 1"):
        import_file(db, tmp_path / "junk.jsonl")
    db.close()


def test_markdown_says_until_when_a_memory_held(lived: Runtime, tmp_path: Path) -> None:
    export(lived.journal, tmp_path / "all.md")
    text = (tmp_path / "all.md").read_text(encoding="utf-8")
    assert "- I work at Acme. (told;" in text
    assert "superseded, until 2023-0" in text
    assert "- I may like tea. (inferred;" in text
    assert "- Be brief with me. (pinned)" in text
