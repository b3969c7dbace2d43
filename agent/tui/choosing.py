"""The choice between two replies without labels, made durable in a thread and then shown in their place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from agent.tui.branches import Shown
from agent.tui.learned import learned
from agent.tui.siblings import place
from agent.tui.verdict import verdict
from agent.tui.widgets.pair import PairView
from agent.tui.widgets.reply import ReplyView
from memory.comparisons import Choice

if TYPE_CHECKING:
    from agent.tui.screens.chat import ChatScreen

FIRST = "Choose between the two replies first (Esc goes there), or write on."


class Choosing:
    """The open pair of one chat screen."""

    def __init__(self, chat: ChatScreen) -> None:
        self.chat = chat
        self._one = asyncio.Lock()  # a message that is sent meanwhile goes on from what was picked

    async def answer(self, view: PairView, choice: str) -> None:
        """Keep the answer and show the reply that the conversation goes on from; empty: no answer."""
        if not choice:
            await self.leave()
            return
        async with self._one:
            await self._answer(view, cast(Choice, choice))

    async def _answer(self, view: PairView, choice: Choice) -> None:
        chat, runtime = self.chat, self.chat.runtime
        picked = {"first": view.first.id, "second": view.second.id}.get(choice)
        before = await chat.rating.snapshot(picked or view.first.id)
        try:
            events = await asyncio.to_thread(runtime.choose, view.first.id, view.second.id, choice)
        except Exception:
            view.open_again()
            raise
        after = await chat.rating.snapshot(picked or view.first.id)
        here = {chat.conversation_id, chat.speaking.conversation_id if chat.speaking else None}
        if not view.is_attached or view.first.conversation_id not in here:
            return  # the person has gone on to something else while it was written
        chat.head_id = picked or chat.head_id
        if chat.speaking is not None:  # facts are still sought behind the two, and its head would come back
            chat.speaking.head_id = chat.head_id
        said = {"alike": "alike: counts as nothing", "both bad": "both bad"}.get(choice, "picked")
        parts = [said, "" if choice == "alike" else learned(before, after, events[-1])]
        rate = await asyncio.to_thread(self._win_rate, view)
        await self._replace(view, "; ".join(part for part in parts if part) + f" \u00b7 {rate}")

    async def leave(self) -> None:
        """Take the open pair, if there is one, off the screen: it was not answered."""
        async with self._one:
            if (view := self.chat.transcript.pair) is not None:
                await self._replace(view, "")

    async def _replace(self, view: PairView, said: str) -> None:
        chat = self.chat
        if chat.head_id is None or not view.is_attached:
            return
        shown = await asyncio.to_thread(self._head, chat.head_id)
        reply = ReplyView(shown.message, shown.generation, shown.verdict, shown.place)
        focused = chat.focused is view
        async with chat.transcript.batch():
            await chat.transcript.mount(reply, after=view)
            await view.remove()
        if said:
            reply.rated(shown.verdict, said)
        if focused:
            chat.prompt.focus()

    def _head(self, head_id: str) -> Shown:
        journal = self.chat.runtime.journal
        message = journal.message(head_id)
        return Shown(message, place(journal, message), journal.generation(head_id), verdict(journal, message))

    def _win_rate(self, view: PairView) -> str:
        """Of the newer adapter against the other one: who made what is no secret any more."""
        from policies.win_rate import win_rate

        journal = self.chat.runtime.journal
        made = [journal.generation(one.id).adapter for one in (view.first, view.second)]
        newer, older = sorted(made, key=lambda version: int(version[1:]) if version else 0, reverse=True)
        return win_rate(journal, newer, older).text
