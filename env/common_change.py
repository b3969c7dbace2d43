"""What an owner's edits have in common: programming by example in its smallest form (Gulwani 2011, POPL).

A change is words that come in at one place of a reply, or words that make room for others wherever they
stand. It counts when most edits have it: what two in ten ask for is not this owner's way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, Literal

from memory.taste.features import BULLET, EMOJI

# a change must be part of so many edits, and of this share of them
FEWEST, MOST = 3, 0.5
# tokens (words, marks and the blanks between them) of a phrase that comes in
LONGEST = 24
# pieces of a reply that is compared at all: the time it takes grows with their square
PIECES = 2_000
# whoever keeps less of a reply has not changed it, but written another one
KEPT = 0.5
# a shorter phrase is the better one only if this many times as many edits have it
OFTEN = 1.5
PIECE = re.compile(rf"\s+|\w+(?:['\u2019-]\w+)*|{EMOJI.pattern}\ufe0f?|[^\w\s]")
SAYS = re.compile(rf"[^\W\d_]|{EMOJI.pattern}")
END = re.compile(r"[.!?]+[\"')\]]*(?=\s|$)|\n+")
MARKER = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
STOP = re.compile(r"[.!?:\"')\]\s]*$")
LINE = "\n"

Side = Literal["start", "end"]
# which sentence, counted from the front, or -1 for the last
Place = tuple[Side, int]
# the pieces of a reply and of what it was edited to
Edit = tuple[list[str], list[str]]


@dataclass(frozen=True, slots=True)
class Change:
    """`new` in place of each `old`; where `old` is empty `new` comes in at `place`. `edits` have it.

    `gap` is the white space that sets `new` off.
    """

    old: str
    new: str
    place: Place | None
    edits: int
    gap: str = " "

    def made_in(self, text: str) -> str | None:
        """`text` with this change; None where there is nothing to change, or it is there already."""
        if self.old:
            changed = re.sub(rf"(?<!\w){re.escape(self.old)}(?!\w)", lambda _: self.new, text)
            return _tidy(changed) if changed != text else None
        if self.place is None or self.shows(text):
            return None
        return _inserted(text.strip(), self.new, self.place, self.gap)

    def undone(self, text: str) -> str:
        """`text` without the words that come in, once; as it is where words make room for others."""
        if self.old or not self.shows(text):
            return text
        without = re.sub(rf"\s*{re.escape(self.new)}", "", text, count=1, flags=re.IGNORECASE)
        return without.strip() or text

    def shows(self, text: str) -> bool:
        """Whether `text` has the words that come in; where words only go, whether it has none of those."""
        words = re.escape((self.new or self.old).strip(" ,.!?").casefold())
        return bool(re.search(rf"(?<!\w){words}(?!\w)", text.casefold())) is bool(self.new)

    def __str__(self) -> str:
        if self.old:
            return f'"{self.old}" becomes "{self.new}"' if self.new else f'"{self.old}" goes'
        side, number = self.place or ("start", 0)
        which = {0: "first", 1: "second", -1: "last"}[number]
        return f'"{self.new.strip()}" comes in at the {side} of the {which} sentence'


def common_change(texts: Sequence[tuple[str, str]]) -> Change | None:
    """The change that most edits share, each given as (before, after); None where there is none.

    Of several the one that most edits have, and of those the longest.
    """
    both = [(_pieces(before), _pieces(after)) for before, after in texts]
    least = max(FEWEST, MOST * len(both))
    edits = [edit for edit in both if max(map(len, edit)) <= PIECES and _kept(*edit) >= KEPT]
    if len(edits) < least:
        return None
    found = [_insertion(edits, least), _substitution(edits, least)]
    known = [one for one in found if one is not None]
    return max(known, key=lambda one: (one.edits, len(one.old) + len(one.new)), default=None)


def change_in_words(told: Any) -> str:
    """A sentence of what an update found that the edits share (the "change" of its report), and how many
    fresh replies have it; "" where it found nothing."""
    if not isinstance(told, Mapping) or "text" not in told:
        return ""
    now, before, of = (told.get(name, 0) for name in ("candidate", "base", "replies"))
    shown = (
        f"{now} of {of} fresh replies show it, {before} did before" if now else "no fresh reply shows it yet"
    )
    return f"{told.get('edits', 0)} edits have in common that {told['text']}; {shown}."


def _insertion(edits: Sequence[Edit], least: float) -> Change | None:
    seen: Counter[str] = Counter()
    for old, new in edits:
        seen.update({gram for run in _came(old, new) for gram in _grams(run)})
    likely = [gram for gram, count in seen.items() if count >= least]
    if not likely:
        return None
    # the words that come in most often, and of what holds them the longest that comes nearly as often
    often = max(seen[gram] for gram in likely)
    phrase = max((gram for gram in likely if OFTEN * seen[gram] >= often), key=len)
    texts = [("".join(before), "".join(after)) for before, after in edits]
    places: Counter[Place] = Counter()
    for before, after in texts:
        places.update({place for place, _ in _places(before, after, phrase)})
    if not places:
        return None
    place, count = max(places.items(), key=lambda one: (one[1], one[0] in (("start", 0), ("end", -1))))
    if count < least:
        return None
    gaps = Counter(
        gap for before, after in texts for found, gap in _places(before, after, phrase) if found == place
    )
    return Change("", phrase, place, count, gaps.most_common(1)[0][0])


def _substitution(edits: Sequence[Edit], least: float) -> Change | None:
    seen: Counter[tuple[str, str]] = Counter()
    for before, after in edits:
        seen.update({(old, new) for old, new in _replaced(before, after) if SAYS.search(old)})
    if not seen:
        return None
    (old, new), count = max(seen.items(), key=lambda one: (one[1], len(one[0][0])))
    return Change(old, new, None, count) if count >= least else None


def _pieces(text: str) -> list[str]:
    return PIECE.findall(text.strip())


def _matched(before: list[str], after: list[str]) -> SequenceMatcher[str]:
    """A word that begins a sentence now, or no longer does, is the same word."""
    old, new = ([piece.casefold() for piece in pieces] for pieces in (before, after))
    return SequenceMatcher(None, old, new, autojunk=False)


def _kept(before: list[str], after: list[str]) -> float:
    """The share of the words of `before` that are left."""
    blocks = _matched(before, after).get_matching_blocks()
    left = [piece for at, _, size in blocks for piece in before[at : at + size]]
    return _words(left) / max(1, _words(before))


def _words(pieces: list[str]) -> int:
    return sum(bool(SAYS.search(piece)) for piece in pieces)


def _changes(before: list[str], after: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """(what went, what came) at each place where the two differ."""
    for kind, i, j, k, m in _matched(before, after).get_opcodes():
        if kind == "equal":
            continue
        # ". For example: B" before a stop is "For example: B." behind it
        while kind == "insert" and m < len(after) and after[k] == after[m]:
            k, m = k + 1, m + 1
        yield before[i:j], after[k:m]


def _came(before: list[str], after: list[str]) -> list[list[str]]:
    return [came for _, came in _changes(before, after) if came]


def _replaced(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    return [("".join(went).strip(), "".join(came).strip()) for went, came in _changes(before, after) if went]


def _grams(run: list[str]) -> Iterator[str]:
    """What `run` begins or ends with: words in the midst of it belong to what this reply alone says."""
    run = _pieces(MARKER.sub("", "".join(run)))
    for size in range(1, min(LONGEST, len(run)) + 1):
        for gram in ("".join(run[:size]).strip(), "".join(run[-size:]).strip()):
            if SAYS.search(gram):
                yield gram


def _sentences(text: str) -> list[tuple[int, int]]:
    """(start, end) of each sentence or line of `text`, its stop included and the mark of a list left out."""
    cuts = [0, *(found.end() for found in END.finditer(text)), len(text)]
    spans = []
    for start, end in pairwise(cuts):
        said = MARKER.sub("", text[start:end]).lstrip()
        if said:
            spans.append((end - len(said), end))
    return spans


def _places(before: str, after: str, phrase: str) -> Iterator[tuple[Place, str]]:
    """Where `phrase` stands in `after`, if `before` did not have it, and the blanks that set it off."""
    if after.count(phrase) <= before.count(phrase):
        return
    spans = _sentences(after)
    for found in re.finditer(re.escape(phrase), after):
        ahead, behind = after[: found.start()], after[found.end() :]
        for number, (start, end) in enumerate(spans):
            if not start <= found.start() < end:
                continue
            names = {number, number - len(spans)} & {0, 1, -1}
            if found.start() == start:
                yield from ((("start", name), behind[: len(behind) - len(behind.lstrip())]) for name in names)
            if STOP.fullmatch(after[found.end() : end]):
                yield from ((("end", name), ahead[len(ahead.rstrip()) :]) for name in names)


def _inserted(text: str, new: str, place: Place, gap: str) -> str | None:
    side, number = place
    spans = _sentences(text)
    # what opens the last sentence follows on something
    if len(spans) <= number or (side == "start" and number == -1 and len(spans) < 2):
        return None
    start, end = spans[number]
    alone = bool(END.search(new)) or LINE in gap
    listed = alone and BULLET.search(text[:end].rpartition("\n")[2]) is not None
    if side == "start":
        # what opens a list stands above it
        return (
            f"{new}\n{text}" if listed and number == 0 else f"{text[:start]}{new}{gap or ' '}{text[start:]}"
        )
    if alone or EMOJI.search(new[-1:]):
        # a sentence of its own, or a sign that stands behind the stop
        at = start + len(text[start:end].rstrip())
    else:
        at = start + len(STOP.sub("", text[start:end]))
    return f"{text[:at]}{LINE if listed and LINE not in gap else gap}{new}{text[at:]}"


def _tidy(text: str) -> str:
    """Without the doubled blanks, and with the capital, that words which went leave behind."""
    text = re.sub(r"[ \t]+(?=[.,!?])|(?<=[ \t])[ \t]+", "", text).strip(" ,")
    return text[:1].upper() + text[1:]
