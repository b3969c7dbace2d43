"""From thumbs, edits, picks and reasons to a trained adapter, by KTO or DPO.

Beside the rows themselves it is taught what they say together: answers in the taste that all of them make
probable (`learners/distil`), or with the words that most edits have in common (`learners/transfer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from env.common_change import Change
from env.datasets import Pair, Unpaired, unpair
from policies.errors import LearnError
from policies.learners.choose import choose
from policies.learners.distil import Lesson, believed, contrasted, distilled, reliability, summary
from policies.learners.hindsight import hindsight
from policies.learners.lora import TrainResult, parameters
from policies.learners.transfer import freed, known, telling, transferred, unexplained
from policies.rows import Tokeniser, Tokens
from policies.update.material import ASKED_FOR, Material, TasteChanged, explains, system_message
from policies.update.taught import Run, Taught, all_read, routes_of

if TYPE_CHECKING:
    from memory.taste.posterior import TastePosterior
    from policies.language_policy import LanguagePolicy
    from policies.learners.kto import Thumb
    from policies.reward_model import RewardModel


def from_judgements(
    policy: LanguagePolicy, cut: Material, words: Tokeniser, reward: RewardModel | None, run: Run, firm: bool
) -> Taught:
    """KTO or DPO: on thumbs and pairs, on what hindsight makes of reasons, and on answers in the taste."""
    # who knows the taste of all thumbs would object to every style that is tried because none is clear yet
    objecting = None if reward is None else reward.beyond_taste()
    found = None
    if whys := sum(map(explains, cut.thumbs)):
        run[2](0.0, f"answering again with {whys} reasons in mind")
        found = hindsight(policy, cut.thumbs, words, objecting)
    made = list(found.pairs) if found else []
    algorithm, why = _chosen(cut, made, whys)
    verdicts = sorted(unpair(cut.thumbs, cut.pairs), key=lambda row: row.created_at)
    meant = _meant(policy, cut, verdicts, words, objecting)
    if meant.change is not None:
        settings, workshop, progress, cancel, anchors = run
        rows = len(cut.pairs) + len(meant.changed)
        settings, anchors = freed(settings, anchors, rows, parameters(policy.model), firm)
        run = (settings, workshop, progress, cancel, anchors)
    learn = _by_thumbs if algorithm == "kto" else _by_pairs
    result, learned = learn(policy, cut, made, meant, words, run)
    known_taste = meant.change is None or known(meant.belief)
    return Taught(
        algorithm,
        why,
        result,
        learned,
        all_read(cut, learned, reward is not None or bool(meant.lessons)),
        reward,
        routes_of(cut, algorithm, learned, found, meant.lessons, len(meant.changed)),
        summary(meant.belief) if verdicts and known_taste else None,
        [one.answer.text for one in meant.lessons if one.instead_of is None],
        meant.change,
    )


@dataclass(frozen=True, slots=True)
class _Meant:
    """What all judgements together say: a probability for each taste, and a change that most edits have.

    Taught are `lessons`, the base's answers in the taste, or, where there is a change, answers (with it,
    without it).
    """

    belief: TastePosterior
    lessons: Sequence[Lesson] = ()
    change: Change | None = None
    changed: Sequence[tuple[Tokens, Tokens]] = ()


def _meant(
    policy: LanguagePolicy,
    cut: Material,
    verdicts: Sequence[Unpaired],
    words: Tokeniser,
    objecting: RewardModel | None,
) -> _Meant:
    system, belief = system_message(cut), believed(policy, verdicts, words)
    change = unexplained(cut.pairs, cut.thumbs, belief)
    if change is None:
        return _Meant(belief, distilled(policy, verdicts, belief, words, objecting, system=system))
    belief = believed(policy, telling(verdicts, cut.pairs, change), words)
    # styles are tried while nothing is known, and here something is
    lessons = distilled(policy, verdicts, belief, words, objecting, system=system) if known(belief) else ()
    changed = transferred(policy, change, lessons, words, system, cut.pairs[-1].prompt.tools)
    return _Meant(belief, (), change, changed)


def _chosen(cut: Material, made: Sequence[Pair], whys: int) -> tuple[str, str]:
    """(algorithm, why). Reasons of which no pair came are thumbs down all the same."""
    if cut.algorithm != "dpo" or not cut.thumbs:
        return cut.algorithm, cut.why
    pairs = any(isinstance(row, Pair) for row in cut.train) or made
    if pairs and not (len(made) < whys and _too_few(cut, made)):
        return cut.algorithm, cut.why
    came = "no better answer" if not made else f"{len(made)} better answers alone"
    return "kto", f"{cut.why}; {came} came of the reasons, so they were learned from as thumbs down"


def _by_thumbs(
    policy: LanguagePolicy, cut: Material, made: Sequence[Pair], meant: _Meant, words: Tokeniser, run: Run
) -> tuple[TrainResult, Sequence[Unpaired | Pair]]:
    """(what KTO made, the rows that it learned from)"""
    from policies.learners import kto

    rows, compared = (cut.train, ()) if cut.algorithm == "kto" else (cut.thumbs, cut.pairs)
    singles = unpair([row for row in rows if isinstance(row, Unpaired)], [*compared, *made])
    thumbs = _thumbs(singles, meant.belief, words)
    answers = [*(one.tokens for one in meant.lessons), *(one for one, _ in meant.changed)]
    thumbs += [kto.Thumb(one, True, taught=True) for one in answers]
    if not any(thumb.liked for thumb in thumbs):
        if cut.turned:
            raise TasteChanged
        raise LearnError(
            "All ratings so far are thumbs down, and nothing that the model can do instead is likelier "
            "to please: rate a reply up, or edit one."
        )
    return kto.train(policy.model, policy.tokenizer, thumbs, *run), singles


def _by_pairs(
    policy: LanguagePolicy, cut: Material, made: Sequence[Pair], meant: _Meant, words: Tokeniser, run: Run
) -> tuple[TrainResult, Sequence[Unpaired | Pair]]:
    """(what DPO made, the rows that it learned from)"""
    from policies.learners import dpo

    pairs = [*(row for row in cut.train if isinstance(row, Pair)), *made]
    preferences = preferred(pairs, words)
    preferences += [dpo.Preference(*both) for both in contrasted(policy, meant.lessons, words)]
    preferences += [dpo.Preference(*both, True) for both in meant.changed]
    return dpo.train(policy.model, policy.tokenizer, preferences, *run), pairs


def _thumbs(rows: Sequence[Unpaired], belief: TastePosterior, words: Tokeniser) -> list[Thumb]:
    """Each row as KTO takes it; an edit or a pick is no slip of the thumb."""
    from policies.learners.kto import Thumb

    return [
        Thumb(
            words.row(row.prompt, row.completion),
            row.label,
            reliability(belief, row) if row.style and row.source == "thumb" and not row.why else 1.0,
        )
        for row in rows
    ]


def _too_few(cut: Material, made: Sequence[Pair]) -> bool:
    """Whether KTO would have been chosen, had it been known that only `made` would come of the reasons."""
    if cut.why == ASKED_FOR or choose(cut.thumbs, cut.pairs).algorithm != "dpo":
        return False
    left = [replace(row, why=None) for row in cut.thumbs]
    return choose(left, [*cut.pairs, *made]).algorithm != "dpo"


def preferred(pairs: Sequence[Pair], words: Tokeniser) -> list[Any]:
    from policies.learners.dpo import Preference

    return [
        Preference(words.row(pair.prompt, pair.chosen), words.row(pair.prompt, pair.rejected))
        for pair in pairs
    ]
