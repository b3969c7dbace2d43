"""The ledger cut for one update: which algorithm, what to train on, what to test with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from env.datasets import Pair, Reply, Unpaired, judgements, rows, unpair
from env.imported import Text
from memory.journal import Journal
from memory.taste import fading
from memory.taste.card_model import Observation
from memory.taste.observations import Observations
from policies.gate.verdict import WORD
from policies.learners.choose import choose
from policies.update.held_out import hold_out_telling
from policies.update.lock import UpdateError

if TYPE_CHECKING:
    from policies.rows import Tokeniser

ALGORITHMS = ("auto", "kto", "dpo", "ppo", "grpo", "sft")
ASKED_FOR = "asked for"
# below this many rows every one of them is needed for training, and a handful would prove nothing
FEWEST_TO_HOLD_OUT = 16
# of liked and of disliked replies held out: the gate's interval needs as many (`gate.evidence`)
FEWEST_OF_EACH = 2
# this many replies, all disliked, say enough of a taste to try what they did not show (learners/distil)
FEWEST_TO_TRY = 4


class NothingToLearn(UpdateError):
    """The ledger has no signals, or none that could be told apart."""


class TasteChanged(NothingToLearn):
    """All that was learned is about a taste that is gone, and nothing is known yet of the new one."""

    def __init__(self) -> None:
        super().__init__(
            "Your taste seems to have changed, and every rating since is a thumb down: the base speaks until "
            "there is more to learn from. Like a reply, or edit one."
        )


@dataclass(frozen=True, slots=True)
class Material:
    """The ledger, cut for one algorithm: what to train on, and what to test with.

    `thumbs` and `pairs` are all judgements of the training side, for the reward model and for hindsight,
    whatever the algorithm makes of them; `texts` are imported. `routes` says how many signals went which
    way. `last_seq` is the newest event that was there when the ledger was read. `turned` says that older
    ratings were left out because the taste has changed since.
    """

    algorithm: str
    why: str
    train: Sequence[Unpaired | Pair]
    test: Sequence[Unpaired | Pair]
    signals: int
    last_seq: int
    thumbs: Sequence[Unpaired] = ()
    pairs: Sequence[Pair] = ()
    texts: Sequence[Text] = ()
    routes: dict[str, int] = field(default_factory=dict)
    turned: bool = False


def material(
    journal: Journal, algorithm: str = "auto", hold_out: float = 0.2, texts: Sequence[Text] = ()
) -> Material:
    """Cut the ledger for `algorithm`. Raises NothingToLearn with a sentence that says what to rate, and
    TasteChanged where the adapter that speaks should not go on."""
    if algorithm not in ALGORITHMS:
        raise UpdateError(f"There is no algorithm {algorithm!r}: choose {', '.join(ALGORITHMS)}.")
    # read first: an event that comes in between is then counted as new, never as learned
    last_seq = journal.last_seq()
    rated, compared = rows(journal)
    events = [row.feedback_ids for row in rated] + [pair.feedback_ids for pair in compared]
    signals = len({event for some in events for event in some})
    if not signals and not (texts and algorithm in ("auto", "sft")):
        raise NothingToLearn("Nothing has been rated yet: rate a few replies up and down, then train.")
    # How signals are counted stays as it is: what is left out below was rated all the same.
    turned = turning_point(Observations(journal).timed())
    fresh = [row for row in rated if row.created_at > turned]
    thumbs = [row for row in fresh if _speaks(row.completion)]
    # siblings bear the time of their newer thumb, and are no better than their older one
    gone = {event for row in rated if row.created_at <= turned for event in row.feedback_ids}
    pairs = [pair for pair in compared if pair.created_at > turned and gone.isdisjoint(pair.feedback_ids)]
    spoken = [pair for pair in pairs if _speaks(pair.chosen) and _speaks(pair.rejected)]
    why = ASKED_FOR
    if algorithm == "auto":
        choice = choose(thumbs, spoken, texts)
        algorithm, why = choice.algorithm, choice.reason
    down = bool(thumbs) and not pairs and not any(row.label or row.why for row in thumbs)
    if turned > -math.inf and down and (algorithm != "kto" or len(thumbs) < FEWEST_TO_TRY):
        raise TasteChanged
    data = _data(algorithm, thumbs, pairs, texts)
    enough = len(data) >= FEWEST_TO_HOLD_OUT
    train, test = hold_out_telling(data, hold_out if enough else 0.0, _tells)
    seen = _seen(train, test)
    mine, ours = [row for row in thumbs if seen(row)], [pair for pair in spoken if seen(pair)]
    if algorithm == "dpo":
        train = list(ours)
    elif algorithm == "sft":
        train = [row for row in train if isinstance(row, Unpaired) and row.label]
    routes = _routes(mine, ours, test)
    routes |= {"faded": len(rated) + len(compared) - len(fresh) - len(pairs)}
    texts = texts if algorithm == "sft" else ()
    routes |= {"text": len(texts)}
    return Material(
        algorithm,
        why,
        train,
        test,
        signals,
        last_seq,
        mine,
        ours,
        texts,
        routes,
        turned > -math.inf,
    )


def spoken(cut: Material, words: Tokeniser) -> Material:
    """`cut` without the rows that say nothing to the base of `words`: a call of a tool that another base made
    has no text, and learned as an empty reply it would become what is preferred.

    Raises NothingToLearn where nothing is left.
    """

    def says(row: Unpaired | Pair) -> bool:
        replies = (row.completion,) if isinstance(row, Unpaired) else (row.chosen, row.rejected)
        return all(map(words.says, replies))

    train, test = list(filter(says, cut.train)), list(filter(says, cut.test))
    thumbs, pairs = list(filter(says, cut.thumbs)), list(filter(says, cut.pairs))
    if not (train or thumbs or cut.texts):
        raise NothingToLearn(
            "All that was rated are calls of tools by another model, which say nothing to this one: rate a "
            "reply of this model."
        )
    routes = cut.routes | _routes(thumbs, pairs, test)
    return replace(cut, train=train, test=test, thumbs=thumbs, pairs=pairs, routes=routes)


def turning_point(verdicts: Iterable[tuple[float, Observation]]) -> float:
    """The time of the newest verdict that has faded (see `taste.fading`); before the first where none has.

    All that is older faded as well: it was about a taste that the owner surely no longer has. The verdicts
    are those that the card reads, edits and picks among them and none on what a reply says, so that the card
    and the weights know of one taste.
    """
    return max((at for at, one in verdicts if one.weight < fading.FADED), default=-math.inf)


def explains(row: Unpaired) -> bool:
    """Whether hindsight can learn from it: a thumb down, and a word on what was wrong."""
    return bool(row.why) and not row.label


def _data(
    algorithm: str, thumbs: Sequence[Unpaired], pairs: Sequence[Pair], texts: Sequence[Text]
) -> list[Unpaired | Pair]:
    """The rows that `algorithm` can use, or be tested with. Raises NothingToLearn."""
    spoken = [pair for pair in pairs if _speaks(pair.chosen) and _speaks(pair.rejected)]
    reasons = [row for row in thumbs if explains(row)]
    if algorithm == "dpo":
        if not spoken and not reasons:
            raise NothingToLearn(
                "DPO learns from pairs and there are none: edit a reply, or regenerate and pick."
            )
        # the gate judges single replies, those of pairs and those that were thumbed alike
        paired = {reply for pair in spoken for reply in (pair.chosen_id, pair.rejected_id)}
        return [*spoken, *(row for row in thumbs if row.reply_id not in paired)]
    singles = [row for row in unpair(thumbs, pairs) if _speaks(row.completion)]
    liked = sum(row.label for row in singles)
    if algorithm == "sft":
        if not liked and not texts:
            raise NothingToLearn(
                "SFT imitates what is right and there is nothing: like a reply, edit one, or put texts into "
                "the folder `imports` of this home."
            )
    elif not liked and algorithm == "kto" and (reasons or len(singles) >= FEWEST_TO_TRY):
        pass  # hindsight or the taste of all thumbs may make a liked reply of them
    elif liked in (0, len(singles)) and not (reasons and not liked):
        way, other = ("up", "down") if liked else ("down", "up")
        raise NothingToLearn(
            f"All ratings so far are thumbs {way} ({len(singles)}), so there is nothing to tell apart: "
            f"rate a reply {other}, or edit one."
        )
    return list(singles)


def _routes(
    thumbs: Sequence[Unpaired], pairs: Sequence[Pair], test: Sequence[Unpaired | Pair]
) -> dict[str, int]:
    """How many signals go which way."""
    routes = {source: sum(pair.source == source for pair in pairs) for source in ("edit", "pick", "siblings")}
    return routes | {"thumb": len(thumbs), "why": sum(map(explains, thumbs)), "held_out": len(test)}


def _tells(test: Sequence[Unpaired | Pair]) -> bool:
    """Whether the gate could say anything of it.

    Until then what is held out proves nothing, and is missed where it is needed most: of two dozen thumbs
    down and the first thumb up, that one must not be it.
    """
    sides: dict[bool, set[object]] = {True: set(), False: set()}
    for row in test:
        for said, liked, reply_id in judgements(row):
            sides[liked].add(reply_id or id(said))
    return min(map(len, sides.values())) >= FEWEST_OF_EACH


def _seen(
    train: Sequence[Unpaired | Pair], test: Sequence[Unpaired | Pair]
) -> Callable[[Unpaired | Pair], bool]:
    """Whether a row may be trained on, in whatever reading, beside the split that was made."""
    questions = {row.prompt.question for row in test}
    told = {row.conversation_id for row in test} - {row.conversation_id for row in train}
    return lambda row: row.prompt.question not in questions and row.conversation_id not in told


def _speaks(reply: Reply) -> bool:
    """Whether there is anything to learn from: a reply that broke off before its first word has not."""
    return reply.finished or bool(reply.text.strip())


def system_message(material: Material) -> str | None:
    """The persona that the newest row was shown, without the preference card under it."""
    shown = [*material.thumbs, *material.pairs, *material.train]
    first = shown[-1].prompt.messages[0] if shown else {}
    return str(first["content"]).split("\n\n")[0] if first.get("role") == "system" else None


def liked_texts(material: Material) -> list[str]:
    """Every reply that the owner liked, wrote or brought along."""
    liked = [
        row.chosen.text if isinstance(row, Pair) else row.completion.text
        for row in material.train
        if isinstance(row, Pair) or row.label
    ]
    return liked + [text.reply for text in material.texts]


def liked_words(material: Material) -> list[int]:
    """Length in words of every reply that the owner liked or wrote."""
    return [len(WORD.findall(text)) for text in liked_texts(material)]
