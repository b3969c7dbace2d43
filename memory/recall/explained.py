"""A hit's explanation in words: what its score is made of, and which retriever brought it."""

from __future__ import annotations

from collections.abc import Mapping

from memory.records import Recalled

RETRIEVERS = ("vectors", "full text")


def explained(hit: Recalled) -> str:
    """One line, such as "similarity 0.52, words 0.40 (vectors 1st, full text 3rd)"."""
    made_of = added_up(hit.parts)
    brought = [f"{name} {_place(hit.ranks[name])}" for name in RETRIEVERS if name in hit.ranks]
    if repeats := hit.ranks.get("repeats"):
        brought.append(f"stands for {repeats} more that {'says' if repeats == 1 else 'say'} the same")
    return f"{made_of} ({', '.join(brought)})" if brought else made_of


def added_up(parts: Mapping[str, float]) -> str:
    """Such as "similarity 0.52, words 0.40"."""
    return ", ".join(f"{name} {value:.2f}" for name, value in parts.items())


def _place(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else endings.get(number % 10, 'th')}"
