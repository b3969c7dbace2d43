"""What the person thinks of a reply, made durable in a thread and then shown on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from agent.tui.learned import Snapshot, learned
from agent.tui.siblings import rivals
from agent.tui.verdict import NONE, Verdict, verdict
from agent.tui.widgets.reply import ReplyView
from memory.errors import AttuneError, NotFound
from memory.records import Feedback

if TYPE_CHECKING:
    from agent.runtime import Runtime


class Rating:
    """One rating after another, so that each says what it alone has changed."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._one = asyncio.Lock()

    async def rate(self, view: ReplyView, value: int, why: str | None = None) -> None:
        """A thumb. Raises AttuneError; giving the rating that holds already is no new event."""
        reply_id = view.reply_id
        if reply_id is None:
            raise AttuneError("A reply can be rated when it is done.")

        def rate() -> Feedback | None:
            # not what the view shows: it may have been rated or forgotten in another place since
            held = self.runtime.journal.effective(reply_id)
            if value == (held.value if held else 0) and not why:
                if value == 0:
                    raise AttuneError("This reply has no rating to undo.")
                return None
            return self.runtime.rate(reply_id, value, why)

        await self._do(view, rate)

    async def edit(self, view: ReplyView, text: str) -> None:
        reply_id = view.reply_id
        if reply_id is not None:
            await self._do(view, lambda: self.runtime.edit_reply(reply_id, text))

    async def pick(self, view: ReplyView) -> None:
        """This reply over each of its siblings, but for those that it was picked over last."""
        if view.message is None:
            return
        message = view.message

        def pick() -> Feedback:
            chosen, beaten = rivals(self.runtime.journal, message)
            others = [one for one, lost in beaten.items() if not lost]
            if not beaten:
                raise AttuneError(
                    "There is only one reply here; press r for another, then pick the better one."
                )
            if not others:
                raise AttuneError("This reply is already picked.")
            return [self.runtime.pick(chosen, other) for other in others][-1]

        await self._do(view, pick)

    async def snapshot(self, reply_id: str) -> Snapshot:
        return await asyncio.to_thread(self._snapshot, reply_id)

    async def show(self, view: ReplyView, before: Snapshot) -> None:
        """Draw what holds for `view` now, and what changed since `before`."""
        if view.reply_id is None:
            return
        events = await asyncio.to_thread(self.runtime.journal.feedback, view.reply_id)
        after = await self.snapshot(view.reply_id)
        if events:
            await self._show(view, before, after, events[-1])

    async def look(self, views: Sequence[ReplyView]) -> None:
        """Draw the ratings of `views` that are no longer what the journal holds."""
        async with self._one:
            for view in views:
                if view.message is not None:
                    try:
                        holds = await self._verdict(view)
                    except NotFound:  # with its conversation
                        holds = NONE
                    if holds != view.verdict:
                        view.rated(holds)

    async def _do(self, view: ReplyView, act: Callable[[], Feedback | None]) -> None:
        """`act` gives the event that it has written, or None when there was nothing to write."""
        assert view.reply_id is not None
        async with self._one:
            before = await self.snapshot(view.reply_id)
            event = await asyncio.to_thread(act)
            if event is not None:
                after = await self.snapshot(view.reply_id)
                await self._show(view, before, after, event)
        if event is None:
            await self.look([view])

    async def _show(self, view: ReplyView, before: Snapshot, after: Snapshot, event: Feedback) -> None:
        holds = await self._verdict(view)
        said = {"edit": "your version is kept", "pick": "picked"}.get(event.kind, "")
        what = learned(before, after, event)
        view.rated(holds, f"{said}; {what}" if said else what)

    async def _verdict(self, view: ReplyView) -> Verdict:
        assert view.message is not None
        return await asyncio.to_thread(verdict, self.runtime.journal, view.message)

    def _snapshot(self, reply_id: str) -> Snapshot:
        memories = []
        for recalled in self.runtime.journal.generation(reply_id).recalled:
            try:
                memories.append(self.runtime.facts.get(recalled.memory_id))
            except AttuneError:
                continue  # forgotten since
        reply = self.runtime.journal.message(reply_id)
        return Snapshot(tuple(self.runtime.card.lines()), tuple(memories), reply)
