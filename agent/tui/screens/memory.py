"""What the agent remembers: search it, correct it, make it forget."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import on, work
from textual.widgets import OptionList

from agent.tui import keys
from agent.tui.plain import clean, count, one_line, when
from agent.tui.screens.dialogs import Confirm, TextDialog
from agent.tui.screens.lists import ListScreen
from memory.records import Memory

if TYPE_CHECKING:
    from agent.runtime import Runtime


class MemoryScreen(ListScreen):
    BINDINGS = keys.MEMORY
    HEADING = "Memory"
    SEARCH = "search by word or by meaning"
    EMPTY = "Nothing remembered. Tell it something, or press a to add a memory."
    HINT = "/ search \u00b7 a add \u00b7 e edit \u00b7 x not true \u00b7 f forget \u00b7 Esc back"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self._memories: dict[str, Memory] = {}

    async def find(self, search: str) -> list[tuple[str, str]]:
        found = await asyncio.to_thread(self._find, search.strip())
        self._memories = {memory.id: memory for memory in found}
        return [(memory.id, one_line(memory.text, 200)) for memory in found]

    def _find(self, search: str) -> list[Memory]:
        facts = self.runtime.facts
        if not search:
            return sorted(facts.all(), key=lambda memory: -memory.created_at)
        found = {memory.id: memory for memory in facts.search_text(search)}
        if self.runtime.ready:  # by meaning too, once the embedder is there
            for recalled in self.runtime.recall.search(search, k=10):
                found.setdefault(recalled.memory_id, facts.get(recalled.memory_id))
        return list(found.values())

    async def detail(self, entry_id: str) -> str:
        memory = self._memories.get(entry_id)
        if memory is None:
            return ""
        used = memory.helped + memory.hurt
        worth = f"useful {memory.usefulness:.0%}" if used else "not rated yet"
        source = "from a conversation" if memory.source_message_id else "added by hand"
        if memory.origin == "inferred":
            source = f"inferred {source}, e corrects it, y says that it is so"
        if memory.valid_to is not None:
            source += f" \u00b7 {memory.ended or 'ended'}, until {when(memory.valid_to)}"
        elif memory.valid_from is not None and memory.created_at - memory.valid_from > 86_400:
            source += f" \u00b7 since {when(memory.valid_from)}"
        lines = f"{clean(memory.text)}\n" if len(memory.text) > 60 else ""
        return f"{lines}{memory.kind} \u00b7 {when(memory.created_at)} \u00b7 {source} \u00b7 {worth}"

    async def fill(self) -> None:
        await super().fill()
        number = await self.caught(asyncio.to_thread(self.runtime.facts.count))
        if number is None or not self.is_attached:
            return
        self.query_one(".heading").update(f"Memory  {count(number, 'memory', 'memories')}")  # type: ignore[attr-defined]

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_edit()

    @work(exit_on_error=False)
    async def action_add(self) -> None:
        text = await self.app.push_screen_wait(TextDialog("Something to remember", short=True))
        if text:
            await self.do(self._remember, text)

    @work(exit_on_error=False)
    async def action_edit(self) -> None:
        memory = self._memories.get(self.chosen or "")
        if memory is None:
            return
        text = await self.app.push_screen_wait(TextDialog("Correct this memory", memory.text))
        if text and text != memory.text:
            await self.do(self._edit, memory.id, text)

    @work(exit_on_error=False)
    async def action_forget(self) -> None:
        memory = self._memories.get(self.chosen or "")
        if memory is None:
            return
        question = f"Forget this for good?\n{one_line(memory.text, 120)}"
        if await self.app.push_screen_wait(Confirm(question, "Forget", "Keep")):
            await self.do(self._forget, memory.id)

    @work(exit_on_error=False)
    async def action_retract(self) -> None:
        memory = self._memories.get(self.chosen or "")
        if memory is not None:
            await self.do(self._retract, memory.id)

    @work(exit_on_error=False)
    async def action_confirm(self) -> None:
        memory = self._memories.get(self.chosen or "")
        if memory is not None and memory.origin == "inferred":
            await self.do(self._confirm, memory.id)

    # Opening the index loads Chroma, so these run in a thread.

    def _retract(self, memory_id: str) -> None:
        self.runtime.facts.retract(memory_id)

    def _confirm(self, memory_id: str) -> None:
        self.runtime.facts.confirm(memory_id)

    def _remember(self, text: str) -> None:
        self.runtime.recall.remember(text)

    def _edit(self, memory_id: str, text: str) -> None:
        self.runtime.recall.edit(memory_id, text)

    def _forget(self, memory_id: str) -> None:
        self.runtime.forget(memory_id)
