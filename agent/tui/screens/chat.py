"""The chat: what is said, what is thought of it, and what the agent learns from that."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Markdown, Static

from agent.commands import completions
from agent.events import Event, TurnFailed
from agent.learning_clock import LearningStatus, UpdateNews
from agent.tui import keys
from agent.tui.asking import Asking
from agent.tui.branches import shown
from agent.tui.following import Following
from agent.tui.plain import one_line, sentence
from agent.tui.rating import Rating
from agent.tui.speaking import Speaking
from agent.tui.widgets.lines import NoticeLine
from agent.tui.widgets.prompt import Prompt, PromptBox
from agent.tui.widgets.reply import ReplyView
from agent.tui.widgets.status import StatusLine
from agent.tui.widgets.transcript import Earlier, Transcript
from agent.tui.widgets.turn import Asked, UserTurn
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime

DRAWS_PER_SECOND = 15
TYPING = 0.15  # s after a key: the person types, and keys come before the stream, which is then drawn
DRAW_WHILE_TYPING = 0.3  # s apart at least
STOPS_WITHIN = 5.0  # s that a cancelled reply gets to end when the app is left
MOUNTED = 40  # messages; older ones are a click away
log = logging.getLogger("attune.tui")

Speak = Callable[[], Iterator[Event]]


class ChatScreen(Screen[None]):
    """One conversation: sending, streaming, stopping.

    What is asked of a message on the screen is in `asking.py`, slash commands are in `following.py`.
    """

    BINDINGS = keys.CHAT

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self.rating = Rating(runtime)
        self.following = Following(self)
        self.asking = Asking(self)
        self.conversation_id: str | None = None
        self.head_id: str | None = None
        self.speaking: Speaking | None = None
        self.warmed = False
        self.newest_messages = MOUNTED
        self._waiting: deque[tuple[UserTurn, str]] = deque()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._cancel = threading.Event()
        self._silent = threading.Event()  # set while no turn runs in its thread
        self._silent.set()
        self._interrupted = False
        self._drawn = 0.0

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, id="title")
        yield Transcript()
        yield PromptBox(completions)
        yield StatusLine()

    async def on_mount(self) -> None:
        self._drawing = self.set_interval(1 / DRAWS_PER_SECOND, self._draw, pause=True)
        self.prompt.earlier = await asyncio.to_thread(self._history)
        await self.action_new()

    async def on_unmount(self) -> None:
        """Leave only when the stopped reply is in the journal: the runtime is closed after this."""
        self._cancel.set()
        await asyncio.to_thread(self._silent.wait, STOPS_WITHIN)

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        return self.query_one(Prompt)

    def _history(self) -> list[str]:
        return list(reversed(self.runtime.journal.recent_user_texts(200)))

    # --- conversations --------------------------------------------------------------------------

    async def action_new(self) -> None:
        if self.speaking is not None:
            self._cancel.set()
            self.say("The reply is being stopped; press Ctrl+N again.")
            return
        self.conversation_id = self.head_id = None
        recent = await asyncio.to_thread(self.runtime.journal.conversations, 1)
        await self.transcript.welcome(recent[0].title or "untitled" if recent else "")
        self._title("")
        self.prompt.focus()

    async def open_conversation(self, conversation_id: str) -> None:
        """Show a conversation at the place where it was left."""
        if self.speaking is not None:
            raise AttuneError("A reply is being spoken; stop it with Esc first.")
        conversation = await asyncio.to_thread(self.runtime.journal.conversation, conversation_id)
        self.conversation_id, self.head_id = conversation.id, conversation.head_id
        self.newest_messages = MOUNTED
        await self.reload()
        self.prompt.focus()

    async def reload(self) -> None:
        """Draw the path to the head anew."""
        if self.conversation_id is None:
            return
        conversation = await asyncio.to_thread(self.runtime.journal.conversation, self.conversation_id)
        self._title(conversation.title)
        if self.head_id is None:
            await self.transcript.remove_children()
            return
        views, hidden = await asyncio.to_thread(
            shown, self.runtime.journal, self.head_id, self.newest_messages
        )
        await self.transcript.show(views, hidden)

    @on(Earlier.Wanted)
    async def _earlier(self) -> None:
        if self.speaking is None:
            self.newest_messages *= 3
            await self.reload()

    def _title(self, title: str) -> None:
        left = f"attune  {one_line(title, 60)}".rstrip()
        self.query_one("#title", Static).update(left)

    # --- sending and streaming -------------------------------------------------------------------

    @on(Prompt.Sent)
    async def _sent(self, event: Prompt.Sent) -> None:
        if event.text.startswith("/"):
            self.following.run(event.text.strip())
            return
        await self.send(event.text)

    async def send(self, text: str) -> None:
        """Say `text`, at once or as soon as the model and the reply before are ready."""
        view = UserTurn(text)
        await self.transcript.add(view)
        self.transcript.anchor()
        self._waiting.append((view, text))
        await self._next()

    async def _next(self) -> None:
        if self.speaking is not None or not self.warmed or not self._waiting:
            return
        view, text = self._waiting.popleft()
        conversation, head, cancel = self.conversation_id, self.head_id, self.fresh_cancel()
        await self.speak(
            view, lambda: self.runtime.loop.turn(text, conversation, parent_id=head, cancel=cancel)
        )

    async def speak(self, turn: UserTurn | None, make: Speak) -> None:
        """Run the events of `make()` in a thread and draw them as they come."""
        self.speaking = Speaking(self.transcript, self.runtime.journal, turn)
        self.query_one(PromptBox).say("replying \u00b7 Esc stops")
        self._drawing.resume()
        self._silent.clear()
        self._run_turn(make)

    def fresh_cancel(self) -> threading.Event:
        self._cancel = threading.Event()
        return self._cancel

    @work(thread=True, group="reply", exit_on_error=False)
    def _run_turn(self, make: Speak) -> None:
        try:
            for event in make():
                self._events.put(event)
        except Exception as error:
            if not isinstance(error, AttuneError):
                log.exception("a turn failed")
            self._events.put(TurnFailed(sentence(error)))
        finally:
            self._events.put(None)
            self._silent.set()

    async def _draw(self) -> None:
        now = time.monotonic()
        idle = now - self.app.touched  # type: ignore[attr-defined]
        if idle < TYPING and now - self._drawn < DRAW_WHILE_TYPING:
            return
        self._drawn = now
        events: list[Event] = []
        ended = False
        while not ended and not self._events.empty():
            event = self._events.get_nowait()
            if event is None:
                ended = True
            else:
                events.append(event)
        speaking = self.speaking
        if speaking is None:
            return
        try:
            await speaking.draw(events)
            if ended:
                await speaking.end()
        except Exception as error:  # the reply is in the journal; only its picture failed
            log.exception("drawing failed")
            self.say(sentence(error), "bad")
        if ended:
            await self._ended(speaking)

    async def _ended(self, speaking: Speaking) -> None:
        self._drawing.pause()
        self.speaking = None
        self.query_one(PromptBox).say("")
        self.conversation_id = speaking.conversation_id or self.conversation_id
        self.head_id = speaking.head_id or self.head_id
        if self.conversation_id is not None:
            conversation = await asyncio.to_thread(self.runtime.journal.conversation, self.conversation_id)
            self._title(conversation.title)
        await self.transcript.trim(MOUNTED)
        if speaking.failed and speaking.turn is not None and speaking.turn.message is None:
            self._give_back([speaking.turn.text])
        if speaking.failed and speaking.head_id is None and self.head_id is not None:
            await self.reload()  # another reply was wanted and did not come: the old one is back
            self.say(speaking.failed, "bad")
        self.app.look_again()  # type: ignore[attr-defined]
        await self._next()

    def _give_back(self, texts: list[str]) -> None:
        """What was not said returns to the prompt; nothing that was typed is lost."""
        self.prompt.put("\n\n".join([*texts, *([self.prompt.text] if self.prompt.text.strip() else [])]))

    async def now_ready(self) -> None:
        """The model is loaded: what waits may be said."""
        self.warmed = True
        await self._next()

    # --- what the keys do ------------------------------------------------------------------------

    async def action_escape(self) -> None:
        if self.speaking is not None or self._waiting:
            await self._stop()
        elif self.focused is self.prompt:
            self._to_replies()
        else:
            self.prompt.focus()

    async def _stop(self) -> None:
        self._cancel.set()
        waiting, self._waiting = list(self._waiting), deque()
        for view, _ in waiting:
            await view.remove()
        if waiting:
            self._give_back([text for _, text in waiting])

    @on(Prompt.Left)
    def _to_replies(self) -> None:
        views = self.transcript.replies or self.transcript.messages
        if views:
            # Scrolling to a view that is not laid out yet would end at the top; the newest is at the end.
            views[-1].focus(scroll_visible=False)
            self.transcript.anchor()

    @on(Prompt.Interrupted)
    async def action_interrupt(self) -> None:
        """Ctrl+C: stop the reply, else clear the prompt, else (the second time) leave."""
        if self.speaking is not None or self._waiting:
            await self._stop()
        elif self.prompt.text:
            self.prompt.put("")
        elif self._interrupted:
            self.app.exit()
        else:
            self._interrupted = True
            self.set_timer(3, self._calm)
            self.query_one(PromptBox).say("Ctrl+C again leaves")

    def _calm(self) -> None:
        self._interrupted = False
        if self.speaking is None:
            self.query_one(PromptBox).say("")

    @on(Prompt.Refused)
    def _refused(self, event: Prompt.Refused) -> None:
        self.say(event.text, "bad")

    def action_page(self, amount: int) -> None:
        (self.transcript.action_page_up if amount < 0 else self.transcript.action_page_down)()

    def action_rate_newest(self, value: int) -> None:
        self._with_newest(lambda view: view.post_message(Asked(view, "rate", value)))

    def action_regenerate_newest(self) -> None:
        self._with_newest(lambda view: view.post_message(Asked(view, "regenerate")))

    def action_why_newest(self) -> None:
        self._with_newest(lambda view: view.post_message(Asked(view, "why")))

    def _with_newest(self, act: Callable[[ReplyView], object]) -> None:
        newest = self.transcript.newest
        if newest is None:
            self.say("There is no reply yet.")
        else:
            act(newest)

    @on(Asked)
    async def _asked(self, event: Asked) -> None:
        await self.asking.answer(event)

    @on(Markdown.LinkClicked)
    def _link(self, event: Markdown.LinkClicked) -> None:
        """A model may write any link: only web pages are opened, and the address is said."""
        if event.href.startswith(("https://", "http://")):
            self.app.notify(one_line(event.href, 200), title="Opening", markup=False)
            self.app.open_url(event.href)
        else:
            self.app.notify(f"Not a web page: {one_line(event.href, 100)}", markup=False)

    # --- news ------------------------------------------------------------------------------------

    def say(self, text: str, kind: str = "info") -> None:
        """One line at the end of the transcript."""
        self.call_later(self.transcript.add, NoticeLine(text, kind))

    def tell(self, news: UpdateNews) -> None:
        """What the learning clock has to say; progress is on the status line."""
        if news.kind == "progress":
            return
        verdict = news.report.get("verdict") or news.report.get("status")
        good = news.kind == "result" and verdict in ("promoted", "provisional")
        ending = " F3 shows why."
        kind = "good" if good else "bad" if news.kind == "failed" else "info"
        self.say(news.text.rstrip() + ending, kind)

    def show_status(self, status: LearningStatus | None, loading: tuple[float, str] | None) -> None:
        self.query_one(StatusLine).show(status, loading)
