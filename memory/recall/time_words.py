"""The times that a question names: "yesterday", "last week", "in May", "on 3 May 2023", "in 2022".

Rules, not a model: what they do not know costs nothing, since a time only lifts what fits it.
All times are local.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july",
    "august", "september", "october", "november", "december",
)  # fmt: skip
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
NUMBERS = ("a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# A month or season without a year may be any of the last ones.
YEARS_BACK = 10
# What happened in a time is often told shortly after it.
TOLD_AFTER = 7 * 86_400.0

_MONTH = "|".join(MONTHS)
_NAMED = rf"({_MONTH}|sept|{'|'.join(name[:3] for name in MONTHS)})\b\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"((?:19|20)\d\d)"
# Before a bare month or season: "may", "march" and "fall" are words of other kinds too, and June is a name.
_WITHIN = r"(?:in|since|during|until|till|by|of|last|this|early|late|mid|before|after|around|through)"
DATE = (
    re.compile(rf"\b{_DAY} (?:of )?{_NAMED}(?:,? {_YEAR})?"),
    re.compile(rf"\b{_NAMED} {_DAY}\b(?:,? {_YEAR})?"),
    re.compile(rf"\b{_NAMED},? (?:of )?{_YEAR}\b"),
    re.compile(rf"\b{_WITHIN}[ -](?:the )?({_MONTH})\b"),
)
ISO = re.compile(rf"\b{_YEAR}-(\d\d)(?:-(\d\d))?\b")
SEASON = re.compile(rf"\b{_WITHIN} (?:the )?({'|'.join(SEASONS)})\b(?: (?:of )?{_YEAR})?")
YEAR = re.compile(rf"\b{_YEAR}\b")
AGO = re.compile(rf"\b(\d{{1,3}}|an?|{'|'.join(NUMBERS[1:])}|(?:a )?few) (day|week|month|year)s? ago\b")
CALENDAR = re.compile(r"\b(last|past|previous|this) (week|weekend|month|year)\b")
WEEKDAY = re.compile(rf"\b(?:last|this|on) ({'|'.join(DAYS)})\b")
NEAR = re.compile(r"\b(today|tonight|this morning|yesterday|last night|recently|lately|the other day)\b")
_UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}


class Window(NamedTuple):
    """A stretch of time in Unix seconds: start <= time < end."""

    start: float
    end: float


def windows(question: str, now: float) -> tuple[Window, ...]:
    """The times that `question`, asked at `now` (Unix seconds), names; () when it names none."""
    said = question.casefold()
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    found = [*_dates(said, today), *_relative(said, today)]
    if not found:  # a year by itself; else it belongs to a date
        found = [_months(int(year), 1, 12) for year in YEAR.findall(said)]
    return tuple(dict.fromkeys(Window(a.timestamp(), b.timestamp()) for a, b in found))


def fits(time: float, named: tuple[Window, ...]) -> float:
    """1 when `time` lies in one of the windows, 0.5 shortly after one, else 0."""
    if any(window.start <= time < window.end for window in named):
        return 1.0
    return 0.5 if any(window.end <= time < window.end + TOLD_AFTER for window in named) else 0.0


Span = tuple[datetime, datetime]


def _dates(said: str, today: datetime) -> Iterator[Span]:
    day_first, month_first, with_year, bare = DATE
    written = [(year, int(month), int(day or 0)) for year, month, day in ISO.findall(said)]
    written += [(year, _number(month), int(day)) for day, month, year in day_first.findall(said)]
    written += [(year, _number(month), int(day)) for month, day, year in month_first.findall(said)]
    if not written:
        written = [(year, _number(month), 0) for month, year in with_year.findall(said)]
    if not written:
        written = [("", _number(month), 0) for month in bare.findall(said)]
    for year, month, day in written:
        for each in _years(year, today):
            try:
                first = datetime(each, month, day or 1)
            except ValueError:  # 31 June
                continue
            yield (first, first + timedelta(days=1)) if day else _months(each, month, 1)
    for season, year in SEASON.findall(said):
        for each in _years(year, today):
            yield _months(each, SEASONS[season], 3)


def _relative(said: str, today: datetime) -> Iterator[Span]:
    day = timedelta(days=1)
    for count, unit in AGO.findall(said):
        number = int(count) if count.isdigit() else 3 if "few" in count else _count(count)
        # The longer ago, the rougher: half of the distance to either side, and a day at least.
        about, off = timedelta(days=number * _UNITS[unit]), timedelta(days=number * _UNITS[unit] // 2)
        off = timedelta(0) if unit == "day" and "few" not in count else min(off, timedelta(_UNITS[unit]))
        yield today - about - off, today - about + off + day
    for which, unit in CALENDAR.findall(said):
        yield _calendar(today, which != "this", unit)
    for name in WEEKDAY.findall(said):
        back = (today.weekday() - DAYS.index(name) - 1) % 7 + 1
        yield today - back * day, today - (back - 1) * day
    for words in NEAR.findall(said):
        if words in ("yesterday", "last night"):
            yield today - day, today
        elif words in ("recently", "lately", "the other day"):
            yield today - 14 * day, today + day
        else:
            yield today, today + day


def _calendar(today: datetime, last: bool, unit: str) -> Span:
    monday = today - timedelta(days=today.weekday())
    if unit == "week":
        start = monday - timedelta(days=7 * last)
        return start, start + timedelta(days=7)
    if unit == "weekend":
        saturday = monday + timedelta(days=5 - 7 * last)
        return saturday, saturday + timedelta(days=2)
    if unit == "year":
        return _months(today.year - last, 1, 12)
    before = today.replace(day=1) - timedelta(days=1)
    return _months(before.year, before.month, 1) if last else _months(today.year, today.month, 1)


def _months(year: int, month: int, count: int) -> Span:
    after = month - 1 + count
    return datetime(year, month, 1), datetime(year + after // 12, after % 12 + 1, 1)


def _years(year: str, today: datetime) -> list[int]:
    return [int(year)] if year else list(range(today.year - YEARS_BACK + 1, today.year + 1))


def _number(month: str) -> int:
    return next(at for at, name in enumerate(MONTHS, 1) if name.startswith(month[:3]))


def _count(word: str) -> int:
    return max(NUMBERS.index("a" if word == "an" else word), 1)
