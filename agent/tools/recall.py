"""Look something up in what was remembered."""

from __future__ import annotations

from agent.tools.base import Tool, ToolContext


def run(arguments: dict[str, str], context: ToolContext) -> str:
    found = context.runtime.recall.search(arguments["query"], k=context.runtime.settings.recall_k)
    context.recalled.extend(found)
    return "\n".join(f"- {memory.text}" for memory in found) or "Nothing found."


RECALL = Tool("recall", "Search the saved facts.", {"query": "What to look for."}, run)
