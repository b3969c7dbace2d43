"""The words under a reply, as many as the width holds: what is thought of it, its keys, and who spoke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from agent.tui.plain import cut, one_line
from agent.tui.verdict import Verdict
from memory.records import Generation

GAP, NEAR = 2, 1  # cells after a mark, and after one about the siblings, as in app.tcss
SHORTEST = 8  # cells; less of a reason says nothing
AGAIN, WHY, UNDO = "r again", "w why", "u undo"
ENDED = {"cancelled": "stopped", "length": "cut at the limit", "error": "broke off"}


@dataclass(frozen=True, slots=True)
class Words:
    """What to draw; an empty word is left out. `rows`: the thumbs stand above the others where it is 2."""

    good: str = ""
    bad: str = ""
    undo: str = ""
    version: str = ""
    place: str = ""
    before: str = ""
    after: str = ""
    pick: str = ""
    made: str = ""
    rows: int = 1

    @property
    def _thumbs(self) -> int:
        return _cells((self.good, self.bad, self.undo, self.version), GAP)

    @property
    def _others(self) -> int:
        siblings = _cells((self.place, self.before, self.after, self.pick), NEAR)
        return siblings + _cells((AGAIN, WHY), GAP) + cell_len(self.made)

    def fits(self, width: int) -> bool:
        if self.rows == 1:
            return self._thumbs + self._others <= width
        return max(self._thumbs - GAP, self._others) <= width  # nothing follows the last thumb

    def left(self, width: int) -> int:
        """Cells that the thumbs leave in a row of their own."""
        return width - self._thumbs + GAP


def words(verdict: Verdict, place: tuple[int, int], made: Generation | None, width: int) -> Words:
    """The marks of a reply in `width` cells; 0: as wide as they like.

    What matters least gives way first: the seconds, then a long word for picking, then a second row is
    taken. There the reason is cut, and the arrows and how the reply ended go before the keys do.
    """
    whole = Words(place=f"{place[0]}/{place[1]}", before="\u2190", after="\u2192", pick="p picks this one")
    if verdict.picked:
        whole = replace(whole, pick="\u25cf picked")
    if place[1] < 2:
        whole = Words()
    whole = replace(_thumbs(whole, verdict), made=_made(made))
    if width <= 0 or whole.fits(width):
        return whole
    smaller = _smaller(whole, made)
    for one in smaller[:2]:
        if one.fits(width):
            return one
    rows = [replace(_narrow(one, verdict, width), rows=2) for one in (whole, *smaller)]
    return next((one for one in rows if one.fits(width)), rows[-1])


def _smaller(whole: Words, made: Generation | None) -> list[Words]:
    """Each without one thing more."""
    timeless = replace(whole, made=_made(made, seconds=False))
    brief = replace(timeless, pick="p pick" if timeless.pick.startswith("p ") else timeless.pick)
    still = replace(brief, before="", after="")
    return [timeless, brief, still, replace(still, made=(made.adapter or "base") if made else "")]


def _thumbs(words: Words, verdict: Verdict, why: str | None = None) -> Words:
    """`words` with what is thought of the reply; `why` in the place of the whole reason."""
    value = verdict.thumb.value if verdict.thumb else 0
    reason = one_line(verdict.thumb.why or "", 1000) if verdict.thumb else ""
    reason = reason if why is None else why
    said = f": {reason}" if reason else ""
    return replace(
        words,
        good="" if value < 0 else f"\u25cf rated good{said}" if value else "+ good",
        bad="" if value > 0 else f"\u25cf rated bad{said}" if value else "- bad",
        undo=UNDO if value else "",
        version="\u25cf your version" if verdict.version is not None else "",
    )


def _narrow(words: Words, verdict: Verdict, width: int) -> Words:
    """`words` with as much of the reason as the row of the thumbs holds."""
    bare = _thumbs(words, verdict, "")
    if bare.version and bare.left(width) < 0:
        return replace(bare, version="\u25cf yours")
    left = bare.left(width) - len(": ")
    if left < SHORTEST or verdict.thumb is None or not verdict.thumb.why:
        return bare
    return _thumbs(words, verdict, cut(verdict.thumb.why, left))


def _made(made: Generation | None, seconds: bool = True) -> str:
    if made is None:
        return ""
    parts = [ENDED.get(made.finish_reason, ""), made.adapter or "base"]
    parts += [f"{made.total_ms / 1000:.1f} s"] if seconds else []
    return " \u00b7 ".join(part for part in parts if part)


def _cells(parts: Sequence[str], gap: int) -> int:
    return sum(cell_len(part) + gap for part in parts if part)
