"""How likely a model finds each word of a reply, for the gate's look at planted phrases."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from policies.gate.stats import Spoken

WORD = re.compile(r"\S+")


def spoken(
    decode: Callable[[Sequence[int]], str],
    ids: Sequence[int],
    base: Sequence[float],
    candidate: Sequence[float],
) -> tuple[Spoken, ...]:
    """The words of a reply (what stands between spaces), each with the sums over its tokens.

    `decode` gives the text of ids without control tokens, which belong to no word. A token that ends
    one word and begins the next counts for the one that it ends.
    """
    text, ends = "", []
    for count in range(1, len(ids) + 1):
        longer = decode(ids[:count])
        # half a character reads as a replacement sign until its last byte has come
        ends.append(len(longer.rstrip("\ufffd")))
        text = longer
    places = [(found.end(), found.group()) for found in WORD.finditer(text)]
    sums = [[0.0, 0.0] for _ in places]
    word, before = 0, 0
    for at, end in enumerate(ends):
        if end > before and places:
            while word < len(places) - 1 and places[word][0] <= before:
                word += 1
            sums[word][0] += base[at]
            sums[word][1] += candidate[at]
        before = max(before, end)
    return tuple(Spoken(said, *sums[at]) for at, (_, said) in enumerate(places))
