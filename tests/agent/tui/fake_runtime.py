"""A runtime whose model is a script; database, journal, facts, card and registry are the real ones.

A reply is a list of steps: text pieces, `Call`s of tools, `Say`s (notices), `Break`s (the turn fails) and
`Hold`s, which keep the stream open until the test lets go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.events import (
    BlindReplies,
    BlindStarted,
    Event,
    Notice,
    ReplyDone,
    ReplyKept,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnStarted,
)
from agent.learning_clock import LearningStatus, UpdateNews
from agent.runtime import Why
from memory.comparisons import Choice, keep, settle
from memory.database import open_home
from memory.errors import AttuneError
from memory.facts import Facts
from memory.journal import Journal
from memory.records import Adapter, Feedback, Generation, Message, Passage, Recalled
from memory.taste.preferences import PreferenceCard
from policies.adapters.registry import AdapterRegistry

NOW = 1_795_270_000.0  # 21 November 2026, for whatever shows a date


@dataclass
class Call:
    name: str
    arguments: dict[str, Any]
    result: str
    ok: bool = True


@dataclass
class Say:
    text: str


@dataclass
class Break:
    text: str


@dataclass
class Hold:
    until: threading.Event = field(default_factory=threading.Event)


@dataclass
class Two:
    """Two replies to choose between, the one of the adapter in use first, once `until` is set; the turn
    ends once `behind` is."""

    active: str
    other: str
    until: threading.Event = field(default_factory=lambda: _set())
    behind: threading.Event = field(default_factory=lambda: _set())


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


Step = str | Call | Say | Break | Hold | Two
PLAIN: list[Step] = ["Tea is a drink ", "made from leaves."]


class ScriptedLoop:
    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime = runtime
        self.journal = runtime.journal

    def turn(
        self,
        text: str,
        conversation_id: str | None = None,
        parent_id: str | None = None,
        cancel: threading.Event | None = None,
        **_: Any,
    ) -> Iterator[Event]:
        if conversation_id is None:
            conversation_id = self.journal.start_conversation().id
        message = self.journal.add_user(conversation_id, parent_id, text)
        yield TurnStarted(message)
        yield from self._answer(message, cancel)

    def regenerate(self, reply_id: str, cancel: threading.Event | None = None, **_: Any) -> Iterator[Event]:
        node = self.journal.message(reply_id)
        while node.role != "user" and node.parent_id:
            node = self.journal.message(node.parent_id)
        yield from self._answer(node, cancel)

    def edit_user(
        self, message_id: str, text: str, cancel: threading.Event | None = None, **_: Any
    ) -> Iterator[Event]:
        old = self.journal.message(message_id)
        message = self.journal.add_user(old.conversation_id, old.parent_id, text)
        yield TurnStarted(message)
        yield from self._answer(message, cancel)

    def _answer(self, parent: Message, cancel: threading.Event | None) -> Iterator[Event]:
        script = self.runtime.replies.pop(0) if self.runtime.replies else PLAIN
        said, finish = "", "stop"
        for step in script:
            if isinstance(step, Two):
                yield BlindStarted()
            if isinstance(step, Hold | Two):
                while not step.until.wait(0.005) and not (cancel and cancel.is_set()):
                    pass
            if cancel and cancel.is_set():
                finish = "cancelled"
                break
            if isinstance(step, str):
                said += step
                yield TextDelta(step)
            elif isinstance(step, Two):
                made = [(step.other, replace(self._made(finish), adapter=None))]
                made.insert(0, (step.active, self._made(finish)))
                yield BlindReplies(*keep(self.journal, parent, made, head=0), self.runtime.context_used)
                while not step.behind.wait(0.005) and not (cancel and cancel.is_set()):
                    pass
                return
            elif isinstance(step, Say):
                yield Notice(step.text)
            elif isinstance(step, Break):
                if said:
                    kept = self.journal.add_reply(
                        parent.conversation_id, parent.id, said, self._made("error")
                    )
                    yield ReplyKept(kept, self.journal.generation(kept.id))
                yield TurnFailed(step.text)
                return
            elif isinstance(step, Call):
                call = {"name": step.name, "arguments": step.arguments}
                yield ToolStarted(step.name, step.arguments)
                reply = self.journal.add_reply(
                    parent.conversation_id, parent.id, said, self._made("tool"), [call]
                )
                parent = self.journal.add_tool(parent.conversation_id, reply.id, step.result, step.name)
                yield ToolFinished(step.name, step.arguments, step.result, step.ok)
                said = ""
        made = self._made(finish)
        message = self.journal.add_reply(parent.conversation_id, parent.id, said, made)
        self.runtime.context_used += 40
        yield ReplyDone(message, self.journal.generation(message.id), self.runtime.context_used)

    def _made(self, finish: str) -> Generation:
        return Generation(
            reply_id="",
            base="sprout",
            adapter=self.runtime.adapter,
            messages=(),
            prompt_text="<|system|>You are Attune, a personal agent.<|user|>[/what] is tea?<|assistant|>",
            prompt_ids=tuple(range(38)),
            completion_ids=tuple(range(9)),
            sampling={"temperature": 0.7, "top_p": 0.95},
            recalled=tuple(self.runtime.shown),
            passages=tuple(self.runtime.passages),
            card_lines=tuple(self.runtime.card.active_lines()),
            finish_reason="stop" if finish == "tool" else finish,
            first_token_ms=52.0,
            total_ms=420.0,
            reused_tokens=21,
        )


class FakeRuntime:
    """What `agent.runtime.Runtime` offers a face, without a model."""

    def __init__(self, home: Path, replies: list[list[Step]] | None = None, cold: bool = False) -> None:
        self.home = home
        self.db = open_home(home)
        self.journal = Journal(self.db)
        self.facts = Facts(self.db)
        self.card = PreferenceCard(self.db, self.journal)
        self.registry = AdapterRegistry(self.db, home)
        self.replies = list(replies or [])
        self.shown: list[Recalled] = []
        self.passages: list[Passage] = []
        self.documents: Any = None  # a test that learns puts its own here
        self.adapter: str | None = None
        self.context_used = 0
        self.news: list[UpdateNews] = []
        self.notices: list[str] = []
        self.progress: float | None = None
        self.idle_seen: list[float] = []
        self.trained = self.cancelled = 0
        self.models: list[str | None] = []
        self.wrong: str | None = None  # what warming fails with
        self.ask_permission: Callable[[str, dict[str, Any]], bool] | None = None
        self.ready = False
        self.may_warm = threading.Event()
        if not cold:
            self.may_warm.set()
        self.loop = ScriptedLoop(self)
        self.recall = SimpleNamespace(
            search=lambda text, k=5: [],
            remember=self.facts.remember,
            edit=self.facts.edit,
            forget=self.facts.forget,
        )

    model_name = "sprout"
    base_sha256: str | None = "0" * 64

    def active_adapter(self) -> Adapter | None:
        return self.registry.active(self.base_sha256)

    def warm(self, progress: Callable[[float, str], None] | None = None) -> None:
        if progress:
            progress(0.4, "loading sprout")
        self.may_warm.wait(120)
        if self.wrong:
            raise AttuneError(self.wrong)
        self.ready = True

    def use_model(self, name: str | None, progress: Callable[[float, str], None] | None = None) -> str:
        self.models.append(name)
        self.ready = True
        return name or "sprout"

    def rate(self, reply_id: str, value: int, why: str | None = None) -> Feedback:
        return self.journal.rate(reply_id, value, why=why)

    def edit_reply(self, reply_id: str, text: str) -> Feedback:
        return self.journal.edit_reply(reply_id, text)

    def pick(self, reply_id: str, other_id: str) -> Feedback:
        return self.journal.pick(reply_id, other_id)

    def choose(self, first_id: str, second_id: str, choice: Choice) -> list[Feedback]:
        return settle(self.journal, first_id, second_id, choice)

    def why(self, reply_id: str) -> Why:
        made = self.journal.generation(reply_id)
        lines = tuple(line for line in self.card.lines() if line.text in made.card_lines)
        adapter = {"version": made.adapter} if made.adapter else None
        return Why(self.journal.message(reply_id), made, lines, adapter, self.journal.effective(reply_id))

    def forget(self, memory_id: str) -> None:
        self.facts.forget(memory_id)

    def use(self, version: str | None) -> str | None:
        self.registry.activate(version, "owner", self.base_sha256)
        self.adapter = version
        return version

    def rollback(self) -> str | None:
        found = self.registry.rollback(self.base_sha256)
        self.adapter = found.version if found else None
        return self.adapter

    def start_update(self, algorithm: str = "auto") -> None:
        if self.trained:
            raise AttuneError("An update is running already.")
        self.trained += 1

    def cancel_update(self) -> bool:
        self.cancelled += 1
        return self.trained > 0

    def maybe_update(self, idle_seconds: float) -> bool:
        self.idle_seen.append(idle_seconds)
        return False

    def poll_update(self) -> list[UpdateNews]:
        taken, self.news = self.news, []
        return taken

    def take_notices(self) -> list[str]:
        taken, self.notices = self.notices, []
        return taken

    def learning_status(self) -> LearningStatus:
        left = max(0, 8 - self.journal.signals_since(0))
        return LearningStatus(
            model="sprout",
            adapter=self.adapter,
            adapter_status="provisional" if self.adapter else None,
            context_used=self.context_used,
            context_length=1024,
            ratings_until_update=left,
            progress=self.progress,
            stage="training",
            ready=self.ready,
        )

    def close(self) -> None:
        self.db.close()
