"""Carries out slash commands: `agent.commands` decides, this shows."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agent.commands import CommandContext, CommandResult, run
from agent.tui.choosing import FIRST
from agent.tui.edge import known
from agent.tui.plain import bar
from agent.tui.speaking import SPOKEN
from agent.tui.widgets.reply import ReplyView
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.tui.screens.chat import ChatScreen

# Which reply is meant is open while there are two, or while one is still being spoken.
ON_A_REPLY = {"/why", "/good", "/bad", "/edit", "/regenerate", "/pick", "/copy"}
LONG = {"/learn"}
SCREENS = {"sessions", "memory", "policy", "card", "help"}


class Following:
    """Commands of one chat screen."""

    def __init__(self, chat: ChatScreen) -> None:
        self.chat = chat
        self._stop: threading.Event | None = None  # of the command that takes a while, if one runs

    @property
    def busy(self) -> bool:
        return self._stop is not None

    def stop(self) -> None:
        """Ask the command that takes a while to end."""
        if self._stop is not None:
            self._stop.set()

    def run(self, line: str) -> None:
        """Run `line` beside the screen; what goes wrong is one sentence."""
        job = partial(self._run, line)
        self.chat.run_worker(job, group="command", exit_on_error=False)  # type: ignore[arg-type]

    async def _run(self, line: str) -> None:
        doing = self._carry_out(line)
        await self.chat.caught(known(doing) if _on_a_reply(line) else doing)
        self.chat.app.look_again()  # type: ignore[attr-defined]

    async def _carry_out(self, line: str) -> None:
        chat = self.chat
        if _on_a_reply(line) and chat.transcript.pair is not None:
            raise AttuneError(FIRST)
        if _on_a_reply(line) and chat.speaking is not None:
            raise AttuneError(SPOKEN)
        view = chat.transcript.newest
        before = await chat.rating.snapshot(view.reply_id) if view and view.reply_id else None
        here, focused = chat.conversation_id, view.reply_id if view else None
        if line.casefold().split()[0] in LONG:
            result = await self._long(line, CommandContext(here, focused))
        else:
            result = await asyncio.to_thread(run, chat.runtime, line, CommandContext(here, focused))
        rated = self._view(result.argument) if result.action in ("rated", "picked") else None
        if rated is not None and before is not None:
            await chat.rating.show(rated, before)
            if line.casefold().split()[0] == "/undo":
                chat.say(result.text)  # which thumb it was, where the reply has left the screen
        else:
            await self._follow(result)
        if line.casefold().split()[0] == "/forget":
            await chat.rating.look(chat.transcript.replies)  # what was forgotten may be marked on them

    async def _long(self, line: str, context: CommandContext) -> CommandResult:
        """Run a command that takes a while: its progress stands on the prompt's border, and Esc stops it."""
        if self._stop is not None:
            raise AttuneError("A command is at work already; stop it with Esc first.")
        chat, stop = self.chat, threading.Event()
        self._stop = stop

        def told(share: float, what: str) -> None:
            if not stop.is_set():  # a screen that is being left draws nothing any more
                chat.app.call_from_thread(chat.doing, f"{bar(share, 12)} {share:.0%} {what} \u00b7 Esc stops")

        try:
            context = replace(context, progress=told, cancelled=stop.is_set)
            return await asyncio.to_thread(run, chat.runtime, line, context)
        finally:
            stop.set()  # when the screen is left this task is cancelled, and its thread must not go on
            self._stop = None
            chat.doing("")

    def _view(self, reply_id: str) -> ReplyView | None:
        return next((view for view in self.chat.transcript.replies if view.reply_id == reply_id), None)

    async def _follow(self, result: CommandResult) -> None:
        chat, action, argument = self.chat, result.action, result.argument
        app = chat.app
        if action in SCREENS:
            await app.run_action(f"show_{action}")
            return
        if action == "quit":
            app.exit()
            return
        if action == "new":
            await chat.action_new()
        elif action == "why":
            app.show_why(argument)  # type: ignore[attr-defined]
        elif action == "model":
            app.load_model(argument or None)  # type: ignore[attr-defined]
        elif action == "copy":
            app.copy_to_clipboard(argument)
            app.notify("Copied.", timeout=2)
            return
        elif action == "regenerate":
            view = self._view(argument)
            if view is None:
                raise AttuneError("That reply is not on the screen; open its conversation first.")
            await chat.asking.regenerate(view)
        if result.text:
            chat.say(result.text)


def _on_a_reply(line: str) -> bool:
    words = line.casefold().split()
    return words[0] in ON_A_REPLY or words[:2] == ["/forget", "rating"]
