"""Look something up in what was remembered, and in the documents that were learned."""

from __future__ import annotations

from agent.tools.base import Tool, ToolContext


def run(arguments: dict[str, str], context: ToolContext) -> str:
    from agent.documents import passages_for

    runtime, query = context.runtime, arguments["query"]
    found = runtime.recall.search(query, k=runtime.settings.recall_k)
    context.recalled.extend(found)
    lines = [f"- {memory.text}" for memory in found]
    shown = {one for passage in context.passages for one in passage.ids}
    for passage in passages_for(runtime, runtime.policy, query, found, context.passages):
        if shown.isdisjoint(passage.ids):
            context.passages.append(passage)
            # on one line, as in a prompt: forgetting seeks it so
            lines.append(f"[{len(context.passages)}] {' '.join(passage.text.split())}")
    return "\n".join(lines) or "Nothing found."


RECALL = Tool("recall", "Search the saved facts.", {"query": "What to look for."}, run)
