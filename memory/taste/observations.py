"""The ledger as evidence about taste: every text with a verdict that is about its style.

A thumb counts as given; of an edit or a pick the better text counts as liked and the other as not, unless
a thumb on the same reply says otherwise. A verdict on what a reply says teaches nothing about how it
should be said, and is left out (about_taste.py). Ratings from before a change of taste have faded
(fading.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from memory.journal import Journal
from memory.records import Message, tried
from memory.taste.about_taste import about_content
from memory.taste.card_model import Observation
from memory.taste.card_texts import CARD_TEXTS
from memory.taste.fading import Fading
from memory.taste.features import features, wished

# A reply, what it answers, and how it came about: what a reply was given never changes later on.
QUERY = """
SELECT reply.id, reply.tool_calls, parent.role AS after, parent.content AS question,
       json_quote(json_extract(generation.body, '$.trial')) AS trial, generation.base,
       json_extract(generation.body, '$.card_lines') AS lines,
       CASE WHEN EXISTS (SELECT 1 FROM shown WHERE shown.reply_id = reply.id)
            THEN json_extract(generation.body, '$.recalled') END AS recalled,
       json_extract(generation.body, '$.passages') AS passages
FROM message AS reply
LEFT JOIN message AS parent ON parent.id = reply.parent_id
LEFT JOIN generation ON generation.reply_id = reply.id
WHERE reply.id IN (SELECT value FROM json_each(?))
"""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """`style` is False for a reply judged for what it says. `under`: what the card asked of it."""

    style: bool = True
    trial: tuple[str, ...] = ()
    base: str | None = None
    under: frozenset[str] = frozenset()


class Observations:
    """Reads the evidence of a home. What is known of a reply is kept, so a new thumb costs one look-up."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._known: dict[str, Circumstances] = {}
        self._fading = Fading()

    def all(self) -> list[Observation]:
        """In the order of the verdicts that count, each with the weight that it still has."""
        return [one for _, one in self.timed()]

    def about_style(self, replies: Iterable[Message]) -> dict[str, bool]:
        """By id of the reply: whether a verdict on it is about its style, not about what it says."""
        replies = list(replies)
        self._look_up(replies)
        return {reply.id: self._known[reply.id].style for reply in replies}

    def timed(self) -> list[tuple[float, Observation]]:
        """As `all`, each behind the time of its verdict."""
        signals = self.journal.signals()
        others = {
            event.other_id: self.journal.message(event.other_id)
            for event, _ in signals
            if event.kind == "pick" and event.other_id
        }
        self._look_up([*(reply for _, reply in signals), *others.values()])
        thumbed = {reply.id for event, reply in signals if event.kind == "thumb"}
        verdicts: dict[str, tuple[float, Observation]] = {}

        def judged(key: str, at: float, one: Observation) -> None:
            verdicts.pop(key, None)  # who thinks again judges now, not in the place of the first time
            verdicts[key] = at, one

        for event, reply in signals:
            if event.kind == "thumb":
                if self._known[reply.id].style:
                    judged(reply.id, event.created_at, self._seen(reply, event.value > 0))
                continue
            if event.kind == "edit":
                worse = reply
            elif event.kind == "pick" and event.other_id:
                worse = others[event.other_id]
            else:
                continue
            # the right words in the place of "I do not know that yet" are no wish for another style
            if not (self._known[reply.id].style and self._known[worse.id].style):
                continue
            if event.kind == "edit":
                wanted = Observation(reply.id, wished(reply.content, event.text or ""), True)
                # a reply that was edited until it was right tells of one better text
                judged(f"edit of {reply.id}", event.created_at, wanted)
            elif reply.id not in thumbed:
                judged(reply.id, event.created_at, self._seen(reply, True))
            if worse.id not in thumbed:
                judged(worse.id, event.created_at, self._seen(worse, False))
        times = [at for at, _ in verdicts.values()]
        seen = self._fading.weighed([one for _, one in verdicts.values()])
        # whether another base followed a line says nothing about this one
        base = self._known[signals[-1][1].id].base if signals else None
        return [
            (at, one if not one.under or self._base(one) == base else replace(one, under=frozenset()))
            for at, one in zip(times, seen, strict=True)
        ]

    def _base(self, one: Observation) -> str | None:
        return self._known[one.reply_id].base

    def _seen(self, reply: Message, liked: bool) -> Observation:
        known = self._known[reply.id]
        return Observation(
            reply.id, features(reply.content), liked, known.trial, under=known.under.difference(known.trial)
        )

    def _look_up(self, replies: Iterable[Message]) -> None:
        new = {reply.id: reply for reply in replies if reply.id not in self._known}
        if not new:
            return
        for row in self.journal.db.rows(QUERY, (json.dumps(list(new)),)):
            aside = about_content(
                new[row["id"]].content,
                question=row["question"] or "",
                memories=[
                    *(one["text"] for one in json.loads(row["recalled"] or "[]")),
                    # line by line, as a brief reply hands out one sentence of a passage
                    *(
                        line
                        for one in json.loads(row["passages"] or "[]")
                        for line in one["text"].split("\n")
                    ),
                ],
                used_tools=row["after"] == "tool" or row["tool_calls"] != "[]",
            )
            self._known[row["id"]] = Circumstances(
                not aside,
                tried(json.loads(row["trial"] or "null")),
                row["base"],
                _asked(json.loads(row["lines"] or "[]")),
            )
        # a conversation that was deleted between the two statements
        for reply_id in new:
            self._known.setdefault(reply_id, Circumstances())


def _asked(lines: Iterable[str]) -> frozenset[str]:
    """The features whose own words are among `lines`; what the owner wrote is not ours to judge."""
    shown = set(lines)
    return frozenset(feature for feature, text in CARD_TEXTS.items() if text in shown)
