"""From the cut ledger to a trained adapter: each signal down its route, by the algorithm that was chosen.

thumbs -> KTO, and beside them replies in the taste that all thumbs make probable (`learners/distil`); edits,
picks, siblings with opposite thumbs -> DPO, and beside them what the edits have in common, made in other
replies (`learners/transfer`); a "why" -> hindsight, which makes a pair of it; all of them -> a reward model,
which PPO and GRPO learn from, and which may object to what hindsight and distillation make; imported texts
-> SFT; silence -> nothing. KTO reads a pair as one reply liked and one disliked, so that nothing is lost when
an update is mostly thumbs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from env.common_change import Change
from env.datasets import Pair, Prompt, Reply, Unpaired, unpair
from env.imported import Text
from policies.anchors import Anchor
from policies.learners.choose import choose
from policies.learners.distil import Lesson, believed, contrasted, distilled, reliability, summary
from policies.learners.hindsight import Hindsight, hindsight
from policies.learners.lora import LearningSettings, TrainResult, parameters
from policies.learners.rows import LearnError, Tokeniser, Tokens
from policies.learners.transfer import freed, known, telling, transferred, unexplained
from policies.material import ASKED_FOR, Material, TasteChanged, explains, system_message
from policies.rollouts import judged, rollout_prompts, room

if TYPE_CHECKING:
    from memory.taste_posterior import TastePosterior
    from policies.language_policy import LanguagePolicy
    from policies.learners.kto import Thumb
    from policies.reward_model import RewardModel

Progress = Callable[[float, str], None]
# settings, workshop, progress, cancel, anchors: what every learner takes last
Run = tuple[LearningSettings, Path, Progress, threading.Event, Sequence[Anchor]]


@dataclass(frozen=True, slots=True)
class Taught:
    """The trained adapter, the rows it was trained on, and what became of each kind of signal.

    `algorithm` is that of the cut, but for reasons in words of which no pair came: they are KTO's; `why` says
    so then.

    `read` is `learned` and, where there is a reward model or a taste was taught, all that these were read
    off: whoever forgets one of these forgets this adapter. `routes` maps a kind of signal to how many there
    were, and "learned_as" to what they were learned as. `taste` is what all judgements together were taken
    for (`distil.summary`), `asked` what the base said to everyday questions in the tastes that were taught.
    `change` is what most edits have in common, where that was taught.
    """

    algorithm: str
    why: str
    result: TrainResult
    learned: Sequence[Unpaired | Pair]
    read: Sequence[Unpaired | Pair]
    reward: RewardModel | None
    routes: dict[str, Any] = field(default_factory=dict)
    taste: dict[str, Any] | None = None
    asked: Sequence[str] = ()
    change: Change | None = None


def teach(
    policy: LanguagePolicy,
    cut: Material,
    words: Tokeniser,
    settings: LearningSettings,
    workshop: Path,
    progress: Progress,
    cancel: threading.Event,
    anchors: Sequence[Anchor] = (),
    firm: bool = False,
) -> Taught:
    """Train on `cut` in `workshop`; the policy must speak as the base, and does so afterwards.

    `firm` holds on to all of the base's replies while a change is taught (`transfer.freed`).

    Raises Cancelled, LearnError, and TasteChanged where the adapter that speaks should not go on.
    """
    reward = reward_model(policy, cut, words)
    run = (settings, workshop, progress, cancel, anchors)
    if cut.algorithm in ("ppo", "grpo"):
        return _from_reward(policy, cut, words, reward, run)
    if cut.algorithm == "sft":
        return _from_texts(policy, cut, words, reward, run)
    return _from_judgements(policy, cut, words, reward, run, firm)


def _from_judgements(
    policy: LanguagePolicy, cut: Material, words: Tokeniser, reward: RewardModel | None, run: Run, firm: bool
) -> Taught:
    """KTO or DPO: on thumbs and pairs, on what hindsight makes of reasons, and on answers in the taste."""
    from policies.learners import dpo, kto

    # who knows the taste of all thumbs would object to every style that is tried because none is clear yet
    objecting = None if reward is None else reward.beyond_taste()
    found = None
    if whys := sum(map(explains, cut.thumbs)):
        run[2](0.0, f"answering again with {whys} reasons in mind")
        found = hindsight(policy, cut.thumbs, words, objecting)
    made = list(found.pairs) if found else []
    pairs = [row for row in cut.train if isinstance(row, Pair)] + made
    # reasons of which no pair came are thumbs down all the same
    algorithm = cut.algorithm
    if algorithm == "dpo" and cut.thumbs and (not pairs or (len(made) < whys and _too_few(cut, made))):
        algorithm = "kto"
    verdicts = sorted(unpair(cut.thumbs, cut.pairs), key=lambda row: row.created_at)
    belief = believed(policy, verdicts, words)
    change, system = unexplained(cut.pairs, cut.thumbs, belief), system_message(cut)
    if change is not None:
        belief = believed(policy, telling(verdicts, cut.pairs, change), words)
    lessons: Sequence[Lesson] = ()
    # styles are tried while nothing is known, and here something is
    if change is None or known(belief):
        lessons = distilled(policy, verdicts, belief, words, objecting, system=system)
    anew: Sequence[tuple[Tokens, Tokens]] = ()
    if change is not None:
        anew = transferred(policy, change, lessons, words, system, cut.pairs[-1].prompt.tools)
        lessons = ()
        settings, workshop, progress, cancel, anchors = run
        settings, anchors = freed(
            settings, anchors, len(cut.pairs) + len(anew), parameters(policy.model), firm
        )
        run = (settings, workshop, progress, cancel, anchors)
    learned: list[Unpaired | Pair]
    if algorithm == "kto":
        rows, compared = (cut.train, ()) if cut.algorithm == "kto" else (cut.thumbs, cut.pairs)
        singles = unpair([row for row in rows if isinstance(row, Unpaired)], [*compared, *made])
        thumbs = _thumbs(singles, belief, words)
        thumbs += [kto.Thumb(one.tokens, True, taught=True) for one in lessons]
        thumbs += [kto.Thumb(one, True, taught=True) for one, _ in anew]
        if not any(thumb.liked for thumb in thumbs):
            if cut.turned:
                raise TasteChanged
            raise LearnError(
                "All ratings so far are thumbs down, and nothing that the model can do instead is likelier "
                "to please: rate a reply up, or edit one."
            )
        result, learned = kto.train(policy.model, policy.tokenizer, thumbs, *run), list(singles)
    else:
        preferences = _preferences(pairs, words)
        preferences += [dpo.Preference(*both) for both in contrasted(policy, lessons, words)]
        preferences += [dpo.Preference(*both, True) for both in anew]
        result, learned = dpo.train(policy.model, policy.tokenizer, preferences, *run), list(pairs)
    why = cut.why
    if algorithm != cut.algorithm:
        came = "no better answer" if not made else f"{len(made)} better answers alone"
        why += f"; {came} came of the reasons, so they were learned from as thumbs down"
    return Taught(
        algorithm,
        why,
        result,
        learned,
        _read(cut, learned, reward is not None or bool(lessons)),
        reward,
        _routes(cut, algorithm, learned, found, lessons, len(anew)),
        summary(belief) if verdicts and (change is None or known(belief)) else None,
        [one.answer.text for one in lessons if one.instead_of is None],
        change,
    )


def _from_texts(
    policy: LanguagePolicy, cut: Material, words: Tokeniser, reward: RewardModel | None, run: Run
) -> Taught:
    """SFT: liked replies and imported texts, as they are."""
    from policies.learners import sft

    liked = [row for row in cut.train if isinstance(row, Unpaired)]
    copies = [words.row(row.prompt, row.completion) for row in liked]
    copies += [words.row(_asked(cut, text), Reply(text.reply)) for text in cut.texts]
    result = sft.train(policy.model, policy.tokenizer, copies, *run)
    read = _read(cut, liked, reward is not None)
    return Taught("sft", cut.why, result, liked, read, reward, _routes(cut, "sft", liked))


def _from_reward(
    policy: LanguagePolicy, cut: Material, words: Tokeniser, reward: RewardModel | None, run: Run
) -> Taught:
    """PPO or GRPO: new replies to known prompts, graded by the reward model; LearnError without one."""
    from policies.learners import grpo, ppo

    if reward is None or not reward.knows:
        raise LearnError(
            f"{cut.algorithm.upper()} learns from a reward model, and these ratings do not yet tell one what "
            "you like: rate more replies, or train with kto."
        )
    prompts = rollout_prompts(policy, cut, words, run[0].max_length // 2)
    asked = (policy.model, policy.tokenizer, prompts, reward, room(cut, words), *run)
    if cut.algorithm == "ppo":
        result = ppo.train(*asked, end_of_turn=words.end_of_turn)
    else:
        result = grpo.train(*asked, stop_ids=sorted(policy.stop_ids))
    learned = judged(cut)
    routes = _routes(cut, cut.algorithm, learned)
    return Taught(cut.algorithm, cut.why, result, learned, _read(cut, learned), reward, routes)


def _read(
    cut: Material, learned: Sequence[Unpaired | Pair], all_judged: bool = True
) -> Sequence[Unpaired | Pair]:
    """What the adapter has seen: what it learned, and what its reward model or its taste was read off."""
    return [*learned, *judged(cut)] if all_judged else learned


def _routes(
    cut: Material,
    algorithm: str,
    learned: Sequence[Unpaired | Pair],
    found: Hindsight | None = None,
    lessons: Sequence[Lesson] = (),
    transferred: int = 0,
) -> dict[str, Any]:
    return dict(cut.routes) | {
        "learned_as": {
            "algorithm": algorithm,
            "rows": len(learned) + len(cut.texts),
            "hindsight": len(found.pairs) if found else 0,
            "hindsight_unanswered": found.unanswered if found else 0,
            "hindsight_objected": found.objected if found else 0,
            "distilled": len(lessons),
            "transferred": transferred,
        }
    }


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


def reward_model(policy: LanguagePolicy, cut: Material, words: Tokeniser) -> RewardModel | None:
    """Fitted to every judgement of the training side; None where there are too few to fit one."""
    from policies.learners import kto
    from policies.reward_model import RewardModel

    rows = judged(cut)  # thumbs first
    thumbs = [
        kto.Thumb(words.row(row.prompt, row.completion), row.label)
        for row in rows
        if isinstance(row, Unpaired)
    ]
    pairs = _preferences([row for row in rows if isinstance(row, Pair)], words)
    times, styles = [row.created_at for row in rows], [row.style for row in rows]
    try:
        return RewardModel.fit(policy.model, policy.tokenizer, thumbs, pairs, times, styles)
    except LearnError:
        return None


def _asked(cut: Material, text: Text) -> Prompt:
    """The prompt of an imported text, under the persona unless it brings a system message of its own."""
    from env.skills.probes import PERSONA

    messages = text.messages
    if messages[0]["role"] != "system":
        messages = ({"role": "system", "content": system_message(cut) or PERSONA}, *messages)
    return Prompt(messages, "", (), "")


def _preferences(pairs: Sequence[Pair], words: Tokeniser) -> list[Any]:
    from policies.learners.dpo import Preference

    return [
        Preference(words.row(pair.prompt, pair.chosen), words.row(pair.prompt, pair.rejected))
        for pair in pairs
    ]
