"""`attune learn` and /learn, and how passages reach a reply, its footer and Why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent import commands
from agent.commands import CommandContext
from agent.documents import SHARE, sources_line
from agent.events import RecallDone, ReplyDone, ToolFinished
from agent.runtime import Runtime
from memory.errors import AttuneError
from memory.forgetting.withheld import withheld
from memory.records import Passage
from tests.agent.command_line import Attune
from tests.agent.scripted import call

BOAT = "The blue boat lies in the harbour of Lindau."


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "my notes"
    folder.mkdir()
    (folder / "boat.md").write_text(f"# Boat\n\n{BOAT}\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4")
    return folder


def done(runtime: Runtime, text: str) -> ReplyDone:
    [end] = [event for event in runtime.loop.turn(text) if isinstance(event, ReplyDone)]
    return end


def test_a_reply_is_shown_passages_and_cites_them(make_runtime: Callable[..., Runtime], notes: Path) -> None:
    runtime = make_runtime("In Lindau.")
    said = commands.run(runtime, f"/learn '{notes}'", CommandContext())
    assert "1 learned" in said.text
    assert "broken.pdf" in said.text
    events = list(runtime.loop.turn("Where does the blue boat lie?"))
    [recalled] = [event for event in events if isinstance(event, RecallDone)]
    assert [one.text for one in recalled.passages] == [BOAT]
    [end] = [event for event in events if isinstance(event, ReplyDone)]
    assert end.generation.messages[-1]["content"] == (
        f"<memories>\n- [1] {BOAT}\n</memories>\n\nWhere does the blue boat lie?"
    )
    assert sources_line(end.generation.passages) == "Sources: [1] boat.md, line 3"
    why = runtime.why(end.message.id).generation
    assert (Path(why.passages[0].path), why.passages[0].place) == (notes / "boat.md", "line 3")
    assert why.passages == end.generation.passages


def test_a_reply_made_again_is_shown_the_same_passages(
    make_runtime: Callable[..., Runtime], notes: Path
) -> None:
    runtime = make_runtime("In Lindau.", "By the lake.")
    runtime.documents.learn([notes])
    first = done(runtime, "Where does the blue boat lie?")
    [again] = [event for event in runtime.loop.regenerate(first.message.id) if isinstance(event, ReplyDone)]
    assert again.generation.passages == first.generation.passages != ()


def test_memories_come_first_and_share_the_budget(make_runtime: Callable[..., Runtime], notes: Path) -> None:
    runtime = make_runtime("In Lindau.")
    runtime.documents.learn([notes])
    runtime.recall.remember("The blue boat is called Marta.")
    sent = done(runtime, "Where does the blue boat lie?").generation.messages[-1]["content"]
    assert sent.startswith(f"<memories>\n- The blue boat is called Marta.\n- [1] {BOAT}\n")


def test_the_recall_tool_searches_documents_too(make_runtime: Callable[..., Runtime], notes: Path) -> None:
    look = call("recall", query="Where does the blue boat lie?")
    runtime = make_runtime(look, "In Lindau.", look, "Still in Lindau.")
    runtime.documents.learn([notes])
    runtime.recall.remember("The blue boat is called Marta.")
    shown = done(runtime, "Hello there.").generation
    [result] = [one["content"] for one in shown.messages if one["role"] == "tool"]
    assert result == f"- The blue boat is called Marta.\n[1] {BOAT}"
    assert sources_line(shown.passages) == "Sources: [1] boat.md, line 3"
    # what stands in the prompt already is not told twice
    again = done(runtime, "Where does the blue boat lie?").generation
    results = [one["content"] for one in again.messages if one["role"] == "tool"]
    assert results == ["- The blue boat is called Marta."]
    assert [one.text for one in again.passages] == [BOAT]


def test_what_the_recall_tool_told_is_forgotten_with_its_file(
    make_runtime: Callable[..., Runtime], tmp_path: Path
) -> None:
    runtime = make_runtime(call("recall", query="Where is the golden key?"), "Ok.", "Fine.")
    secret = tmp_path / "secret.md"
    secret.write_text("The Zquirlbat hides the golden key\nbelow the third stone of the wall.\n")
    runtime.documents.learn([secret])
    first = done(runtime, "Hello there.")
    [told] = [one["content"] for one in first.generation.messages if one["role"] == "tool"]
    assert told == "[1] The Zquirlbat hides the golden key below the third stone of the wall."
    talk = first.message.conversation_id
    [second] = [
        event
        for event in runtime.loop.turn("And now?", conversation_id=talk, parent_id=first.message.id)
        if isinstance(event, ReplyDone)
    ]
    assert "Zquirlbat" in str(runtime.journal.generation(second.message.id).messages)
    commands.run(runtime, f"/learn forget {secret}", CommandContext())
    for message in runtime.journal.path(second.message.id):
        assert "Zquirlbat" not in f"{message.content} {message.sent}"
    for reply in runtime.journal.replies_of(talk):
        assert "Zquirlbat" not in str(runtime.journal.generation(reply.id))
    assert withheld(runtime.journal.db) == {first.message.id, second.message.id}


def test_what_a_document_says_does_not_become_a_fact_about_the_owner(
    make_runtime: Callable[..., Runtime], tmp_path: Path
) -> None:
    """Neither in the turn that is shown it nor in a later one, which has it as history."""
    claim = call("remember", fact="The owner is a convinced vegetarian.")
    runtime = make_runtime(claim, "Ok.", claim, "Fine.")
    (tmp_path / "found.md").write_text(
        "The kitchen is not to be used after ten. I am a\nconvinced vegetarian. The oven is old."
    )
    runtime.documents.learn([tmp_path / "found.md"])
    first = list(runtime.loop.turn("What does the note about the kitchen and the oven say?"))
    [end] = [event for event in first if isinstance(event, ReplyDone)]
    assert end.generation.passages != ()
    later = runtime.loop.turn(
        "And then?", conversation_id=end.message.conversation_id, parent_id=end.message.id
    )
    for events in (first, list(later)):
        [saved] = [event.result for event in events if isinstance(event, ToolFinished)]
        assert saved.startswith("Not saved: That was recalled")
    assert runtime.facts.all() == []


def test_recalls_of_one_turn_share_one_budget(make_runtime: Callable[..., Runtime], tmp_path: Path) -> None:
    names = ("boat", "engine", "garden", "kitchen")
    for name in names:
        filling = " ".join(f"{name}{n}" for n in range(30))
        (tmp_path / f"{name}.md").write_text(f"The {name} is described here: {filling}.")
    looks = [call("recall", query=f"The {name} is described here") for name in names[1:]]
    runtime = make_runtime(*looks, "So it is.", context_length=400)
    runtime.documents.learn([tmp_path / f"{name}.md" for name in names])
    shown = done(runtime, "How is the boat described here?").generation.passages
    assert 0 < sum(len(one.text.split()) for one in shown) <= 400 // SHARE


def test_a_small_context_gets_no_passages_beyond_its_share(
    make_runtime: Callable[..., Runtime], notes: Path
) -> None:
    runtime = make_runtime("Hello.", context_length=40)
    runtime.documents.learn([notes])
    assert done(runtime, "Where does the blue boat lie?").generation.passages == ()


def test_without_memory_nothing_is_shown(make_runtime: Callable[..., Runtime], notes: Path) -> None:
    runtime = make_runtime("Hello.", memory=False)
    runtime.documents.learn([notes])
    assert done(runtime, "Where does the blue boat lie?").generation.passages == ()


def test_the_slash_command_lists_and_forgets(make_runtime: Callable[..., Runtime], notes: Path) -> None:
    runtime = make_runtime("Hello.")
    assert "Nothing was learned yet" in commands.run(runtime, "/learn", CommandContext()).text
    told: list[float] = []
    context = CommandContext(progress=lambda share, what: told.append(share), cancelled=lambda: False)
    commands.run(runtime, f'/learn "{notes}"', context)
    assert told
    assert "boat.md" in commands.run(runtime, "/learn list", CommandContext()).text
    assert "boat.md" in commands.run(runtime, f"/learn forget '{notes}'", CommandContext()).text
    assert runtime.documents.store.all() == []
    for line in (
        "/learn forget",
        "/learn 'open",
        "/learn forget a b",
        f"/learn '{notes}/missing.md'",
        "/learn ~nobody-of-this-name/x",
        f"/learn {'x' * 300}",
    ):
        with pytest.raises(AttuneError):
            commands.run(runtime, line, CommandContext())


def test_a_command_that_is_stopped_says_so(make_runtime: Callable[..., Runtime], notes: Path) -> None:
    runtime = make_runtime("Hello.")
    said = commands.run(runtime, f"/learn '{notes}'", CommandContext(cancelled=lambda: True))
    assert "stopped" in said.text
    assert runtime.documents.store.all() == []


def test_files_of_one_name_are_cited_by_their_paths() -> None:
    one, two = (Passage((n,), f"d{n}", f"/{n}/notes.md", "page 2", "x", 0.5) for n in (1, 2))
    assert sources_line([one, two]) == "Sources: [1] /1/notes.md, page 2 \u00b7 [2] /2/notes.md, page 2"
    assert sources_line([one, one]) == "Sources: [1] notes.md, page 2 \u00b7 [2] notes.md, page 2"
    assert sources_line([]) == ""


def test_the_command_line_learns_lists_asks_and_forgets(attune: Attune, notes: Path) -> None:
    report = attune("learn", str(notes), "--json").json
    assert [Path(path).name for path in report["added"]] == ["boat.md"]
    assert [Path(one["path"]).name for one in report["skipped"]] == ["broken.pdf"]
    assert attune("learn", str(notes), "--json").json["unchanged"] == report["added"]
    [document] = attune("learn", "--list", "--json").json["documents"]
    assert (document["passages"], document["format"]) == (1, "text")
    reply = attune("ask", "Where does the blue boat lie?", "--json").json
    [source] = reply["sources"]
    assert (source["marker"], Path(source["path"]).name, source["place"]) == (1, "boat.md", "line 3")
    shown = attune("ask", "Where does the blue boat lie?")
    assert "Sources: [1] boat.md, line 3" in shown.err
    where, text, why = attune("memory", "search", "the blue boat", "--explain").out.splitlines()
    assert where.endswith("boat.md, line 3")
    assert (text.strip(), "similarity" in why) == (BOAT, True)
    [passage] = attune("memory", "search", "the blue boat", "--json").json["passages"]
    assert (passage["text"], passage["place"]) == (BOAT, "line 3")
    assert attune("learn", "--forget", str(notes), "--json").json == {"forgotten": report["added"]}
    assert attune("ask", "Where does the blue boat lie?", "--json").json["sources"] == []


def test_a_file_alone_that_cannot_be_read_is_an_error(attune: Attune, notes: Path) -> None:
    result = attune("learn", str(notes / "broken.pdf"))
    assert "Skipped" in result.out
    assert "Nothing was learned; " in result.sentence
    assert "broken.pdf: " in result.sentence
    as_json = attune("learn", str(notes / "broken.pdf"), "--json")
    assert (len(as_json.json["skipped"]), as_json.sentence) == (1, result.sentence)
    assert attune("learn").code == 2
    assert attune("learn", str(notes), "--list").code == 2
    assert "check its name" in attune("learn", str(notes / "missing")).sentence
