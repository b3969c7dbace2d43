import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import card_model
from memory.card_model import FEATURES, Counts, Observation, compare, conflicts, learn, probability
from memory.card_texts import CARD_TEXTS
from memory.database import Database
from memory.errors import BadText, NotFound
from memory.features import STYLES, features
from memory.journal import Journal
from memory.preferences import PreferenceCard
from memory.records import CardLine, Message, Recalled
from tests.support import generation

FACTS = (
    "The moon shapes the tides in the sea every day.",
    "It takes about a month to go around us.",
    "People have walked there only a few times.",
    "Its light is borrowed from the sun at night.",
    "Craters mark old impacts on its dusty ground.",
    "The far side was first seen from a probe.",
)


def written(style: str, draw: random.Random) -> str:
    """A reply in one of the five styles, with the by-products that such replies have."""
    facts = draw.sample(FACTS, len(FACTS))
    closing = " Shall I go on?" if draw.random() < 0.25 else ""
    emoji = "\U0001f319 " if draw.random() < 0.4 else ""
    return {
        "brief": facts[0] + (closing if draw.random() < 0.5 else ""),
        "detailed": " ".join(facts[:5]) + closing,
        "bullets": "Here is what I know:\n" + "\n".join(f"- {fact}" for fact in facts[:4]),
        "friendly": emoji + "Happy to help! " + " ".join(facts[: draw.choice([2, 3])]) + closing,
        "formal": "Certainly. " + " ".join(facts[: draw.choice([2, 3])]) + " I remain at your service.",
    }[style]


def rated(taste: str, draw: random.Random, noise: float = 0.0) -> Observation:
    """One reply in a random style, and the thumb of a person with this taste that is wrong at times."""
    shows = features(written(draw.choice(STYLES), draw))
    return Observation("r", shows, bool(getattr(shows, taste)) is not (draw.random() < noise))


def active(observations: Sequence[Observation]) -> set[str]:
    return {feature for feature, finding in learn(observations).items() if finding.chosen}


def simulate(noise: float, seeds: int, ratings: int) -> tuple[float, float, float]:
    """Shares: of runs with the right line, of runs with a wrong line, of wrong lines that are active."""
    right = runs_with_wrong = wrong = 0
    for number, taste in enumerate(STYLES):
        for seed in range(seeds):
            draw = random.Random(seed * 7919 + number)
            found = active([rated(taste, draw, noise) for _ in range(ratings)])
            right += taste in found
            runs_with_wrong += bool(found - {taste})
            wrong += len(found - {taste})
    runs = len(STYLES) * seeds
    return right / runs, runs_with_wrong / runs, wrong / (runs * (len(FEATURES) - 1))


# A style with a share of one in five does not show at all in 8 replies with probability 0.17, in 10 with
# 0.11: so 0.83 and 0.89 are what anyone could reach.
@pytest.mark.parametrize(
    ("noise", "ratings", "least_right", "most_wrong_runs"),
    [(0.0, 8, 0.8, 0.01), (0.0, 10, 0.85, 0.01), (0.0, 20, 0.98, 0.01), (0.1, 20, 0.9, 0.15)],
)
def test_the_right_line_comes_quickly_and_hardly_ever_a_wrong_one(
    noise: float, ratings: int, least_right: float, most_wrong_runs: float
) -> None:
    right, runs_with_wrong, wrong = simulate(noise, 200 if ratings <= 10 else 40, ratings)
    assert right >= least_right
    assert runs_with_wrong <= most_wrong_runs
    assert wrong < 0.1


def test_one_liked_reply_among_eight_is_enough() -> None:
    brief, others = features(FACTS[0]), features(written("formal", random.Random(0)))
    assert active([Observation("0", brief, True)] + [Observation("1", others, False)] * 7) == {"brief"}


@pytest.mark.parametrize("liked", [True, False])
def test_a_person_who_likes_all_or_nothing_teaches_nothing(liked: bool) -> None:
    draw = random.Random(1)
    assert (
        active([Observation("r", features(written(draw.choice(STYLES), draw)), liked) for _ in range(60)])
        == set()
    )


def test_a_line_that_is_followed_stays_as_long_as_it_is_liked() -> None:
    draw = random.Random(2)
    early = [Observation("e", features(written(style, draw)), style == "bullets") for style in STYLES * 2]
    followed = [Observation("f", features(written("bullets", draw)), True)] * 30
    assert active(early + followed) == {"bullets"}
    turned = [Observation("t", features(written("bullets", draw)), False)] * 60
    assert "bullets" not in active(early + turned)


counts = st.builds(
    lambda seen, liked, others, others_liked: Counts(
        seen, round(seen * liked), others, round(others * others_liked)
    ),
    st.integers(0, 30),
    st.floats(0, 1),
    st.integers(0, 30),
    st.floats(0, 1),
)


@given(counts)
def test_swapping_the_sides_swaps_the_sign(c: Counts) -> None:
    swapped = Counts(c.others, c.others_liked, c.seen, c.liked)
    assert compare([c]) == pytest.approx(-compare([swapped]))
    assert probability(compare([c])) + probability(compare([swapped])) == pytest.approx(1)


@given(counts.filter(lambda c: c.seen and c.others and c.liked < c.seen))
def test_one_more_like_never_speaks_against_a_feature(c: Counts) -> None:
    more = Counts(c.seen, c.liked + 1, c.others, c.others_liked)
    assert compare([more]) > compare([c])


@given(st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_equal_rates_say_nothing(seen: int, others: int, liked: bool) -> None:
    z = compare([Counts(seen, seen * liked, others, others * liked)])
    assert abs(z) < 0.75  # far from the 1.04 of the threshold


def exactly(c: Counts) -> float:
    """P(theta_with > theta_without) of the two Beta posteriors by midpoint integration."""
    prior = (c.liked + c.others_liked + 1) / (c.seen + c.others + 2)
    steps = [(i + 0.5) / 4000 for i in range(4000)]

    def density(liked: int, seen: int) -> list[float]:
        a = card_model.PRIOR_STRENGTH * prior + liked
        b = card_model.PRIOR_STRENGTH * (1 - prior) + seen - liked
        norm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        made = [math.exp(norm + (a - 1) * math.log(x) + (b - 1) * math.log(1 - x)) for x in steps]
        return [value / sum(made) for value in made]

    below, total = 0.0, 0.0
    for with_, without in zip(density(c.liked, c.seen), density(c.others_liked, c.others), strict=True):
        total += with_ * (below + without / 2)
        below += without
    return total


@pytest.mark.parametrize(
    "c",
    [Counts(1, 1, 7, 0), Counts(2, 2, 6, 1), Counts(3, 1, 9, 4), Counts(10, 8, 10, 3), Counts(4, 4, 2, 0)],
)
def test_the_normal_approximation_is_close_to_the_integral(c: Counts) -> None:
    assert probability(compare([c])) == pytest.approx(exactly(c), abs=0.04)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(STYLES), st.floats(0, 0.5), st.integers(0, 40))
def test_what_is_learned_is_consistent(seed: int, taste: str, noise: float, count: int) -> None:
    draw = random.Random(seed)
    observations = [rated(taste, draw, noise) for _ in range(count)]
    found = active(observations)
    assert not any(conflicts(feature) & found for feature in found)
    draw.shuffle(observations)
    assert active(observations) == found
    assert not learn(observations, barred=[taste])[taste].chosen
    pinned = learn(observations, given=[taste])
    assert not any(pinned[other].chosen for other in conflicts(taste))


# ---- the card over a real ledger


@pytest.fixture
def card(db: Database, journal: Journal) -> PreferenceCard:
    return PreferenceCard(db, journal)


def rate(journal: Journal, text: str, value: int, **changes: object) -> Message:
    asked = journal.add_user(journal.start_conversation().id, None, "Tell me about the moon.")
    said = journal.add_reply(asked.conversation_id, asked.id, text, generation(**changes))
    if value:
        journal.rate(said.id, value)
    return said


def eight(journal: Journal) -> list[Message]:
    draw = random.Random(3)
    styles = ["brief", "formal", "detailed", "brief", "bullets", "friendly", "formal", "brief"]
    return [rate(journal, written(style, draw), 1 if style == "brief" else -1) for style in styles]


def test_a_new_card_is_empty_but_names_every_line(card: PreferenceCard) -> None:
    assert card.active_lines() == []
    assert {line.feature: line.text for line in card.lines()} == CARD_TEXTS
    assert card.line("brief").summary == "No brief replies rated yet"
    assert set(CARD_TEXTS) == set(FEATURES)


def test_eight_thumbs_make_a_line_with_its_evidence(card: PreferenceCard, journal: Journal) -> None:
    replies = eight(journal)
    assert card.active_lines() == ["Keep replies brief."]
    line = card.line("brief")
    assert line.summary == "3 of 3 brief replies liked, 0 of 5 others"
    assert line.probability >= card_model.THRESHOLD
    assert line.evidence[:2] == ((replies[0].id, True, 1), (replies[1].id, False, -1))
    assert len(line.evidence) == 8


def test_undoing_the_ratings_undoes_the_line(card: PreferenceCard, journal: Journal) -> None:
    replies = eight(journal)
    assert card.active_lines() == ["Keep replies brief."]
    for reply in replies:
        journal.rate(reply.id, 0)
    assert card.active_lines() == []
    assert card.line("brief").evidence == ()


def test_deleting_the_conversations_undoes_the_line(card: PreferenceCard, journal: Journal) -> None:
    replies = eight(journal)
    assert card.active_lines()
    for reply in replies:
        journal.delete_conversation(reply.conversation_id)
    assert card.active_lines() == []


def test_cut_and_empty_and_remembering_replies_count(card: PreferenceCard, journal: Journal) -> None:
    rate(journal, "The moon is", 1, finish_reason="cancelled", card_lines=("Keep replies brief.",))
    rate(journal, "Saved.", 1, tools=({"name": "remember"},), recalled=[Recalled("m", "I like tea.", 0.9)])
    rate(journal, "", -1, tools=({"name": "clock"},))
    assert card.line("brief").summary == "2 of 2 brief replies liked, 0 of 1 others"


def test_edits_teach(card: PreferenceCard, journal: Journal) -> None:
    draw = random.Random(4)
    for _ in range(3):
        journal.edit_reply(rate(journal, written("detailed", draw), 0).id, written("bullets", draw))
    assert card.line("bullets").summary == "3 of 3 replies with bullets liked, 0 of 3 others"
    assert "Use bullet points." in card.active_lines()


def test_picks_teach_unless_a_thumb_says_otherwise(card: PreferenceCard, journal: Journal) -> None:
    draw = random.Random(5)
    for number in range(3):
        worse = rate(journal, written("detailed", draw), 1 if number == 0 else 0)
        better = journal.add_reply(
            worse.conversation_id, worse.parent_id, written("brief", draw), generation()
        )
        journal.pick(better.id, worse.id)
    assert card.line("brief").summary == "3 of 3 brief replies liked, 1 of 3 others"


def test_the_owner_has_the_last_word(card: PreferenceCard, journal: Journal) -> None:
    eight(journal)
    assert card.strike("brief").state == "struck"
    assert card.active_lines() == []
    assert card.pin("Give detailed replies").active
    assert card.active_lines() == ["Give detailed replies."]
    card.reset("brief")
    assert card.active_lines() == ["Give detailed replies."]  # brief would contradict what is pinned
    card.reset("detailed")
    assert card.active_lines() == ["Keep replies brief."]
    card.pin("detailed")
    card.pin("brief")
    assert card.active_lines() == ["Keep replies brief."]
    assert card.line("detailed").state == "auto"
    assert card.edit("brief", "Two sentences at most.").text == "Two sentences at most."
    assert card.active_lines() == ["Two sentences at most."]


def test_own_lines_come_last_and_go_on_reset(card: PreferenceCard) -> None:
    own = card.add("Call me Ruvenka.")
    card.pin("emoji")
    assert card.active_lines() == ["Use emoji.", "Call me Ruvenka."]
    assert card.add("call me ruvenka").feature == own.feature
    assert card.add("Be formal.").feature == "formal"
    assert card.pin("Answer in French.").summary == "Written by you."
    card.strike("Call me Ruvenka.")
    assert card.active_lines() == ["Be formal.", "Use emoji.", "Answer in French."]
    card.reset(own.feature)
    with pytest.raises(NotFound):
        card.line(own.feature)


def test_unknown_and_empty_lines_get_a_sentence(card: PreferenceCard) -> None:
    for wrong in (card.pin, card.strike, card.reset, card.line):
        with pytest.raises(NotFound, match="name one of brief, detailed"):
            wrong("breif")
    with pytest.raises(BadText):
        card.add("  ")


def test_choices_are_durable_and_seen_by_another_card(
    card: PreferenceCard, db: Database, journal: Journal
) -> None:
    other = PreferenceCard(db, journal)
    assert other.active_lines() == []
    card.pin("code")
    assert other.active_lines() == ["Show code examples."]
    lines: list[CardLine] = other.lines()
    lines.clear()
    assert other.lines()  # what is handed out is not the cache
