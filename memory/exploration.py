"""Which style to try next, when nothing is known of the owner's taste yet. Pure functions.

With an empty card a model answers in the styles that it happens to like, and one that it hardly ever
uses by itself may not come up for many replies: nobody can like what they have not seen. So, while
nothing stands on the card, a reply may be asked for in one style, the one with the fewest rated
replies; of equals, the one that is most probably liked. Every style gets ENOUGH rated replies at most
this way, so trials end by themselves whatever the thumbs say; when the taste has changed and old ratings
have faded (fading.py), they begin again. A reply counts for the styles that it
shows, and for the one that was asked of it: a model that cannot do a style is not asked for ever. What
is *learned* from a reply follows from what it shows alone (card_model.py).

People who do not rate are never explored on: most of their last RECENT replies must have a thumb.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from memory.card_model import Finding, Observation, has
from memory.features import STYLES

ENOUGH = 2
RECENT = 5


def rates(thumbs: Sequence[bool]) -> bool:
    """Does this person rate? `thumbs` says of the newest replies whether a thumb stands on them."""
    return 2 * sum(thumbs) > len(thumbs)


def next_trial(
    observations: Sequence[Observation],
    found: Mapping[str, Finding],
    on_card: Collection[str] = (),
    barred: Collection[str] = (),
) -> str | None:
    """The style to try in the next reply; None when something is `on_card`, or all were seen ENOUGH.

    `barred` styles (struck by the owner) are never tried. Equal input gives the equal answer.
    """
    if on_card:
        return None
    counts = {
        style: sum(has(style, one.shows) or one.trial == style for one in observations if one.holds)
        for style in STYLES
        if style not in barred
    }
    few = [style for style, count in counts.items() if count < ENOUGH]
    # rounded, so that equal evidence is equal whatever the order of the sums; then the order of STYLES
    return min(few, key=lambda style: (counts[style], -round(found[style].probability, 6)), default=None)
