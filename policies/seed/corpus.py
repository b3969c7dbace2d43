"""The seed's corpus: endless, seeded conversations, each a chat list in the layout the agent uses.

A conversation is a few segments (a topic, a fact told, a fact asked for, a sum, small talk, something
beyond the model), so that every skill is also seen in the middle of others. What must be copied is
made up afresh each time (env.skills.values); what is known is in env.skills.topics.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from env.skills import phrasing
from env.skills.topics import topics
from env.skills.values import training_value, word
from memory.taste.card_texts import card_block
from policies.seed.material import arithmetic, nouns, read_rows, sentence, spoken
from policies.seed.personal import Personal
from policies.seed.scribe import TOOLS, Message
from policies.seed.small_talk import BEYOND_FRAMES, BEYOND_REPLIES, ORDER_ENDS, ORDERED, ORDERS
from policies.seed.styles import Style, card_lines, render

PERSONA = "You are Attune, a personal agent."

# How often each kind of segment is drawn. `early` leans on copying, which has a sudden onset late in
# training unless it is practised from the first step.
MIX = {
    "early": {
        "topic": 10, "tell": 6, "note": 9, "ask": 8, "quiz": 42, "later": 7, "repeat": 8,
        "clock": 2, "sum": 5, "look_up": 2, "talk": 2, "beyond": 3,
    },
    "main": {
        "topic": 30, "tell": 9, "note": 8, "ask": 8, "quiz": 20, "later": 10, "repeat": 3,
        "clock": 4, "sum": 7, "look_up": 3, "talk": 4, "beyond": 9,
    },
}  # fmt: skip


def conversation(rng: random.Random, phase: str = "main") -> list[Message]:
    """One conversation: a system message, then one to five segments (now and then up to twenty)."""
    return _Writer(rng, phase).write()


def stream(seed: int, phase: str = "main") -> Iterator[list[Message]]:
    rng = random.Random(seed)
    while True:
        yield conversation(rng, phase)


class _Writer(Personal):
    def __init__(self, rng: random.Random, phase: str) -> None:
        super().__init__(rng)
        self.mix = MIX[phase]

    def write(self) -> list[Message]:
        rng = self.rng
        lines = card_lines(self.style) if self.style else []
        rng.shuffle(lines)
        if rng.random() < 0.04:
            lines.insert(rng.randint(0, len(lines)), sentence(rng))
        system = PERSONA + card_block(lines)
        count = rng.choices((1, 2, 3, 4, 5, rng.randint(8, 16)), (50, 22, 12, 7, 6, 3))[0]
        for _ in range(count):
            kind = rng.choices(list(self.mix), list(self.mix.values()))[0]
            getattr(self, "_" + kind)()
        return [{"role": "system", "content": system, "tools": self.tools}, *self.messages]

    def _topic(self) -> None:
        rng = self.rng
        topic = rng.choice(topics())
        self.topic = topic
        question = self._pick(phrasing.TOPIC["train"]).format(t=rng.choice(topic.names))
        style = self._reply_style()
        if rng.random() < 0.08:  # a word that it never saw must not hide the topic
            words = question.split(" ")
            words.insert(rng.randrange(len(words) + 1), word(rng, nouns()))
            question = " ".join(words)
        if rng.random() < 0.08:
            wish = self._pick(tuple(phrasing.IN_STYLE))
            question = self._pick(phrasing.IN_STYLE[wish]["train"]).format(q=question)
            style = Style(length="" if wish == "bullets" else wish, bullets=wish == "bullets")
        self._user(question)
        self._reply(render(topic.facts, style, rng))
        if rng.random() < 0.1:
            self._user(self._pick(phrasing.MORE["train"]), memories=[])
            self._reply(render(topic.facts, self._reply_style(), rng))

    def _clock(self) -> None:
        rng = self.rng
        if not self.tools:
            self._user(self._pick(phrasing.CLOCK["time"]["train"]), [])
            self._reply(self._toned("I cannot see the clock now."))
            return
        kind = rng.choice(("time", "date"))
        day = rng.choice(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))
        month = rng.choice(("January", "February", "March", "April", "May", "June", "July", "August",
                            "September", "October", "November", "December"))  # fmt: skip
        date = f"{day} {rng.randint(1, 31)} {month} {rng.randint(2020, 2039)}"
        time = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
        self._user(self._pick(phrasing.CLOCK[kind]["train"]))
        self._call("clock", {}, f"It is {date}, {time}.")
        said, focus = (f"It is {time}.", time) if kind == "time" else (f"Today is {date}.", date)
        self._reply(self._toned(said), focus)

    def _sum(self) -> None:
        rng = self.rng
        said, expression, result = arithmetic(rng)
        self._user(self._pick(phrasing.SUM["train"]).format(e=said), None if rng.random() < 0.3 else [])
        if not self.tools:
            self._reply(self._toned("I cannot calculate without my calculator."))
            return
        self._call("calculator", {"expression": expression}, result)
        self._reply(self._toned(f"The result is {result}."), result)

    def _beyond(self) -> None:
        rng = self.rng
        draw = rng.random()
        if draw < 0.45:
            rows = [row for row in read_rows("beyond.jsonl") if row["split"] == "train"]
            question = rng.choice(rows)["text"]
        else:
            question = self._pick(BEYOND_FRAMES) if draw < 0.75 else self._order()
            question = re.sub(r"\{(.)\}", lambda found: self._filler(found[1]), question)
        self._user(question)
        self._reply(self._toned(self._pick(BEYOND_REPLIES)))

    def _order(self) -> str:
        text = f"{self._pick(ORDERS)} {self._pick(ORDERED)}{self._pick(ORDER_ENDS)}."
        return (
            self._pick(("Please ", "Can you ", "")) + text[0].lower() + text[1:]
            if self.rng.random() < 0.4
            else text
        )

    def _filler(self, kind: str) -> str:
        """A topic (t), a made-up word (x), a made-up name (y) or any word at all (w)."""
        rng = self.rng
        if kind == "t":
            return rng.choice(rng.choice(topics()).names)
        if kind == "w":
            return rng.choice(spoken() if rng.random() < 0.5 else nouns())
        return word(rng, nouns()) if kind == "x" else training_value("name", rng, nouns())


__all__ = ["PERSONA", "TOOLS", "conversation", "stream"]
