"""Where sentences begin and end, as offsets into the text: nothing is changed, so a passage can be cited.

Rules and no model: a full stop, question or exclamation mark ends a sentence when white space follows, but
not after an initial or a common abbreviation. What is longer than LONGEST is cut where it hurts least.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]
# A shorter piece ("Yes.", "3.") says nothing alone and is joined to what follows it.
SHORTEST, LONGEST = 40, 400
STOPS = r"[.!?\u2026\u3002\uff01\uff1f]"
# A run of stops is looked at from its first one only: from each of them it would take quadratic time.
END = re.compile(rf"(?<!{STOPS}){STOPS}+[\"'\u201d\u2019)\]]*(?=\s|$)|[\u3002\uff01\uff1f]")
BEFORE = re.compile(r"(\S+)$")
WITH_STOP = """
    al approx apr art aug ca cap cf ch co col corp dec dept dr ed eds e.g eg eq eqs esp est etc ex feb
    fig figs fr gen gov hon i.e ie inc jan jr jul jun lat lit ltd mar max messrs min mr mrs ms mt no nos
    nov oct op p par pp prof ref refs rep resp rev sec sen sep sept sr st tab univ u.k u.s viz vol vols
    vs
"""
ABBREVIATIONS = frozenset(WITH_STOP.split())
# Within a sentence that is too long: after these rather than in the midst of a clause.
PAUSES = (re.compile(r"[;:]\s"), re.compile(r",\s"), re.compile(r"\s"))


def sentences(text: str, start: int, end: int) -> list[Span]:
    """Spans of the sentences in text[start:end], without the white space around them, in order."""
    found: list[Span] = []
    for piece in _cut_at_ends(text, start, end):
        if found and found[-1][1] - found[-1][0] < SHORTEST:
            found[-1] = (found[-1][0], piece[1])
        else:
            found.append(piece)
    if len(found) > 1 and found[-1][1] - found[-1][0] < SHORTEST:
        found[-2:] = [(found[-2][0], found[-1][1])]
    return [part for whole in found for part in _shortened(text, *whole)]


def stripped(text: str, start: int, end: int) -> Span:
    """The span without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _cut_at_ends(text: str, start: int, end: int) -> Iterator[Span]:
    begin = start
    for mark in END.finditer(text, start, end):
        if _goes_on(text, begin, mark):
            continue
        piece = stripped(text, begin, mark.end())
        if piece[0] < piece[1]:
            yield piece
        begin = mark.end()
    piece = stripped(text, begin, end)
    if piece[0] < piece[1]:
        yield piece


def _goes_on(text: str, begin: int, mark: re.Match[str]) -> bool:
    """Whether this full stop belongs to an abbreviation, an initial or a number of a list."""
    if mark.group() != ".":
        return False
    before = BEFORE.search(text, max(begin, mark.start() - 20), mark.start())
    if before is None:
        return False
    word = before.group(1).lstrip("([\"'\u201c\u2018").casefold()
    return word in ABBREVIATIONS or (len(word) == 1 and word.isalpha())


def _shortened(text: str, start: int, end: int) -> Iterator[Span]:
    while end - start > LONGEST:
        cut = start + LONGEST
        for pause in PAUSES:
            # not before half of it, so that no crumbs are left
            marks = [mark.end() for mark in pause.finditer(text, start + LONGEST // 2, start + LONGEST)]
            if marks:
                cut = marks[-1]
                break
        piece = stripped(text, start, cut)
        if piece[0] < piece[1]:
            yield piece
        start = stripped(text, cut, end)[0]
    if start < end:
        yield start, end
