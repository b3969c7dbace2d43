"""Prompts in pieces: the same ids as in one go, and only what is new is encoded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from policies.chat_format import ChatFormat
from policies.generation.segments import Encoder
from tests.policies.tiny_models import FAMILIES, tokenizer


class Counting:
    """A tokenizer that keeps the texts it was given."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.texts: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, text: str, **options: Any) -> Any:
        self.texts.append(text)
        return self._inner(text, **options)


def conversation(turns: int) -> list[dict[str, Any]]:
    messages = [{"role": "system", "content": " You are\n\nAttune. "}]
    for number in range(turns):
        messages += [
            {"role": "user", "content": f"  caf\u00e9 {number} \u65e5\u672c\n"},
            {"role": "assistant", "content": f"{number} it's\ttrees \U0001f600 "},
        ]
    return [*messages, {"role": "user", "content": "And now?"}]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_ids_are_those_of_the_whole_text_and_only_new_pieces_are_encoded(family: str) -> None:
    counting = Counting(tokenizer(family))
    form = ChatFormat(counting)
    form.encode(form.render(conversation(20)))
    counting.texts.clear()
    longer = form.render(conversation(21))
    ids = form.encode(longer)
    assert sum(len(text) for text in counting.texts) < len(longer) / 10
    assert list(ids) == tokenizer(family)(longer, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_opening_is_what_every_next_prompt_begins_with(family: str) -> None:
    form = ChatFormat(tokenizer(family))
    said = conversation(3)[:-1]
    opening = form.opening(said)
    for text in ("And now?", " 7 trees", "\u65e5\u672c"):
        whole = form.encode(form.render([*said, {"role": "user", "content": text}]))
        assert whole[: len(opening)] == opening
        assert len(whole) - len(opening) < 30


class Prefixing:
    """Writes 0 at the start of every text, as tokenizers do that put a blank there."""

    def __init__(self) -> None:
        self.added_tokens_decoder = {1: SimpleNamespace(content="<|end|>", special=True, lstrip=False)}

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        return {"input_ids": [0, *(ord(mark) for mark in text)]}


def test_a_tokenizer_that_minds_the_start_of_a_text_gets_it_whole() -> None:
    assert Encoder(Prefixing()).encode("a<|end|>b").count(0) == 1
