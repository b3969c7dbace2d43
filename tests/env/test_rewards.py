import pytest

from env import rewards
from memory.records import Feedback

NO_VALUE = 0


def event(kind: str, value: int = NO_VALUE, text: str | None = None, other_id: str | None = None) -> Feedback:
    return Feedback("f1", 1, "r1", kind, value, 0.0, text=text, other_id=other_id)


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), (-1, -1.0), (0, 0.0), (None, 0.0)])
def test_a_thumb_is_its_sign_and_no_thumb_is_nothing(value, number):
    assert rewards.thumb(value) == number


def test_a_thumb_of_two_is_refused():
    with pytest.raises(ValueError, match="not 2"):
        rewards.thumb(2)


@pytest.mark.parametrize(
    ("before", "after", "number"),
    [
        ("Cats sleep a lot.", "Cats sleep a lot.", 1.0),
        ("Cats sleep a lot.", "cats sleep a lot", 1.0),  # case and stops are no change of words
        ("Cats sleep.", "Dogs bark!", -1.0),
        ("one two three four", "one two", 1 / 3),  # 2 * 2 kept of 6 words
        ("", "", 1.0),
    ],
)
def test_an_edit_is_worth_what_it_kept(before, after, number):
    assert rewards.edit(before, after) == pytest.approx(number)


def test_more_editing_is_never_worth_more():
    reply = "Tea is made from leaves that are dried and rolled"
    cut = [rewards.edit(reply, " ".join(reply.split()[:n])) for n in range(10, 0, -1)]
    assert cut == sorted(cut, reverse=True)
    assert cut[0] == 1.0


def test_reward_reads_each_kind_of_event_for_the_reply_it_is_about():
    assert rewards.reward(event("thumb", -1), "r1") == -1.0
    assert rewards.reward(event("thumb", -1), "r2") == 0.0
    assert rewards.reward(event("edit", 1, text="new words"), "r1", "old things") == -1.0
    picked = event("pick", 1, other_id="r2")
    assert [rewards.reward(picked, reply) for reply in ("r1", "r2", "r3")] == [1.0, -1.0, 0.0]
