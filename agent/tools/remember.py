"""Keep a fact for later conversations."""

from __future__ import annotations

from agent.tools.base import Tool, ToolContext


def run(arguments: dict[str, str], context: ToolContext) -> str:
    """ "Saved.", also of what is known already; else a sentence that says why nothing was stored."""
    runtime = context.runtime
    if context.source_message_id is None:
        runtime.facts.remember(arguments["fact"], origin="inferred")
        runtime.in_step()
        return "Saved."
    from agent.documents import claims
    from memory.learning import learn

    source = runtime.journal.message(context.source_message_id)
    learned = learn(
        runtime.facts,
        arguments["fact"],
        source,
        [*(one.text for one in context.recalled), *claims(runtime, source, context.passages)],
        infer=runtime.infers,
    )
    if learned.new:
        runtime.in_step()
    return "Saved." if learned.memory is not None else f"Not saved: {learned.why}"


REMEMBER = Tool("remember", "Save a fact about the owner.", {"fact": "The fact, as one sentence."}, run)
