"""Learning documents from the chat, and the sources below a reply."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent.tui.screens.why import WhyScreen
from memory.documents.learning import Learned
from memory.records import Passage
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.waiting import notices, running, say, shown, until, words


class SlowDocuments:
    """Half done, until it is stopped or may go on."""

    def __init__(self, name: str = "notes.md") -> None:
        self.name = name
        self.go_on = threading.Event()
        self.stopped = threading.Event()

    def learn(
        self, paths: Sequence[Path], progress: Callable[[float, str], None], cancelled: Callable[[], bool]
    ) -> Learned:
        progress(0.5, f"2 of 4: {self.name}")
        while not self.go_on.wait(0.005):
            if cancelled():
                self.stopped.set()
                return Learned(added=["/x/one.md"], passages=3, cancelled=True)
        return Learned(
            added=["/x/one.md", "/x/notes.md"], skipped=[("/x/[b].pdf", "it is encrypted")], passages=7
        )


@pytest.mark.parametrize("command", ["/learn", "/Learn"])
async def test_progress_stands_on_the_prompt_and_the_result_in_the_chat(
    runtime: FakeRuntime, command: str
) -> None:
    runtime.documents = SlowDocuments()
    async with running(runtime, size=(100, 24)) as pilot:
        chat = pilot.app.chat
        chat.prompt.put(f"{command} /x")
        await pilot.press("enter")
        await until(lambda: "50% 2 of 4: notes.md" in str(chat.prompt.border_title))
        runtime.documents.go_on.set()
        await until(lambda: "2 learned (7 new passages)" in notices(pilot.app))
        assert "Skipped /x/[b].pdf: it is encrypted." in notices(pilot.app)
        await until(lambda: not chat.prompt.border_title)


async def test_progress_names_a_file_as_it_is_called(runtime: FakeRuntime) -> None:
    runtime.documents = SlowDocuments("[draft] [a='b].md \x1b[31m")
    async with running(runtime, size=(100, 24)) as pilot:
        prompt = pilot.app.chat.prompt
        prompt.put("/learn /x")
        await pilot.press("enter")
        await until(lambda: "[draft] [a='b].md \u00b7[31m" in prompt.render_str(prompt.border_title).plain)
        runtime.documents.go_on.set()
        await until(lambda: "2 learned" in notices(pilot.app))


async def test_escape_stops_learning(runtime: FakeRuntime) -> None:
    runtime.documents = SlowDocuments()
    async with running(runtime) as pilot:
        chat = pilot.app.chat
        chat.prompt.put("/learn /x")
        await pilot.press("enter")
        await until(lambda: chat.following.busy)
        await pilot.press("escape")
        await until(lambda: "Learning was stopped" in notices(pilot.app))
        assert not chat.following.busy


async def test_leaving_stops_learning(runtime: FakeRuntime) -> None:
    runtime.documents = SlowDocuments()
    async with running(runtime) as pilot:
        pilot.app.chat.prompt.put("/learn /x")
        await pilot.press("enter")
        await until(lambda: pilot.app.chat.following.busy)
        pilot.app.exit()
    await until(runtime.documents.stopped.is_set)


async def test_sources_stand_below_the_reply_and_in_why(runtime: FakeRuntime) -> None:
    found = Passage(
        (4, 5), "d", "/home/me/[x] notes.md", "lines 3\u20134", "Tea is made of leaves.", 0.8, {"words": 0.8}
    )
    runtime.passages = [found]
    async with running(runtime) as pilot:
        await say(pilot, "What is tea?")
        view = pilot.app.chat.transcript.newest
        assert "Sources: [1] [x] notes.md, lines 3\u20134" in words(view)
        view.focus()
        await shown(pilot, WhyScreen, "w")
        await until(
            lambda: "[1] /home/me/[x] notes.md, lines 3\u20134" in words(pilot.app.screen.query_one("#why"))
        )


async def test_a_reply_without_passages_has_no_footer(runtime: FakeRuntime) -> None:
    async with running(runtime) as pilot:
        await say(pilot, "What is tea?")
        assert "Sources" not in words(pilot.app.chat.transcript)
