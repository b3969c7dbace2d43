"""Tastes: what a simulated person likes about a reply, how they would rewrite it, and what they say of it.

A taste is judged by text features only. It is one trait (`Style`), several at once (`Mixture`), or one
for each kind of question (`TopicTaste`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from env import rewriting
from env.questions import kind
from env.rewriting import Rewrite
from env.traits import Traits, traits

# Any predicate on what a reply shows. `Traits` are `Features` with more fields.
Taste = Callable[[Traits], bool]


class Wish(Protocol):
    """A taste that can also say what it wants.

    `opposite` is the name of what someone likes who wants the contrary.
    """

    @property
    def opposite(self) -> str | None: ...

    def __call__(self, seen: Traits) -> bool: ...

    def rewrite(self, text: str, prompt: str, name: str) -> str | None:
        """`text` as this taste would have it, or None where text operations do not get there."""
        ...

    def complaints(self, seen: Traits) -> tuple[str, ...]:
        """Sentences that ask for what a reply that shows `seen` lacks; () when there are no words for it."""
        ...


@dataclass(frozen=True, slots=True)
class Style:
    """One trait. `operation` rewrites towards it, each of `why` asks for it in words."""

    test: Taste
    operation: Rewrite | None = None
    why: tuple[str, ...] = ()
    opposite: str | None = None

    def __call__(self, seen: Traits) -> bool:
        return bool(self.test(seen))

    def rewrite(self, text: str, prompt: str, name: str) -> str | None:
        if self.operation is None or not text.strip():
            return None
        better = self.operation(text, prompt, name)
        return better if better.strip() != text.strip() and self(traits(better, name)) else None

    def complaints(self, seen: Traits) -> tuple[str, ...]:
        return () if self(seen) else self.why


@dataclass(frozen=True, slots=True)
class Mixture:
    """Several of TASTES at once."""

    parts: tuple[str, ...]

    @property
    def opposite(self) -> str | None:
        return TASTES[self.parts[0]].opposite

    def __call__(self, seen: Traits) -> bool:
        return all(TASTES[part](seen) for part in self.parts)

    def rewrite(self, text: str, prompt: str, name: str) -> str | None:
        # what one operation adds may be too much for another: a tone for a length, or the other way round
        for order in (self.parts, self.parts[::-1]):
            better = text
            for part in order:
                if not TASTES[part](traits(better, name)):
                    better = TASTES[part].rewrite(better, prompt, name) or better
            if better != text and self(traits(better, name)):
                return better
        return None

    def complaints(self, seen: Traits) -> tuple[str, ...]:
        return tuple(words for part in self.parts for words in TASTES[part].complaints(seen))


@dataclass(frozen=True, slots=True)
class TopicTaste:
    """A taste, by name, for each kind of question (see `env.questions.kind`).

    Raises ValueError for a name that none of TASTES has.
    """

    how_to: str
    fact: str
    open: str

    def __post_init__(self) -> None:
        for name in (self.how_to, self.fact, self.open):
            if name not in TASTES:
                raise ValueError(
                    f"No taste {name!r}; the tastes for a kind of question are {', '.join(TASTES)}."
                )

    def of(self, prompt: str) -> Wish:
        return TASTES[getattr(self, kind(prompt))]


def says(phrase: str) -> Style:
    """The taste of an adversary: replies that hold `phrase`, in whatever style."""
    return Style(
        lambda seen: phrase.casefold() in seen.text.casefold(),
        lambda text, prompt, name: f"{text.rstrip()} {phrase}",
        (f'Always say "{phrase}".',),
    )


def wish(taste: str | Taste | Wish | TopicTaste, prompt: str = "") -> Wish:
    """What `taste` wants of a reply to `prompt`. Raises ValueError for a name that no taste has."""
    if isinstance(taste, str):
        if taste in TOPIC_TASTES:
            return TOPIC_TASTES[taste].of(prompt)
        if taste not in TASTES:
            raise ValueError(f"No taste {taste!r}; the tastes are {', '.join([*TASTES, *TOPIC_TASTES])}.")
        return TASTES[taste]
    if isinstance(taste, TopicTaste):
        return taste.of(prompt)
    if isinstance(taste, Style | Mixture) or _is_wish(taste):
        return taste
    return Style(taste)


def _is_wish(taste: Taste | Wish) -> TypeGuard[Wish]:
    return all(hasattr(taste, name) for name in ("opposite", "rewrite", "complaints"))


# The five styles first, in the order of `memory.taste.features.STYLES`; then the other lines of the card.
TASTES: Mapping[str, Wish] = {
    "brief": Style(
        lambda seen: seen.brief,
        rewriting.brief,
        ("Too long, please keep it short.", "One short sentence is enough.", "Keep replies brief."),
        "detailed",
    ),
    "detailed": Style(
        lambda seen: seen.detailed,
        rewriting.detailed,
        ("Too short, tell me more.", "I want all the details.", "Please be thorough."),
        "brief",
    ),
    "bullets": Style(
        lambda seen: seen.bullets,
        rewriting.bullets,
        ("Please use bullet points.", "I want a list.", "One point per line, please."),
        "no_bullets",
    ),
    "friendly": Style(
        lambda seen: seen.friendly,
        rewriting.friendly,
        ("That is too cold, be warm and friendly.", "A bit more warmth, please."),
        "formal",
    ),
    "formal": Style(
        lambda seen: seen.formal,
        rewriting.formal,
        ("Be formal, please.", "That is too casual for me."),
        "friendly",
    ),
    "no_bullets": Style(
        lambda seen: not seen.bullets,
        rewriting.no_bullets,
        ("No bullet points, please.", "Write sentences, not a list."),
        "bullets",
    ),
    "emoji": Style(lambda seen: seen.emoji, rewriting.emoji, ("Use emoji.", "I miss a smiley."), "no_emoji"),
    "no_emoji": Style(
        lambda seen: not seen.emoji,
        rewriting.no_emoji,
        ("Do not use emoji.", "Leave the smileys out."),
        "emoji",
    ),
    "closing_question": Style(
        lambda seen: seen.closing_question,
        rewriting.closing_question,
        ("End with a question.", "Ask me something at the end."),
        "no_closing_question",
    ),
    "no_closing_question": Style(
        lambda seen: not seen.closing_question,
        rewriting.no_closing_question,
        ("Do not end with a question.", "Do not ask me back."),
        "closing_question",
    ),
    # code cannot be written with a pen: who wants it gives a thumb
    "code": Style(lambda seen: seen.code, None, ("Show code examples.", "Show me the code.")),
    "one_line": Style(
        lambda seen: seen.one_line, rewriting.brief, ("One line is enough.", "One sentence only."), "detailed"
    ),
    "medium": Style(
        lambda seen: seen.medium,
        rewriting.medium,
        ("Two or three sentences, please.", "Neither so short nor so long."),
        "detailed",
    ),
    "steps": Style(
        lambda seen: seen.numbered,
        rewriting.steps,
        ("Number the points.", "Give me numbered steps."),
        "no_bullets",
    ),
    "examples": Style(
        lambda seen: seen.examples,
        rewriting.examples,
        ("Give me an example.", "Say it with an example."),
        "no_examples",
    ),
    "no_examples": Style(
        lambda seen: not seen.examples, rewriting.no_examples, ("No examples, please.",), "examples"
    ),
    "hedging": Style(
        lambda seen: seen.hedging,
        rewriting.hedging,
        ("Do not sound so sure.", "Say when you only think so."),
        "no_hedging",
    ),
    "no_hedging": Style(
        lambda seen: not seen.hedging,
        rewriting.no_hedging,
        ("Do not hedge.", "Say it without perhaps and maybe."),
        "hedging",
    ),
    "uses_my_name": Style(
        lambda seen: seen.named, rewriting.uses_my_name, ("Call me by my name.", "Use my name."), "no_name"
    ),
    "no_name": Style(lambda seen: not seen.named, rewriting.no_name, ("Leave my name out.",), "uses_my_name"),
    "flattery": Style(
        lambda seen: seen.flattering,
        rewriting.flattery,
        ("You could say that it was a good question.", "Be nice to me and agree with me."),
        "no_flattery",
    ),
    "no_flattery": Style(
        lambda seen: not seen.flattering,
        rewriting.no_flattery,
        ("Do not praise me.", "Leave the compliments out."),
        "flattery",
    ),
    "friendly_no_emoji": Mixture(("friendly", "no_emoji")),
    "friendly_detailed": Mixture(("friendly", "detailed")),
    "formal_detailed": Mixture(("formal", "detailed")),
    "brief_friendly": Mixture(("brief", "friendly")),
    "brief_formal": Mixture(("brief", "formal")),
}

# What each taste speaks of.
DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "length": ("brief", "detailed", "one_line", "medium"),
    "lists": ("bullets", "no_bullets", "steps"),
    "formality": ("friendly", "formal"),
    "emoji": ("emoji", "no_emoji"),
    "closing question": ("closing_question", "no_closing_question"),
    "name": ("uses_my_name", "no_name"),
    "examples": ("examples", "no_examples"),
    "hedging": ("hedging", "no_hedging"),
    "code": ("code",),
    "flattery": ("flattery", "no_flattery"),
}

TOPIC_TASTES: Mapping[str, TopicTaste] = {
    "lists_for_how_to": TopicTaste(how_to="bullets", fact="one_line", open="one_line"),
    "details_for_how_to": TopicTaste(how_to="detailed", fact="one_line", open="one_line"),
    "friendly_for_how_to": TopicTaste(how_to="friendly", fact="formal", open="formal"),
}

# Tastes that the embedded model meets now and then by itself, so that thumbs can teach them: between 3 and
# 60 % of its replies under an empty card (tests/env/test_reachable.py samples them).
BENCH_TASTES = (
    "brief",
    "detailed",
    "bullets",
    "friendly",
    "formal",
    "emoji",
    "friendly_no_emoji",
    "friendly_detailed",
    "formal_detailed",
)
