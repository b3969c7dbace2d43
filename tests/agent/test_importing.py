"""Export and import: the same answers, nothing twice, and a broken line costs itself alone."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.events import ReplyDone
from agent.export import ExportError, amounts, export
from agent.importing import ImportError_, import_file
from agent.runtime import Runtime
from env.datasets import rows
from memory.database import open_home
from memory.facts import Facts
from memory.forgetting.withheld import withheld
from memory.journal import Journal
from tests.agent.command_line import Attune
from tests.agent.scripted import ScriptedPolicy, call, scripted_runtime

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
    counts = export(lived.journal, file)
    other = scripted_runtime(tmp_path / "other", ScriptedPolicy("x"))
    done = import_file(other.db, file)
    assert done.broken == []
    assert done.added == counts
    assert done.added["rating"] == len(lived.journal.feedback())
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
    assert amounts(counts).startswith("9 messages, 5 ratings, ")
    written = (tmp_path / "all.md").read_text(encoding="utf-8")
    assert written.count("# Memories") == written.count("# Card") == written.count("# Documents") == 1
    assert f"- {tmp_path / 'boat.md'} (text; learned " in written


def test_markdown_tells_what_was_thought_of_a_reply(make_runtime: Make, tmp_path: Path) -> None:
    runtime = make_runtime("First.", "Second.")
    [first] = [one for one in runtime.loop.turn("Hello.") if isinstance(one, ReplyDone)]
    [second] = [one for one in runtime.loop.regenerate(first.message.id) if isinstance(one, ReplyDone)]
    runtime.rate(first.message.id, 1)
    runtime.rate(first.message.id, -1, why="far too\nlong")
    runtime.edit_reply(first.message.id, "An older version.")
    runtime.edit_reply(first.message.id, "The owner's\nversion.")
    runtime.pick(first.message.id, second.message.id)
    runtime.pick(second.message.id, first.message.id)
    counts = export(runtime.journal, tmp_path / "all.md")
    assert (tmp_path / "all.md").read_text(encoding="utf-8").split("UTC\n\n")[1] == (
        "## You\n\nHello.\n\n"
        "## Attune (picked)\n\nSecond.\n\n"
        "## Attune \N{THUMBS DOWN SIGN} \u201cfar too long\u201d (another branch)\n\nFirst.\n\n"
        "### Your version\n\nThe owner's\nversion.\n\n"
    )
    assert counts == {"message": 3, "rating": 3}


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("notes.md", "# Notes\n\nBuy tea.\n"),
        ("notes.md", "# Notes\n\n2026-11-27 09:40 UTC\n\nBuy tea.\n"),
        ("notes.md", b"\xff\xfe"),
        ("data.jsonl", '{"role": "user", "content": "Buy tea."}\n'),
        ("data.jsonl", '{"type": "message", "id": "1", "role": "user"}\n'),
        ("data.jsonl", '{"type": ["message"]}\n'),
        pytest.param("data.jsonl", "[" * 5_000, id="data.jsonl-deep"),
        ("data.jsonl", "[]"),
    ],
)
def test_a_file_that_is_no_export_is_replaced_only_when_asked_for(
    lived: Runtime, tmp_path: Path, name: str, foreign: str | bytes
) -> None:
    path, before = tmp_path / name, foreign if isinstance(foreign, bytes) else foreign.encode()
    path.write_bytes(before)
    with pytest.raises(ExportError, match="is no earlier export, so nothing was written"):
        export(lived.journal, path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
    export(lived.journal, path, force=True)
    assert BOAT.encode() in path.read_bytes() or b"boat.md" in path.read_bytes()


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(lived: Runtime, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(ExportError, match="is no earlier export"):
        export(lived.journal, tmp_path / "pipe.jsonl")


@pytest.mark.parametrize("name", ["all.md", "all.jsonl"])
def test_an_earlier_export_is_replaced(make_runtime: Make, tmp_path: Path, name: str) -> None:
    """Whatever there was in the home: each state begins with a type of thing of its own."""
    runtime, path, sizes = make_runtime("First."), tmp_path / name, []

    def exported() -> None:
        export(runtime.journal, path)
        export(runtime.journal, path)
        sizes.append(path.stat().st_size)

    exported()
    (tmp_path / "boat.txt").write_text(f"{BOAT}\n")
    runtime.documents.learn([tmp_path / "boat.txt"])
    exported()
    runtime.card.strike("brief")
    exported()
    runtime.facts.remember("My dog is called Fitzo.")
    exported()
    empty = runtime.journal.start_conversation("Tea")
    exported()
    list(runtime.loop.turn("Hello.", empty.id))
    exported()
    assert sizes == sorted(set(sizes))


def test_an_export_of_the_first_versions_is_replaced(lived: Runtime, tmp_path: Path) -> None:
    """They held messages only, and a line named no type."""
    first = {
        name: value
        for name, value in entries(lived, tmp_path)[0].items()
        if name not in ("type", "conversation")
    }
    path = write(tmp_path, [first])
    export(lived.journal, path)
    assert len(path.read_text(encoding="utf-8").splitlines()) > 1


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


def entries(runtime: Runtime, folder: Path) -> list[dict[str, Any]]:
    """The lines of an export."""
    export(runtime.journal, folder / "all.jsonl")
    return [json.loads(line) for line in (folder / "all.jsonl").read_text(encoding="utf-8").splitlines()]


def write(folder: Path, lines: list[dict[str, Any]]) -> Path:
    path = folder / "changed.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("message", "created_at", "2024-01-01"),
        ("message", "created_at", 10**30),
        ("message", "id", ["x"]),
        ("message", "feedback", 5),
        ("message", "conversation", {"title": "x"}),
        ("message", "conversation", "x"),
        ("message", "tool_calls", [{}]),
        ("message", "generation", "oops"),
        ("message", "generation.messages", "oops"),
        ("message", "generation.messages", [{"role": "user"}]),
        ("message", "generation.recalled", [{}]),
        ("message", "generation.passages", [{"ids": 5}]),
        ("message", "generation.trial", 5),
        ("memory", "id", ["x"]),
        ("memory", "created_at", "yesterday"),
        ("memory", "created_at", 1e18),
        ("memory", "bump_helped", float("inf")),
        ("message", "generation.sampling", {"temperature": float("nan")}),
        ("memory", "valid_from", {}),
        ("card", "created_at", []),
        ("document", "passages", {"text": "x"}),
        ("document", "learned_at", None),
    ],
)
def test_a_line_with_a_field_of_another_type_is_named_and_left_out(
    lived: Runtime, tmp_path: Path, kind: str, place: str, value: object
) -> None:
    lines = entries(lived, tmp_path)
    last = [one for one in lines if one["type"] == kind and one.get("role") in (None, "assistant")][-1]
    *above, name = place.split(".")
    (last[above[0]] if above else last)[name] = value
    runtime = scripted_runtime(tmp_path / "other", ScriptedPolicy("x"))
    done = import_file(runtime.db, write(tmp_path, lines))
    assert len(done.broken) == 1
    assert done.broken[0].startswith(f"line {lines.index(last) + 1}: ")
    counts = Counter(one["type"] for one in lines) - Counter([kind])
    assert {one: done.added.get(one, 0) for one in counts} == counts
    assert runtime.db.check() == []
    assert all(reply.prompt.messages for reply in rows(runtime.journal)[0])
    export(runtime.journal, tmp_path / "again.md")
    runtime.close()


def test_a_reply_without_its_generation_is_taken_and_teaches_nothing(lived: Runtime, tmp_path: Path) -> None:
    lines = entries(lived, tmp_path)
    one, two = [line for line in lines if line.get("generation")][:2]
    one["generation"] = None
    del two["generation"]
    db = open_home(tmp_path / "other")
    assert import_file(db, write(tmp_path, lines)).broken == []
    journal = Journal(db)
    assert journal.generation(one["id"]).base == journal.generation(two["id"]).base == "unknown"
    assert withheld(db) == {one["id"], two["id"]}
    assert len(journal.ledger()) == len(lived.journal.ledger()) - 2
    assert db.check() == []
    db.close()


def test_a_clock_that_went_back_cuts_no_branch(lived: Runtime, tmp_path: Path) -> None:
    lines = entries(lived, tmp_path)
    messages = [line for line in lines if line["type"] == "message"]
    for number, line in enumerate(messages):
        line["created_at"] -= 1_000 * number
    db = open_home(tmp_path / "other")
    assert import_file(db, write(tmp_path, lines[::-1])).broken == []
    journal = Journal(db)
    assert {one["id"]: one["parent_id"] for one in messages} == {
        one.id: one.parent_id for talk in journal.conversations() for one in journal.messages(talk.id)
    }
    db.close()


def test_messages_that_are_each_others_parents_start_branches(lived: Runtime, tmp_path: Path) -> None:
    lines = entries(lived, tmp_path)
    first, second = [line for line in lines if line["type"] == "message"][:2]
    first["parent_id"] = second["id"]
    db = open_home(tmp_path / "other")
    assert import_file(db, write(tmp_path, lines)).broken == []
    parents = [Journal(db).message(one["id"]).parent_id for one in (first, second)]
    assert parents == [second["id"], None]
    db.close()


def test_half_a_character_in_a_tool_call_stops_neither_turn_nor_export(
    make_runtime: Make, tmp_path: Path
) -> None:
    def rendered(messages: list[dict[str, Any]]) -> str:
        json.dumps(messages, ensure_ascii=False).encode()  # as a tokenizer wants it
        return "Saved."

    runtime = make_runtime(call("remember", text="I like tea \ud83d"), rendered)
    *_, done = (one for one in runtime.loop.turn("I like tea.") if isinstance(one, ReplyDone))
    assert done.message.content == "Saved."
    old = json.dumps([{"name": "remember", "arguments": {"text": "I like tea \ud83d"}}])
    with runtime.db.transaction() as connection:  # as older homes hold it
        connection.execute("UPDATE message SET tool_calls = ? WHERE tool_calls <> '[]'", (old,))
        connection.execute("UPDATE generation SET body = replace(body, 'personal', '\\ud83d')")
    lines = entries(runtime, tmp_path)
    export(runtime.journal, tmp_path / "all.md")
    assert "remember" in (tmp_path / "all.md").read_text(encoding="utf-8")
    db = open_home(tmp_path / "other")
    assert import_file(db, write(tmp_path, lines)).broken == []
    [one] = [one for one in Journal(db).replies_of(done.message.conversation_id) if one.tool_calls]
    assert one.tool_calls[0]["arguments"] == {"text": "I like tea \ufffd"}
    db.close()


def test_a_newer_export_brings_what_went_on_since(make_runtime: Make, tmp_path: Path) -> None:
    runtime = make_runtime("Hello.", "More.")
    facts, journal = runtime.facts, runtime.journal
    facts.remember("I live in Ghent.")
    cat, tea = facts.remember("I have a cat."), facts.remember("I like tea.", origin="inferred")
    *_, first = (one for one in runtime.loop.turn("Hello there.") if isinstance(one, ReplyDone))
    talk = first.message.conversation_id
    older, newer = tmp_path / "older.jsonl", tmp_path / "newer.jsonl"
    export(journal, older)
    facts.remember("I live in Bruges.")
    facts.retract(cat.id)
    facts.confirm(tea.id)
    *_, last = (one for one in runtime.loop.turn("Go on.", talk) if isinstance(one, ReplyDone))
    journal.rename(talk, "Renamed")
    export(journal, newer)
    db = open_home(tmp_path / "other")
    there, said = Facts(db), Journal(db)
    assert import_file(db, older).broken == []
    for file in (newer, older):  # an older one changes nothing
        assert import_file(db, file).broken == []
        assert sorted(there.all(include_past=True), key=lambda one: one.id) == sorted(
            facts.all(include_past=True), key=lambda one: one.id
        )
        assert said.conversation(talk) == journal.conversation(talk)
    # what the person looks at here stays where it is on another branch
    other = said.add_user(talk, first.message.id, "Something else.")
    export(journal, newer)
    import_file(db, newer)
    assert said.conversation(talk).head_id == other.id
    assert last.message.id in {one.id for one in said.messages(talk)}
    assert db.check() == []
    db.close()


def test_an_infinite_number_of_an_older_home_stops_nothing_and_travels(
    make_runtime: Make, tmp_path: Path
) -> None:
    runtime = make_runtime(call("calculator", expression="1"), "It is infinite.")
    *_, done = (one for one in runtime.loop.turn("What is infinity?") if isinstance(one, ReplyDone))
    runtime.rate(done.message.id, 1)
    with runtime.db.transaction() as connection:  # as older homes hold it
        for table, column in (("message", "tool_calls"), ("generation", "body")):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                ('{"expression": "1"}', '{"expression": Infinity}'),
            )
        connection.execute("DELETE FROM migration WHERE name = 'memory-0013-strict-json'")
    runtime.close()
    runtime = make_runtime("Hello.")
    events = list(runtime.loop.turn("Are you there?"))
    assert [one.message.content for one in events if isinstance(one, ReplyDone)] == ["Hello."]
    assert len(runtime.journal.ledger()) == 1
    path = tmp_path / "all.jsonl"
    export(runtime.journal, path)
    older = path.read_text(encoding="utf-8").replace('{"expression": "Infinity"}', '{"expression": Infinity}')
    assert older.count(": Infinity") == 2  # the call, and the prompt that repeats it
    path.write_text(older, encoding="utf-8")
    other = scripted_runtime(tmp_path / "other", ScriptedPolicy("Hello."))
    assert import_file(other.db, path).broken == []
    assert len(other.journal.ledger()) == 1
    events = list(other.loop.turn("Are you there?"))
    assert [one.message.content for one in events if isinstance(one, ReplyDone)] == ["Hello."]
    [called] = [one for one in other.journal.replies_of(done.message.conversation_id) if one.tool_calls]
    assert called.tool_calls[0]["arguments"] == {"expression": "Infinity"}
    other.close()


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


def test_the_command_says_that_lines_were_left_out(attune: Attune, tmp_path: Path) -> None:
    attune("memory", "add", "My dog is called Fitzo.")
    file = tmp_path / "all.jsonl"
    attune("export", str(file))
    assert attune("import", str(file)).code == 0
    file.write_text(file.read_text() + '{"type": "memory"}\nnonsense\n')
    done = attune("import", str(file), "--json", "--home", str(tmp_path / "other"))
    assert (done.json["added"], len(done.json["broken"])) == ({"memory": 1}, 2)
    assert done.code == 1
    *named, told = done.err.splitlines()
    assert [line.partition(":")[0] for line in named] == ["left out line 3", "left out line 2"]
    assert told.startswith("attune: 2 lines were left out")
    assert "import it again" in told
