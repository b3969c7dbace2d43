"""What all thumbs say together, as replies to learn from.

A thumb says that one reply was good or bad; which taste the owner has only many of them say
(memory/taste/posterior). The base answers with that taste as lines on its card, and an answer that shows it
is one more liked reply, to the prompt without the lines (context distillation, Askell et al. 2021, arXiv
2112.00861). So a ledger of one thumb up and ten down has something to move towards: away from ten replies
leads nowhere in particular, and a small model soon to no words at all. It is asked the questions of the
replies that were disliked, and everyday ones besides, so that the style is learned and not those questions.

Where no taste is probable enough yet, each question gets two that are drawn: then the next replies show the
styles that may be the one, the likely ones more often, and the thumbs on them decide (posterior sampling,
Thompson 1933; Osband et al. 2013, arXiv 1306.0940). Without that, a few wrong thumbs bring a policy to one
style, and no other one is seen any more (docs/lab-notes.md).

Such answers are told from judged replies when they are learned (`kto.Thumb.taught`): what makes the style may
be one token that the base gives once in ten thousand times.

Edits and picks count as judgements too. Where pairs are learned from, each answer is one against what was
said before, or against what the base says by itself; one that the base would hardly give is taught.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from env.datasets import Prompt, Reply, Unpaired
from env.skills.probes import PERSONA, everyday_prompts
from memory.taste.card_model import FEATURES, Observation, has
from memory.taste.card_texts import CARD_TEXTS
from memory.taste.features import features, wished
from memory.taste.posterior import PAIRS, TASTES, Taste, TastePosterior, posterior, satisfies
from policies.learners.hindsight import OBJECTION, answers
from policies.rows import padding
from policies.token_scores import token_scores

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy
    from policies.reward_model import RewardModel
    from policies.rows import Tokeniser, Tokens

EVERYDAY, PROMPT_SEED = 24, 60_013
# tastes that a report names
NAMED = 3
# fewer thumbs are no ground for anything
FEWEST = 4
# from this probability on a taste is taken for the owner's, below it tastes are drawn
SURE = 0.4
# beside "no taste of these features", which minds no style at all, a taste needs less
BESIDE = 0.2
# a style that the base does not show in most of this many answers that ask for it is none to try
QUESTIONS = 4
# nats of the least likely token of an answer, to the prompt without the style: below it, the base would
# hardly give the answer unasked, and one update brings it there in few replies
UNHEARD = -8.0
# in how many answers more each style was, and was not, heard (Krichevsky & Trofimov 1981)
PSEUDO = 0.5
# tokens that an answer may have, however short all that was judged so far: what is liked may be longer
ROOM = 160
# the likeliest answer and, where that does not show the taste, this many others
MORE, TEMPERATURE = 2, 0.8
# a thumb that contradicts the taste of all others still counts for this much: it may be about something else
LEAST = 0.1
# an answer that the owner would like less than this share of the best one in its taste is no lesson, nor is
# one that the base would hardly give, unless fewer than one in FEW of those in the taste is left
NEARLY, FEW = 0.9, 3


@dataclass(frozen=True, slots=True)
class Lesson:
    """An answer that shows `taste`; `instead_of` is the disliked reply to the same prompt."""

    prompt: Prompt
    answer: Reply
    tokens: Tokens
    taste: Taste
    instead_of: Reply | None = None


def tastes(
    found: TastePosterior, count: int, seed: int, teachable: Mapping[str, float] | None = None
) -> list[Taste]:
    """The taste that each of `count` answers is to show: the owner's, or drawn where that is not clear.

    Where that is no taste of these features, which minds no style, one that is probable beside it is spoken.
    Two are drawn at a time: a reply that shows two styles and is disliked rules out both, and that they are
    wanted together. `teachable` says of a feature how soon it is learned, in (0, 1]; 1 by default.
    """
    taken = _taken(found)
    if taken is not None:
        return [taken] * count
    can = {taste: math.prod((teachable or {}).get(feature, 1.0) for feature in taste) for taste in TASTES}
    likely = {taste: one * can[taste] for taste, one in found.probability.items() if taste}
    chance = random.Random(seed)
    drawn = [chance.choices(list(likely), list(likely.values()), k=count) for _ in range(2)]
    return [_both(first, second) for first, second in zip(*drawn, strict=True)]


def _taken(found: TastePosterior) -> Taste | None:
    """The taste that is taken for the owner's, () for none of these; None where it is not clear."""
    best, probability = found.best()
    styles = [taste for taste in found.probability if taste]
    if probability < SURE and styles:
        return None
    second = max(styles, key=found.probability.__getitem__, default=())
    return second if not best and found.probability[second] >= BESIDE else best


def _both(first: Taste, second: Taste) -> Taste:
    """Both styles at once, where the one does not exclude the other; else the first alone."""
    together = tuple(feature for feature in FEATURES if feature in (*first, *second))
    return together if together in PAIRS else first


def believed(policy: LanguagePolicy, rows: Sequence[Unpaired], words: Tokeniser) -> TastePosterior:
    """What the thumbs of `rows` say of every taste that the policy can meet. It must speak as the base."""
    edited = {row.reply_id: row.completion.text for row in rows if row.source == "edit" and not row.label}
    seen = []
    for row in rows:
        text = row.completion.text
        before = edited.get(row.reply_id, text) if row.source == "edit" and row.label else text
        if row.style:
            seen.append(Observation(row.reply_id, wished(before, text), row.label))
    shown = {name for one in seen for name in FEATURES if has(name, one.shows)}
    return posterior(seen).among(shown | _base_styles(policy, words).reachable)


def reliability(found: TastePosterior, row: Unpaired) -> float:
    """How much a thumb counts: as far as the taste of all thumbs together agrees with it."""
    return max(LEAST, found.agrees(features(row.completion.text), row.label))


def summary(found: TastePosterior) -> dict[str, Any]:
    """For the report: whether a taste was taken for the owner's, which, and the likeliest ones."""
    likely = sorted(found.probability.items(), key=lambda one: -one[1])[:NAMED]
    taken = _taken(found)
    return {
        "sure": taken is not None,
        "taken": list(taken or ()),
        "likely": [{"features": list(taste), "probability": one} for taste, one in likely],
    }


def distilled(
    policy: LanguagePolicy,
    rows: Sequence[Unpaired],
    found: TastePosterior,
    words: Tokeniser,
    reward: RewardModel | None = None,
    room: int = ROOM,
    system: str | None = None,
) -> list[Lesson]:
    """Liked replies in the taste that was `found` in `rows`, of up to `room` tokens each.

    The policy must speak as the base. Everyday questions are asked under `system`. Prompts that had the whole
    taste on their card are left out: what was wrong there was something else. So are answers that the owner
    would like less than others in the same taste. The reward model, which knows for which questions a style
    was liked, may object.
    """
    if len(rows) < FEWEST:
        return []
    # an edit, a pick or a reason in words has shown already what would have been right
    missed = [row for row in rows if row.style and not row.label and not row.why and row.source == "thumb"]
    others = everyday(policy, system, rows[-1].prompt.tools)
    drawn = tastes(found, len(missed) + len(others), len(rows), _base_styles(policy, words).teachable)
    asked: list[tuple[Prompt, Taste, Reply | None]] = [
        (row.prompt, taste, row.completion)
        for row, taste in zip(missed, drawn, strict=False)
        if not satisfies(taste, features(row.completion.text)) and not _on_card(taste, row.prompt)
    ]
    asked += [
        (prompt, taste, None) for prompt, taste in zip(others, drawn[len(missed) :], strict=True) if taste
    ]
    said = _answers(policy, [prompt for prompt, _, _ in asked], [taste for _, taste, _ in asked], room)
    made = [
        Lesson(prompt, answer, words.row(prompt, answer), taste, before)
        for (prompt, taste, before), answer in zip(asked, said, strict=True)
        if answer is not None
    ]
    made = _likeliest(found, _soonest(policy, made))
    if reward is None or not reward.knows:
        return made
    liked = reward.probability([one.tokens for one in made])
    return [one for one, likely in zip(made, liked, strict=True) if likely > OBJECTION]


def contrasted(
    policy: LanguagePolicy, lessons: Sequence[Lesson], words: Tokeniser, room: int = ROOM
) -> list[tuple[Tokens, Tokens, bool]]:
    """(better, worse, to be taught) for each of `lessons` whose prompt has an answer without its taste.

    The policy must speak as the base, whose own words to a prompt are the worse answer where none is known.
    Answers that the base would hardly give are to be taught: how far apart a pair is counts from where the
    base has it, and such an answer is still not given when they are far enough apart.
    """
    heard = _heard(policy, [one.tokens for one in lessons])
    alone = [at for at, one in enumerate(lessons) if one.instead_of is None]
    prompts = [lessons[at].prompt for at in alone]
    said = answers(policy, prompts, [()] * len(alone), room, TEMPERATURE, PROMPT_SEED)
    own = dict(zip(alone, said, strict=True))
    pairs = [(one, one.instead_of or own[at], not heard[at]) for at, one in enumerate(lessons)]
    return [
        (one.tokens, words.row(one.prompt, worse), far)
        for one, worse, far in pairs
        if worse is not None and not satisfies(one.taste, features(worse.text))
    ]


def _answers(
    policy: LanguagePolicy, prompts: Sequence[Prompt], tastes: Sequence[Taste], room: int
) -> list[Reply | None]:
    """An answer to each prompt that shows its taste: the likeliest, else another one; else None."""
    found: list[Reply | None] = [None] * len(prompts)
    for attempt in range(1 + MORE):
        left = [at for at, answer in enumerate(found) if answer is None]
        lines = [[CARD_TEXTS[feature] for feature in tastes[at]] for at in left]
        hot = TEMPERATURE if attempt else 0.0
        said = answers(policy, [prompts[at] for at in left], lines, room, hot, PROMPT_SEED + attempt)
        for at, answer in zip(left, said, strict=True):
            if answer is not None and satisfies(tastes[at], features(answer.text)):
                found[at] = answer
    return found


def _heard(policy: LanguagePolicy, rows: Sequence[Tokens]) -> list[bool]:
    """Whether the base might have given each of `rows` unasked."""
    scores = token_scores(policy.model, rows, padding(policy.tokenizer)) if rows else []
    return [min(each) >= UNHEARD for each in scores]


@dataclass(frozen=True, slots=True)
class _Styles:
    """What of FEATURES the base mostly shows when it is asked for it, and the share of such answers that it
    might have given unasked: these are soon learned."""

    reachable: frozenset[str]
    teachable: Mapping[str, float]


_known: WeakKeyDictionary[LanguagePolicy, _Styles] = WeakKeyDictionary()


def _base_styles(policy: LanguagePolicy, words: Tokeniser) -> _Styles:
    """The policy must speak as the base."""
    if policy not in _known:
        asked = everyday(policy, PERSONA, (), QUESTIONS)
        pairs = [(question, (name,)) for question in asked for name in FEATURES]
        said = _answers(policy, [one for one, _ in pairs], [taste for _, taste in pairs], ROOM)
        shown = [(*pair, answer) for pair, answer in zip(pairs, said, strict=True) if answer is not None]
        times = Counter(name for _, (name,), _ in shown)
        soon = _heard(policy, [words.row(question, answer) for question, _, answer in shown])
        heard = Counter(name for (_, (name,), _), one in zip(shown, soon, strict=True) if one)
        _known[policy] = _Styles(
            frozenset(name for name in FEATURES if 2 * times[name] > QUESTIONS),
            {name: (heard[name] + PSEUDO) / (QUESTIONS + 2 * PSEUDO) for name in FEATURES},
        )
    return _known[policy]


def _on_card(taste: Taste, prompt: Prompt) -> bool:
    card = str(prompt.messages[0]["content"])
    return all(CARD_TEXTS[feature] in card for feature in taste)


def _soonest(policy: LanguagePolicy, lessons: Sequence[Lesson]) -> list[Lesson]:
    """Those of each taste that the base might have given unasked, unless hardly any answer in it is such.

    A warm answer may come with a smile as well, which nobody asked for and which would be learned with it; an
    answer that is to have a smile cannot do without.
    """
    return _good(lessons, _heard(policy, [one.tokens for one in lessons]))


def _likeliest(found: TastePosterior, lessons: Sequence[Lesson]) -> list[Lesson]:
    """Those of each taste that are nearly as likely to be liked as the best one in it.

    The taste that is known first is not all of it: who likes emoji has liked warm replies with them and
    disliked warm ones without, and a warm answer without is no lesson. Where hardly any answer is like the
    best, the taste was taken for the owner's by chance, and all answers in it are tried: the next thumbs
    decide.
    """
    likes = [found.likes(features(one.answer.text)) for one in lessons]
    best: dict[Taste, float] = {}
    for one, each in zip(lessons, likes, strict=True):
        best[one.taste] = max(best.get(one.taste, 0.0), each)
    return _good(
        lessons, [each >= NEARLY * best[one.taste] for one, each in zip(lessons, likes, strict=True)]
    )


def _good(lessons: Sequence[Lesson], good: Sequence[bool]) -> list[Lesson]:
    """The good ones; of a taste in which fewer than one in FEW is good, all."""
    asked = Counter(one.taste for one in lessons)
    left = Counter(one.taste for one, yes in zip(lessons, good, strict=True) if yes)
    return [
        one for one, yes in zip(lessons, good, strict=True) if yes or FEW * left[one.taste] < asked[one.taste]
    ]


def everyday(
    policy: LanguagePolicy, system: str | None, tools: Sequence[dict[str, Any]], count: int = EVERYDAY
) -> list[Prompt]:
    """`count` everyday questions under `system`, the same ones at every update."""
    opening = ({"role": "system", "content": system},) if system else ()
    found = []
    for question in everyday_prompts("train", count, PROMPT_SEED):
        messages = (*opening, {"role": "user", "content": question})
        found.append(Prompt(messages, policy.prompt(messages, tools)[0], (), "", tuple(tools)))
    return found
