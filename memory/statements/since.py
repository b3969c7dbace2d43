"""When something began or ended, from the words of a statement: "since May 2023", "until last week"."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july",
    "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS).replace("may(?:)?", "may")
_WHEN = (
    r"(?:the )?(?:(?:beginning|start|end) of |early |mid |late )?(?:"
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)? (?:of )?)?(?:{_MONTH})\.?"
    r"(?: \d{1,2}(?:st|nd|rd|th)?\b,?)?(?:,? (?:of )?\d{4})?"
    r"|\d{4}(?:-\d{2}(?:-\d{2})?)?"
    r"|yesterday|today|last (?:week|month|year)|this (?:week|month|year)"
    r"|(?:\d{1,2}|an?|one|two|three|four|five|six|seven|eight|nine|ten) (?:day|week|month|year)s? ago"
    r")"
)
SPAN = re.compile(rf",? from ({_WHEN}) (?:to|until|till) ({_WHEN})$", re.IGNORECASE)
SINCE = re.compile(
    rf",? (?:ever )?(?:since|as of|starting(?: in)?|from) ({_WHEN})(?: on| onwards?)?$", re.IGNORECASE
)
UNTIL = re.compile(rf",? (?:until|till|up to) ({_WHEN})$", re.IGNORECASE)
# With a verb that is a beginning: "I moved to Ghent in May", "I moved to Ghent yesterday".
BEGAN = re.compile(rf",? (?:(?:back )?in |on )?({_WHEN})$", re.IGNORECASE)
_NUMBERS = ("a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def moment(phrase: str, now: float) -> float | None:
    """The beginning of what `phrase` names, in Unix seconds (local time); None when it names no time.

    A month without a year is the latest one that has begun by `now`.
    """
    said = phrase.casefold().strip(" .,")
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    if found := re.fullmatch(r"(\w+) (day|week|month|year)s? ago", said):
        count, unit = found.groups()
        number = int(count) if count.isdigit() else 1 if count == "an" else max(_NUMBERS.index(count), 1)
        return (today - timedelta(days=number * _DAYS[unit])).timestamp()
    if said in ("today", "yesterday"):
        return (today - timedelta(days=said == "yesterday")).timestamp()
    if found := re.fullmatch(r"(last|this) (week|month|year)", said):
        return _calendar(today, found[1] == "last", found[2]).timestamp()
    try:
        return _date(said, today).timestamp()
    except (ValueError, OverflowError):
        return None


def _calendar(today: datetime, last: bool, unit: str) -> datetime:
    if unit == "week":
        return today - timedelta(days=today.weekday() + 7 * last)
    if unit == "year":
        return today.replace(year=today.year - last, month=1, day=1)
    first = today.replace(day=1)
    return (first - timedelta(days=1)).replace(day=1) if last else first


def _date(said: str, today: datetime) -> datetime:
    if found := re.search(r"\b(\d{4})-(\d{2})(?:-(\d{2}))?", said):
        return today.replace(year=int(found[1]), month=int(found[2]), day=int(found[3] or 1))
    year = re.search(r"\b(\d{4})\b", said)
    month = next(
        (n for n, name in enumerate(MONTHS, 1) if re.search(rf"\b{name[:3]}(?:{name[3:]})?\b", said)), None
    )
    if month is None:
        if year is None:
            raise ValueError(said)
        return today.replace(year=int(year[1]), month=1, day=1)
    day = re.search(r"\b(\d{1,2})(?:st|nd|rd|th)?\b", said)
    found_at = today.replace(
        year=int(year[1]) if year else today.year, month=month, day=int(day[1]) if day else 1
    )
    return found_at.replace(year=found_at.year - 1) if year is None and found_at > today else found_at
