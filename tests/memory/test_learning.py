"""What becomes a memory of what was said, and what never comes back."""

from __future__ import annotations

from datetime import datetime

import pytest

from memory.facts import Facts
from memory.journal import Journal
from memory.learning import learn, listen
from memory.records import Message, Recalled
from memory.statements.stated import statements
from tests.support import generation


def says(journal: Journal, text: str) -> Message:
    return journal.add_user(journal.start_conversation().id, None, text)


def texts(facts: Facts) -> set[str]:
    return {one.text for one in facts.all()}


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("My dog is called Fitzo.", ["My dog is called Fitzo."]),
        ("Hi! By the way, I live in Ghent, and it rains.", ["I live in Ghent."]),
        ("Please remember that the bins go out on Tuesday.", ["The bins go out on Tuesday."]),
        ("Remember: my locker code is zanzibar-7431.", ["My locker code is zanzibar-7431."]),
        ("my name is ann. what is yours?", ["My name is ann."]),
        ("My dog is not called Fits but Fitzo.", ["My dog is called Fitzo."]),
        (
            "I'm allergic to peanuts and I work as a nurse.",
            ["I'm allergic to peanuts and I work as a nurse."],
        ),
        ("I love hiking.", ["I love hiking."]),
        ("Is my dog called Fits?", []),
        ("Remember to call my mother.", []),
        ("Do you remember that I live in Ghent?", []),
        ("I love that!", []),
        ("I think I live in a dream.", []),
        ("My dog is so excited today.", []),
        ("If I lived in Ghent I would cycle.", []),
        ("Remember, every step counts.", []),
        ("Remember, I'm always here if you need to chat.", []),
        ("Remember, I am allergic to nuts.", ["I am allergic to nuts."]),
        ("That's awesome, Melanie! Family moments like that are so special.", []),
    ],
)
def test_explicit_statements_are_kept_and_nothing_else(message: str, kept: list[str]) -> None:
    assert statements(message) == kept


def test_a_job_ends_when_the_next_one_began(facts: Facts, journal: Journal) -> None:
    listen(facts, says(journal, "I work at Acme."))
    [done] = listen(facts, said := says(journal, "I work at Globex since May 2023."))
    [old] = done.replaced
    assert texts(facts) == {"I work at Globex since May 2023."}
    past, new = facts.history(old.id)
    begun = datetime(2023, 5, 1).timestamp()
    assert (past.valid_from, past.valid_to, past.ended, past.superseded_by) == (
        None,
        begun,
        "superseded",
        new.id,
    )
    assert (new.valid_from, new.source_message_id, new.origin) == (begun, said.id, "said")


def test_many_valued_facts_stand_side_by_side(facts: Facts, journal: Journal) -> None:
    for text in (
        "I like tea.",
        "I like coffee.",
        "I have a friend called Ann.",
        "I have a friend called Bob.",
    ):
        listen(facts, says(journal, text))
    assert len(texts(facts)) == 4


def test_what_was_corrected_is_not_learned_again_from_what_was_said_before(
    facts: Facts, journal: Journal
) -> None:
    early = says(journal, "My dog is called Fits.")
    [first] = listen(facts, early)
    listen(facts, says(journal, "My dog is called Fitzo."))
    assert listen(facts, early) == []
    for model in (True, False):
        assert learn(facts, "My dog is called Fits.", early, infer=model).memory is None
        later = says(journal, "What is my dog called?")
        assert learn(facts, "The owner's dog is called Fits.", later, infer=model).memory is None
    assert texts(facts) == {"My dog is called Fitzo."}
    assert first.memory is not None
    # the owner says it anew
    listen(facts, says(journal, "My dog is called Fits."))
    assert texts(facts) == {"My dog is called Fits."}


def test_what_was_retracted_stays_away_until_the_owner_says_it_again(facts: Facts, journal: Journal) -> None:
    said = says(journal, "I am allergic to nuts.")
    [one] = listen(facts, said)
    assert one.memory is not None
    facts.retract(one.memory.id)
    assert texts(facts) == set()
    assert learn(facts, "I am allergic to nuts.", said).why == "The owner corrected that."
    assert (
        learn(facts, "The owner is allergic to nuts.", says(journal, "Am I allergic to nuts?")).memory is None
    )
    assert listen(facts, says(journal, "I am allergic to nuts."))[0].new
    assert facts.get(one.memory.id).ended == "retracted"


def test_a_denial_is_not_refused_for_what_it_ended(facts: Facts, journal: Journal) -> None:
    for text in ("I like tea.", "I no longer like tea.", "I like tea again."):
        message = says(journal, text)
        assert listen(facts, message)[0].new
        # as the model repeats it while it answers
        again = learn(facts, text, message)
        assert (again.why, again.new) == ("Known already.", False)
        assert texts(facts) == {text}
    # what the owner denied does not come back because it is the newest that was ended
    facts.remember("I do not like tea.")
    assert learn(facts, "The owner likes tea.", says(journal, "Tea?")).why == "The owner corrected that."
    assert learn(facts, "The owner does not like tea.", says(journal, "Tea?")).memory == facts.all()[0]


def test_a_password_is_what_the_owner_wrote_and_not_what_a_model_made_of_it(
    facts: Facts, journal: Journal
) -> None:
    early = says(journal, "My wifi password is Hunter2.")
    listen(facts, early)
    for model in (True, False):
        learn(facts, "The owner's wifi password is hunter2.", early, infer=model)
        assert texts(facts) == {"My wifi password is Hunter2."}
    [mended] = listen(facts, says(journal, "Sorry, my wifi password is hunter2."))
    assert [one.text for one in mended.replaced] == ["My wifi password is Hunter2."]
    assert texts(facts) == {"My wifi password is hunter2."}
    # a model alone does not correct it, and the message from before does not bring it back
    asked = says(journal, "Do you know it?")
    for message in (asked, early):
        assert learn(facts, "My wifi password is Hunter2.", message).why == "The owner corrected that."
    assert learn(facts, "My wifi password is HUNTER2.", asked).why == "The owner corrected that."
    assert texts(facts) == {"My wifi password is hunter2."}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            "My rent is $900 a month.\nMy salary is $3000.",
            "The owner's rent is $900 a month and their salary is $3000.",
        ),
        (
            "My email is bob@x.com. My phone is 123.",
            "The owner's email is bob@x.com and their phone is 123.",
        ),
    ],
)
def test_what_a_model_joins_of_a_message_is_kept_whole(
    facts: Facts, journal: Journal, message: str, text: str
) -> None:
    stored = learn(facts, text, says(journal, message), infer=False).memory
    assert stored is not None
    assert (stored.text, stored.origin) == (text, "said")


def test_what_was_recalled_is_not_stored_again(facts: Facts, journal: Journal) -> None:
    memory = facts.remember("My dog is called Fitzo and he is four.")
    asked = says(journal, "Tell me about my dog.")
    for said in ("The owner's dog is called Fitzo.", "My dog is four", memory.text):
        assert learn(facts, said, asked, [memory.text]).memory in (None, memory)
    reply = journal.add_reply(
        asked.conversation_id,
        asked.id,
        "He is Fitzo.",
        generation(recalled=[Recalled(memory.id, memory.text, 0.9)]),
    )
    later = journal.add_user(asked.conversation_id, reply.id, "Go on.")
    assert learn(facts, "My dog is called Fitzo", later).memory is None
    # a denial says something else
    assert learn(facts, "My dog is not called Fitzo.", says(journal, "My dog is not called Fitzo.")).new
    assert facts.count() == 2


def test_what_was_inferred_is_marked_and_never_beats_what_was_said(facts: Facts, journal: Journal) -> None:
    facts.remember("I live in Ghent.")
    asked = says(journal, "My flight to Denver was cancelled again.")
    assert learn(facts, "I live in Denver.", asked).why == "The owner said otherwise."
    inferred = learn(facts, "The owner travels often.", asked).memory
    assert inferred is not None
    assert inferred.origin == "inferred"
    assert facts.to_ask([inferred.id]) == [inferred]
    assert facts.to_ask([inferred.id]) == []
    open_ = facts.asked()
    assert open_ is not None
    assert open_.id == inferred.id
    assert facts.confirm(inferred.id).origin == "said"
    assert facts.asked() is None


def test_a_small_model_saves_only_what_the_owner_states(facts: Facts, journal: Journal) -> None:
    def tries(fact: str, message: str) -> str:
        done = learn(facts, fact, says(journal, message), infer=False)
        return done.memory.text if done.memory else done.why

    assert (
        tries("The car is parked in Elm Street.", "The car is parked in Elm Street.")
        == "The car is parked in Elm Street."
    )
    # garbled by the model: the owner's own words are kept
    assert tries("Quigly is the plumber.", "Quigley is the plumber who came.") != "Quigly is the plumber."
    assert "not a fact" in tries("Totally agree, Mel.", "Totally agree, Mel. Relaxing is key.")
    assert "not a fact" in tries("Sounds great, Mel!", "Sounds great, Mel! Glad you had fun.")
    assert "did not say" in tries("The owner lives on the moon.", "Good morning to everyone here.")
    assert facts.count() <= 2


def test_what_was_forgotten_is_not_learned_again_from_its_message(facts: Facts, journal: Journal) -> None:
    said = says(journal, "I live in Ghent.")
    [one] = listen(facts, said)
    assert one.memory is not None
    facts.forget(one.memory.id)
    with facts.db.transaction() as connection:
        connection.execute("INSERT INTO unlearned VALUES (?)", (said.id,))
    assert listen(facts, said) == []
