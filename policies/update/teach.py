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
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from env.datasets import Pair, Prompt, Reply, Unpaired
from env.imported import Text
from policies.anchors import Anchor
from policies.errors import LearnError
from policies.learners.lora import LearningSettings
from policies.rows import Tokeniser
from policies.update.from_judgements import from_judgements, preferred
from policies.update.material import Material, system_message
from policies.update.rollouts import judged, rollout_prompts, room
from policies.update.taught import Progress, Run, Taught, all_read, routes_of

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy
    from policies.reward_model import RewardModel


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
    return from_judgements(policy, cut, words, reward, run, firm)


def _from_texts(
    policy: LanguagePolicy, cut: Material, words: Tokeniser, reward: RewardModel | None, run: Run
) -> Taught:
    """SFT: liked replies and imported texts, as they are."""
    from policies.learners import sft

    liked = [row for row in cut.train if isinstance(row, Unpaired)]
    copies = [words.row(row.prompt, row.completion) for row in liked]
    copies += [words.row(_asked(cut, text), Reply(text.reply)) for text in cut.texts]
    result = sft.train(policy.model, policy.tokenizer, copies, *run)
    read = all_read(cut, liked, reward is not None)
    return Taught("sft", cut.why, result, liked, read, reward, routes_of(cut, "sft", liked))


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
    routes = routes_of(cut, cut.algorithm, learned)
    return Taught(cut.algorithm, cut.why, result, learned, all_read(cut, learned), reward, routes)


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
    pairs = preferred([row for row in rows if isinstance(row, Pair)], words)
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
