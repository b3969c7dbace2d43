"""Does a thumb on this reply speak of taste at all? Pure functions on what was said.

Some replies are good or bad for what they say, however they say it: "Saved.", "It is 14:05.", "Your dog
is called Fitzo.", "I do not know that yet." They are short because there is no more to say, so a thumb
on one must not teach the card that this owner likes (or hates) brief replies.

Each rule is narrow, since on a bigger model every reply has a style. Where a reply is long enough for
its style to be a choice, it counts:

- a reply after tools were used is left out unless it is detailed (four sentences or sixty words);
- a reply to a question for which memories were shown is left out if it is brief (two sentences and
  twenty-two words at most) and repeats at least half of what one of them adds to the question;
- an admission ("I do not know", "that is beyond me") is left out if it stands in the first sentence of
  a reply that is not detailed; behind an answer it is hedging, which is a style like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from memory.records import FORGOTTEN
from memory.taste.features import WORD, features

# The embedded model's own sentences, and how others say the same.
ADMITS = re.compile(
    r"\b(?:I (?:honestly |really )?(?:do not|don't|cannot|can't) (?:actually |really )?know\b"
    r"|(?:have not|haven't|never) told me\b"
    r"|(?:is|goes|lies) beyond (?:me|my)\b"
    r"|I(?:'m| am) (?:not able|unable) to\b|I (?:cannot|can't) (?:do|help|answer)\b"
    r"|I (?:do not|don't) have (?:that|any|this|the|access|enough)\b)",
    re.IGNORECASE,
)
FIRST_SENTENCE = re.compile(r"^.*?[.!?:](?=\s|$)", re.DOTALL)
COMMON = re.compile(
    r"about|also|because|been|does|from|have|just|likes?|made|make|more|most|much|only|other|some|than|that|"
    r"their|them|then|there|these|they|this|very|wants?|were|what|when|where|which|will|with|would|yours?|mine",
    re.IGNORECASE,
)


def about_content(
    text: str, question: str = "", memories: Sequence[str] = (), used_tools: bool = False
) -> bool:
    """Whether a verdict on the reply `text` is about what it says, so that it must not move the card.

    `question` is what the owner had written, `memories` the texts that the model was shown with it, and
    `used_tools` says whether it had called a tool, or calls one in this very message.
    """
    return (used_tools and not features(text).detailed) or admits(text) or repeats(text, question, memories)


def admits(text: str) -> bool:
    """An honest "I do not know that" or "that is beyond me", and not much else."""
    opening = FIRST_SENTENCE.match(text.strip())
    first = opening.group() if opening else text
    return bool(ADMITS.search(first.replace("\u2019", "'"))) and not features(text).detailed


def repeats(text: str, question: str, memories: Sequence[str]) -> bool:
    """A brief reply that hands out what a memory says."""
    if not memories or not features(text).brief:
        return False
    said, asked = _words(text), _words(question)
    # one that was erased since still explains a brief reply that it was shown for
    for memory in memories:
        new = _words(memory) - asked
        if memory == FORGOTTEN or (new and 2 * len(new & said) >= len(new)):
            return True
    return False


def _words(text: str) -> set[str]:
    """The words that carry meaning: four letters or more, or a number, or a capital inside a sentence."""
    found = WORD.findall(text)
    names = {word for word in found[1:] if word[0].isupper() and len(word) > 1}
    return {
        word.casefold()
        for word in found
        if (len(word) >= 4 or word[0].isdigit() or word in names) and not COMMON.fullmatch(word)
    }
