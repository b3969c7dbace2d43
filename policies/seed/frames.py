"""Sentences that fit any thing of a kind: many ways to say a fact and to ask for it.

The phrasings of env.skills name one subject each and are few; a model that only ever sees those looks
for the phrasing. {s}: what the fact is about, {p}: its plural, {v}: the value, {w}: any word at all.
None is a held-out phrasing (tests/policies/test_seed.py).
"""

from __future__ import annotations

import random
import re

from env.skills.values import word

ODD = frozenset({"allergic", "born", "lucky"})  # subjects that are no nouns

STATES = {
    "name": (
        "The {s} at our {w} is named {v}.", "The {s} from the {w} is called {v}.", "Meet my {s}: {v}.",
        "There is a {s} in our {w}, {v}.", "{v}, my {s}, came by today.", "I see my {s} {v} every {w}.",
        "I am off to see {v}, my {s}.", "My little {s} is named {v}.", "This is about my {s}: the name is {v}.",
        "A {s} called {v} lives with us.", "I share my {w} with a {s} named {v}.", "Say hello to {v}, my {s}.",
        "My {s} {v} brought some {w} over.", "Our {s} has a name, {v}.", "My {s} was ill, poor {v}.",
        "I found a new {s}, the name is {v}.", "I got myself a {s}, {v}.", "I am waiting for my {s} {v}.",
        "The {w} of my {s} {v} is {w}.", "My {s} needs {w}, so I called {v}.", "They call my {s} {v}.",
        "{v} has been my {s} for years.", "My {s} is a {w} by the name of {v}.", "We have had {v} as our {s} since {w}.",
        "Tonight {v} will be here, my {s}.", "The {s} in our {w} goes by the name {v}.", "My {s}, you may have met {v}, likes {w}.",
    ),
    "thing": (
        "Out of all {p}, I would pick {v}.", "From every {s} there is, {v} comes first for me.",
        "With {p}, nothing beats {v} for me.", "The best {s} in the world is {v}, if you ask me.",
        "I am a big fan of {v} as a {s}.", "Give me {v} and I need no other {s}.", "My one {s} is {v}.",
        "Among {p} there is one for me: {v}.", "There is no better {s} than {v}.", "My {s} has to be {v}.",
        "{v} has always been the {s} for me.", "What I like in a {s} is {v}.", "Of course my {s} is {v}.",
        "Between all the {p}, I go with {v}.", "Whenever I think of a {s}, I think of {v}.",
        "I would go for {v} when somebody says {s}.", "{v} is my kind of {s}.", "I adore {v}, what a {s}.",
        "People know that {v} is my {s}.", "Of the many {p}, it is {v} that I want.",
        "Of those {p}, mine is {v}.", "Some {p} are good, but {v} is the one for me.",
        "I cannot live without {v}, the top {s}.", "There are many {p} and I choose {v}.",
        "When I compare {p}, {v} is the one that wins.", "Among {p}, {v} is the one I prefer.",
        "Of the {p} that I know, {v} is the one to {w}.",
    ),
    "in": (
        "You will see my {s} over in {v}.", "My {s}? It is in {v}.", "The town with my {s} is {v}.",
        "The place for my {s} is {v}.", "My {s} is somewhere in {v}.", "In {v} there is my {s}.",
        "Near {v}, that is where my {s} is.", "My {s}, in {v}, is {w}.", "This {s} of mine is in {v}.",
        "Go to {v} and you will see my {s}.", "I always have my {s} in {v}.", "My {s} lies in {v}.",
        "Look in {v}, my {s} is there.", "My {s} belongs in {v}.", "My {s} is locked away in {v}.",
        "My {s} rests in {v} these days.", "They hold my {s} in {v}.", "My {s} is being looked after in {v}.",
        "A friend looks after my {s} in {v}.", "I had to leave my {s} behind in {v}.",
    ),
    "from": (
        "{v} is the place that my {s} came from.", "A friend in {v} gave me my {s}.",
        "I picked up my {s} in {v}.", "My {s} is a gift from {v}.", "It was in {v} that I found my {s}.",
        "I paid a lot for my {s} in {v}.", "My {s} started out in {v}.", "I first saw my {s} in {v}.",
        "They sold me my {s} in {v}.", "I traded for my {s} in {v}.", "I chose my {s} in a shop in {v}.",
        "My {s} was shipped from {v}.", "I won my {s} in {v}.", "My {s} has its origin in {v}.",
    ),
    "place": (
        "My {s}? That is {v}.", "The town of my {s} is {v}.", "For my {s} it is always {v}.",
        "I went all the way to {v} because of my {s}.", "My {s} has to do with {v}.",
        "I travel to {v} for my {s}.", "Because of my {s} I am often in {v}.", "We {w} to {v}, {w} {s}.",
        "My {s} brought me to {v}.", "{v}, that is the place of my {s}.", "My {s} takes me to {v}.",
        "The city of my {s} is {v}.", "When I say {s}, I mean {v}.", "My {s} was always going to be {v}.",
    ),
    "date": (
        "Keep {v} free, it is my {s}.", "The {s} comes up on {v}.", "On {v} there is my {s}.",
        "I am busy with the {s} on {v}.", "My {s} will come on {v}.", "{v} is all about my {s}.",
        "Nothing else on {v}, only my {s}.", "The date for the {s} is {v}.", "We set the {s} for {v}.",
        "My calendar says {s} on {v}.", "Wake me early on {v}, it is {s} day.", "The {s} has been moved to {v}.",
        "From now on the {s} is always {v}.", "My {s} lands on {v} this year.", "Do not forget the {s} on {v}.",
    ),
    "number": (
        "Look for {v}, that is my {s}.", "They put {v} on my {s}.", "For my {s}, use {v}.",
        "My {s} says {v}.", "It reads {v} on my {s}.", "The {s} with the {v} is mine.", "I was given {s} {v}.",
        "My {s} got the number {v}.", "With my {s} it is {v}.", "I need {v} for my {s}.", "{s} {v} is mine.",
        "Write down {v} for my {s}.", "My {s} turned out to be {v}.", "The digits of my {s} are {v}.",
    ),
    "word": (
        "For my {s} we took {v}.", "If you need my {s}, it is {v}.", "They know my {s} as {v}.",
        "My {s} has long been {v}.", "Type {v}, that is my {s}.", "My {s} reads {v}.", "It says {v} on my {s}.",
        "My {s} got changed to {v}.", "Somebody chose {v} as my {s}.", "Use {v} for the {s}.",
        "I was given the {s} {v}.", "{v} will always be my {s}.",
    ),
}  # fmt: skip
ASKS = {
    "name": (
        "What is my {s}'s name?", "My {s} is called what?", "Which name did I tell you for my {s}?",
        "How did I say my {s} is called?", "Say my {s}'s name.", "What did I tell you my {s} is called?",
        "What is the name that my {s} has?", "can you say who my {s} is", "Name my {s}.",
    ),
    "thing": (
        "Which {s} did I tell you about?", "What {s} would I choose?", "What {s} did I mention?",
        "Which {s} is the one for me?", "What is the {s} I told you about?", "Which {s} would I take?",
        "What did I tell you about my {s}?", "What {s} do I go for?", "Which {s} did I say is mine?",
        "of all {p}, which is mine",
    ),
    "in": (
        "Which town is my {s} in?", "In which city is my {s}?", "Which place holds my {s}?",
        "Where did I tell you my {s} is?", "Where's the {s}?", "Which village is the {s} in?",
        "Which place did I say my {s} is in?",
    ),
    "from": (
        "Which town is my {s} from?", "What place did my {s} come from?", "In which city did I get my {s}?",
        "Where did I say my {s} is from?", "Which country did my {s} come from?",
    ),
    "place": (
        "Which town did I say for my {s}?", "Which city did I mention for my {s}?",
        "What place goes with my {s}?", "Where is it, my {s}?", "Which place is it for the {s}?",
        "What town is my {s} in?", "Which country is the {s} in?",
    ),
    "date": (
        "Which date has my {s}?", "Which day did I say for my {s}?", "On what day is my {s}?",
        "When is my {s} again?", "What day did I tell you for the {s}?", "When was the {s}?",
    ),
    "number": (
        "What number did I tell you for my {s}?", "Which number goes with my {s}?",
        "Which number did I give you for my {s}?", "What did I say for my {s}?", "My {s} is what number?",
    ),
    "word": (
        "Which word did I tell you for my {s}?", "What did I say is my {s}?", "My {s} is what?",
        "Which {s} did I give you?", "What {s} do others use?", "Which {s} do I have?",
    ),
}  # fmt: skip
RELATION_KINDS = ("name", "thing", "from", "in", "number")  # of env.skills.phrasing.RELATIONS, in order


def plural(noun: str) -> str:
    if noun.endswith("s"):
        return noun
    if noun.endswith("y") and noun[-2:-1] not in ("a", "e", "o", "u", ""):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("ch", "sh", "x")) else "s")


def state(kind: str, about: str, value: str, words: tuple[str, ...], rng: random.Random) -> str:
    """The fact in one of STATES; each {w} is another word of `words`."""
    return _filled(rng.choice(STATES[kind]), about, value, words, rng)


def asks(kind: str, about: str, count: int, rng: random.Random) -> tuple[str, ...]:
    return tuple(text.format(s=about, p=plural(about)) for text in rng.sample(ASKS[kind], count))


def composed(about: str, value: str, words: tuple[str, ...], rng: random.Random) -> str:
    """A thing and a value among words of no meaning, in either order, now and then with commas."""

    def some(most: int) -> list[str]:
        found = [rng.choice(words) for _ in range(rng.randint(0, most))]
        if found and rng.random() < 0.2:
            found[-1] += ","
        return found

    named = plural(about) if rng.random() < 0.25 else about
    thing = [rng.choice(("my", "my", "our", "the", "a", "all")), named]
    first, last = (thing, [value]) if rng.random() < 0.65 else ([value], thing)
    text = " ".join([*some(4), *first, *some(4), *last, *some(3)]).rstrip(",")
    return text[0].upper() + text[1:] + rng.choice((".", ".", "!", ""))


KEPT = frozenset(("my", "our", "the", "a", "an", "is", "it", "in", "to", "of", "on", "and", "i", "for"))


def strange(text: str, about: str, words: tuple[str, ...], rng: random.Random) -> str:
    """`text`, which is about `about`, with one other plain word made up: a word that was never met is not yet a value.

    Words outside the vocabulary are spelled as values are; only the sentence tells the two apart.
    """
    parts, kept = text.split(" "), KEPT.union(about.split(" "))
    plain = [at for at, part in enumerate(parts) if re.fullmatch("[a-z]+", part) and part not in kept]
    if plain:
        parts[rng.choice(plain)] = word(rng, words)
    return " ".join(parts)


def _filled(text: str, about: str, value: str, words: tuple[str, ...], rng: random.Random) -> str:
    while "{w}" in text:
        some = word(rng, words) if rng.random() < 0.3 else rng.choice(words)
        text = text.replace("{w}", some, 1)
    return text.format(s=about, p=plural(about), v=value)
