"""What all thumbs say together, as replies to learn from.

A thumb says that one reply was good or bad; which style the owner likes only many of them say (the maths of
the preference card, memory/card_model). Where they are sure, the base answers with that line on its card, and
an answer that shows the style is one more liked reply, to the prompt without the line (context distillation,
Askell et al. 2021, arXiv 2112.00861). So a ledger of one thumb up and ten down has something to move towards:
away from ten replies leads nowhere in particular, and a small model soon to no words at all. It is asked the
questions of the replies that were disliked for it, and everyday ones besides, so that the style is learned
and not those questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from env.datasets import Prompt, Unpaired
from env.skills.probes import everyday_prompts
from memory import fading
from memory.card_model import Observation, has, learn
from memory.card_texts import CARD_TEXTS
from memory.features import features
from policies.learners.hindsight import OBJECTION, answers
from policies.learners.rows import padding
from policies.word_scores import token_scores

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy
    from policies.learners.rows import Tokeniser, Tokens
    from policies.reward_model import RewardModel

EVERYDAY, PROMPT_SEED = 24, 60_013
# what a rated reply still says of an answer for each feature in which they differ
DISTANT = 0.1
# nats of the least likely token of an answer, to the prompt without the style
UNHEARD = -8.0


def liked_style(rows: Sequence[Unpaired]) -> tuple[str, ...]:
    """The features that the thumbs are sure of, as the card would choose them; () where there are none."""
    seen = [Observation(row.reply_id, features(row.completion.text), row.label) for row in rows]
    return tuple(feature for feature, one in learn(fading.weighed(seen)).items() if one.chosen)


def distilled(
    policy: LanguagePolicy,
    rows: Sequence[Unpaired],
    words: Tokeniser,
    reward: RewardModel | None = None,
    room: int = 160,
    system: str | None = None,
) -> list[Tokens]:
    """Liked replies in the style that `rows` are sure of, of up to `room` tokens; [] while they are not.

    The policy must speak as the base. Everyday questions are asked under `system`. Prompts that had the whole
    style on their card are left out: what was wrong there was something else. So are answers that are more
    like what was disliked, and those that the base would hardly give by itself: no few thumbs bring it there.
    The reward model, which knows for which questions the style was liked, may object.
    """
    style = liked_style(rows)
    if not style:
        return []
    lines = tuple(CARD_TEXTS[feature] for feature in style)
    missed = [
        row.prompt for row in rows if not row.label and not row.why and not _shows(style, row.completion.text)
    ]
    prompts = [
        prompt for prompt in missed if not all(line in str(prompt.messages[0]["content"]) for line in lines)
    ]
    prompts += _everyday(policy, system, rows[-1].prompt.tools)
    found = answers(policy, prompts, [lines] * len(prompts), room)
    made = [
        words.row(prompt, answer)
        for prompt, answer in zip(prompts, found, strict=True)
        if answer is not None and _shows(style, answer.text) and _like_what_was_liked(answer.text, rows)
    ]
    scores = token_scores(policy.model, made, padding(policy.tokenizer))
    made = [row for row, said in zip(made, scores, strict=True) if min(said) >= UNHEARD]
    if reward is None or not reward.knows:
        return made
    liked = reward.probability(made)
    return [row for row, likely in zip(made, liked, strict=True) if likely > OBJECTION]


def _everyday(policy: LanguagePolicy, system: str | None, tools: Sequence[dict]) -> list[Prompt]:
    opening = ({"role": "system", "content": system},) if system else ()
    found = []
    for question in everyday_prompts("train", EVERYDAY, PROMPT_SEED):
        messages = (*opening, {"role": "user", "content": question})
        found.append(Prompt(messages, policy.prompt(messages, tools)[0], (), "", tuple(tools)))
    return found


def _like_what_was_liked(text: str, rows: Sequence[Unpaired]) -> bool:
    """Whether a text is nearer to the liked replies than to the disliked ones, in all features at once.

    The style that is known first is not all of a taste: who likes emoji has liked warm replies with them and
    disliked warm ones without, and a warm answer without is no lesson. A reply counts a tenth for each
    feature in which it differs; thumbs up and thumbs down count the same in total.
    """
    kind = fading.kind_of(features(text))
    near = {True: 0.0, False: 0.0}
    for row in rows:
        apart = sum(a != b for a, b in zip(kind, fading.kind_of(features(row.completion.text)), strict=True))
        near[row.label] += DISTANT**apart
    ups = sum(row.label for row in rows)
    return near[True] * (len(rows) - ups) > near[False] * ups


def _shows(style: Sequence[str], text: str) -> bool:
    shown = features(text)
    return all(has(feature, shown) for feature in style)
