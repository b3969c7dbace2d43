"""Carries out slash commands: `agent.commands` decides, this shows."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from agent.commands import CommandContext, CommandResult, run
from agent.tui.choosing import FIRST
from agent.tui.widgets.reply import ReplyView
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.tui.screens.chat import ChatScreen

# Which reply is meant is open while there are two.
ON_A_REPLY = {"/why", "/good", "/bad", "/edit", "/regenerate", "/pick", "/copy"}
SCREENS = {"sessions", "memory", "policy", "card", "help"}


class Following:
    """Commands of one chat screen."""

    def __init__(self, chat: ChatScreen) -> None:
        self.chat = chat

    def run(self, line: str) -> None:
        """Run `line` beside the screen; what goes wrong is one sentence."""
        job = partial(self._run, line)
        self.chat.run_worker(job, group="command", exit_on_error=False)  # type: ignore[arg-type]

    async def _run(self, line: str) -> None:
        await self.chat.caught(self._carry_out(line))
        self.chat.app.look_again()  # type: ignore[attr-defined]

    async def _carry_out(self, line: str) -> None:
        chat = self.chat
        if chat.transcript.pair is not None and line.split()[0] in ON_A_REPLY:
            raise AttuneError(FIRST)
        view = chat.transcript.newest
        before = await chat.rating.snapshot(view.reply_id) if view and view.reply_id else None
        context = CommandContext(chat.conversation_id, view.reply_id if view else None)
        result = await asyncio.to_thread(run, chat.runtime, line, context)
        rated = self._view(result.argument) if result.action in ("rated", "picked") else None
        if rated is not None and before is not None:
            await chat.rating.show(rated, before)
        else:
            await self._follow(result)

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
