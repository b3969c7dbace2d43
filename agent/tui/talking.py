"""Turns of one chat: what waits to be said, what is being said in its thread, and how it is stopped."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from agent.events import Event, TurnFailed
from agent.tui.edge import caught, told
from agent.tui.speaking import Speaking
from agent.tui.widgets.turn import UserTurn
from memory.errors import NotFound

if TYPE_CHECKING:
    from agent.tui.screens.chat import ChatScreen

DRAWS_PER_SECOND = 10
# A draw lays out and paints; a key that meets one waits for it. So while the person types, draws keep to
# the gaps between keys, and a fast typist is only interrupted once in a while.
TYPING_GAP = 0.08  # s after a key in which nothing is drawn
LONGEST_WAIT = 1.5  # s that the picture may lag behind the reply while keys keep coming
STOPS_WITHIN = 5.0  # s that a cancelled reply gets to end when the app is left

Speak = Callable[[], Iterator[Event]]
log = logging.getLogger("attune.tui")


class Talking:
    """One turn at a time; `speaking` is the one that runs."""

    def __init__(self, chat: ChatScreen) -> None:
        self.chat = chat
        self.speaking: Speaking | None = None
        self.waiting: deque[tuple[UserTurn, str]] = deque()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._cancel = threading.Event()
        self._silent = threading.Event()  # set while no turn runs in its thread
        self._silent.set()
        self._drawn = 0.0

    def start(self) -> None:
        """Once the screen is there."""
        self._drawing = self.chat.set_interval(1 / DRAWS_PER_SECOND, self._tick, pause=True)

    async def leave(self) -> None:
        """Return when the stopped reply is in the journal, and below it what still waits to be said: the
        prompt has it again at the next start. The runtime is closed after this."""
        self._cancel.set()
        await asyncio.to_thread(self._silent.wait, STOPS_WITHIN)
        if self.waiting:
            text = "\n\n".join(text for _, text in self.waiting)
            await caught(asyncio.to_thread(self._keep, text), log.warning, "leaving")

    def _keep(self, text: str) -> None:
        journal, here = self.chat.runtime.journal, self.chat.conversation_id
        try:
            conversation = journal.conversation(here) if here else journal.start_conversation()
        except NotFound:  # deleted by another process
            conversation = journal.start_conversation()
        journal.add_user(conversation.id, conversation.head_id, text)

    @property
    def busy(self) -> bool:
        """A turn runs or waits."""
        return self.speaking is not None or bool(self.waiting)

    @property
    def in_the_way(self) -> str:
        """Why the screen cannot show other messages now, in a sentence; empty when it can."""
        if self.speaking is not None:
            return "A reply is being spoken; stop it with Esc first."
        return "A message waits to be said; Esc takes it back." if self.waiting else ""

    # --- beginning ------------------------------------------------------------------------------

    async def send(self, text: str) -> None:
        """Say `text`, at once or as soon as the model and the reply before are ready."""
        view = UserTurn(text)
        await self.chat.transcript.add(view)
        self.chat.transcript.anchor()
        self.waiting.append((view, text))
        await self.next()

    async def next(self) -> None:
        """Say what has waited longest, if the model is free; one that could not be loaded is tried again."""
        chat = self.chat
        if self.waiting and not chat.warmed:
            chat.app.warm_again()  # type: ignore[attr-defined]
        if self.speaking is not None or not chat.warmed or not self.waiting:
            return
        await chat.choosing.leave()
        if self.speaking is not None or not self.waiting:  # another turn began meanwhile
            return
        view, text = self.waiting.popleft()
        conversation, head, cancel = chat.conversation_id, chat.head_id, self.fresh_cancel()
        self.speak(
            view,
            lambda: chat.runtime.loop.turn(text, conversation, parent_id=head, cancel=cancel, blind=None),
        )

    def fresh_cancel(self) -> threading.Event:
        """The event that stops the turn which begins now."""
        self._cancel = threading.Event()
        return self._cancel

    def speak(self, turn: UserTurn | None, make: Speak) -> None:
        """Run the events of `make()` in a thread and draw them as they come."""
        self.speaking = Speaking(self.chat.transcript, self.chat.runtime.journal, turn)
        self.chat.doing("replying \u00b7 Esc stops")
        self._drawing.resume()
        self._silent.clear()
        self.chat.run_worker(partial(self._run, make), thread=True, group="reply", exit_on_error=False)

    def _run(self, make: Speak) -> None:
        try:
            for event in make():
                self._events.put(event)
        except Exception as error:
            self._events.put(TurnFailed(told(error, "a turn")))
        finally:
            self._events.put(None)
            self._silent.set()

    # --- drawing --------------------------------------------------------------------------------

    async def _tick(self) -> None:
        now = time.monotonic()
        typing = now - self.chat.app.touched < TYPING_GAP  # type: ignore[attr-defined]
        if typing and now - self._drawn < LONGEST_WAIT:
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
            self.chat.say(told(error, "drawing"), "bad")
        # From the first event on: what is being spoken must count as open, or it could be deleted.
        self.chat.conversation_id = speaking.conversation_id or self.chat.conversation_id
        self.chat.head_id = speaking.head_id or self.chat.head_id
        if ended:
            await self._ended(speaking)

    async def _ended(self, speaking: Speaking) -> None:
        chat = self.chat
        self._drawing.pause()
        self.speaking = None
        chat.doing("")
        undone = bool(speaking.failed) and speaking.head_id is None and chat.head_id is not None
        try:
            if undone:
                await self.stop()  # what waits goes back to the prompt, below what failed
            # before the journal is asked for anything, which fails where the conversation is gone
            if speaking.failed and speaking.turn is not None and speaking.turn.message is None:
                self._give_back([speaking.turn.text])
            await chat.retitle()
            await chat.transcript.trim(chat.most)
            if undone:
                # Another reply was wanted and did not come: the old one is back, and nothing else is drawn.
                await chat.reload()
                chat.say(speaking.failed, "bad")
        except NotFound:
            chat.conversation_id = chat.head_id = None
            chat.say("This conversation was deleted meanwhile; what you say next begins a new one.", "bad")
        except Exception as error:
            chat.say(told(error, "the end of a turn"), "bad")
        chat.app.look_again()  # type: ignore[attr-defined]
        await self.next()

    # --- stopping -------------------------------------------------------------------------------

    @property
    def stopped(self) -> bool:
        """Whether the turn that runs was told to stop."""
        return self._cancel.is_set()

    async def stop(self) -> None:
        """Stop what is being spoken, which is kept as far as it came, and take back what still waits."""
        self._cancel.set()
        waiting, self.waiting = list(self.waiting), deque()
        for view, _ in waiting:
            await view.remove()
        if waiting:
            self._give_back([text for _, text in waiting])

    def _give_back(self, texts: list[str]) -> None:
        """What was not said returns to the prompt; nothing that was typed is lost."""
        prompt = self.chat.prompt
        prompt.put("\n\n".join([*texts, *([prompt.text] if prompt.text.strip() else [])]))
