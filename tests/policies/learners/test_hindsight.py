"""A "why" becomes a pair: the answer with the owner's words in the prompt against the first one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from env.datasets import Prompt, Reply, Unpaired
from memory.taste.card_texts import CARD_TEXTS, card_block
from memory.taste.features import features
from policies.base_models import resolve
from policies.language_policy import LanguagePolicy
from policies.learners.hindsight import hindsight, told
from policies.policy import SamplingParams
from policies.rows import Tokeniser, Tokens
from tests.policies.rated import PERSONA, chat

LONG = "Rivers are long. They run to the sea. They carry water, sand and boats. Many people live near them."


def disliked(text: str, why: str | None, label: bool = False, **prompt: Any) -> Unpaired:
    shown = Prompt(tuple(chat("Tell me about rivers.")), "", (), "sprout", **prompt)
    return Unpaired(shown, Reply(text), label, "r1", "c1", 1.0, ("f1",), why=why)


@dataclass
class Answers:
    """A policy that answers from a list, and remembers what it was asked."""

    texts: list[str]
    finish: str = "stop"
    asked: list[Any] = field(default_factory=list)
    context_length: int = 200

    def count_tokens(self, messages: Any, tools: Any = ()) -> int:
        return sum(len(message["content"].split()) for message in messages)

    def generate(self, batch: Any, sampling: SamplingParams, tools: Any = ()) -> list[Any]:
        self.asked += batch
        return [Said(self.texts.pop(0), self.finish) for _ in batch]


@dataclass
class Said:
    text: str
    finish_reason: str


class Objector:
    """A reward model that likes nothing but one text."""

    def __init__(self, words: Tokeniser, text: str) -> None:
        self.liked = words.row(disliked("", None).prompt, Reply(text)).completion_ids

    def preference(self, one: Tokens, other: Tokens) -> float:
        return 0.9 if one.completion_ids == self.liked else 0.1


@pytest.fixture
def words(policy: LanguagePolicy) -> Tokeniser:
    return Tokeniser(policy.tokenizer, policy.base, policy.stop_ids)


def test_the_reason_is_the_last_line_of_the_card() -> None:
    bare = told(chat("Hello"), "Too\n long.")
    assert bare[0]["content"] == PERSONA + card_block(("Too long.",))
    assert bare[1:] == chat("Hello")[1:]
    full = [{"role": "system", "content": PERSONA + card_block(("Use emoji.",))}, *chat("Hello")[1:]]
    assert told(full, "Too long.")[0]["content"] == PERSONA + card_block(("Use emoji.", "Too long."))
    without = told(chat("Hello")[1:], "Too long.")
    assert without[0] == {"role": "system", "content": card_block(("Too long.",)).strip()}
    assert without[1:] == chat("Hello")[1:]


def test_a_reason_becomes_a_pair_under_the_prompt_as_it_was(words: Tokeniser) -> None:
    row, policy = disliked(LONG, "Too long."), Answers(["Rivers are long."])
    found = hindsight(policy, [row], words)  # type: ignore[arg-type]
    (pair,) = found.pairs
    assert (pair.chosen.text, pair.rejected) == ("Rivers are long.", row.completion)
    assert pair.prompt == row.prompt
    assert (pair.source, pair.feedback_ids, pair.rejected_id) == ("hindsight", ("f1",), "r1")
    assert "- Too long." in policy.asked[0][0]["content"]


def test_only_a_thumb_down_with_a_reason_is_answered_again(words: Tokeniser) -> None:
    rows = [disliked(LONG, None), disliked(LONG, "Lovely.", label=True)]
    policy = Answers(["x"])
    assert hindsight(policy, rows, words).pairs == ()  # type: ignore[arg-type]
    assert not policy.asked


@pytest.mark.parametrize(
    ("answer", "finish"), [(LONG, "stop"), ("", "stop"), ("no no no no no no", "stop"), ("Rivers", "length")]
)
def test_an_answer_that_is_none_is_dropped(words: Tokeniser, answer: str, finish: str) -> None:
    found = hindsight(Answers([answer], finish), [disliked(LONG, "Too long.")], words)  # type: ignore[arg-type]
    assert found.pairs == ()
    assert (found.unanswered, found.objected) == (1, 0)


def test_a_call_of_a_tool_is_no_answer(words: Tokeniser) -> None:
    call = '<tool_call>{"name": "clock", "arguments": {}}</tool_call>'
    found = hindsight(Answers([call]), [disliked(LONG, "too long")], words)  # type: ignore[arg-type]
    assert (found.pairs, found.unanswered) == ((), 1)


def test_a_prompt_without_room_for_the_reason_is_left_out_alone(words: Tokeniser) -> None:
    rows = [disliked(LONG, "Too long."), disliked(LONG, "far too long " * 80), disliked(LONG, "Too dull.")]
    policy = Answers(["Rivers are long.", "Rivers are wet."])
    found = hindsight(policy, rows, words)  # type: ignore[arg-type]
    assert [pair.chosen.text for pair in found.pairs] == ["Rivers are long.", "Rivers are wet."]
    assert found.unanswered == 1
    alone = Answers([])
    assert hindsight(alone, rows[1:2], words).unanswered == 1  # type: ignore[arg-type]
    assert not alone.asked


def test_the_reward_model_may_object(words: Tokeniser) -> None:
    rows = [disliked(LONG, "Too long."), disliked(LONG, "Too dull.")]
    policy = Answers(["Rivers are long.", "Rivers are wet."])
    found = hindsight(policy, rows, words, Objector(words, "Rivers are wet."))  # type: ignore[arg-type]
    assert [pair.chosen.text for pair in found.pairs] == ["Rivers are wet."]
    assert (found.unanswered, found.objected) == (0, 1)


def test_sprout_answers_as_it_was_told() -> None:
    sprout = LanguagePolicy(resolve(None), device="cpu")
    words = Tokeniser(sprout.tokenizer, sprout.base, sprout.stop_ids)
    rows = [disliked(LONG, CARD_TEXTS["brief"]), disliked("Rivers run.", CARD_TEXTS["bullets"])]
    found = hindsight(sprout, rows, words)
    # more than its context holds: as if it were not there
    beside = disliked("Rivers flow.", "far too long " * sprout.context_length)
    assert hindsight(sprout, [rows[0], beside, rows[1]], words).pairs == found.pairs
    shown = {pair.rejected.text: features(pair.chosen.text) for pair in found.pairs}
    assert shown[LONG].brief
    assert shown["Rivers run."].bullets
