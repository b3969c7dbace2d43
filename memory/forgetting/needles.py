"""What gives a forgotten memory away in a text, and a function that takes it out.

- its whole text, in whatever case and spaces, from three words on ("tea" stands in many texts);
- its *telling* words: those written like a name or a code, which would say it in other words ("Your dog is
  called Fitzo."). The first word of a memory has a capital anyway, so it counts only where the memory says
  what it is ("Fitzo is my dog."), and is sought as it was written ("Running is my hobby." takes no "running"
  out of a text). So is a name that is an everyday word or a month as well ("Will", "May").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from memory.recall.time_words import DAYS, MONTHS
from memory.records import FORGOTTEN, Memory
from memory.statements.words import ASKING

FEWEST_WORDS = 3
FEWEST_LETTERS = 4  # of a script that puts no spaces between words
SHORTEST = 3  # letters of a telling word
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_LETTER_OF_UNSPACED = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(r"\w[\w'’-]*")
_SUBJECT = re.compile(r"\w[\w'’-]* (?:is|was) (?:my|our|the owner['’]s) (?!favou?rite)")
EVERYDAY = ASKING | {*MONTHS, *DAYS, "today", "tomorrow", "yesterday"}


def distinctive(text: str) -> bool:
    """Whether the words of `text`, wherever they stand, are likely there because of it."""
    return len(text.split()) >= FEWEST_WORDS or len(_LETTER_OF_UNSPACED.findall(text)) >= FEWEST_LETTERS


def phrases(memories: Iterable[Memory]) -> list[str]:
    """The texts of the memories that are distinctive as they are, without the full stop."""
    return [one.text.rstrip(".。 ") for one in memories if distinctive(one.text)]


def telling(memories: Iterable[Memory]) -> dict[str, bool]:
    """The words of the memories that are written like a name or a code: whether in any other case, too."""
    found: dict[str, bool] = {}
    for memory in memories:
        for word, in_any_case in _telling(memory.text):
            if len(word) >= SHORTEST:
                found[word] = found.get(word, False) or in_any_case
    return found


def matcher(whole: Sequence[str], words: Mapping[str, bool] = MappingProxyType({})) -> Callable[[str], str]:
    """A function that puts FORGOTTEN in the place of the `whole` texts and of the telling `words`."""
    exact = {word for word, in_any_case in words.items() if not in_any_case}
    folded = _any_of({*whole, *(words.keys() - exact)})
    named = _any_of(exact | {word.upper() for word in exact})
    sought = "|".join(
        part for part in (f"(?i:{folded})" if folded else "", f"(?:{named})" if named else "") if part
    )
    if not sought:
        return lambda text: text
    pattern = re.compile(sought)
    return lambda text: pattern.sub(FORGOTTEN, text)


def _telling(text: str) -> Iterable[tuple[str, bool]]:
    named_first = _SUBJECT.match(text) is not None
    for found in _WORD.finditer(text):
        word, first = re.sub(r"['’]s$", "", found[0]), found.start() == 0
        everyday = word.casefold() in EVERYDAY
        if any(letter.isdigit() for letter in word):
            yield word, True
        elif word.startswith(("I'", "I’")) or not any(letter.isupper() for letter in word):
            continue
        elif not first or (named_first and not everyday):
            yield word, not (first or everyday)


def _any_of(needles: Iterable[str]) -> str:
    """A pattern of the needles, longest first, in both ways that Unicode may spell an accent."""
    spelled = {
        unicodedata.normalize(form, needle) for needle in needles for form in ("NFC", "NFD") if needle.strip()
    }
    return "|".join(_whole_words(one) for one in sorted(spelled, key=lambda one: (-len(one), one)))


def _whole_words(needle: str) -> str:
    words = r"\s+".join(re.escape(word) for word in needle.split())
    before = "" if _LETTER_OF_UNSPACED.match(needle[0]) else r"(?<!\w)"
    after = "" if _LETTER_OF_UNSPACED.match(needle[-1]) else r"(?!\w)"
    return f"{before}{words}{after}"
