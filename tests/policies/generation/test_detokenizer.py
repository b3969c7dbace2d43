"""Ids to text a token at a time: the same text as in one go, and never half a character."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.generation.detokenizer import Detokenizer
from tests.policies.tiny_models import tokenizer

TINY = tokenizer("llama").backend_tokenizer


def pieces(ids: Sequence[int]) -> list[str]:
    stream = Detokenizer(TINY.decode)
    return [*(stream.feed(token) for token in ids), stream.finish()]


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=200))
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    ids = TINY.encode(text, add_special_tokens=False).ids
    found = pieces(ids)
    assert "".join(found) == TINY.decode(ids)
    if "\ufffd" not in TINY.decode(ids):
        assert not any("\ufffd" in piece for piece in found)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(5, 380), max_size=120))
def test_any_ids_lose_nothing(ids: list[int]) -> None:
    assert "".join(pieces(ids)) == TINY.decode(ids)


def test_an_emoji_comes_whole_and_late_bytes_are_given_at_the_end() -> None:
    ids = TINY.encode("a 😀", add_special_tokens=False).ids
    found = pieces(ids)
    assert [piece for piece in found if piece.strip()] == ["a", "😀"] or "😀" in found[len(ids) - 1]
    assert "".join(pieces(ids[:-1])).endswith("\ufffd")


def test_the_work_for_a_token_does_not_grow() -> None:
    longest = 0

    def decode(ids: Sequence[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return str(TINY.decode(ids))

    stream = Detokenizer(decode)
    text = "My dog is called Fitzo and he likes long walks. " * 50
    assert "".join(map(stream.feed, TINY.encode(text).ids)) + stream.finish() == text
    assert longest <= 40
