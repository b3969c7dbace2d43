"""Why a reply reads as it does: what was shown to the model, and what had trained it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memory.journal import Journal
from memory.records import CardLine, Feedback, Generation, Message
from memory.taste.preferences import PreferenceCard
from policies.adapters.registry import AdapterRegistry

# Said beside a card line that was no belief yet (memory/taste/exploration.py).
TRIED = "tried once, to learn what you like"


@dataclass(frozen=True, slots=True)
class Why:
    """What a reply was made of. `card` holds the lines it was shown, with today's evidence.

    `trial` are those among them that were only tried in this reply.
    """

    message: Message
    generation: Generation
    card: tuple[CardLine, ...]
    adapter: dict[str, Any] | None
    rating: Feedback | None
    trial: tuple[CardLine, ...] = ()


def explain(journal: Journal, card: PreferenceCard, registry: AdapterRegistry, reply_id: str) -> Why:
    """Everything behind a reply. NotFound when there is no such reply."""
    generation = journal.generation(reply_id)
    lines = card.lines()
    shown = set(generation.card_lines)
    adapter: dict[str, Any] | None = None
    if generation.adapter is not None:
        adapter = {"version": generation.adapter}
        for known in registry.list():
            if known.version == generation.adapter:
                adapter |= {
                    "status": known.status,
                    "algorithm": known.algorithm,
                    "signals": known.signals,
                    "report": known.report,
                }
    return Why(
        message=journal.message(reply_id),
        generation=generation,
        card=tuple(line for line in lines if line.text in shown),
        adapter=adapter,
        rating=journal.effective(reply_id),
        trial=tuple(line for line in lines if line.feature in generation.trial),
    )
