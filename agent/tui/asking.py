"""Does what is asked of a message on the screen: rate, edit, copy, pick, speak again, show a sibling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from agent.tui.branches import leaf
from agent.tui.edge import known
from agent.tui.plain import editable
from agent.tui.screens.dialogs import TextDialog
from agent.tui.siblings import fork
from agent.tui.speaking import SPOKEN
from agent.tui.verdict import version
from agent.tui.widgets.reply import ReplyView
from agent.tui.widgets.turn import Asked, UserTurn

if TYPE_CHECKING:
    from agent.tui.screens.chat import ChatScreen

NOT_KEPT = "This reply could not be kept; send the message again."


class Asking:
    """The messages of one chat screen."""

    def __init__(self, chat: ChatScreen) -> None:
        self.chat = chat

    async def answer(self, asked: Asked) -> None:
        """Carry out `asked`; what takes a while runs beside the screen."""
        await known(self._answer(asked), "message" if isinstance(asked.view, UserTurn) else "reply")

    async def _answer(self, asked: Asked) -> None:
        chat, view, what = self.chat, asked.view, asked.what
        if what == "move":
            if not chat.transcript.move(view, asked.amount) and asked.amount > 0:
                chat.prompt.focus()
        elif what == "leave":
            chat.prompt.focus()
        elif not isinstance(view, UserTurn | ReplyView):
            return
        elif what == "copy":
            chat.app.copy_to_clipboard(view.text)
            chat.app.notify("Copied.", timeout=2)
        elif what == "step":
            await self._step(view, asked.amount)
        elif isinstance(view, UserTurn):
            self.beside(lambda: self._edit_turn(view))
        elif view.reply_id is None:
            chat.say(SPOKEN if chat.speaking is not None else NOT_KEPT)
        else:
            await self._of_reply(view, view.reply_id, what, asked.amount)

    async def _of_reply(self, view: ReplyView, reply_id: str, what: str, amount: int) -> None:
        rating = self.chat.rating
        if what == "rate":
            self.beside(lambda: rating.rate(view, amount))
        elif what == "pick":
            self.beside(lambda: rating.pick(view))
        elif what == "bad_why":
            self.beside(lambda: self._bad_why(view))
        elif what == "edit":
            self.beside(lambda: self._edit_reply(view))
        elif what == "regenerate":
            await self.regenerate(view)
        elif what == "why":
            self.chat.app.show_why(reply_id)  # type: ignore[attr-defined]

    def beside(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run `act` in a worker; what goes wrong is one sentence on the screen."""

        async def run() -> None:
            await self.chat.caught(known(act()))
            self.chat.app.look_again()  # type: ignore[attr-defined]

        worker: Any = run
        self.chat.run_worker(worker, group="feedback", exit_on_error=False)

    async def _bad_why(self, view: ReplyView) -> None:
        why = await self.chat.app.push_screen_wait(TextDialog("What was wrong with it?", short=True))
        if why:
            await self.chat.rating.rate(view, -1, why)

    async def _edit_reply(self, view: ReplyView) -> None:
        chat, title = self.chat, "The reply as you would have liked it"
        assert view.reply_id is not None
        # not what the view shows: it may have been edited in another place since
        mine = await asyncio.to_thread(version, chat.runtime.journal, view.reply_id)
        was = editable(view.written if mine is None else mine)
        text = await chat.app.push_screen_wait(TextDialog(title, was))
        if text and mine is not None and text == was.strip():
            chat.say("That is your version already; nothing was saved.")
        elif text:
            await chat.rating.edit(view, text)

    def _busy(self) -> bool:
        chat = self.chat
        if chat.talking.in_the_way:
            chat.say(chat.talking.in_the_way)
        elif not chat.warmed:
            chat.app.warm_again()  # type: ignore[attr-defined]
            chat.say("The model is still loading.")
        return chat.talking.busy or not chat.warmed

    async def regenerate(self, view: ReplyView) -> None:
        """Another reply in the place of `view`, which stays as its sibling."""
        chat, reply_id = self.chat, view.reply_id
        if reply_id is None:
            return
        await asyncio.to_thread(chat.runtime.journal.message, reply_id)  # before it is taken off the screen
        if self._busy():
            return
        turn = chat.transcript.turn_of(view)
        if turn is not None:
            await chat.transcript.cut_from(turn, keep=True)
        else:
            await chat.transcript.cut_from(view)
        chat.prompt.focus()
        cancel = chat.talking.fresh_cancel()
        chat.talking.speak(None, lambda: chat.runtime.loop.regenerate(reply_id, cancel=cancel))

    async def _edit_turn(self, view: UserTurn) -> None:
        chat = self.chat
        if view.message is None or self._busy():
            return
        message_id = view.message.id
        was = editable(view.text)
        text = await chat.app.push_screen_wait(TextDialog("Say it differently (a new branch)", was))
        if not text or text == was or self._busy():
            return
        fresh = UserTurn(text)
        await chat.transcript.cut_from(view)
        await chat.transcript.add(fresh)
        chat.prompt.focus()
        cancel = chat.talking.fresh_cancel()
        chat.talking.speak(fresh, lambda: chat.runtime.loop.edit_user(message_id, text, cancel=cancel))

    async def _step(self, view: UserTurn | ReplyView, amount: int) -> None:
        """Show the sibling before or after `view`, with what follows it."""
        chat = self.chat
        if view.message is None or view.place[1] < 2 or chat.conversation_id is None:
            return
        if chat.talking.in_the_way:
            chat.say(chat.talking.in_the_way)
            return
        journal, index = chat.runtime.journal, view.place[0] - 1 + amount
        siblings = await asyncio.to_thread(fork, journal, view.message)
        if not 0 <= index < len(siblings):
            return
        end = await asyncio.to_thread(leaf, journal, siblings[index].id)
        await asyncio.to_thread(journal.set_head, chat.conversation_id, end.id)
        chat.head_id = end.id
        was = chat.transcript.messages.index(view)
        await chat.reload()
        views = chat.transcript.messages
        if views:
            views[min(was, len(views) - 1)].focus()
