"""Ratings from before a change of taste fade, and no others do."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.database import Database
from memory.journal import Journal
from memory.taste.card_model import FEATURES, Observation, has, learn
from memory.taste.exploration import next_trial
from memory.taste.fading import FADED, Fading
from memory.taste.features import STYLES, features
from memory.taste.observations import Observations
from memory.taste.preferences import PreferenceCard
from policies.seed.styles import PURE, render
from tests.memory.replies import FACTS, styled, written
from tests.support import generation

SEED = dict(zip(STYLES, PURE, strict=True))


def seen(style: str, liked: bool, draw: random.Random | None = None) -> Observation:
    return Observation("r", features(written(style, draw or random.Random(1))), liked)


rated = st.lists(st.tuples(st.sampled_from(STYLES), st.booleans()), min_size=1, max_size=60)


@settings(deadline=None)
@given(rated)
def test_the_newest_rating_counts_in_full_and_no_older_one_more_than_a_newer(
    replies: list[tuple[str, bool]],
) -> None:
    found = Fading().weights([seen(*reply) for reply in replies])
    assert found == sorted(found)
    assert found[-1] == pytest.approx(1.0)
    assert min(found) >= 0


@settings(deadline=None, max_examples=30)
@given(rated, st.integers(0, 60))
def test_a_ledger_that_grows_has_the_weights_of_one_that_is_read_whole(
    replies: list[tuple[str, bool]], known: int
) -> None:
    given_ = [seen(*reply) for reply in replies]
    growing = Fading()
    for upto in (known, len(given_), known // 2, len(given_)):
        part = given_[:upto]
        assert growing.weights(part) == pytest.approx(Fading().weights(part), abs=1e-12)


def test_what_was_liked_and_is_not_any_more_fades_within_a_few_ratings() -> None:
    steady = [seen("brief", True)] * 24
    assert min(Fading().weights(steady)) > 0.8
    for turned, faded in ((1, False), (4, True), (8, True)):
        found = Fading().weights(steady + [seen("brief", False)] * turned)
        assert (found[0] < 0.5) is faded
        assert found[24] > 0.9


def test_another_mix_of_replies_is_no_other_taste() -> None:
    draw = random.Random(3)
    early = [seen(draw.choice(STYLES), False, draw) for _ in range(30)]
    early = [Observation("r", one.shows, has("formal", one.shows)) for one in early]
    # the card learned it, and later on it was struck: what is said changes, what is liked does not
    learned = [seen("formal", True, draw) for _ in range(30)]
    struck = [seen("brief", False, draw) for _ in range(15)]
    assert min(Fading().weights(early + learned + struck)) > 0.5


def test_a_long_steady_taste_stays_on_the_card_though_thumbs_are_wrong() -> None:
    held = checked = 0
    for number, taste in enumerate(STYLES):
        draw = random.Random(number)
        replies = []
        for at in range(200):
            style = draw.choice(STYLES) if at < 10 or draw.random() < 0.05 else taste
            shows = features(render(FACTS, SEED[style], draw))
            replies.append(Observation("r", shows, has(taste, shows) is not (draw.random() < 0.1)))
            if at >= 40 and at % 20 == 0:
                checked += 1
                held += learn(Fading().weighed(replies))[taste].chosen
    assert held / checked >= 0.95


@pytest.mark.parametrize("taste", STYLES)
def test_wrong_thumbs_are_no_new_taste_to_someone_who_gives_them_often(taste: str) -> None:
    """Four thumbs against what was known: by someone who was never wrong, and by one who is often."""
    draw = random.Random(taste)

    def said(style: str, wrong: bool) -> Observation:
        shows = features(written(style, draw))
        return Observation("r", shows, has(taste, shows) != wrong)

    styles = [*STYLES * 3, *[taste] * 25]
    sure = [said(style, False) for style in styles]
    unsure = [said(style, at % 5 == 2) for at, style in enumerate(styles)]
    against = [said(taste, True) for _ in range(4)]
    assert max(Fading().weights(sure + against)[:30]) < FADED
    assert min(Fading().weights(unsure + against)) > 3 * FADED


def followed(first: str, then: str, seed: int, ratings: int, turn: int = 32) -> list[bool]:
    """Whether each reply is what the person wants, who turns to `then`. Without a card every fifth is."""
    draw = random.Random(f"{first}/{then}/{seed}")
    replies: list[Observation] = []
    right = []
    for at in range(ratings):
        held = Fading().weighed(replies)
        found = learn(held)
        card = [feature for feature in FEATURES if found[feature].chosen]
        trial = next_trial(held, card) if held else ()
        taste = first if at < turn else then
        asked = [*card, *trial]
        style = styled(asked) if asked and draw.random() < 0.95 else draw.choice(PURE)
        shows = features(render(FACTS, style, draw))
        right.append(has(taste, shows))
        replies.append(Observation("r", shows, right[-1], trial, under=frozenset(card)))
    return right


def test_a_taste_that_turns_is_followed_within_24_ratings_and_the_first_one_within_8() -> None:
    turns = [(first, STYLES[(at + step) % 5]) for at, first in enumerate(STYLES) for step in (1, 2)]
    runs = [followed(first, then, 0, 64) for first, then in turns]

    def share(begin: int, end: int) -> float:
        return sum(sum(run[begin:end]) for run in runs) / len(runs) / (end - begin)

    assert share(8, 32) >= 0.9
    assert share(32 + 16, 32 + 24) >= 0.85
    assert share(32 + 24, 64) >= 0.9


def rate(journal: Journal, style: str, draw: random.Random, value: int) -> None:
    asked = journal.add_user(journal.start_conversation().id, None, "Tell me about the moon.")
    said = journal.add_reply(asked.conversation_id, asked.id, written(style, draw), generation())
    journal.rate(said.id, value)


def test_the_card_of_a_home_says_how_many_ratings_no_longer_count(db: Database, journal: Journal) -> None:
    card, draw = PreferenceCard(db, journal), random.Random(5)
    for style in STYLES * 3:
        rate(journal, style, draw, 1 if style == "formal" else -1)
    for _ in range(12):
        rate(journal, "formal", draw, 1)
    assert [line.feature for line in card.lines() if line.active] == ["formal"]
    assert "no longer count" not in card.line("formal").summary
    assert min(card.weights().values()) > 0.5
    for _ in range(8):
        rate(journal, "formal", draw, -1)
    assert not card.line("formal").active
    assert card.line("formal").summary.startswith("0 of ")
    assert card.line("formal").summary.endswith("older ratings no longer count")
    assert min(card.weights().values()) < 0.5


def test_a_thumb_that_is_given_anew_is_a_new_rating(journal: Journal) -> None:
    draw = random.Random(6)
    for _ in range(20):
        rate(journal, "brief", draw, 1)
    for feedback in journal.feedback()[:8]:
        journal.rate(feedback.reply_id, -1)
    judged = Observations(journal).all()
    assert [one.liked for one in judged] == [True] * 12 + [False] * 8
    assert [one.holds for one in judged] == [False] * 12 + [True] * 8
