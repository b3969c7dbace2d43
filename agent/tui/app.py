"""The terminal app: it opens the screens, loads the model behind them, and keeps the learning clock."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import events, work
from textual.app import App, SystemCommand
from textual.screen import Screen

from agent.learning_clock import LearningStatus, UpdateNews
from agent.tui import keys
from agent.tui.edge import told
from agent.tui.plain import one_line, sentence
from agent.tui.screens.chat import ChatScreen
from agent.tui.screens.dialogs import Confirm
from agent.tui.themes import DARK, LIGHT
from agent.tui.widgets.status import StatusLine

if TYPE_CHECKING:
    from agent.runtime import Runtime

TICK_SECONDS = 1.0
# A question that comes while the person types would take keys meant for the prompt, and "y" allows a tool.
CALM_SECONDS = 1.0  # without a key before such a question is shown, and in which it then takes no typing
log = logging.getLogger("attune.tui")


class AttuneApp(App[None]):
    """`AttuneApp(runtime).run()`; the runtime is opened, not warmed, and stays the caller's to close."""

    TITLE = "attune"
    CSS_PATH = "app.tcss"
    BINDINGS = keys.APP
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self.status: LearningStatus | None = None
        self.loading_model: tuple[float, str] | None = (0.0, "starting")
        self.chat = ChatScreen(runtime)
        self._looking = False
        self._had_terminal = False
        self.touched = time.monotonic()  # of the last key, click or movement
        self.typed = -math.inf  # of the last key

    def get_default_screen(self) -> Screen[Any]:
        return self.chat

    def on_mount(self) -> None:
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = DARK.name
        self.runtime.ask_permission = self.ask_permission
        self._had_terminal = not self.is_headless and _on_terminal()
        # The first picture goes out before anything is loaded.
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        self.look_again()
        self.set_interval(TICK_SECONDS, self.look_again)
        if self._had_terminal:
            self.set_interval(TICK_SECONDS, self._leave_with_terminal)
        self._warm()

    def _leave_with_terminal(self) -> None:
        """Reading a terminal that is gone gives nothing at once, for ever: a whole core for nobody."""
        if not _on_terminal():
            log.warning("the terminal is gone; leaving")
            self.exit(return_code=1)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.InputEvent):
            self.touched = time.monotonic()
        if isinstance(event, events.Key | events.Paste):
            self.typed = time.monotonic()
        top = self.screen_stack[-1] if self.screen_stack else None
        if isinstance(event, events.Key) and isinstance(top, Confirm) and top.too_soon(event.key):
            return
        await super().on_event(event)

    def _handle_exception(self, error: Exception) -> None:
        """The edge: a fault of ours ends the app with one sentence; the traceback goes to the log."""
        from rich.text import Text

        log.error("the app failed", exc_info=error)
        self._return_code = 1
        if self._exception is None:  # Textual's own way to tell a test about it
            self._exception = error
            self._exception_event.set()
        self._exit_renderables.append(Text(sentence(error)))
        self._close_messages_no_wait()

    # --- the model ------------------------------------------------------------------------------

    def _warm(self) -> None:
        self._in_background(lambda: self.runtime.warm(self._progress))

    def warm_again(self) -> None:
        """Try a load that failed anew; nothing while one is under way."""
        if self.loading_model is None:
            self.loading_model = (0.0, "starting")
            self._warm()

    def load_model(self, name: str | None) -> None:
        """Another base model; the present one speaks until it is there."""
        self.loading_model = (0.0, f"loading {name or 'sprout'}")
        self._in_background(lambda: self.runtime.use_model(name, self._progress))

    def _in_background(self, doing: Any) -> None:
        """A daemon and no worker, so that leaving while a model loads does not wait for it."""
        threading.Thread(target=self._load, args=(doing,), name="model", daemon=True).start()

    def _load(self, doing: Any) -> None:
        try:
            doing()
        except Exception as error:
            self._from_thread(self._loaded, told(error, "loading"))
        else:
            self._from_thread(self._loaded, "")

    def _progress(self, fraction: float, stage: str) -> None:
        self.loading_model = (fraction, stage)
        self._from_thread(self._draw_status)

    def _from_thread(self, call: Any, *arguments: Any) -> None:
        try:
            self.call_later(call, *arguments)
        except RuntimeError:  # the app is gone
            log.info("%s came after the end", call.__name__)

    async def _loaded(self, wrong: str) -> None:
        self.loading_model = None
        if wrong:
            self.chat.say(wrong, "bad")
            if not self.chat.warmed:
                await self.chat.talking.stop()  # sent again, what waits starts another load
        if not wrong or self.chat.warmed:
            await self.chat.now_ready()
        self.look_again()

    # --- the learning clock -----------------------------------------------------------------------

    def look_again(self) -> None:
        """Ask the runtime for news now; it is also asked every second."""
        if not self._looking and self.is_running:
            self._looking = True
            self._look(self.chat.speaking is not None or not self.chat.warmed)

    @work(thread=True, group="clock", exit_on_error=False)
    def _look(self, busy: bool) -> None:
        news: list[UpdateNews] = []
        status: LearningStatus | None = None
        try:
            news = self.runtime.poll_update()
            if not busy:
                self.runtime.maybe_update(time.monotonic() - self.touched)
            status = self.runtime.learning_status()
        except Exception as error:
            news.append(UpdateNews("failed", told(error, "the learning clock")))
        notices = self.runtime.take_notices()
        self._from_thread(self._looked, status, news, notices)

    def _looked(self, status: LearningStatus | None, news: list[UpdateNews], notices: list[str]) -> None:
        self._looking = False
        if not self.chat.query(StatusLine):  # the app is closing
            return
        self.status = status or self.status
        for one in news:
            self.chat.tell(one)
        for notice in notices:
            self.chat.say(notice)
        self._draw_status()
        refresh = getattr(self.screen, "look", None)
        if refresh is not None and any(one.kind != "progress" for one in news):
            refresh()

    def _draw_status(self) -> None:
        if not self.chat.query(StatusLine):
            return
        self.chat.show_status(self.status, self.loading_model)
        progress = getattr(self.screen, "show_progress", None)
        if progress is not None and self.status is not None:
            progress(self.status)

    # --- questions from the loop -------------------------------------------------------------------

    def ask_permission(self, tool: str, arguments: dict[str, Any]) -> bool:
        """Called by the loop in its thread; waits for the person. No is the answer when the app ends."""
        answered = threading.Event()
        answer: list[bool] = []

        def ask() -> None:
            if self.chat.talking.stopped:
                hear(False)
                return
            if time.monotonic() - self.typed < CALM_SECONDS:
                self.set_timer(0.1, ask)
                return
            given = ", ".join(f"{name}: {one_line(str(value), 80)}" for name, value in arguments.items())
            question = f"May it use {tool}?\n{given}"
            self.push_screen(Confirm(question, "Allow", "Refuse", CALM_SECONDS), hear)

        def hear(yes: bool | None) -> None:
            answer.append(bool(yes))
            answered.set()

        self._from_thread(ask)
        while not answered.wait(0.2):
            if not self.is_running:
                return False
        return answer[0]

    # --- screens ----------------------------------------------------------------------------------

    def _open(self, screen: Screen[Any], then: Any = None) -> None:
        if not isinstance(self.screen, type(screen)):
            while self.screen is not self.chat and not self.screen.is_modal and len(self.screen_stack) > 1:
                self.pop_screen()
            self.push_screen(screen, then)

    def action_show_help(self) -> None:
        from agent.tui.screens.help import HelpScreen

        self._open(HelpScreen())

    def action_show_memory(self) -> None:
        from agent.tui.screens.memory import MemoryScreen

        self._open(MemoryScreen(self.runtime))

    def action_show_card(self) -> None:
        from agent.tui.screens.card import CardScreen

        self._open(CardScreen(self.runtime))

    def action_show_policy(self) -> None:
        from agent.tui.screens.policy import PolicyScreen

        self._open(PolicyScreen(self.runtime))

    def action_show_sessions(self) -> None:
        from agent.tui.screens.sessions import SessionsScreen

        self._open(SessionsScreen(self.runtime, lambda: self.chat.conversation_id), self._session_chosen)

    def show_why(self, reply_id: str) -> None:
        from agent.tui.screens.why import WhyScreen

        self._open(WhyScreen(self.runtime, reply_id))

    def _session_chosen(self, chosen: str | None) -> None:
        if chosen is not None:
            self.run_worker(partial(self._go, chosen), exit_on_error=False)  # type: ignore[arg-type]

    async def _go(self, chosen: str) -> None:
        if chosen:
            await self.chat.caught(self.chat.open_conversation(chosen))
        else:
            await self.chat.action_new()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield SystemCommand("New conversation", "Start afresh (Ctrl+N)", self._new)
        yield SystemCommand("Conversations", "Open an earlier one (F4)", self.action_show_sessions)
        yield SystemCommand("Memory", "What it remembers: search, edit, forget (F2)", self.action_show_memory)
        yield SystemCommand("Policy", "Versions, learning curve, gate reports (F3)", self.action_show_policy)
        yield SystemCommand("Card", "What it believes about your taste (F5)", self.action_show_card)
        yield SystemCommand("Why", "Why the newest reply is as it is (Ctrl+O)", self.chat.action_why_newest)
        yield SystemCommand("Train now", "Train the weights on all ratings", self._train)
        yield SystemCommand("Keys", "All keys and commands (F1)", self.action_show_help)
        wanted = {"Theme", "Quit", "Screenshot"}
        yield from (command for command in super().get_system_commands(screen) if command.title in wanted)

    def _new(self) -> None:
        self._session_chosen("")

    def _train(self) -> None:
        self.chat.following.run("/train")


async def settled(app: AttuneApp, seconds: float = 5.0) -> None:
    """Wait until the model is loaded and nothing is spoken or drawn; for benches and tests."""
    until = time.monotonic() + seconds
    while app.loading_model is not None or app.chat.speaking is not None or not app.chat.warmed:
        if time.monotonic() > until:
            raise TimeoutError(f"the app was not settled after {seconds:g} s")
        await asyncio.sleep(0.01)


def _on_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False
