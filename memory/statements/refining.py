"""Whether a statement that says the same as a memory still says more than it, or corrects it.

Two statements are one claim when their words are, in any case and without most signs (relations.py). That is
not enough where

- a value counts to the letter: a password, a code, an address of mail, a user name; and dollars are no euros;
- the new one says since when or until when, and the old one does not, or says another time.
"""

from __future__ import annotations

import re
import unicodedata

from memory.statements.relations import Statement, first_person

DAY = 86_400.0  # seconds; "two weeks ago" is another moment each time that it is said
_LETTERS = re.compile(
    r"\b(?:pass(?:word|code|phrase|key)|user ?name|log-?in(?: name)?|e-?mail(?: address)?|code|pin|handle|"
    r"token)s?"
    r"(?: [\w-]+){0,3}?(?: (?:is|are|was)\b| ?[:=])(?: now)? +(?P<value>\S.*)$",
    re.IGNORECASE,
)


def refines(new: str, said: Statement, old: str, known: Statement) -> bool:
    """Whether `new` (read as `said`) takes the place of `old` (read as `known`), of which it is the claim."""
    if differs(new, old):
        return True
    return any(
        at is not None and (before is None or abs(at - before) > DAY)
        for at, before in ((said.since, known.since), (said.until, known.until))
    )


def differs(new: str, old: str) -> bool:
    """Whether they give one thing two values that are the same but for case and signs."""
    value, before = to_the_letter(new), to_the_letter(old)
    return value != before and None not in (value, before)


def to_the_letter(text: str) -> str | None:
    """What in `text` counts to the letter: the value, or the signs of money; None where nothing does."""
    if (found := _LETTERS.search(first_person(text))) is not None:
        return found["value"].rstrip(". ")
    return "".join(sign for sign in text if unicodedata.category(sign) == "Sc") or None
