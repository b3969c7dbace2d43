"""Ways to ask and to order that are put together, so that no list of phrasings is learned by heart."""

from __future__ import annotations

import random
import re

KNOWN = re.compile(
    r"(?:do you know|do you remember|can you tell me|please tell me|tell me|remind me|i forgot|remind me of)"
    r" (.+?)[.?]?$",
    re.IGNORECASE,
)
STEMS = (
    "I don't recall {x}.", "I do not remember {x}.", "I keep forgetting {x}.", "I no longer know {x}.",
    "Help me remember {x}.", "I need to know {x}.", "Could you say {x}?", "I want to know {x}.",
    "I wonder {x}.", "I can't think of {x}.", "I can't recall {x}.", "I cannot remember {x}.",
    "I forget {x}.", "I have forgotten {x}.", "Would you remind me {x}?", "Could you remind me {x}?",
    "I would like to know {x}.", "I'd like to hear {x}.", "Can you say {x}?", "Would you tell me {x}?",
    "Do you still remember {x}?", "Do you recall {x}?", "Please remind me {x}.", "Have I told you {x}?",
    "Did I tell you {x}?", "Are you able to tell me {x}?", "I can't seem to remember {x}.",
    "I don't know {x} any more.", "You know {x}, right?", "Let me know {x}.",
)  # fmt: skip
LEADS = (
    "", "", "Please ", "Can you please ", "Could you ", "Will you ", "I'd like you to ", "I need you to ",
    "Can you kindly ", "You can ", "Would you ",
)  # fmt: skip
KEEP = (
    "note down", "save", "store", "learn", "jot down", "put down", "hold on to", "log", "file away",
    "record", "add to your notes", "write in your notes", "bear in mind", "keep in memory",
    "make a record", "take down", "put in your memory", "learn by heart", "make sure you know",
    "try to remember",
)  # fmt: skip
LINKS = (" that ", " that ", " this: ", ": ", " the following: ")


def indirect(questions: tuple[str, ...], rng: random.Random) -> str:
    """A question put another way ("I don't recall where my office is"), or one as it stands."""
    inner = [found[1] for q in questions if (found := KNOWN.match(q))]
    if not inner:
        return rng.choice(questions)
    said = rng.choice(inner)
    stem = rng.choice(STEMS)
    if re.match(r"(?:my|the|our)\b", said):  # a thing, not a clause: "of my dog's name"
        stem = stem.replace("remind me {x}", rng.choice(("remind me of {x}", "remind me about {x}")))
    return stem.format(x=said)


BEFORE = (
    "As you may know, ", "For the record, ", "If you ask me, ", "I think I told you that ",
    "Believe it or not, ", "Out of everything, ", "To be honest, ", "In case you wonder, ",
    "As everyone knows, ", "Since last year, ", "These days ", "In fact, ", "At home we say that ",
    "Of course, ", "It is true that ", "You could say that ", "Well, you know, ", "For many years now, ",
    "All in all, ", "Like I said, ", "When I think of it, ",
)  # fmt: skip
AFTER = (
    ", and I am happy about it", ", as everyone knows", ", you know", ", if I am honest",
    ", and so it will stay", " these days", ", I think", ", and that is the truth", ", by the way",
    " as far as I know", ", just so you know", ", which is nice", " again", ", of course",
    ", and my friends know it", ", for sure",
)  # fmt: skip


def varied(statement: str, words: tuple[str, ...], rng: random.Random) -> str:
    """The statement with something around it that says nothing, some of it made of any words at all."""
    draw = rng.random()
    if draw < 0.55:
        return statement
    text = statement
    if draw < 0.85:
        before = rng.choice(BEFORE)
        if rng.random() < 0.5:
            before = " ".join(rng.choice(words) for _ in range(rng.randint(1, 4))).capitalize() + ", "
        first = text.split(" ")[0]
        text = before + (
            text[0].lower() + text[1:] if first in ("My", "The", "Our", "We", "A", "In") else text
        )
    if draw > 0.75:
        text = text.rstrip(".") + rng.choice(AFTER) + "."
    return text


# {s}: what the fact is about, {v}: the value, {w}: any word at all
LOOSE = {
    "name": (
        "I {w} my {s} {v} {w} {w}.", "My {s} {w} by {v}.", "I {w} my {s} {v}.",
        "I {w} a {s} and {w} {w} is {v}.", "The {s} I {w} {w} is {v}.", "My {w} {s} {w} {v}.",
        "We {w} a {s} {w} {w}, {w} name is {v}.",
    ),
    "thing": (
        "I {w} {w} {v}, {w} {w} {w} {s} {w}.", "Of {w} {s}, {v} {w} {w} {w}.", "I {w} a {v} {s}.",
        "If I {w} to {w} a {s}, it is {v}.", "I {w} the {v}, {w} {w} my {s}.", "My {s} {w} {w} is {v}.",
    ),
    "place": (
        "The {s} {w} {w} in {v}.", "I {w} {w} {s} in {v}.", "For the {s} we {w} to {v}.",
        "My {s} is {w} in {v}.", "I {w} my {s} in {v}.", "My {s} was {w} in {v} {w}.",
        "My {s} {w} {v}, {w} {w}.",
    ),
    "date": (
        "I {w} {w} {s} on {v} {w}.", "My {s} {w} on {v}.", "{v} {w} {w} {s}.", "Our {s} {w} {w} {v}.",
        "The {s} is {w} on {v}.", "You {w} me {w} {s} on {v}.",
    ),
    "number": (
        "I {w} the number {v} {s}.", "My {s} {w} {w} {v}, {w}.", "I {w} {w} in {s} {v}.",
        "The {s} {w} {w} number {v}.", "I {w} {s} {v} for {w}.",
    ),
    "word": (
        "I {w} by the {s} {v}.", "My {s} {w} {v}.", "You {w} {w} {v}, that is {w} {s}.",
        "I {w} {v} for my {s}.",
    ),
}  # fmt: skip


def loose(kind: str, about: str, value: str, words: tuple[str, ...], rng: random.Random) -> str:
    """A fact in words that mean nothing: only what it is about ties the value to the question."""
    text = rng.choice(LOOSE[kind])
    while "{w}" in text:
        text = text.replace("{w}", rng.choice(words), 1)
    return text.replace("{s}", about).replace("{v}", value)


def wrapping(rng: random.Random) -> str:
    """A way to ask for a note, with {s} for what is to be kept."""
    text = rng.choice(LEADS) + rng.choice(KEEP) + rng.choice(LINKS) + "{s}"
    return text[0].upper() + text[1:]
