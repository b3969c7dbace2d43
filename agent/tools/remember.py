"""Keep a fact for later conversations."""

from __future__ import annotations

from agent.tools.base import Tool, ToolContext


def run(arguments: dict[str, str], context: ToolContext) -> str:
    context.runtime.recall.remember(arguments["fact"], source_message_id=context.source_message_id)
    return "Saved."


REMEMBER = Tool("remember", "Save a fact about the owner.", {"fact": "The fact, as one sentence."}, run)
