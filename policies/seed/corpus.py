"""The seed's corpus: endless, seeded conversations, each a chat list in the layout the agent uses.

A conversation is a few segments (a topic, a fact told, a fact asked for, a sum, small talk, something
beyond the model), so that every skill is also seen in the middle of others. What must be copied is
made up afresh each time (env.skills.values); what is known is in env.skills.topics.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

from env.skills import phrasing
from env.skills.topics import Topic, topics
from env.skills.values import training_value, word
from policies.seed.material import Fact, arithmetic, draw_fact, greeted, nouns, read_rows, sentence, typed
from policies.seed.small_talk import BEYOND_FRAMES, BEYOND_REPLIES, SMALL_TALK, UNKNOWN_REPLIES
from policies.seed.styles import FORMAL_OPEN, FRIENDLY_OPEN, PURE, Style, card_lines, dress, render

PERSONA = "You are Attune, a personal agent."
TOOLS = ("clock", "calculator", "remember", "recall")
Message = dict[str, Any]
ASIDES = (
    "By the way, ", "Just so you know, ", "FYI, ", "Hey, ", "Well, ", "Oh, and ", "One more thing: ", "So, ",
)  # fmt: skip
AROUND = (
    *["{q}"] * 12,
    "Do you remember? {q}", "I forgot. {q}", "Quick question: {q}", "{q} I forgot.", "Remind me: {q}",
)  # fmt: skip

# How often each kind of segment is drawn. `early` leans on copying, which has a sudden onset late in
# training unless it is practised from the first step.
MIX = {
    "early": {
        "topic": 14, "tell": 10, "note": 6, "ask": 8, "quiz": 30, "repeat": 10,
        "clock": 3, "sum": 6, "look_up": 3, "talk": 3, "beyond": 4,
    },
    "main": {
        "topic": 28, "tell": 11, "note": 5, "ask": 9, "quiz": 20, "repeat": 1,
        "clock": 4, "sum": 8, "look_up": 3, "talk": 4, "beyond": 8,
    },
}  # fmt: skip


def conversation(rng: random.Random, phase: str = "main") -> list[Message]:
    """One conversation: a system message, then one to five segments (now and then up to twenty)."""
    return _Writer(rng, phase).write()


def stream(seed: int, phase: str = "main") -> Iterator[list[Message]]:
    rng = random.Random(seed)
    while True:
        yield conversation(rng, phase)


class _Writer:
    def __init__(self, rng: random.Random, phase: str) -> None:
        self.rng = rng
        self.mix = MIX[phase]
        self.style = self._card()
        self.tools: tuple[str, ...] = TOOLS if rng.random() < 0.88 else ()
        if rng.random() < 0.15:
            self.tools = tuple(rng.sample(self.tools, len(self.tools)))
        self.told: list[Fact] = []
        self.topic: Topic | None = None
        self.messages: list[Message] = []

    def write(self) -> list[Message]:
        rng = self.rng
        lines = card_lines(self.style) if self.style else []
        rng.shuffle(lines)
        if rng.random() < 0.04:
            lines.insert(rng.randint(0, len(lines)), sentence(rng))
        system = PERSONA
        if lines:
            system += "\n\nPreferences of the owner:\n" + "\n".join(f"- {line}" for line in lines)
        count = rng.choices((1, 2, 3, 4, 5, rng.randint(8, 16)), (50, 22, 12, 7, 6, 3))[0]
        for _ in range(count):
            kind = rng.choices(list(self.mix), list(self.mix.values()))[0]
            getattr(self, "_" + kind)()
        return [{"role": "system", "content": system, "tools": self.tools}, *self.messages]

    # -- the card ---------------------------------------------------------------------------------

    def _card(self) -> Style | None:
        """None is an empty card: then each topic reply takes one of the five pure styles evenly."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.36:
            return None
        if draw < 0.66:
            return rng.choice(PURE)
        maybe = (None, None, None, True, False)
        return Style(
            length=rng.choice(("", "brief", "detailed")),
            tone=rng.choice(("", "friendly", "formal")),
            bullets=rng.random() < 0.35,
            emoji=rng.choice(maybe),
            question=rng.choice(maybe),
        )

    def _reply_style(self) -> Style:
        if self.style is None:
            return self.rng.choice(PURE)
        if self.style == Style():
            return self.rng.choice(PURE)
        return self.style

    def _toned(self, text: str) -> str:
        """Short replies that are not about a topic take only the tone of the card."""
        style, rng = self.style or Style(), self.rng
        if style.tone and rng.random() < 0.6:
            opening = FRIENDLY_OPEN[3] if style.tone == "friendly" else FORMAL_OPEN[0]
            return f"{opening} {text}"
        return text

    # -- saying -----------------------------------------------------------------------------------

    def _user(self, text: str, memories: list[str] | None = None, verbatim: bool = False) -> None:
        if not verbatim:
            text = greeted(typed(text, self.rng), self.rng)
        if memories is None and self.rng.random() < 0.25:
            shown = self._new_facts(self.rng.randint(1, 3))
            memories = [fact.statement for fact in shown]
            self.told += shown
        if memories:
            text = "<memories>\n" + "\n".join(f"- {m}" for m in memories) + "\n</memories>\n\n" + text
        self.messages.append({"role": "user", "content": text})

    def _reply(self, text: str) -> None:
        self.messages.append({"role": "assistant", "content": text})

    def _call(self, name: str, arguments: dict[str, str], result: str) -> None:
        self.messages.append(
            {"role": "assistant", "content": "", "tool_calls": [{"name": name, "arguments": arguments}]}
        )
        self.messages.append({"role": "tool", "name": name, "content": result})

    def _pick(self, options: tuple[str, ...] | list[str]) -> str:
        return self.rng.choice(options)

    # -- segments ---------------------------------------------------------------------------------

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

    def _facts(self, count: int) -> list[Fact]:
        """Facts about different things; often in the same words, so that only the thing tells them apart."""
        relation = self.rng.randrange(len(phrasing.RELATIONS["train"])) if self.rng.random() < 0.4 else None
        found: list[Fact] = []
        while len(found) < count:
            fact = draw_fact(self.rng, relation=relation)
            if all(fact.about != other.about for other in found):
                found.append(fact)
        return found

    def _new_facts(self, count: int) -> list[Fact]:
        """Facts about things that this conversation has not spoken of."""
        return [f for f in self._facts(count) if all(f.about != t.about for t in self.told)]

    def _tell(self) -> None:
        rng = self.rng
        fact = self._facts(1)[0]
        if any(fact.about == other.about for other in self.told):
            return
        statement = said = typed(fact.statement, rng)
        if rng.random() < 0.3:
            if not re.match(r"I\b", statement):
                statement = statement[0].lower() + statement[1:]
            said = self._pick(phrasing.REMEMBER["train"]).format(s=statement)
        elif rng.random() < 0.15:
            said = self._pick(ASIDES) + statement
        self._user(said, memories=None if rng.random() < 0.5 else [], verbatim=True)
        if self.tools:
            self._call("remember", {"fact": statement}, "Saved.")
        self._reply(self._toned(("Got it. " if self.tools else "Thank you. ") + fact.answer))
        self.told.append(fact)

    def _note(self) -> None:
        """Any sentence at all, kept to the letter: what is saved is what was said."""
        rng = self.rng
        text = rng.choice(rng.choice(topics()).facts)
        words = text[:-1].split(" ")
        for _ in range(rng.randint(1, 3)):
            spot = rng.randrange(len(words))
            words[spot] = rng.choice(
                (word(rng, nouns()), training_value("name", rng, nouns()), rng.choice(nouns()))
            )
        if rng.random() < 0.5:
            words = [rng.choice(("My", "I", "Our", "We", "my")), *words[1:]]
            said = kept = " ".join(words) + rng.choice((".", ""))
        else:
            kept = " ".join(words) + rng.choice((".", ""))
            if rng.random() < 0.7:
                kept = kept[0].lower() + kept[1:]
            said = self._pick(phrasing.REMEMBER["train"]).format(s=kept)
        self._user(said, memories=[], verbatim=True)
        if self.tools:
            self._call("remember", {"fact": kept}, "Saved.")
        self._reply(
            self._toned("Got it. I will remember that." if self.tools else "Thank you for telling me.")
        )

    def _ask(self) -> None:
        rng = self.rng
        draw = rng.random()
        if self.told and draw < 0.45:
            fact = rng.choice(self.told)
            others = self._new_facts(rng.randint(0, 2)) if rng.random() < 0.4 else []
            self._user(self._question(fact), memories=[o.statement for o in others])
            self._reply(self._toned(fact.answer))
            self.told += others
            return
        fact = self._facts(1)[0]
        if any(fact.about == other.about for other in self.told):
            return
        others = [f for f in self._new_facts(rng.randint(0, 4)) if f.about != fact.about]
        known = draw < 0.74
        shown = [fact, *others] if known else others
        rng.shuffle(shown)
        self._user(self._question(fact), memories=[f.statement for f in shown])
        self._reply(self._toned(fact.answer if known else self._pick(UNKNOWN_REPLIES)))
        self.told += shown

    def _quiz(self) -> None:
        """Several memories, then several questions: much to copy for few tokens read."""
        rng = self.rng
        facts = self._new_facts(rng.randint(2, 5))
        if not facts:
            return
        shown: list[str] = [f.statement for f in facts]
        for fact in rng.sample(facts, rng.randint(1, len(facts))):
            self._user(self._question(fact), memories=shown)
            self._reply(self._toned(fact.answer))
            shown = []
        if rng.random() < 0.35:
            near = rng.choice(facts)
            other = draw_fact(rng, near.relation, None if rng.random() < 0.5 else near.noun)
            if all(other.about != f.about for f in [*facts, *self.told]):
                self._user(self._question(other), memories=[])
                self._reply(self._toned(self._pick(UNKNOWN_REPLIES)))
        self.told += facts

    def _question(self, fact: Fact) -> str:
        return self._pick(AROUND).format(q=self._pick(fact.questions))

    def _repeat(self) -> None:
        rng = self.rng
        if rng.random() < 0.5:
            text = " ".join(word(rng, nouns()) for _ in range(rng.randint(1, 4)))
        else:
            text = training_value(rng.choice(("name", "place", "word", "number", "date")), rng, nouns())
        self._user(
            self._pick(("Repeat: {x}", "Say {x}", "Repeat after me: {x}", "Please say {x}")).format(x=text),
            [],
        )
        self._reply(f"You said: {text}")

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
        self._reply(self._toned(f"It is {time}." if kind == "time" else f"Today is {date}."))

    def _sum(self) -> None:
        rng = self.rng
        said, expression, result = arithmetic(rng)
        self._user(self._pick(phrasing.SUM["train"]).format(e=said), None if rng.random() < 0.3 else [])
        if not self.tools:
            self._reply(self._toned("I cannot calculate without my calculator."))
            return
        self._call("calculator", {"expression": expression}, result)
        self._reply(self._toned(f"The result is {result}."))

    def _look_up(self) -> None:
        rng = self.rng
        if not self.tools:
            return self._talk()
        fact = self._facts(1)[0]
        about = self._pick((fact.noun, f"my {fact.noun}", f"the {fact.noun}"))
        self._user(self._pick(phrasing.LOOK_UP["train"]).format(x=about), [])
        if rng.random() < 0.75:
            found = [f.statement for f in (fact, *self._facts(rng.randint(0, 2)))]
            self._call("recall", {"query": about}, "\n".join(f"- {line}" for line in found))
            self._reply(self._toned(f"I found this: {found[0]}"))
        else:
            self._call("recall", {"query": about}, "Nothing found.")
            self._reply(self._toned("I found nothing about that."))
        return None

    def _talk(self) -> None:
        said, replies = self.rng.choice(SMALL_TALK)
        self._user(self._pick(said))
        self._reply(self._toned(self._pick(replies)))

    def _beyond(self) -> None:
        rng = self.rng
        draw = rng.random()
        if draw < 0.45:
            rows = [row for row in read_rows("beyond.jsonl") if row["split"] == "train"]
            question = rng.choice(rows)["text"]
        else:
            known = rng.choice(rng.choice(topics()).names)
            question = self._pick(BEYOND_FRAMES).format(
                t=known,
                x=word(rng, nouns()),
                y=training_value("name", rng, nouns()),
                w=rng.choice(nouns()),
            )
        self._user(question)
        self._reply(self._toned(self._pick(BEYOND_REPLIES)))


__all__ = ["PERSONA", "TOOLS", "conversation", "dress", "stream"]
