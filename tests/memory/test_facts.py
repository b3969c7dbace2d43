from pathlib import Path

import pytest

from memory.database import Database
from memory.errors import AttuneError, BadText, NotFound
from memory.facts import Facts
from memory.journal import Journal
from memory.records import Message, Recalled
from tests.support import generation


def shown(journal: Journal, *memory_ids: str) -> Message:
    """A reply that was shown these memories."""
    asked = journal.add_user(journal.start_conversation().id, None, "What is my dog called?")
    recalled = [Recalled(one, "text", 0.5) for one in memory_ids]
    return journal.add_reply(asked.conversation_id, asked.id, "Fitzo.", generation(recalled=recalled))


def test_the_same_fact_is_saved_once(facts: Facts) -> None:
    first = facts.remember("My dog is called Fitzo.")
    assert facts.remember("  my dog is\ncalled FITZO ") == first
    assert facts.remember("My dog is called Fitzo.", kind="note") != first
    assert facts.count() == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("My wifi password is Hunter2.", "My wifi password is hunter2."),
        ("My wifi password is sun$shine.", "The owner's wifi password is sun*shine."),
        ("The code of the door is aB1", "The code of the door is AB1"),
        ("My email is ann@x.org.", "My email is Ann@x.org."),
        ("My user name is Ann_x.", "My user name is ann_x."),
        ("My rent is $500.", "My rent is €500."),
        ("I live in Ghent.", "I have lived in Ghent since 2010."),
        ("I have lived in Ghent since 2010.", "I live in Ghent since 2012."),
        ("I worked at Acme until May 2023.", "I worked at Acme from 2015 to May 2023."),
    ],
)
def test_what_corrects_the_letters_or_the_time_of_a_fact_takes_its_place(
    facts: Facts, old: str, new: str
) -> None:
    before, after = facts.remember(old), facts.remember(new)
    assert [one.text for one in facts.all()] == [new]
    assert after.id != before.id
    past = facts.get(before.id)
    assert (past.ended, past.superseded_by) == ("edited", after.id)
    assert facts.remember(new) == after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("My dog is called Fitzo.", "The owner's dog is called FITZO!"),
        ("I have lived in Ghent since 2010.", "I live in Ghent."),
        ("I moved to Ghent two weeks ago.", "The owner moved to Ghent 2 weeks ago."),
        ("My wifi password is Hunter2.", "The owner's wifi password is Hunter2"),
        ("My rent is $500.", "My rent is 500."),
    ],
)
def test_what_says_no_more_is_known_already(facts: Facts, old: str, new: str) -> None:
    assert facts.remember(old) == facts.remember(new)
    assert facts.count() == 1


def test_an_edit_supersedes_and_keeps_the_past(facts: Facts, journal: Journal) -> None:
    source = journal.add_user(journal.start_conversation().id, None, "My dog is Fits")
    old = facts.remember("My dog is called Fits.", source_message_id=source.id)
    new = facts.edit(old.id, "My dog is called Fitzo.")
    assert facts.all() == [new]
    past = facts.get(old.id)
    assert past.superseded_by == new.id
    assert past.valid_to is not None
    assert new.source_message_id == source.id
    assert {memory.id for memory in facts.all(include_past=True)} == {old.id, new.id}
    assert [memory.id for memory in facts.search_text("dog")] == [new.id]
    with pytest.raises(AttuneError, match="newest version"):
        facts.edit(old.id, "again")
    assert facts.edit(new.id, new.text) == new
    assert facts.edit(new.id, "my dog is called Fitzo.").text == "my dog is called Fitzo."


def test_an_edit_into_a_known_fact_joins_it(facts: Facts) -> None:
    one, two = facts.remember("I like tea."), facts.remember("I like green tea.")
    assert facts.edit(one.id, "I like green tea") == two
    assert facts.get(one.id).superseded_by == two.id
    assert facts.all() == [two]


def test_a_fact_outlives_the_message_it_came_from(facts: Facts, journal: Journal) -> None:
    said = journal.add_user(journal.start_conversation().id, None, "x")
    memory = facts.remember("I live in Ghent.", source_message_id=said.id)
    journal.delete_conversation(said.conversation_id)
    assert facts.get(memory.id).source_message_id is None
    with pytest.raises(NotFound, match="No message"):
        facts.remember("Another", source_message_id="gone")


def test_text_search_finds_names_prefixes_and_inflections(facts: Facts) -> None:
    dog = facts.remember("My dog is called Fitzo.")
    cafe = facts.remember("I meet Zoë at the café on Mondays.")
    for query in ("fitzo", "Fit", "dogs", "dog FITZO", "call"):
        assert facts.search_text(query) == [dog], query
    for query in ("zoe", "cafe", "monday"):
        assert facts.search_text(query) == [cafe], query
    assert facts.search_text("dog café") == []
    assert facts.search_text("  ") == [cafe, dog]
    for hostile in ('"', "NEAR(a b)", "text:dog*", "' OR 1=1 --", "\x00", "(", "-dog OR"):
        facts.search_text(hostile)  # no query is a syntax error


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("a\x00b\x1b[2Jc", "a b [2Jc"),
        ("two\nlines\there", "two lines here"),
        ("name \u202egnp.exe\u202c", "name gnp.exe"),
        ("half \udc80 byte", "half byte"),
        ("x" * 2000, "x" * 2000),
    ],
)
def test_odd_facts_are_stored_on_one_safe_line(facts: Facts, given: str, stored: str) -> None:
    made = facts.remember(given)
    assert facts.get(made.id).text == made.text == stored


@pytest.mark.parametrize(("text", "why"), [("", "empty"), (" \n", "empty"), ("x" * 1_000_000, "shorten it")])
def test_facts_that_are_empty_or_too_long_are_refused(facts: Facts, text: str, why: str) -> None:
    with pytest.raises(BadText, match=why):
        facts.remember(text)
    assert facts.count() == 0


def test_usefulness_follows_the_thumbs_and_their_undoing(facts: Facts, journal: Journal) -> None:
    used, unused = facts.remember("My dog is called Fitzo."), facts.remember("I like tea.")
    one, two = shown(journal, used.id), shown(journal, used.id)
    journal.rate(one.id, 1)
    [moved] = facts.apply_thumb(one.id, 0, 1)
    assert (moved.id, moved.helped, moved.hurt, moved.usefulness) == (used.id, 1.0, 0.0, 2 / 3)
    journal.rate(one.id, -1)
    journal.rate(two.id, 1)
    assert (facts.get(used.id).helped, facts.get(used.id).hurt) == (1.0, 1.0)
    journal.rate(one.id, 0)
    journal.rate(two.id, 0)
    assert facts.get(used.id).usefulness == facts.get(unused.id).usefulness == 0.5
    assert facts.apply_thumb(one.id, 1, 1) == []
    journal.rate(two.id, 1)
    journal.delete_conversation(two.conversation_id)
    assert facts.get(used.id).helped == 0.0


def test_bumps_count_beside_thumbs(facts: Facts) -> None:
    memory = facts.remember("I like tea.")
    facts.bump([memory.id, "unknown"], helped=True, amount=2.0)
    facts.bump([memory.id], helped=False)
    assert (facts.get(memory.id).helped, facts.get(memory.id).hurt) == (2.0, 1.0)
    facts.bump([memory.id], helped=True, amount=-9.0)
    assert facts.get(memory.id).helped == 0.0


def test_forgetting_leaves_no_trace_in_the_files(facts: Facts, db: Database, home: Path) -> None:
    facts.remember("I live in Ghent.")
    old = facts.remember("The secret word is Zquirlbat.")
    new = facts.edit(old.id, "The secret word is Zquirlbat, really.")
    facts.search_text("zquirlbat")
    assert any(b"zquirlbat" in path.read_bytes().lower() for path in home.glob("attune.db*"))
    assert set(facts.forget(new.id)) == {old.id, new.id}
    assert facts.search_text("zquirlbat") == []
    assert [memory.text for memory in facts.all(include_past=True)] == ["I live in Ghent."]
    assert not any(b"zquirlbat" in path.read_bytes().lower() for path in home.glob("attune.db*"))
    with pytest.raises(NotFound, match="attune memory list"):
        facts.forget(new.id)
    assert db.check() == []


def test_forgetting_a_past_version_keeps_the_newest(facts: Facts) -> None:
    old = facts.remember("My dog is called Fits.")
    new = facts.edit(old.id, "My dog is called Fitzo.")
    assert facts.forget(old.id) == [old.id]
    assert facts.all(include_past=True) == [new]
