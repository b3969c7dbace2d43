"""What edits have in common is taught in other replies, unless it is nobody's way or goes too far."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from memory.database import open_home
from memory.journal import Journal
from policies.base_models import resolve
from policies.language_policy import LanguagePolicy
from tests.policies.rated import LENIENT, Rated, small_exam, update


def test_what_edits_have_in_common_is_taught_in_other_replies(home: Path) -> None:
    """Eight replies get the same opening, which no style of the card explains: fresh replies have it, too."""
    sprout = LanguagePolicy(resolve(None), device="cpu")
    rated = Rated(home, sprout)
    rated.talk(8, length=60)
    db = open_home(home)
    for reply in rated.replies:
        Journal(db).edit_reply(reply.id, f"As you know. {reply.content}")
    db.close()
    # as the product trains, on an exam of a few seconds
    exam = small_exam(max_new_tokens=40)
    algorithm, report = update(home, sprout, settings=None, exam=exam)
    assert algorithm == "dpo"
    assert report["routes"]["learned_as"]["transferred"] > 24
    assert report["routes"]["learned_as"]["distilled"] == 0
    assert report["change"]["text"] == '"As you know." comes in at the start of the first sentence'
    assert report["change"]["edits"] == 8
    assert report["change"]["base"] == 0
    assert report["change"]["candidate"] > report["change"]["replies"] / 2
    sprout.close()


def test_a_change_that_goes_too_far_is_tried_again_with_a_firmer_hold(
    home: Path, policy: LanguagePolicy
) -> None:
    rated = Rated(home, policy)
    rated.talk(4)
    db = open_home(home)
    for reply in rated.replies:
        Journal(db).edit_reply(reply.id, f"As you know. {reply.content}")
    db.close()
    seen: list[str] = []
    first, second = (
        update(home, policy, "dpo", limits=limits, progress=lambda fraction, text: seen.append(text))[1]
        for limits in (LENIENT, replace(LENIENT, kl=-1.0))
    )
    assert (first["verdict"], first["change"]["firm"]) == ("provisional", False)
    assert (second["verdict"], second["change"]["firm"]) == ("rejected", True)
    # once for the first update and twice for the second
    assert seen.count("distance from the base") == seen.count("skills of the candidate") == 3
    assert sum(text.startswith("rejected: once more") for text in seen) == 1
    # what the base did in an update's exam holds for both of its candidates
    assert seen.count("skills of the base") == 2


def test_what_was_liked_without_a_change_speaks_against_it(home: Path, policy: LanguagePolicy) -> None:
    """Four edits with one opening, and six replies that were liked without it: it is not this owner's way."""
    rated = Rated(home, policy)
    rated.talk(14)
    db = open_home(home)
    for at, reply in enumerate(rated.replies):
        if at % 3 == 0 and at < 12:
            Journal(db).edit_reply(reply.id, f"As you know. {reply.content}")
        else:
            Journal(db).rate(reply.id, 1 if at % 3 == 1 or at > 11 else -1)
    db.close()
    _, report = update(home, policy)
    assert report["routes"]["edit"] >= 3
    assert report["change"] is None
    assert report["routes"]["learned_as"]["transferred"] == 0
