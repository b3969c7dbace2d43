"""The preference card: a few lines about style that stand in the prompt, each with its evidence.

Learned lines follow from the thumbs, edits and picks that count at the moment (see card_model.py), so
undoing a rating undoes what it taught. The owner has the last word: pin, strike, edit, or add a line.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from memory.database import Database
from memory.errors import AttuneError, NotFound
from memory.facts import fold
from memory.journal import Journal
from memory.records import CardLine
from memory.taste import card_model, exploration
from memory.taste.card_model import FEATURES, Finding, Observation
from memory.taste.card_texts import CARD_TEXTS
from memory.taste.fading import Fading
from memory.taste.heeding import Heeded, unheeded
from memory.taste.observations import Observations
from memory.text import one_line, quoted

REPLIES = {
    "brief": "brief replies",
    "detailed": "detailed replies",
    "bullets": "replies with bullets",
    "no_bullets": "replies without bullets",
    "friendly": "friendly replies",
    "formal": "formal replies",
    "emoji": "replies with emoji",
    "no_emoji": "replies without emoji",
    "closing_question": "replies that end with a question",
    "no_closing_question": "replies that end without a question",
    "code": "replies with code",
}
OWN = "own:"


@dataclass(slots=True)
class _Card:
    """What follows from the ledger and the choices; `trial` is None until it is asked for."""

    key: object
    lines: list[CardLine]
    observations: list[Observation]
    struck: list[str]
    trial: tuple[str, ...] | None = None


class PreferenceCard:
    """The card of a home. Cheap to ask: recomputed only when the ledger or a choice has changed."""

    def __init__(self, db: Database, journal: Journal) -> None:
        self.db = db
        self.journal = journal
        self._observations = Observations(journal)
        self._before = Fading()
        self._lock = threading.Lock()
        self._cached: _Card | None = None

    def lines(self) -> list[CardLine]:
        """Every line there is, with its evidence: one for each feature, then the owner's own."""
        return list(self._current().lines)

    def active_lines(self) -> list[str]:
        """The texts that go into the prompt, in an order that does not jump when one more is learned."""
        return [line.text for line in self.lines() if line.active]

    def trial(self) -> tuple[str, ...]:
        """The styles that the next reply should be asked for, to learn about the taste (exploration.py).

        () while anything stands on the card, when the person does not rate, and when enough was seen.
        """
        newest = self.db.rows(
            "SELECT EXISTS (SELECT 1 FROM signal WHERE reply_id = message.id AND kind = 'thumb') AS thumb"
            " FROM message WHERE role = 'assistant' AND tool_calls = '[]' ORDER BY rowid DESC LIMIT ?",
            (exploration.RECENT,),
        )
        # asked first, since what follows is the dearer question
        if not exploration.rates([bool(row["thumb"]) for row in newest]):
            return ()
        card = self._current()
        if card.trial is None:
            on_card = [line.feature for line in card.lines if line.active]
            card.trial = exploration.next_trial(card.observations, on_card, card.struck)
        return card.trial

    def weights(self, before: Collection[str] = ()) -> dict[str, float]:
        """Reply id -> how much a verdict on its style still counts, from 0 to 1 (see fading.py).

        A reply that is not among them was judged for what it says, which no change of taste makes old. With
        `before`, as it was when none of those replies had been judged, which are then not among them.
        """
        seen = list(self._current().observations)
        if first := next((at + 1 for at, one in enumerate(seen) if one.reply_id in before), 0):
            with self._lock:
                seen = self._before.weighed(seen[: first - 1])
        return {one.reply_id: one.weight for one in seen}

    def line(self, feature_or_text: str) -> CardLine:
        """One line by feature name or by its text. Raises NotFound."""
        wanted = fold(feature_or_text)
        for line in self.lines():
            if line.feature == feature_or_text.strip() or fold(line.text) == wanted:
                return line
        raise NotFound(f"No card line {quoted(feature_or_text)}; name one of {', '.join(CARD_TEXTS)}.")

    def pin(self, feature_or_text: str) -> CardLine:
        """Keep a line on the card whatever the thumbs say; a sentence that is no line yet becomes one."""
        try:
            line = self.line(feature_or_text)
        except NotFound:
            if len(feature_or_text.split()) < 2:  # more likely a mistyped name than a wish
                raise
            return self.add(feature_or_text)
        return self._choose(line.feature, "pinned", line.text)

    def strike(self, feature_or_text: str) -> CardLine:
        """Keep a line off the card whatever the thumbs say."""
        line = self.line(feature_or_text)
        return self._choose(line.feature, "struck", line.text)

    def edit(self, feature_or_text: str, text: str) -> CardLine:
        """Say a line in the owner's words; it is pinned by that."""
        return self._choose(self.line(feature_or_text).feature, "pinned", one_line(text, "card line"))

    def reset(self, feature_or_text: str) -> None:
        """Leave a line to the thumbs again. The owner's own lines go away by it."""
        feature = self.line(feature_or_text).feature
        with self.db.transaction() as connection:
            connection.execute("DELETE FROM card_choice WHERE feature = ?", (feature,))

    def add(self, text: str) -> CardLine:
        """The owner's own line, pinned. The text of a known line pins that line. Raises BadText."""
        line = one_line(text, "card line")
        try:
            return self._choose(self.line(line).feature, "pinned", self.line(line).text)
        except NotFound:
            return self._choose(OWN + uuid.uuid4().hex[:8], "pinned", line)

    def _current(self) -> _Card:
        choices = self.db.rows("SELECT * FROM card_choice ORDER BY created_at, feature")
        key = (self.journal.ledger_version(), [tuple(row) for row in choices])
        with self._lock:
            if self._cached is None or self._cached.key != key:
                self._cached = self._compute(key, choices)
            return self._cached

    def _choose(self, feature: str, state: str, text: str) -> CardLine:
        with self.db.transaction() as connection:
            if state == "pinned":  # the newer wish wins over one that contradicts it
                connection.executemany(
                    "DELETE FROM card_choice WHERE feature = ? AND state = 'pinned'",
                    [(other,) for other in card_model.conflicts(feature)],
                )
            connection.execute(
                "INSERT INTO card_choice VALUES (?, ?, ?, ?)"
                " ON CONFLICT (feature) DO UPDATE SET state = excluded.state, text = excluded.text",
                (feature, state, text, time.time()),
            )
        for line in self.lines():
            if line.feature == feature:
                return line
        raise AttuneError("The card line was removed by another process in the same moment; try again.")

    def _compute(self, key: object, choices: list[sqlite3.Row]) -> _Card:
        observations = self._observations.all()
        chosen = {row["feature"]: row for row in choices}
        pinned = [feature for feature, row in chosen.items() if row["state"] == "pinned"]
        struck = [feature for feature, row in chosen.items() if row["state"] == "struck"]
        idle = unheeded(observations)
        found = card_model.learn(observations, given=pinned, barred=[*struck, *idle])
        made = [
            CardLine(
                feature=feature,
                text=chosen[feature]["text"] if feature in chosen else text,
                probability=found[feature].probability,
                state=chosen[feature]["state"] if feature in chosen else "auto",
                active=feature in pinned or found[feature].chosen,
                evidence=tuple(
                    (one.reply_id, card_model.has(feature, one.shows), 1 if one.liked else -1)
                    for one in observations
                ),
                summary=summary(
                    feature,
                    found[feature],
                    sum(not one.holds for one in observations),
                    None if feature in pinned else idle.get(feature),
                ),
            )
            for feature, text in CARD_TEXTS.items()
        ]
        made += [
            CardLine(
                feature=row["feature"],
                text=row["text"],
                probability=1.0,
                state=row["state"],
                active=row["state"] == "pinned",
                summary="Written by you.",
            )
            for row in choices
            if row["feature"] not in FEATURES
        ]
        return _Card(key, made, observations, struck)


def summary(feature: str, finding: Finding, faded: int = 0, idle: Heeded | None = None) -> str:
    """The evidence in words, such as "3 of 3 brief replies liked, 0 of 5 others"."""
    c, name = finding.counts, REPLIES[feature]
    said = f"{c.liked} of {c.seen} {name} liked" if c.seen else f"No {name} rated yet"
    if c.others:
        said += f", {c.others_liked} of {c.others} others"
    if faded:
        older = "1 older rating no longer counts" if faded == 1 else f"{faded} older ratings no longer count"
        said += f"; your taste has changed since, {older}"
    if idle:
        said += f"; off the card: {idle.followed} of {idle.seen} replies followed the line"
    return said


def taste_in_words(told: Any, most: int = 3) -> str:
    """A sentence of what an update took all thumbs for (the "taste" of its report), naming up to `most`
    styles; "" where it says nothing."""
    if not isinstance(told, Mapping):
        return ""
    if told.get("sure") and not told.get("taken", True):  # reports of older versions do not say which
        return "No style of reply explains the thumbs so far."
    named, clear = [], False
    for one in told.get("likely", ()):
        replies = " and ".join(REPLIES[name] for name in one["features"] if name in REPLIES)
        if replies:
            clear = clear or one["probability"] > 0.5
            named.append(f"{replies} ({one['probability']:.0%})")
    if not named:
        return ""
    if told.get("sure"):
        if clear:
            return f"All thumbs together speak for {named[0]}."
        return f"Of all tastes the thumbs speak most for {named[0]}."
    return f"No taste is clear from the thumbs yet, so it tries several, such as {', '.join(named[:most])}."
