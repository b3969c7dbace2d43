"""`attune forget`, `attune policy delete` and `/forget`: what goes, what is marked, and what is said."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent import commands
from agent.commands import CommandContext
from agent.events import ReplyDone
from agent.runtime import Runtime
from memory.database import open_home
from memory.errors import AttuneError
from memory.facts import Facts
from memory.journal import Journal
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from tests.agent.command_line import Attune, runner, sentence
from tests.memory.forgettable import told
from tests.policies.light import light_adapter, light_meta

Make = Callable[..., Runtime]
DOG = "My dog is called Fitzo."


@dataclass
class Home:
    """A home with one memory, and three rated replies, each of which an adapter was trained on.

    v1 knows the reply that is only rated, v2 the one that was shown the memory, v3 (which speaks) the third.
    """

    path: Path
    replies: list[str]
    conversation: str
    memory: str

    @contextmanager
    def registry(self) -> Iterator[AdapterRegistry]:
        with closing(open_home(self.path)) as db:
            yield AdapterRegistry(db, self.path)


@pytest.fixture
def kept(home: Path, tmp_path: Path) -> Home:
    folder, base = light_adapter(tmp_path / "trained"), resolve(None)
    with closing(open_home(home)) as db:
        journal, registry = Journal(db), AdapterRegistry(db, home)
        memory = Facts(db).remember(DOG)
        said = [
            told(journal, "Tell me about tea.", "Leaves."),
            told(journal, "Who is Fitzo?", "Your dog.", [memory]),
            told(journal, "Tell me about rain.", "Water."),
        ]
        for reply in said:
            event = journal.rate(reply.id, 1)
            registry.add(folder, light_meta(event.id, base=base.name, base_sha256=base.sha256))
        registry.activate("v3", "test")
    return Home(home, [one.id for one in said], said[2].conversation_id, memory.id)


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Attune:
    monkeypatch.setenv("ATTUNE_HOME", str(home))
    return runner(monkeypatch, capsys)


def test_a_rating_a_memory_and_a_conversation(run: Attune, kept: Home) -> None:
    assert run("forget", "--json").json == {
        "retrained": None, "deleted": [], "active": "v3", "active_marked": False, "all_marked": {}, "say": [],
    }  # fmt: skip
    gone = run("forget", "rating", kept.replies[0], "--json").json
    assert (gone["forgotten"], gone["marked"], gone["active_marked"]) == ({"ratings": 1}, ["v1"], False)
    gone = run("forget", "memory", kept.memory, "--json").json
    assert (gone["forgotten"], gone["marked"]) == ({"memories": 1}, ["v2"])
    said = run("forget", "conversation", kept.conversation)
    assert said.out.splitlines() == [
        "Forgotten: 1 reply, 1 rating.",
        "v3 speaks and was trained on 1 rating that was forgotten since:"
        " `attune forget --retrain` trains one without it.",
        "v1 was trained on 1 rating that was forgotten since; it does not speak.",
        "v2 was trained on 1 memory that was forgotten since; it does not speak.",
        "`attune forget --purge` deletes marked adapters that do not speak, files and all.",
    ]
    with closing(open_home(kept.path)) as db:
        assert Journal(db).ledger() == []
    listed = run("policy", "list", "--json").json["adapters"]
    assert [one["forgotten"] for one in listed] == [
        {"feedback": 1},
        {"memory": 1, "reply": 1},
        {"feedback": 1, "reply": 1},
    ]


def test_what_is_not_there_is_a_sentence_and_forgets_nothing(run: Attune, kept: Home) -> None:
    for kind, hint in (
        ("rating", "reply ids"),
        ("conversation", "sessions list"),
        ("memory", "attune memory list"),
    ):
        assert hint in sentence(run("forget", kind, "nothing-such"))
    assert run("forget", "--json").json["all_marked"] == {}
    assert run("forget", "dreams", "x").code == 2


@pytest.mark.parametrize(("answer", "left"), [("n\n", 3), ("y\n", 2)])
def test_on_a_terminal_it_asks_first(
    run: Attune, kept: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    answer: str, left: int,
) -> None:  # fmt: skip
    from agent.cli import main

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(["forget", "rating", kept.replies[0]]) == 0
    asked = capsys.readouterr()
    assert "Forget for good what you thought of this reply (1 rating)?" in asked.err
    assert ("Nothing was forgotten." in asked.err) == (left == 3)
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert main(["forget", "rating", kept.replies[1], "--yes"]) == 0
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert main(["forget", "--yes", "rating", kept.replies[2]]) == 0
    with closing(open_home(kept.path)) as db:
        assert len(Journal(db).signals()) == left - 2


def test_purging_and_deleting(run: Attune, kept: Home) -> None:
    for reply in (kept.replies[0], kept.replies[2]):
        run("forget", "rating", reply)
    assert "v3 is the active version" in sentence(run("policy", "delete", "v3"))
    assert run("forget", "--purge", "--json").json["deleted"] == ["v1"]
    assert "attune forget --retrain" in sentence(run("forget", "--purge"))
    run("policy", "use", "base")
    assert run("policy", "delete", "v3", "--json").json == {"deleted": "v3"}
    assert [path.name for path in (kept.path / "adapters").iterdir()] == ["v2"]
    assert "no adapter 'v3'" in sentence(run("policy", "show", "v3"))


def test_a_retraining_that_cannot_be_done_leaves_the_base_speaking(run: Attune, kept: Home) -> None:
    for reply in kept.replies[:2]:
        run("forget", "rating", reply)
    done = run("forget", "rating", kept.replies[2], "--retrain", "--json")
    assert "Nothing has been rated yet" in sentence(done)
    assert (done.json["marked"], done.json["retrained"]) == (["v3"], None)
    assert (done.json["active"], done.json["active_marked"]) == (None, False)
    with kept.registry() as registry:
        assert "without what was forgotten" in registry.activations()[-1]["reason"]


@pytest.mark.parametrize("before", [("--retrain", "--json"), ("--yes", "--retrain")], ids=" ".join)
def test_what_stands_before_the_name_holds_for_it(run: Attune, kept: Home, before: tuple[str, ...]) -> None:
    for reply in kept.replies[:2]:
        run("forget", "rating", reply)
    done = run("forget", *before, "rating", kept.replies[2])
    assert "Nothing has been rated yet" in sentence(done), "it was to be trained again"
    assert ("--json" in before) == done.out.startswith("{")


@pytest.mark.parametrize("alone", ["--everything", "--purge"])
def test_what_forgets_more_than_one_thing_stands_alone(run: Attune, kept: Home, alone: str) -> None:
    refused = run("forget", alone, "--yes", "rating", kept.replies[0])
    assert f"`attune forget {alone}` takes no `rating` beside it" in sentence(refused)
    with closing(open_home(kept.path)) as db:
        assert len(Journal(db).signals()) == 3


def test_doctor_says_what_to_do_about_a_marked_adapter(kept: Home) -> None:
    from agent.config import Settings
    from agent.doctor import _adapters

    def check() -> tuple[bool, str, str]:
        with closing(open_home(kept.path)) as db:
            found = _adapters(kept.path, db, Settings())
        return found.ok, found.text, found.todo

    assert check()[0]
    with closing(open_home(kept.path)) as db:
        Journal(db).delete_conversation(kept.conversation)
    ok, _, todo = check()
    assert not ok
    assert "v3 speaks and was trained on 1 rating that was forgotten since" in todo
    with kept.registry() as registry:
        registry.activate(None, "test")
    ok, text, _ = check()
    assert ok
    assert "`attune forget --purge`" in text


def test_an_interrupted_forgetting_is_finished_when_the_home_is_opened(kept: Home) -> None:
    with closing(open_home(kept.path)) as db:
        (kept.path / "index" / "left.bin").write_bytes(b"vectors of Fitzo")
        Facts(db).forget(kept.memory)  # the transaction alone, without the index
    Runtime.open(kept.path).close()
    assert list((kept.path / "index").iterdir()) == []
    with closing(open_home(kept.path)) as db:
        assert db.rows("SELECT * FROM unfinished") == []


# --- the slash command --------------------------------------------------------------------------


def talk(runtime: Runtime) -> tuple[CommandContext, str]:
    done = next(event for event in runtime.loop.turn("Hello.") if isinstance(event, ReplyDone))
    return CommandContext(conversation_id=done.message.conversation_id), done.message.id


def test_the_slash_command_asks_and_then_does(make_runtime: Make, tmp_path: Path) -> None:
    runtime = make_runtime("First.")
    context, reply = talk(runtime)
    memory = runtime.recall.remember(DOG)
    event = runtime.rate(reply, 1)
    folder = light_adapter(tmp_path / "trained")
    runtime.use(runtime.registry.add(folder, light_meta(event.id)).version)

    def say(line: str) -> commands.CommandResult:
        return commands.run(runtime, f"/forget {line}", context)

    assert say("").text == "No adapter knows anything that you forgot."
    assert "/forget rating yes does it" in say("rating").text
    assert len(runtime.journal.signals()) == 1
    said = say("rating yes").text
    assert "Forgotten: 1 rating." in said
    assert "v1 speaks and was trained on 1 rating that was forgotten since" in said
    assert "attune forget --retrain" in say("").text
    assert f"/forget memory {memory.id} yes" in say(f"memory {memory.id}").text
    say(f"memory {memory.id} yes")
    assert runtime.facts.all() == []
    assert "Hello." in say("conversation").text
    assert say("conversation yes").action == "new"
    assert runtime.journal.conversations() == []
    for wrong in ("dreams", "memory", "rating x y", "conversation z"):
        with pytest.raises(AttuneError, match="Use /forget rating"):
            say(wrong)
    runtime.use(None)
    assert say("purge").text == "Deleted for good: v1."
    assert say("purge").text == "No adapter is marked."


def test_nothing_left_to_learn_from_is_said_at_once(make_runtime: Make, tmp_path: Path) -> None:
    runtime = make_runtime("First.")
    context, reply = talk(runtime)
    with pytest.raises(AttuneError, match="Nothing has been rated yet"):
        commands.run(runtime, "/forget retrain", context)
    event = runtime.rate(reply, 1)
    runtime.use(runtime.registry.add(light_adapter(tmp_path / "trained"), light_meta(event.id)).version)
    commands.run(runtime, "/forget rating yes", context)
    done = commands.run(runtime, "/forget retrain", context)
    assert done.text.startswith("Nothing has been rated yet")
    assert done.text.endswith("The base speaks, in the place of v1.")
    assert (done.action, runtime.clock.updating, runtime.active_adapter()) == ("none", False, None)


def test_what_an_adapter_said_in_its_report_is_forgotten_too(run: Attune, kept: Home, tmp_path: Path) -> None:
    report = {
        "algorithm": "kto",
        "samples": [{"text": "Shall we walk Fitzo?", "truncated": False}, {"text": "Rain is water."}],
        "reasons": ["It repeats 'my dog is called Fitzo' in every reply."],
    }
    with kept.registry() as registry:
        registry.add(light_adapter(tmp_path / "fourth"), light_meta(report=report))
    run("forget", "memory", kept.memory)
    with kept.registry() as registry:
        left = registry.get("v4").report
    assert left["algorithm"] == "kto"
    assert [one["text"] for one in left["samples"]] == ["Shall we walk (forgotten)?", "Rain is water."]
    assert left["reasons"] == ["It repeats '(forgotten)' in every reply."]
    held = [path for path in kept.path.rglob("*") if path.is_file() and b"fitzo" in path.read_bytes().lower()]
    assert held == []


# --- all of it, with a model ----------------------------------------------------------------------


@pytest.mark.slow
def test_retraining_makes_an_adapter_without_it(attune: Attune, home: Path) -> None:
    prompts = "".join(f"Tell me about number {number}.\n" for number in range(8))
    asked = attune("ask", "--stdin", "--json", "--no-memory", stdin=prompts).lines
    for number, one in enumerate(asked):
        attune("rate", one["reply_id"], "up" if number % 2 else "down")
    attune("train", "--json")
    attune("policy", "use", "v1")
    gone = attune("forget", "rating", asked[0]["reply_id"], "--retrain", "--json").json
    assert gone["marked"] == ["v1"]
    assert gone["retrained"]["adapter"] == "v2"
    assert gone["retrained"]["signals"] == 7
    assert gone["active"] in (None, "v2"), "a marked adapter never speaks after a retraining"
    assert attune("forget", "--purge", "--json").json["deleted"] == ["v1"]
    shown = attune("policy", "show", "v2", "--json").json
    assert shown["forgotten"] == {}
    assert asked[0]["reply_id"] not in json.dumps(shown["report"])
