"""One call of a tool within a turn: permission, the tool, and what it showed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from agent.events import Event, ToolFinished, ToolStarted
from agent.tools import Permission, ToolContext, ToolError, execute
from agent.turn import Turn
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime


def use_tool(runtime: Runtime, turn: Turn, call: dict[str, Any]) -> Iterator[Event]:
    """Run `call`, journal its result and make it the leaf of `turn`; a refusal is a result as well.

    Memories and passages that the tool showed are added to those of the turn.
    """
    assert turn.leaf is not None
    name, arguments = str(call.get("name", "")), dict(call.get("arguments") or {})
    yield ToolStarted(name, arguments)
    context = ToolContext(runtime, turn.source.id, list(turn.recalled), list(turn.passages))
    permission = Permission(runtime.settings.tools_allowed, runtime.ask_permission)
    try:
        if not turn.use_memory and name in ("remember", "recall"):
            raise ToolError("The memory is switched off.")
        result, ok = execute(name, arguments, context, permission), True
    except AttuneError as wrong:
        result, ok = str(wrong), False
    seen = {memory.memory_id for memory in turn.recalled}
    turn.recalled += [memory for memory in context.recalled if memory.memory_id not in seen]
    turn.passages += context.passages[len(turn.passages) :]
    turn.leaf = runtime.journal.add_tool(turn.leaf.conversation_id, turn.leaf.id, result, tool_name=name)
    yield ToolFinished(name, arguments, result, ok)
