"""Owners on one home: nothing of one is ever seen by another, whatever they do."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.cli.app import _owner_first
from agent.export import export
from agent.forget import forget
from agent.importing import import_file
from agent.paths import home_folder, owners
from agent.runtime import Runtime
from memory.errors import AttuneError
from tests.agent.command_line import Attune, sentence
from tests.agent.scripted import HashEmbedder, ScriptedPolicy, call

NAMES = ("default", "ann", "bob")


class Owners(RuleBasedStateMachine):
    """Whatever an owner says holds a word of their own; no door of another owner ever returns it."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="attune-owners-"))
        self.open: dict[str, Runtime] = {}
        self.said = 0

    def runtime(self, name: str) -> Runtime:
        if name not in self.open:
            policy = ScriptedPolicy(
                lambda seen: call("remember", fact=seen[-1]["content"].rpartition("\n")[2]), "Fine."
            )
            self.open[name] = Runtime.open(self.home, owner=name, policy=policy, embedder=HashEmbedder())
        return self.open[name]

    def word(self, name: str) -> str:
        self.said += 1
        return f"mark{name} number{self.said}"

    @rule(name=st.sampled_from(NAMES))
    def add(self, name: str) -> None:
        self.runtime(name).recall.remember(f"The box holds {self.word(name)}.")

    @rule(name=st.sampled_from(NAMES), shape=st.sampled_from(("I live in {}.", "Remember that {} is here.")))
    def talk(self, name: str, shape: str) -> None:
        for _ in self.runtime(name).loop.turn(shape.format(self.word(name))):
            pass

    @rule(name=st.sampled_from(NAMES), value=st.sampled_from((1, -1, 0)))
    def rate(self, name: str, value: int) -> None:
        journal = self.runtime(name).journal
        for conversation in journal.conversations(limit=1):
            for reply in journal.replies_of(conversation.id)[:1]:
                self.runtime(name).rate(reply.id, value, why=self.word(name))

    @rule(name=st.sampled_from(NAMES))
    def pin(self, name: str) -> None:
        self.runtime(name).card.pin(f"Speak of {self.word(name)}.")

    @rule(name=st.sampled_from(NAMES))
    def forget_one(self, name: str) -> None:
        for memory in self.runtime(name).facts.all()[:1]:
            forget(self.runtime(name), "memory", memory.id)

    @rule(name=st.sampled_from(NAMES))
    def close(self, name: str) -> None:
        if name in self.open:
            self.open.pop(name).close()

    @invariant()
    def nothing_of_another_is_seen(self) -> None:
        for name in tuple(self.open):
            seen = self.everything_seen(name)
            for other in NAMES:
                assert other == name or f"mark{other}" not in seen

    def everything_seen(self, name: str) -> str:
        runtime = self.open[name]
        found = [memory.text for memory in runtime.facts.all(include_past=True)]
        for other in NAMES:
            found += [one.text for one in runtime.recall.search(f"mark{other} box", k=50)]
            found += [one.text for one in runtime.facts.search_text(f"mark{other}")]
            found += [one.title for one in runtime.journal.conversations(search=f"mark{other}")]
        found += runtime.journal.recent_user_texts() + runtime.card.active_lines()
        found += [event.why or "" for event in runtime.journal.feedback()]
        return "\n".join(found)

    def teardown(self) -> None:
        for runtime in self.open.values():
            runtime.close()
        shutil.rmtree(self.home, ignore_errors=True)


Owners.TestCase.settings = settings(
    max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
test_owners_are_isolated = Owners.TestCase


def test_each_owner_has_a_home_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home_folder(tmp_path) == home_folder(tmp_path, "default") == tmp_path
    assert home_folder(tmp_path, "ann") == tmp_path / "owners" / "ann"
    (tmp_path / "config.toml").write_text('owner = "bob"\n')
    assert home_folder(tmp_path) == tmp_path / "owners" / "bob"
    monkeypatch.setenv("ATTUNE_OWNER", "cleo")
    assert home_folder(tmp_path) == tmp_path / "owners" / "cleo"
    assert home_folder(tmp_path, "default") == tmp_path


@pytest.mark.parametrize("name", ["../x", "A", "a/b", "", ".", "x" * 80, "-a"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    if name:
        with pytest.raises(AttuneError, match="cannot name an owner"):
            home_folder(tmp_path, name)


@given(st.lists(st.sampled_from(("ask", "--owner", "ann", "--owner=ann", "--", "-x")), max_size=7))
def test_the_owner_may_stand_anywhere_and_nothing_is_lost(line: list[str]) -> None:
    moved = _owner_first(line)
    if moved == ["--owner"]:
        return  # see the next test
    assert sorted(moved) == sorted(line)
    if "--" in line:
        assert moved[moved.index("--") :] == line[line.index("--") :]


@pytest.mark.parametrize(
    "line", [["memory", "list", "--owner"], ["--owner"], ["--owner", "ann", "memory", "list", "--owner"],
             ["ask", "--owner", "--", "Hello."]],
)  # fmt: skip
def test_an_owner_without_a_name_is_wrong_usage(attune: Attune, home: Path, line: list[str]) -> None:
    refused = attune(*line)
    assert refused.code == 2
    assert "Option '--owner' requires an argument." in refused.err
    assert not home.exists()


def test_the_command_line_keeps_owners_apart(attune: Attune, home: Path) -> None:
    attune("memory", "add", "I live in Ghent.", "--owner", "ann")
    attune("--owner=bob", "memory", "add", "I live in Oslo.")
    assert [one["text"] for one in attune("memory", "list", "--json", "--owner", "ann").json["memories"]] == [
        "I live in Ghent."
    ]
    assert attune("memory", "list", "--json").json["memories"] == []
    assert owners(home) == ["ann", "bob"]
    (home / "config.toml").write_text('owner = "bob"\n')
    assert [one["text"] for one in attune("memory", "list", "--json").json["memories"]] == ["I live in Oslo."]
    (home / "config.toml").unlink()
    attune("forget", "--everything", "--yes", "--owner", "bob")
    assert attune("memory", "list", "--json", "--owner", "bob").json["memories"] == []
    assert len(attune("memory", "list", "--json", "--owner", "ann").json["memories"]) == 1
    assert "cannot name an owner" in sentence(attune("memory", "list", "--owner", "../up"))


def test_what_one_exports_the_other_can_import(tmp_path: Path) -> None:
    runtimes = {
        name: Runtime.open(
            tmp_path / "home", owner=name, policy=ScriptedPolicy("Fine."), embedder=HashEmbedder()
        )
        for name in ("ann", "bob")
    }
    runtimes["ann"].recall.remember("My dog is called Fitzo.")
    export(runtimes["ann"].journal, tmp_path / "all.jsonl")
    assert import_file(runtimes["bob"].db, tmp_path / "all.jsonl").added == {"memory": 1}
    assert [one.text for one in runtimes["bob"].facts.all()] == ["My dog is called Fitzo."]
    for runtime in runtimes.values():
        runtime.close()
