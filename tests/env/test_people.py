import pytest

from env.people import TASTES, Person
from memory.features import STYLES

REPLIES = {
    "brief": "Cats sleep most of the day.",
    "detailed": "Cats sleep a lot. They hunt at dusk. Their eyes are sharp. Their fur keeps them warm.",
    "bullets": "- Cats sleep a lot.\n- Cats hunt at dusk.",
    "friendly": "Oh, I love cats! They are great fun.",
    "formal": "Certainly. Please note that cats sleep for most of the day.",
    "emoji": "Cats sleep. 🐱",
    "closing_question": "Cats sleep. Do you have one?",
    "code": "Use `cat`.",
}


def test_the_five_styles_come_first():
    assert tuple(TASTES)[:5] == STYLES


@pytest.mark.parametrize("taste", REPLIES)
def test_each_taste_is_met_by_its_own_reply_and_not_by_a_plain_one(taste):
    plain = "Cats sleep for most of the day and " + "they hunt when it is getting dark " * 4 + "outside."
    assert Person(taste).judge("cats?", REPLIES[taste]) == 1
    assert Person(taste).judge("cats?", plain) == -1


@pytest.mark.parametrize("taste", ["bullets", "emoji", "closing_question"])
def test_a_taste_against_something_is_the_other_half(taste):
    for reply in REPLIES.values():
        assert Person(taste).satisfied(reply) is not Person(f"no_{taste}").satisfied(reply)


@pytest.mark.parametrize("taste", TASTES)
@pytest.mark.parametrize("nothing", ["", " \n"])
def test_silence_pleases_nobody(taste, nothing):
    assert Person(taste).judge("cats?", nothing) == -1


def test_any_predicate_on_features_is_a_taste():
    person = Person(lambda seen: seen.words == 2)
    assert (person.judge("?", "two words"), person.judge("?", "three words here")) == (1, -1)


def test_noise_turns_that_share_of_the_thumbs():
    person = Person("brief", noise=0.2, seed=3)
    wrong = [person.judge(f"prompt {n}", "Yes.") == -1 for n in range(2000)]
    assert 0.17 < sum(wrong) / 2000 < 0.23
    assert all(Person("brief", noise=1.0).judge(f"{n}", "Yes.") == -1 for n in range(50))


def test_rate_is_the_share_of_replies_that_get_a_thumb():
    thumbs = [Person("brief", rate=0.25, seed=3).judge(f"prompt {n}", "Yes.") for n in range(2000)]
    assert set(thumbs) == {1, None}
    assert 0.22 < thumbs.count(1) / 2000 < 0.28
    assert [Person("brief", rate=0.0).judge(f"{n}", "Yes.") for n in range(20)] == [None] * 20


def test_equal_people_judge_equally_in_any_order_and_other_seeds_differ():
    read = [(f"prompt {n}", "Yes.") for n in range(200)]
    one, again, other = (Person("brief", noise=0.3, rate=0.5, seed=seed) for seed in (1, 1, 2))
    forward = [one.judge(*pair) for pair in read]
    assert forward == [again.judge(*pair) for pair in reversed(read)][::-1]
    assert forward != [other.judge(*pair) for pair in read]


def test_noise_does_not_change_what_truly_satisfies():
    assert Person("brief", noise=1.0).satisfied("Yes.")


def test_a_lone_surrogate_is_read_like_any_text():
    assert Person("brief").judge("\ud800", "\udfff fine") == 1


@pytest.mark.parametrize("wrong", [{"taste": "loud"}, {"noise": 1.5}, {"rate": -0.1}])
def test_what_no_person_can_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"loud|noise|rate"):
        Person(**{"taste": "brief", **wrong})
