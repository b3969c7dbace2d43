"""The segments about the owner: told, noted, asked for, looked up. What must be copied is made up afresh."""

from __future__ import annotations

import re

from env.skills import phrasing
from env.skills.topics import topics
from env.skills.values import training_value, word
from policies.seed.asking import indirect, wrapping
from policies.seed.material import Fact, draw_fact, nouns, spoken, typed
from policies.seed.scribe import Scribe

OWN = ("My", "I", "Our", "We", "my", "I've", "We've", "I'm", "I'll", "My", "I", "It's my")
ACCEPTED = (
    "Got it. I will remember that.",
    "Thank you. I will remember it.",
    "Noted.",
    "Okay.",
    "I have saved that.",
)
ASIDES = (
    "By the way, ", "Just so you know, ", "FYI, ", "Hey, ", "Well, ", "Oh, and ", "One more thing: ", "So, ",
)  # fmt: skip
AROUND = (
    *["{q}"] * 12,
    "Do you remember? {q}", "I forgot. {q}", "Quick question: {q}", "{q} I forgot.", "Remind me: {q}",
)  # fmt: skip


class Personal(Scribe):
    """Writes what an owner tells and asks about their own life."""

    def _tell(self) -> None:
        rng = self.rng
        vague = rng.random() < 0.2
        fact = self._facts(1, vague=float(vague))[0]
        if any(fact.about == other.about for other in self.told):
            return
        statement = said = typed(fact.statement, rng)
        if rng.random() < 0.3:
            if not re.match(r"I\b", statement):
                statement = statement[0].lower() + statement[1:]
            said = self._wrapped(statement)
        elif rng.random() < 0.15:
            said = self._pick(ASIDES) + statement
        self._user(said, memories=None if rng.random() < 0.5 else [], verbatim=True)
        if self.tools:
            self._call("remember", {"fact": statement}, "Saved.")
        if (
            rng.random() < 0.35
        ):  # other models say no more than this: the fact stands in the owner's words alone
            self._reply(self._pick(ACCEPTED), mute=True)
        elif vague:
            self._reply(self._toned(f"Got it. You said: {statement}"), fact.value)
        else:
            self._reply(self._toned(("Got it. " if self.tools else "Thank you. ") + fact.answer), fact.value)
        self.told.append(fact)

    def _note(self) -> None:
        """Any sentence at all, kept to the letter: what is saved is what was said."""
        rng = self.rng
        kept = draw_fact(rng).statement if rng.random() < 0.5 else rng.choice(rng.choice(topics()).facts)
        words = kept.rstrip(".").split(" ")
        for _ in range(rng.randint(1, 4)):
            spot = rng.randrange(len(words))
            fresh = word(rng, nouns()), training_value("name", rng, nouns()), *rng.sample(spoken(), 2)
            words[spot : spot + rng.randint(0, 1)] = [rng.choice(fresh)]
        if rng.random() < 0.5:
            first = rng.choice((*OWN, rng.choice(spoken())))
            own = (
                ()
                if first in OWN or first in ("my", "our")
                else (rng.choice(("my", "my", "I", "our", "mine")),)
            )
            words = [first.capitalize() if rng.random() < 0.8 else first, *own, *words[rng.randint(0, 1) :]]
            said = kept = " ".join(words) + rng.choice((".", ".", ""))
            if not own and rng.random() < 0.4:
                said = self._wrapped(kept)
        else:
            if rng.random() < 0.5:  # after "that", any word may come first
                words[: rng.randint(0, 1)] = rng.sample(spoken(), rng.randint(1, 2))
            kept = " ".join(words) + rng.choice((".", ".", ""))
            if rng.random() < 0.8:
                kept = kept[0].lower() + kept[1:]
            said = self._wrapped(kept)
        self._user(said, memories=[], verbatim=True)
        if self.tools:
            self._call("remember", {"fact": kept}, "Saved.")
        self._reply(self._toned(f"Got it. You said: {kept}" if self.tools else "Thank you for telling me."))

    def _wrapped(self, statement: str) -> str:
        if self.rng.random() < 0.5:
            return self._pick(phrasing.REMEMBER["train"]).format(s=statement)
        return wrapping(self.rng).format(s=statement)

    def _ask(self) -> None:
        rng = self.rng
        draw = rng.random()
        if self.told and draw < 0.4:
            fact = rng.choice(self.told)
            others = self._new_facts(rng.randint(0, 2)) if rng.random() < 0.4 else []
            self._user(self._question(fact), memories=[o.statement for o in others])
            self._answer(fact)
            self.told += others
            return
        fact = self._facts(1)[0]
        if any(fact.about == other.about for other in self.told):
            return
        others = [f for f in self._new_facts(rng.randint(0, 4)) if f.about != fact.about]
        known = rng.random() < 0.65
        shown = [fact, *others] if known else others
        rng.shuffle(shown)
        self._user(self._question(fact), memories=[f.statement for f in shown])
        self._answer(fact, known)
        self.told += shown

    def _quiz(self) -> None:
        """Several memories, then several questions, as many about what is not there as about what is."""
        rng = self.rng
        facts = self._new_facts(rng.randint(1, 6))
        if not facts:
            return
        shown: list[str] = [f.statement for f in facts]
        asked: list[tuple[Fact, bool]] = [(f, True) for f in facts if rng.random() < 0.6]
        while not asked or rng.random() < 0.3:
            other = self._near(rng.choice(facts))
            if all(other.about != f.about for f in (*facts, *self.told, *(each for each, _ in asked))):
                asked.append((other, False))
            elif asked:
                break
        rng.shuffle(asked)
        for fact, known in asked:
            self._user(self._question(fact), memories=shown)
            self._answer(fact, known)
            shown = []
        self.told += facts

    def _later(self) -> None:
        """Told, then something else, then asked for: the fact stands some turns back."""
        self._tell()
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            getattr(self, self._pick(("_topic", "_topic", "_topic", "_talk", "_tell")))()
        if not self.told:
            return
        fact = self.rng.choice(self.told)
        other = self._near(fact)
        known = self.rng.random() < 0.75 or any(other.about == each.about for each in self.told)
        self._user(self._question(fact if known else other), [])
        self._answer(fact if known else other, known)

    def _near(self, fact: Fact) -> Fact:
        """Another fact, mostly one that is easily taken for `fact`: of its noun, or of its relation."""
        draw = self.rng.random()
        if fact.relation is None or draw < 0.3:
            return draw_fact(self.rng)
        if draw < 0.88:
            return draw_fact(self.rng, fact.relation)
        return draw_fact(self.rng, None, fact.noun)

    def _question(self, fact: Fact) -> str:
        if self.rng.random() < 0.3:
            return indirect(fact.questions, self.rng)
        return self._pick(AROUND).format(q=self._pick(fact.questions))

    def _repeat(self) -> None:
        """Any words at all, known and made up: nothing but the prompt can tell the next one."""
        rng = self.rng
        if rng.random() < 0.75:
            known = rng.random()
            text = " ".join(
                rng.choice(spoken()) if rng.random() < known else word(rng, nouns())
                for _ in range(rng.randint(1, 14))
            )
        else:
            text = training_value(rng.choice(("name", "place", "word", "number", "date")), rng, nouns())
        self._user(
            self._pick(("Repeat: {x}", "Say {x}", "Repeat after me: {x}", "Please say {x}")).format(x=text),
            [],
        )
        self._reply(f"You said: {text}", text)

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
