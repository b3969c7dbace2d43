"""What an owner's edits have in common, made in replies to other questions.

Whoever writes a name, a caveat or an example into reply after reply shows the same change each time
(`env.common_change`). Learned from as pairs alone it stays with those questions: the pairs drift apart, and
nothing is said anew (docs/lab-notes.md). So the change is made in the base's own answers to everyday
questions, and these are taught as answers in a taste are (`learners/distil`).

Where a taste explains the change already (a smile at the end), answers in that taste are learned, which say
it in more words than these. Where a taste is known and the change is another one, it is made in the answers
in that taste.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from env.common_change import MOST, Change, common_change
from env.datasets import Pair, Prompt, Reply, Unpaired
from memory.taste.card_model import has
from memory.taste.features import features
from policies.learners.distil import SURE, Lesson, everyday
from policies.learners.hindsight import answers
from policies.learners.lora import LearningSettings, epochs

if TYPE_CHECKING:
    from memory.taste.posterior import Taste, TastePosterior
    from policies.anchors import Anchor
    from policies.language_policy import LanguagePolicy
    from policies.rows import Tokeniser, Tokens

# everyday questions whose answers are changed, and tokens that each may have
QUESTIONS, ROOM = 48, 160
# times as many passes as other rows take; where everyday answers are held on to as well
LONGER, LONGEST = 2, 3
LENGTHS = ("brief", "detailed")


def known(belief: TastePosterior) -> Taste:
    """The taste that is surely the owner's; () where none is."""
    best, probability = belief.best()
    return best if probability >= SURE else ()


def unexplained(pairs: Sequence[Pair], thumbs: Sequence[Unpaired], belief: TastePosterior) -> Change | None:
    """The change that most edits among `pairs` share, unless the taste that is known explains it.

    A thumb on a reply without the change speaks against it as an edit without it does, also a thumb down: who
    wants words in every reply writes them. Else a few edits by somebody else would be all that there is.
    """
    edits = [(pair.rejected.text, pair.chosen.text) for pair in pairs if pair.source == "edit"]
    change, taste = common_change(edits), known(belief)
    if change is None:
        return None
    without = sum(change.made_in(row.completion.text) is not None for row in thumbs)
    if change.edits < MOST * (len(edits) + without):
        return None
    # a phrase makes a reply longer, and is not wanted for that
    styles = [one for one in taste if one not in LENGTHS]
    told = []
    for before, _ in edits:
        if (made := change.made_in(before)) is not None:
            told.append(any(has(one, features(made)) and not has(one, features(before)) for one in styles))
    return None if 2 * sum(told) > len(told) else change


def telling(rows: Sequence[Unpaired], pairs: Sequence[Pair], change: Change) -> list[Unpaired]:
    """`rows` without the halves of those edits of `pairs` that are `change` and nothing else: of a taste they
    say nothing, though an added sentence makes a reply longer."""
    plain = {
        pair.reply_id
        for pair in pairs
        if pair.source == "edit" and change.undone(pair.chosen.text).split() == pair.rejected.text.split()
    }
    return [row for row in rows if row.source != "edit" or row.reply_id not in plain]


def transferred(
    policy: LanguagePolicy,
    change: Change,
    lessons: Sequence[Lesson],
    words: Tokeniser,
    system: str | None,
    tools: Sequence[dict[str, Any]],
) -> list[tuple[Tokens, Tokens]]:
    """(with the change, without it) for each answer of `lessons` that can be changed.

    Without lessons the answers are those of the policy, which must speak as the base, to everyday questions.
    """
    said: list[tuple[Prompt, Reply | None]] = [(one.prompt, one.answer) for one in lessons]
    if not lessons:
        asked = everyday(policy, system, tools, QUESTIONS)
        said = list(zip(asked, answers(policy, asked, [()] * len(asked), ROOM), strict=True))
    made = [(prompt, own, change.made_in(own.text)) for prompt, own in said if own is not None]
    return [
        (words.row(prompt, Reply(new)), words.row(prompt, own))
        for prompt, own, new in made
        if new is not None
    ]


def freed(
    settings: LearningSettings, anchors: Sequence[Anchor], rows: int, size: int, firm: bool = False
) -> tuple[LearningSettings, Sequence[Anchor]]:
    """(settings, anchors) for a change: more passes over `rows`, since a base of `size` parameters all but
    rules its words out, and no hold on everyday answers, which are to have them.

    `firm` holds on to those as well: fewer replies have the change then, and fewer go astray.
    """
    passes = settings.epochs or (LONGEST if firm else LONGER) * epochs(settings, rows, size)
    return replace(settings, epochs=passes), [one for one in anchors if firm or not one.style]
