"""The chat: what is said, what is thought of it, and what the agent learns from that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Markdown, Static

from agent.commands import completions
from agent.learning_clock import LearningStatus, UpdateNews
from agent.tui import keys
from agent.tui.asking import Asking
from agent.tui.branches import shown
from agent.tui.choosing import FIRST, Choosing
from agent.tui.edge import caught
from agent.tui.following import Following
from agent.tui.plain import one_line
from agent.tui.rating import Rating
from agent.tui.speaking import SPOKEN, Speaking
from agent.tui.talking import Talking
from agent.tui.widgets.lines import NoticeLine
from agent.tui.widgets.pair import Choose
from agent.tui.widgets.prompt import Prompt, PromptBox
from agent.tui.widgets.reply import ReplyView
from agent.tui.widgets.selection import selected_on
from agent.tui.widgets.status import StatusLine
from agent.tui.widgets.transcript import Earlier, Transcript
from agent.tui.widgets.turn import Asked
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime

T = TypeVar("T")
MOUNTED = 40  # messages; older ones are a click away


class ChatScreen(Screen[None]):
    """One conversation on the screen: opening it, its keys, and its news.

    Turns are in `talking.py`, what is asked of a message in `asking.py`, slash commands in `following.py`.
    """

    BINDINGS = keys.CHAT

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self.rating = Rating(runtime)
        self.choosing = Choosing(self)
        self.following = Following(self)
        self.asking = Asking(self)
        self.talking = Talking(self)
        self.conversation_id: str | None = None
        self.head_id: str | None = None
        self.warmed = False
        self.newest_messages = MOUNTED
        self._interrupted = False

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, id="title")
        yield Transcript()
        yield PromptBox(completions)
        yield StatusLine()

    async def on_mount(self) -> None:
        self.talking.start()
        self.prompt.earlier = await self.caught(asyncio.to_thread(self._history)) or []
        await self._afresh()

    async def on_unmount(self) -> None:
        self.following.stop()
        await self.talking.leave()

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        return self.query_one(Prompt)

    @property
    def speaking(self) -> Speaking | None:
        """The turn that runs."""
        return self.talking.speaking

    @property
    def most(self) -> int:
        """Messages that stay mounted when a turn has ended."""
        return MOUNTED

    def _history(self) -> list[str]:
        return list(reversed(self.runtime.journal.recent_user_texts(200)))

    async def caught(self, doing: Awaitable[T]) -> T | None:
        """What `doing` gives, or None after one sentence in the transcript about what went wrong."""
        return await caught(doing, lambda text: self.say(text, "bad"), "the chat")

    # --- conversations --------------------------------------------------------------------------

    async def action_new(self) -> None:
        await self.talking.stop()  # what waits was meant for this conversation
        if self.speaking is not None:
            self.say("The reply is being stopped; press Ctrl+N again.")
            return
        await self._afresh()
        self.app.look_again()  # type: ignore[attr-defined]

    async def _afresh(self) -> None:
        self.conversation_id = self.head_id = None
        self.runtime.context_used = 0
        recent = await self.caught(asyncio.to_thread(self.runtime.journal.conversations, 1))
        await self.transcript.welcome(recent[0].title or "untitled" if recent else "")
        self._title("")
        self.prompt.focus()

    async def open_conversation(self, conversation_id: str) -> None:
        """Show a conversation at the place where it was left; what waits returns to the prompt."""
        conversation = await asyncio.to_thread(self.runtime.journal.conversation, conversation_id)
        if self.speaking is not None:
            raise AttuneError(self.talking.in_the_way)
        await self.talking.stop()
        self.conversation_id, self.head_id = conversation.id, conversation.head_id
        self.newest_messages = MOUNTED
        await self.reload()
        self.prompt.focus()

    async def reload(self) -> None:
        """Draw the path to the head anew."""
        if self.conversation_id is None:
            return
        await self.retitle()
        self.runtime.context_used = 0
        if self.head_id is None:
            await self.transcript.remove_children()
            return
        views, hidden = await asyncio.to_thread(
            shown, self.runtime.journal, self.head_id, self.newest_messages
        )
        made = [view.generation for view in views if view.generation is not None]
        if made:
            self.runtime.context_used = len(made[-1].prompt_ids) + len(made[-1].completion_ids)
        await self.transcript.show(views, hidden)
        self.app.look_again()  # type: ignore[attr-defined]

    async def retitle(self) -> None:
        """Show the title of the open conversation. NotFound when it was deleted."""
        if self.conversation_id is not None:
            found = await asyncio.to_thread(self.runtime.journal.conversation, self.conversation_id)
            self._title(found.title)

    @on(Earlier.Wanted)
    async def _earlier(self) -> None:
        if self.talking.in_the_way:
            self.say(self.talking.in_the_way)
        else:
            self.newest_messages *= 3
            await self.caught(self.reload())

    def _title(self, title: str) -> None:
        left = f"attune  {one_line(title, 60)}".rstrip()
        self.query_one("#title", Static).update(left)

    # --- sending --------------------------------------------------------------------------------

    @on(Prompt.Sent)
    async def _sent(self, event: Prompt.Sent) -> None:
        if event.text.startswith("/"):
            self.following.run(event.text.strip())
        else:
            await self.send(event.text)

    async def send(self, text: str) -> None:
        """Say `text`, at once or as soon as the model and the reply before are ready."""
        await self.talking.send(text)

    async def now_ready(self) -> None:
        """The model is loaded: what waits may be said."""
        self.warmed = True
        await self.talking.next()

    def doing(self, text: str) -> None:
        """A word on the prompt's border about what is going on; empty for nothing."""
        self.query_one(PromptBox).say(text)

    # --- what the keys do ------------------------------------------------------------------------

    async def action_escape(self) -> None:
        if self.talking.busy:
            await self.talking.stop()
        elif self.following.busy:
            self.following.stop()
        elif self.focused is self.prompt:
            self._to_replies()
        else:
            self.prompt.focus()

    @on(Prompt.Left)
    def _to_replies(self) -> None:
        view = self.transcript.pair or next(
            reversed(self.transcript.replies or self.transcript.messages), None
        )
        if view is not None:
            # Scrolling to a view that is not laid out yet would end at the top; the newest is at the end.
            view.focus(scroll_visible=False)
            self.transcript.anchor()

    @on(Prompt.Interrupted)
    async def action_interrupt(self) -> None:
        """Ctrl+C: copy what is selected, else stop the reply, else clear the prompt, else (twice) leave."""
        if selected := selected_on(self):
            self.app.copy_to_clipboard(selected)
            self.clear_selection()  # or the next Ctrl+C would stop nothing
            self.app.notify("Copied.", timeout=2)
        elif self.talking.busy:
            await self.talking.stop()
        elif self.prompt.text:
            self.prompt.put("")
        elif self._interrupted:
            self.app.exit()
        else:
            self._interrupted = True
            self.set_timer(3, self._calm)
            self.doing("Ctrl+C again leaves")

    def _calm(self) -> None:
        self._interrupted = False
        if self.speaking is None:
            self.doing("")

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
        if self.transcript.pair is not None:
            self.say(FIRST)
        elif self.speaking is not None:
            self.say(SPOKEN)  # the newest is not the one that is meant
        elif newest is None:
            self.say("There is no reply yet.")
        else:
            act(newest)

    @on(Asked)
    async def _asked(self, event: Asked) -> None:
        await self.caught(self.asking.answer(event))

    @on(Choose)
    def _chosen(self, event: Choose) -> None:
        self.asking.beside(lambda: self.choosing.answer(event.view, event.choice))

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
        good = news.kind == "promoted" or (news.kind == "result" and verdict in ("promoted", "provisional"))
        ending = " F3 shows why." if news.kind == "result" else ""  # nothing else has a report
        kind = "good" if good else "bad" if news.kind == "failed" else "info"
        self.say(news.text.rstrip() + ending, kind)

    def show_status(self, status: LearningStatus | None, loading: tuple[float, str] | None) -> None:
        self.query_one(StatusLine).show(status, loading)
