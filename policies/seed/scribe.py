"""One conversation being written: who it is for, what was said so far, and how a line is added."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from env.skills import phrasing
from policies.seed.material import Fact, draw_fact, greeted, typed
from policies.seed.small_talk import SMALL_TALK
from policies.seed.styles import FORMAL_OPEN, FRIENDLY_OPEN, PURE, Style

# How often each of PURE (brief, detailed, bullets, friendly, formal) is drawn, so that they come out even.
EVEN = (10, 15, 8, 11, 9)
TOOLS = ("clock", "calculator", "remember", "recall")
Message = dict[str, Any]


class Scribe:
    """The card, the tools and the facts of one conversation, and its messages as they grow."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.style = self._card()
        self.tools: tuple[str, ...] = TOOLS if rng.random() < 0.88 else ()
        if rng.random() < 0.15:
            self.tools = tuple(rng.sample(self.tools, len(self.tools)))
        self.told: list[Fact] = []
        self.messages: list[Message] = []

    # -- the card ---------------------------------------------------------------------------------

    def _card(self) -> Style | None:
        """None is an empty card: then each topic reply takes one of the five pure styles evenly."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.36:
            return None
        if draw < 0.62:
            return rng.choice(PURE)
        maybe = (None, None, None, True, False)
        # only what is not wanted (or an ending, or emoji): all else stays as even as without a card
        if draw < 0.74:
            return Style(
                bullets=rng.choice((None, False, False)),
                emoji=rng.choice(maybe[1:]),
                question=rng.choice(maybe[1:]),
            )
        return Style(
            length=rng.choice(("", "brief", "detailed")),
            tone=rng.choice(("", "friendly", "formal")),
            bullets=rng.choices((True, None, False), (35, 50, 15))[0],
            emoji=rng.choice(maybe),
            question=rng.choice(maybe),
        )

    def _reply_style(self) -> Style:
        asked = self.style
        if asked is None:
            return self._any_style()
        if asked.length or asked.tone or asked.bullets:
            return asked
        while True:
            drawn = self._any_style()
            if not (drawn.bullets and asked.bullets is False):
                return replace(drawn, emoji=asked.emoji, question=asked.question)

    def _any_style(self) -> Style:
        """Not quite evenly: bullets come by themselves on new phrasings, long replies end early."""
        return self.rng.choices(PURE, EVEN)[0]

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

    def _reply(self, text: str, focus: str = "", mute: bool = False) -> None:
        """`focus` is the part on which the reply hangs, and weighs more; a mute one is read, not learned."""
        self.messages.append({"role": "assistant", "content": text, "focus": focus, "mute": mute})

    def _answer(self, fact: Fact, known: bool = True) -> None:
        """The fact, or that it was not told."""
        if known:
            self._reply(self._toned(fact.answer), fact.value)
        else:
            self._reply(self._toned(fact.unknown), fact.filler)

    def _call(self, name: str, arguments: dict[str, str], result: str) -> None:
        self.messages.append(
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"name": name, "arguments": arguments}],
                "focus": next(iter(arguments.values()), ""),
            }
        )
        self.messages.append({"role": "tool", "name": name, "content": result})

    def _pick(self, options: tuple[str, ...] | list[str]) -> str:
        return self.rng.choice(options)

    def _talk(self) -> None:
        said, replies = self.rng.choice(SMALL_TALK)
        self._user(self._pick(said))
        self._reply(self._toned(self._pick(replies)))

    # -- facts that it can speak of ----------------------------------------------------------------

    def _facts(self, count: int, vague: float = 0.25) -> list[Fact]:
        """Facts about different things; often in the same words, so that only the thing tells them apart."""
        relation = self.rng.randrange(len(phrasing.RELATIONS["train"])) if self.rng.random() < 0.65 else None
        found: list[Fact] = []
        while len(found) < count:
            fact = draw_fact(self.rng, relation=relation, vague=vague)
            if all(fact.about != other.about for other in found):
                found.append(fact)
        return found

    def _new_facts(self, count: int) -> list[Fact]:
        """Facts about things that this conversation has not spoken of."""
        return [f for f in self._facts(count) if all(f.about != t.about for t in self.told)]
