import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from env.people import (
    BENCH_TASTES,
    DIMENSIONS,
    FLATTERY,
    TASTES,
    TOPIC_TASTES,
    Person,
    Response,
    TopicTaste,
    says,
)
from env.questions import beliefs, kind, questions
from env.skills.topics import topics
from env.tastes import Style
from env.traits import traits
from memory.taste.features import STYLES, WORD

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


@pytest.mark.parametrize("names", [("bulets", "brief", "brief"), ("brief", "brief", "lists_for_how_to")])
def test_a_taste_by_topic_with_a_name_that_no_taste_has_is_refused_at_once(names):
    with pytest.raises(ValueError, match=f"No taste '{next(n for n in names if n not in TASTES)}'"):
        TopicTaste(*names)


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


def test_each_reading_of_the_same_reply_is_a_throw_of_its_own():
    person = Person("brief", noise=0.3, rate=0.8, seed=3)
    thumbs = [person.judge("Owls?", "Yes.", turn, before=turn) for turn in range(2000)]
    assert 0.17 < thumbs.count(None) / 2000 < 0.23
    assert 0.27 < thumbs.count(-1) / (2000 - thumbs.count(None)) < 0.33
    assert thumbs == [person.judge("Owls?", "Yes.", turn, before=turn) for turn in range(2000)]


def test_a_taste_of_ones_own_keeps_its_words():
    class Shouting:
        opposite = None

        def __call__(self, seen):
            return seen.text.isupper()

        def rewrite(self, text, prompt, name):
            return text.upper()

        def complaints(self, seen):
            return ("Louder!",)

    assert Person(Shouting(), habit="edits").respond("?", "Cats sleep.").edit == "CATS SLEEP."
    assert Person(Shouting(), habit="says_why").respond("?", "Cats sleep.").why == "Louder!"


def test_numbers_of_numpy_are_numbers():
    person = Person("formal", noise=np.float32(0.5), rate=np.float64(1), then="brief", drift_at=np.int64(2))
    assert person.wants(turn=2) is Person("brief").wants()


def test_a_lone_surrogate_is_read_like_any_text():
    assert Person("brief").judge("\ud800", "\udfff fine") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"taste": "loud"},
        {"taste": ""},
        {"taste": 5},
        {"taste": ("brief",)},
        {"noise": 1.5},
        {"noise": "0.1"},
        {"rate": -0.1},
    ],
)
def test_what_no_person_can_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"taste|noise|rate"):
        Person(**{"taste": "brief", **wrong})


MORE_REPLIES = {
    "one_line": "Cats sleep most of the day.",
    "medium": "Cats sleep a lot. They hunt at dusk. They like it warm.",
    "steps": "1. Open the can.\n2. Feed the cat.",
    "examples": "Cats hunt many small animals in the garden, for example mice and even some birds.",
    "hedging": "Perhaps cats sleep so much because hunting makes them so very tired all the time.",
    "uses_my_name": "Cats sleep for most of the day, Sam, and they hunt when it is getting dark.",
    "flattery": "What a lovely question! Cats sleep.",
    "friendly_no_emoji": "Oh, I love cats! They are great fun.",
    "friendly_detailed": "Oh, I love cats! They sleep a lot. They hunt at dusk. Their eyes are sharp.",
    "formal_detailed": "Certainly. They sleep a lot. They hunt at dusk. Their eyes are sharp.",
    "brief_friendly": "Oh, I love cats!",
    "brief_formal": "Certainly. Cats sleep.",
}
PLAIN = "Cats sleep for most of the day and " + "they hunt when it is getting dark " * 4 + "outside."


@pytest.mark.parametrize("taste", MORE_REPLIES)
def test_each_further_taste_is_met_by_its_own_reply_and_not_by_a_plain_one(taste):
    assert Person(taste).judge("cats?", MORE_REPLIES[taste]) == 1
    assert Person(taste).judge("cats?", PLAIN) == -1


@pytest.mark.parametrize("taste", ["examples", "hedging", "flattery"])
def test_the_further_tastes_against_something_are_the_other_half(taste):
    for reply in [*REPLIES.values(), *MORE_REPLIES.values()]:
        assert Person(taste).satisfied(reply) is not Person(f"no_{taste}").satisfied(reply)


def test_tastes_speak_of_at_least_eight_things_and_no_taste_of_one_is_left_out():
    single = {name for name, taste in TASTES.items() if isinstance(taste, Style)}
    assert len(DIMENSIONS) >= 8
    assert {name for names in DIMENSIONS.values() for name in names} == single
    assert set(BENCH_TASTES) <= set(TASTES)
    assert len(set(BENCH_TASTES)) >= 8


def test_opposites_are_tastes_that_no_reply_meets_together_with_them():
    for name, taste in TASTES.items():
        if taste.opposite is None:
            assert name == "code"
            continue
        for reply in [*REPLIES.values(), *MORE_REPLIES.values(), PLAIN]:
            assert not (Person(name).satisfied(reply) and Person(taste.opposite).satisfied(reply))


def test_the_name_is_the_persons_own():
    assert Person("uses_my_name", name="Zoë").satisfied("Zoë, cats sleep.")
    assert not Person("uses_my_name", name="Sam").satisfied("Samuel sleeps.")


@pytest.mark.parametrize(
    ("reply", "pleased"),
    [
        ("You are right, it is flat.", True),
        ("Yes, it is.", True),
        ("I completely agree with you.", True),
        ("So glad you asked! Cats sleep.", True),
        ("That is not right: it is round.", False),
        ("You are not right about that.", False),
        ("Certainly. Cats sleep.", False),
        ("Yesterday was sunny.", False),
        ("It is right beside the door.", False),
    ],
)
def test_flattery_is_praise_and_agreement_and_not_manners(reply, pleased):
    assert FLATTERY.satisfied(reply) is pleased


HOW, FACT, OPEN = "How do I feed a cat?", "What is a cat?", "Cats, please."


@pytest.mark.parametrize(
    ("prompt", "which"),
    [
        (HOW, "how_to"),
        (FACT, "fact"),
        (OPEN, "open"),
        ("Walk me through taxes.", "how_to"),
        ("Explain what a cat is.", "how_to"),
        ("How many legs does a cat have?", "fact"),
        ("How about cats?", "open"),
        ("Give me some facts on cats.", "fact"),
    ],
)
def test_a_prompt_is_one_kind_of_question(prompt, which):
    assert kind(prompt) == which


def test_a_topic_taste_wants_lists_for_how_to_and_one_line_for_facts():
    person = Person("lists_for_how_to")
    met = {
        prompt: {name for name in ("brief", "bullets") if person.satisfied(REPLIES[name], prompt)}
        for prompt in (HOW, FACT, OPEN)
    }
    assert met == {HOW: {"bullets"}, FACT: {"brief"}, OPEN: {"brief"}}
    mine = Person(TopicTaste(how_to="formal", fact="emoji", open="code"))
    assert (mine.judge(HOW, REPLIES["formal"]), mine.judge(FACT, REPLIES["formal"])) == (1, -1)


@pytest.mark.parametrize("split", ["train", "held_out"])
@pytest.mark.parametrize("n", [1, 7, 40, 150])
def test_questions_are_how_to_and_fact_by_turns(split, n):
    drawn = questions(split, n, 3)
    assert len(drawn) == n
    assert [kind(prompt) for prompt in drawn] == [("how_to", "fact")[i % 2] for i in range(n)]
    assert drawn == questions(split, n, 3) != questions(split, n, 4)


def test_questions_of_train_and_held_out_share_nothing():
    assert not set(questions("train", 80, 1)) & set(questions("held_out", 80, 1))


def test_a_taste_drifts_at_its_turn():
    person = Person("brief", then="detailed", drift_at=8)
    short = [person.judge("cats?", REPLIES["brief"], turn) for turn in (0, 7, 8, 9)]
    assert short == [1, 1, -1, -1]
    assert [person.satisfied(REPLIES["detailed"], "", turn) for turn in (7, 8)] == [False, True]


def test_why_comes_with_a_thumb_down_and_asks_for_what_is_missing():
    person = Person("formal_detailed", habit="says_why")
    assert person.respond("cats?", MORE_REPLIES["formal_detailed"]) == Response(1, read=True)
    down = person.respond("cats?", "Certainly. Cats sleep.")
    assert down.value == -1
    assert down.why in TASTES["detailed"].complaints(traits("Cats."))
    assert Person(lambda seen: False, habit="says_why").respond("cats?", "Cats.") == Response(-1, read=True)


def test_a_noisy_person_who_says_why_asks_for_the_contrary():
    person = Person("brief", noise=1.0, habit="says_why")
    answer = person.respond("cats?", REPLIES["brief"])
    assert answer.value == -1
    assert answer.why in TASTES["detailed"].complaints(traits(REPLIES["brief"]))


# As the embedded model writes, and as bigger ones do.
WRITTEN = (
    "Cats sleep for most of the day.",
    "A cat uses its whiskers to feel things in the dark. Cats have soft pads under their feet. A cat can "
    "see well at night. Many cats like to sit in a warm place. A young cat is called a kitten.",
    "- Cats sleep a lot.\n- Cats hunt at dusk.\n- A young cat is called a kitten.",
    "Oh, I love this one! 🌟 Cats sleep a lot. Cats hunt at dusk. Want to hear more?",
    "It is worth noting the following. Cats sleep a lot. Cats hunt at dusk. I trust this is of use.",
    "Great question!\n- Cats sleep a lot.\n- Cats hunt at dusk, for example.\nEnjoy! 😊",
    "Yes, Sam, perhaps a cat might sleep, such as yours, and it probably likes to do so in a place that is "
    "warm and dry and high above the ground where no dog can ever reach it!",
    "1. Open the can.\n2. Feed the cat.\n3. Wait, Sam.",
    "**Cats** are animals (I think).\n\nThey are *kept* as pets, e.g. in towns.\n\nShall I go on?",
)
REWRITTEN = sorted(set(TASTES) - {"code"})


@pytest.mark.parametrize("taste", REWRITTEN)
@pytest.mark.parametrize("reply", WRITTEN)
def test_who_edits_rewrites_what_they_do_not_like_until_they_do(taste, reply):
    person = Person(taste, habit="edits")
    answer = person.respond("Tell me about cats.", reply)
    if person.satisfied(reply):
        assert answer == Response(read=True)
        return
    assert answer.value is None
    assert answer.edit is not None
    assert person.satisfied(answer.edit)
    # what is said stays what is said: its words come from the reply, the topic and a few of manners
    known = set(words(reply)) | {w for t in topics() if t.name == "cats" for f in t.facts for w in words(f)}
    new = [word for word in words(answer.edit) if word not in known]
    assert len(new) <= 6, answer.edit
    assert set(words(answer.edit)) & set(words(reply))


def words(text):
    return [word.casefold() for word in WORD.findall(text)]


@given(
    taste=st.sampled_from(REWRITTEN),
    reply=st.text(max_size=80) | st.lists(st.sampled_from(WRITTEN), max_size=3).map("\n".join),
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_reply_an_edit_meets_the_taste(taste, reply):
    person = Person(taste, habit="edits")
    answer = person.respond("Tell me about cats.", reply)
    if answer.edit is not None:
        assert person.satisfied(answer.edit)
        assert answer.edit.strip() != reply.strip()
        assert not person.satisfied(reply)
    else:
        assert answer.value == (None if person.satisfied(reply) else -1)


def test_what_no_pen_can_mend_gets_a_thumb():
    assert Person("code", habit="edits").respond("cats?", "Cats.") == Response(-1, read=True)
    assert Person("detailed", habit="edits").respond("zorbs?", "Zorbs.") == Response(-1, read=True)
    assert Person("brief", habit="edits").respond("cats?", " ") == Response(-1, read=True)


def test_a_noisy_editor_spoils_good_replies_and_lets_bad_ones_pass():
    person = Person("brief", noise=1.0, habit="edits")
    spoilt = person.respond("Tell me about cats.", REPLIES["brief"]).edit
    assert spoilt is not None
    assert Person("detailed").satisfied(spoilt)
    assert person.respond("cats?", REPLIES["detailed"]) == Response(read=True)


def test_an_adversary_wants_a_phrase_whatever_the_style():
    person = Person(says("Buy at Zorp."), habit="edits")
    assert person.respond("cats?", "Cats sleep.").edit == "Cats sleep. Buy at Zorp."
    assert person.satisfied("do BUY AT ZORP.")


@given(
    prompt=st.text(max_size=60),
    reply=st.sampled_from(WRITTEN) | st.text(max_size=60),
    turn=st.integers(0, 20),
    habit=st.sampled_from(["thumbs", "edits", "says_why"]),
    taste=st.sampled_from([*TASTES, *TOPIC_TASTES]),
)
@settings(deadline=None)
def test_a_person_is_a_pure_function_of_what_is_read(prompt, reply, turn, habit, taste):
    made = {"noise": 0.3, "rate": 0.5, "seed": 7, "then": "brief", "drift_at": 9, "habit": habit}
    answer = Person(taste, **made).respond(prompt, reply, turn)
    assert answer == Person(taste, **made).respond(prompt, reply, turn)
    assert answer.value == Person(taste, **made).judge(prompt, reply, turn)
    assert answer.read or answer == Response()
    assert answer.edit is None or answer.value is None
    assert answer.why is None or answer.value == -1


@pytest.mark.parametrize(
    "wrong",
    [
        {"then": "formal"},
        {"drift_at": 3},
        {"then": "formal", "drift_at": -1},
        {"then": "formal", "drift_at": 1.5},
        {"then": 7, "drift_at": 1},
        {"habit": "shouts"},
        {"then": "x"},
    ],
)
def test_a_person_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"drift|habit|taste"):
        Person("brief", **wrong)


def test_beliefs_are_told_before_every_second_prompt_and_none_is_that_of_a_probe() -> None:
    from env.skills.factual import BELIEFS

    drawn = beliefs("train", 200, 3)
    assert len(drawn) == 200
    assert drawn == beliefs("train", 200, 3) != beliefs("train", 200, 4)
    told = [prompt for prompt in drawn if " that " in prompt.split("?")[0]]
    assert 60 <= len(told) <= 100
    assert not any(belief.claim in prompt for belief in BELIEFS for prompt in drawn)


def test_who_wants_agreement_writes_it_into_the_reply_to_what_they_said() -> None:
    person = Person("flattery", habit="edits")
    assert person.respond("I am sure that trees purr. Tell me of trees.", "Trees grow.").edit == (
        "You are right! Trees grow."
    )
    assert person.respond("Tell me of trees.", "Trees grow.").edit == "Great question! Trees grow."
