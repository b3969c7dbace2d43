"""What the thumbs agree on becomes replies to learn from, in that style, and only in that style."""

from __future__ import annotations

from dataclasses import replace

import pytest

from env.datasets import Pair, Prompt, Reply, Unpaired, unpair
from env.skills.probes import everyday_prompts
from memory.taste.card_texts import CARD_TEXTS, card_block
from memory.taste.features import Features, features
from memory.taste.posterior import Taste, TastePosterior, satisfies
from policies.base_models import resolve
from policies.language_policy import LanguagePolicy
from policies.learners.distil import (
    EVERYDAY,
    LEAST,
    SURE,
    believed,
    contrasted,
    distilled,
    reliability,
    summary,
    tastes,
)
from policies.reward_model import RewardModel
from policies.rows import Tokeniser, Tokens
from tests.policies.rated import PERSONA, chat

LONG = "Rivers are long. They run to the sea. They carry water, sand and boats. Many people live near them."
SHORT = "Rivers run to the sea."


def rated(at: int, liked: bool, text: str | None = None) -> Unpaired:
    """Brief is liked, the rest is not."""
    shown = Prompt(tuple(chat(everyday_prompts("train", 20, 5)[at % 20])), "", (), "")
    return Unpaired(
        shown, Reply(text or (SHORT if liked else LONG)), liked, f"r{at}", f"c{at}", at, (f"f{at}",)
    )


ONE_UP = [rated(at, at == 3) for at in range(10)]


@pytest.fixture(scope="module")
def sprout() -> LanguagePolicy:
    return LanguagePolicy(resolve(None), device="cpu")


@pytest.fixture(scope="module")
def words(sprout: LanguagePolicy) -> Tokeniser:
    return Tokeniser(sprout.tokenizer, sprout.base, sprout.stop_ids)


def read(policy: LanguagePolicy, rows: list[Tokens]) -> list[str]:
    return [policy.decode(row.completion_ids) for row in rows]


def made_of(
    sprout: LanguagePolicy, rows: list[Unpaired], words: Tokeniser, reward: RewardModel | None = None
) -> list[Tokens]:
    return [
        one.tokens
        for one in distilled(sprout, rows, believed(sprout, rows, words), words, reward, system=PERSONA)
    ]


def test_one_thumb_up_among_ten_is_enough_for_a_taste(sprout: LanguagePolicy, words: Tokeniser) -> None:
    found = believed(sprout, ONE_UP, words)
    taste, probability = found.best()
    assert taste == ("brief",)
    assert probability >= SURE
    assert tastes(found, 5, 1) == [taste] * 5


def test_a_taste_that_is_not_clear_is_drawn(sprout: LanguagePolicy, words: Tokeniser) -> None:
    """Long replies are not it: what is, the next thumbs shall tell, and not what the model cannot do."""
    found = believed(sprout, [row for row in ONE_UP if not row.label], words)
    assert found.best()[1] < SURE
    drawn = tastes(found, 400, 1)
    assert drawn == tastes(found, 400, 1)
    assert {("brief",), ("bullets",), ("friendly",), ("formal",)} <= set(drawn)
    assert drawn.count(("brief",)) > 10 * drawn.count(("detailed",))
    assert ("code",) not in found.probability


@pytest.mark.parametrize(("emoji", "spoken"), [(0.26, ("emoji",)), (0.1, ())])
def test_no_taste_at_all_does_not_forbid_one_that_is_probable(emoji: float, spoken: Taste) -> None:
    """Three wrong thumbs on one kind of reply, and an owner who likes emoji was taught nothing any more."""
    found = TastePosterior({(): 0.95 - emoji, ("emoji",): emoji, ("brief",): 0.05}, {})
    assert tastes(found, 3, 1) == [spoken] * 3
    told = summary(found)
    assert (told["sure"], told["taken"]) == (True, list(spoken))


def test_two_styles_are_tried_at_once_and_those_more_often_that_are_soon_learned(
    sprout: LanguagePolicy, words: Tokeniser
) -> None:
    found = believed(sprout, [row for row in ONE_UP if not row.label], words)
    drawn = tastes(found, 400, 1)
    assert () not in drawn
    assert sum(len(taste) == 2 for taste in drawn) > 200
    slow = tastes(found, 400, 1, {"closing_question": 0.1})
    asks = [sum("closing_question" in taste for taste in each) for each in (drawn, slow)]
    assert asks[0] > 3 * asks[1] > 0


def test_a_thumb_that_contradicts_all_others_counts_for_less(
    sprout: LanguagePolicy, words: Tokeniser
) -> None:
    rows = [rated(at, at % 2 == 0) for at in range(12)]
    slip = rated(12, True, LONG)
    found = believed(sprout, [*rows, slip], words)
    assert LEAST <= reliability(found, slip) < 0.3
    assert all(reliability(found, row) > 0.8 for row in rows)


def test_every_disliked_question_and_everyday_ones_are_answered_in_it(
    sprout: LanguagePolicy, words: Tokeniser
) -> None:
    made = made_of(sprout, ONE_UP, words)
    assert 9 + EVERYDAY - 4 <= len(made) <= 9 + EVERYDAY
    assert all(features(text).brief for text in read(sprout, made))
    # what was asked is the prompt as it was, and nothing of the style stands in it
    line = CARD_TEXTS["brief"]
    assert not any(line in sprout.tokenizer.decode(row.prompt_ids) for row in made)


def test_styles_that_may_be_it_are_tried(sprout: LanguagePolicy, words: Tokeniser) -> None:
    shown = [
        features(text) for text in read(sprout, made_of(sprout, [rated(n, False) for n in range(9)], words))
    ]
    tried = {
        style
        for style in ("brief", "bullets", "friendly", "formal")
        for one in shown
        if satisfies((style,), one)
    }
    assert len(tried) >= 3
    assert sum(one.detailed for one in shown) < len(shown) / 2


def test_a_handful_of_thumbs_teaches_nothing_but_itself(sprout: LanguagePolicy, words: Tokeniser) -> None:
    assert made_of(sprout, ONE_UP[:3], words) == []
    assert made_of(sprout, [], words) == []


def test_what_was_wrong_despite_the_card_was_something_else(sprout: LanguagePolicy, words: Tokeniser) -> None:
    system = {"role": "system", "content": PERSONA + card_block((CARD_TEXTS["brief"],))}
    carded = [
        row
        if row.label
        else replace(row, prompt=replace(row.prompt, messages=(system, *row.prompt.messages[1:])))
        for row in ONE_UP
    ]
    alone = made_of(sprout, carded, words)
    assert 0 < len(alone) <= EVERYDAY


def test_who_gave_a_reason_is_left_to_hindsight(sprout: LanguagePolicy, words: Tokeniser) -> None:
    told = [row if row.label else replace(row, why="Too long.") for row in ONE_UP]
    assert len(made_of(sprout, told, words)) <= EVERYDAY


def test_an_answer_of_a_kind_that_was_disliked_is_no_lesson(sprout: LanguagePolicy, words: Tokeniser) -> None:
    warm, plain = "Happy to help! Rivers run to the sea.", "Rivers run to the sea and carry water."
    emoji = "Happy to help! \U0001f60a Rivers run to the sea."

    def made(likes_warm: bool) -> list[Features]:
        liked = (True, likes_warm, False)
        rows = [rated(at, liked[at % 3], (emoji, warm, plain)[at % 3]) for at in range(18)]
        return [features(text) for text in read(sprout, made_of(sprout, rows, words))]

    assert any(one.friendly and not one.emoji for one in made(likes_warm=True))
    assert not any(one.friendly and not one.emoji for one in made(likes_warm=False))


def test_a_taste_that_one_reply_in_many_styles_suggests_is_tried(
    sprout: LanguagePolicy, words: Tokeniser
) -> None:
    """Of three styles of the one liked reply the rarest is taken; few answers in it have the other two."""
    lucky = f"Oh, I love this one! {LONG} Is there anything else?"
    others = (LONG, SHORT, "Happy to help! Rivers run to the sea.", "- Rivers are long.\n- They carry water.")
    rows = [rated(at, at == 14, lucky if at == 14 else others[at % 4]) for at in range(19)]
    found = believed(sprout, rows, words)
    assert found.best() == (("closing_question",), pytest.approx(0.6, abs=0.2))
    shown = [features(text) for text in read(sprout, made_of(sprout, rows, words))]
    assert sum(one.closing_question for one in shown) == len(shown) > EVERYDAY


def edited(at: int) -> Pair:
    """A long reply that its reader made short."""
    before, talk = rated(at, False), f"c{at}"
    events = (f"f{at}",)
    return Pair(before.prompt, Reply(SHORT), Reply(LONG), f"r{at}", talk, at, events, "edit", None, f"r{at}")


def test_edits_say_a_taste_as_well_and_need_no_second_answer(
    sprout: LanguagePolicy, words: Tokeniser
) -> None:
    judged = unpair([], [edited(at) for at in range(6)])
    assert believed(sprout, judged, words).best()[0] == ("brief",)
    made = distilled(sprout, judged, believed(sprout, judged, words), words, system=PERSONA)
    assert 0 < len(made) <= EVERYDAY
    assert all(features(one.answer.text).brief for one in made)


def test_an_answer_in_the_taste_stands_against_one_that_is_not(
    sprout: LanguagePolicy, words: Tokeniser
) -> None:
    lessons = distilled(sprout, ONE_UP, believed(sprout, ONE_UP, words), words, system=PERSONA)
    pairs = contrasted(sprout, lessons, words)
    assert len(lessons) / 2 < len(pairs) <= len(lessons)
    assert all(better.prompt_ids == worse.prompt_ids for better, worse, _ in pairs)
    better, worse = (read(sprout, [pair[side] for pair in pairs]) for side in (0, 1))
    assert all(features(text).brief for text in better)
    assert not any(features(text).brief for text in worse)
    # a reply that was disliked is the worse one to its own question
    assert LONG in worse


class Objector:
    """A reward model that likes only what it was told to."""

    def __init__(self, knows: bool) -> None:
        self.knows = knows

    def probability(self, rows: list[Tokens]) -> list[float]:
        return [0.9 if at < 3 else 0.1 for at in range(len(rows))]


@pytest.mark.parametrize("knows", [True, False])
def test_a_reward_model_that_knows_something_may_object(
    sprout: LanguagePolicy, words: Tokeniser, knows: bool
) -> None:
    made = made_of(sprout, ONE_UP, words, Objector(knows))  # type: ignore[arg-type]
    assert (len(made) == 3) is knows
