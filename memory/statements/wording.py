"""Whether two texts say the same, by the words that carry them: enough to tell repeating from stating."""

from __future__ import annotations

import re

from memory.statements.attributes import listed
from memory.statements.relations import first_person

SENTENCE = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|\n+|(?<=[.!?])(?=[A-Z])")
_REQUEST = re.compile(
    r"\W*(?:please,? )?(?:tell|give|show|write|explain|describe|find|help|list|make|say|draw|translate|look|"
    r"search|recall|remind|what|who|where|when|how|why|which|is|are|do|does|did|can|could|would|will)\b",
    re.IGNORECASE,
)
_STOP = listed(
    """
    a an the i me my mine am is are was were be been to of in on at for by with and or that this it
    he she his her their they we our you your s owner user has have had do does did called named
    name as from so very
    """
)


def says(message: str, fact: str) -> bool:
    """Whether `message` itself states `fact`, in whatever order; a question or a request states nothing."""
    wanted = content(fact)
    stated = [
        one for one in SENTENCE.split(message) if not (one.rstrip().endswith("?") or _REQUEST.match(one))
    ]
    return bool(wanted) and any(wanted <= content(one) for one in (*stated, " ".join(stated)))


def repeats(fact: str, shown: str) -> bool:
    """Whether `fact` says nothing that `shown` does not say, and denies what it denies."""
    wanted, there = content(fact), content(shown)
    negative = {"not", "no", "never"}
    return bool(wanted) and wanted <= there and wanted & negative == there & negative


def content(text: str) -> set[str]:
    """The words of `text` that carry it, cut to their stem: no articles, pronouns or auxiliaries."""
    said = first_person(text).casefold().replace("no longer", "not").replace("'s", "")
    return {_stem(word) for word in re.findall(r"[\w'+#-]+", said) if word not in _STOP}


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 3 else word


def nearest(message: str, fact: str, share: float = 0.6) -> str | None:
    """The sentence of `message` that has the most words of `fact`, at least `share` of them."""
    wanted = content(fact)
    best, held = None, share
    for one in (one.strip() for one in SENTENCE.split(message)):
        if wanted and not one.endswith("?") and len(wanted & content(one)) / len(wanted) >= held:
            best, held = one, len(wanted & content(one)) / len(wanted)
    return best
