"""What a reply that is made once more is shown: what the first one was shown, as far as that still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import prompt
from memory.records import Generation, Message, Passage, Recalled

if TYPE_CHECKING:
    from agent.runtime import Runtime


def shown_again(runtime: Runtime, old: Generation, source: Message) -> tuple[list[Recalled], list[Passage]]:
    """Without what was forgotten since, and nothing where the memory is switched off; `source` is sent so."""
    recalled: list[Recalled] = []
    passages: list[Passage] = []
    if runtime.settings.memory:
        known = {one.id for one in runtime.facts.shown_to(old.reply_id)}
        recalled = [one for one in old.recalled if one.memory_id in known]
        passages = list(old.passages)
    sent = prompt.with_memories(source.content, recalled, passages)
    less = len(recalled) + len(passages) < len(old.recalled) + len(old.passages)
    before = next((str(one["content"]) for one in reversed(old.messages) if one["role"] == "user"), "")
    # else what only a tool has shown would come into the message; a reply made without the memory took it out
    if sent != source.sent and (less or before.endswith(sent)):
        runtime.journal.set_sent(source.id, sent)
    return recalled, passages
