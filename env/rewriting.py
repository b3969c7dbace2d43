"""Rewriting a reply towards a taste by text operations: what an owner would change with a pen.

Each operation takes the reply, the prompt and the name of the person, and keeps what is said: it
cuts, splits, joins, dresses and, where more is wanted, adds facts of the everyday topic that the
prompt names. An operation that finds nothing to work on gives the reply back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from env.skills.topics import topics
from env.traits import AGREES, PRAISE
from memory.taste.features import BULLET, EMOJI, EXAMPLE, FORMAL, HEDGE, WORD, features

Rewrite = Callable[[str, str, str], str]

BREAK = re.compile(
    rf"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)\s+(?!{EMOJI.pattern})|(?<={EMOJI.pattern})\s+(?!{EMOJI.pattern})"
)
MARKER = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
# a prompt that tells what its author takes to be so
TELLS = re.compile(r"\b(?:I (?:am sure|believe|think)|everybody knows|you know) that\b", re.IGNORECASE)
FRAME_WORDS, BRIEF_WORDS, ENOUGH_SENTENCES = 8, 22, 4
TO_FORMAL = {
    "love": "like", "glad": "pleased", "great": "considerable", "fun": "pleasant", "cheers": "thank you",
    "awesome": "impressive", "nice": "pleasant", "wonderful": "fine", "enjoy": "appreciate",
    "happy to help": "pleased to help", "hope that helps": "that is all", "you bet": "yes",
}  # fmt: skip
TO_FRIENDLY = {
    "certainly": "sure", "please note that": "", "please note": "look", "kindly": "please",
    "regarding": "about", "furthermore": "also", "moreover": "also", "in addition": "also",
    "to summarise": "in short", "it is worth noting that": "", "respectfully": "honestly",
    "allow me to": "let me", "may i": "can I", "further assistance": "more help", "should you": "if you",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply taken apart: sentences that open it, that say something, and that close it."""

    opening: tuple[str, ...]
    body: tuple[str, ...]
    closing: tuple[str, ...]
    bullets: bool

    def text(self) -> str:
        if not self.bullets:
            return " ".join(_stopped(part) for part in (*self.opening, *self.body, *self.closing))
        listed = [f"- {part}" for part in self.body]
        return "\n".join(part for part in (" ".join(self.opening), *listed, " ".join(self.closing)) if part)


def draft(text: str) -> Draft:
    """`text` taken apart; something is always in its body unless it is blank."""
    parts = [
        part.strip()
        for line in text.strip().splitlines()
        for part in ([MARKER.sub("", line)] if BULLET.match(line) else BREAK.split(line))
        if part.strip()
    ]
    first, last = 0, len(parts)
    while first < last - 1 and _frame(parts[first]):
        first += 1
    while last > first + 1 and _frame(parts[last - 1]):
        last -= 1
    bullets = len(BULLET.findall(text)) >= 2
    return Draft(tuple(parts[:first]), tuple(parts[first:last]), tuple(parts[last:]), bullets)


def more_facts(prompt: str, said: str, count: int) -> list[str]:
    """Up to `count` facts of the topic that `prompt` names, without those that were `said`."""
    asked, known = prompt.casefold(), said.casefold()
    named = [
        (len(name), topic)
        for topic in topics()
        for name in topic.names
        if re.search(rf"\b{re.escape(name.casefold())}\b", asked)
    ]
    if not named:
        return []
    facts = max(named, key=lambda found: found[0])[1].facts
    return [fact for fact in facts if fact.casefold().rstrip(".") not in known][:count]


def brief(text: str, prompt: str, name: str) -> str:
    """The first thing that it says, in at most 22 words."""
    said = draft(text).body
    return _stopped(_cut(_plain(said[0]))) if said else text


def detailed(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    for fact in more_facts(prompt, text, ENOUGH_SENTENCES):
        if features(parts.text()).detailed:
            break
        parts = replace(parts, body=(*parts.body, fact))
    return parts.text()


def medium(text: str, prompt: str, name: str) -> str:
    """Two or three sentences."""
    said = [_plain(part) for part in draft(text).body][:3]
    for fact in more_facts(prompt, text, 3):
        if len(said) >= 2 and not features(" ".join(said)).brief:
            break
        said.append(fact)
    return " ".join(_stopped(part) for part in said)


def bullets(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    if len(parts.body) < 2:
        parts = replace(parts, body=(*parts.body, *more_facts(prompt, text, 2)))
    return replace(parts, bullets=True).text() if len(parts.body) >= 2 else text


def steps(text: str, prompt: str, name: str) -> str:
    """A numbered list."""
    count = 0

    def number(marker: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"{count}. {marker.group()[-1]}"

    return BULLET.sub(number, bullets(text, prompt, name))


def no_bullets(text: str, prompt: str, name: str) -> str:
    return replace(draft(text), bullets=False).text()


def friendly(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    body = tuple(_reworded(part, TO_FRIENDLY) for part in parts.body)
    closing = tuple(part for part in parts.closing if not FORMAL.search(part))
    return replace(parts, opening=("Happy to help!",), body=body, closing=closing).text()


def formal(text: str, prompt: str, name: str) -> str:
    parts = draft(_without_emoji(text))
    body = tuple(_reworded(part, TO_FORMAL).replace("!", ".") for part in parts.body)
    closing = tuple(part for part in parts.closing if "!" not in part)
    return replace(parts, opening=("Certainly.",), body=body, closing=closing).text()


def emoji(text: str, prompt: str, name: str) -> str:
    return f"{text.rstrip()} 😊"


def no_emoji(text: str, prompt: str, name: str) -> str:
    return _without_emoji(text)


def closing_question(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    ask = "May I tell you more?" if features(text).formal else "Do you want to know more?"
    return replace(parts, closing=(*parts.closing, ask)).text()


def no_closing_question(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    closing = tuple(part for part in parts.closing if "?" not in part)
    last = re.sub(r"\?(?=\W*$)", ".", parts.body[-1]) if parts.body and not closing else None
    body = parts.body if last is None else (*parts.body[:-1], last)
    return replace(parts, body=body, closing=closing).text()


def examples(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    if more := more_facts(prompt, text, 1):
        kept, example = parts.body, more[0]
    elif len(parts.body) > 1:
        kept, example = parts.body[:-1], parts.body[-1]
    else:
        return text
    return replace(parts, body=(*kept, f"For example: {example}")).text()


def no_examples(text: str, prompt: str, name: str) -> str:
    text = re.sub(r"\bsuch as\b", "like", text, flags=re.IGNORECASE)
    return _mended(re.sub(rf"{EXAMPLE.pattern},?\s*", "", text, flags=re.IGNORECASE))


def hedging(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    if not parts.body:
        return text
    return replace(parts, body=(_ended(parts.body[0], "I think"), *parts.body[1:])).text()


def no_hedging(text: str, prompt: str, name: str) -> str:
    text = re.sub(r"\bmight\b", "may", text)
    text = re.sub(r"\bnot sure\b", "unsure", text, flags=re.IGNORECASE)
    return _mended(re.sub(rf"{HEDGE.pattern}(?: that\b)?,?\s*", "", text, flags=re.IGNORECASE))


def uses_my_name(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    if not parts.body or not name:
        return text
    if parts.opening:
        return replace(parts, opening=(_ended(parts.opening[0], name), *parts.opening[1:])).text()
    if parts.bullets:
        return replace(parts, opening=(f"Here you are, {name}:",)).text()
    return replace(parts, body=(_ended(parts.body[0], name), *parts.body[1:])).text()


def no_name(text: str, prompt: str, name: str) -> str:
    if not name:
        return text
    return _mended(re.sub(rf"(?:^|,?\s*)\b{re.escape(name)}\b(?:,\s*)?", " ", text, flags=re.IGNORECASE))


def flattery(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    opening = "You are right!" if TELLS.search(prompt) else "Great question!"
    return replace(parts, opening=(opening, *parts.opening)).text()


def no_flattery(text: str, prompt: str, name: str) -> str:
    parts = draft(text)
    kept = [part for part in parts.body if not PRAISE.search(part)] or list(parts.body)
    kept[:1] = [_mended(AGREES.sub("", part)) for part in kept[:1]]
    opening = tuple(part for part in parts.opening if not PRAISE.search(part) and not AGREES.search(part))
    return replace(parts, opening=opening, body=tuple(part for part in kept if part)).text()


def _frame(sentence: str) -> bool:
    """Manners and small talk: they carry the tone of a reply and none of what it says."""
    short = len(WORD.findall(sentence)) <= FRAME_WORDS
    return short and ("!" in sentence or "?" in sentence or bool(FORMAL.search(sentence)))


def _plain(sentence: str) -> str:
    return _without_emoji(sentence).replace("!", ".")


def _without_emoji(text: str) -> str:
    return re.sub(r"[ \t]{2,}", " ", re.sub(rf"[ \t]*{EMOJI.pattern}\ufe0f?", "", text)).strip()


def _stopped(sentence: str) -> str:
    closed = EMOJI.sub("", sentence).rstrip("\ufe0f )\"'*`")
    return sentence if closed.endswith((".", "!", "?", ":")) or not closed else f"{sentence}."


def _cut(sentence: str) -> str:
    """At a comma, if that leaves at least four words; else behind the last word that fits."""
    ends = [found.end() for found in WORD.finditer(sentence)]
    if len(ends) <= BRIEF_WORDS:
        return sentence
    fits = sentence[: ends[BRIEF_WORDS - 1]]
    clause = re.split(r"[,;:](?=[^,;:]*$)", fits)[0]
    return clause if len(WORD.findall(clause)) >= 4 else fits


def _ended(sentence: str, words: str) -> str:
    """`words` behind a comma at the end: there they need no other letter to change."""
    return re.sub(r"(?=[.!?]?\W*$)", f", {words}", _stopped(sentence), count=1)


def _reworded(sentence: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        sentence = re.sub(rf"\b{old}\b,?" if not new else rf"\b{old}\b", new, sentence, flags=re.IGNORECASE)
    return _mended(sentence)


def _mended(text: str) -> str:
    """After words were taken out: no doubled blanks, no blank before a stop, a capital at each start."""
    text = re.sub(r"[ \t]+(?=[.,!?])", "", re.sub(r"[ \t]{2,}", " ", text)).strip(" ,")
    return re.sub(
        r"(^(?:\s*(?:[-*\u2022]|\d+[.)])\s+)?|(?<=[.!?])\s+)([a-z])",
        lambda found: found.group(1) + found.group(2).upper(),
        text,
        flags=re.MULTILINE,
    )
