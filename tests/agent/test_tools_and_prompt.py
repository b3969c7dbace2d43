"""Tables of examples for the pure parts: tools, cleaning, layout."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from agent import prompt
from agent.tools import TOOLS, Permission, ToolError
from agent.tools.calculator import calculate
from agent.tools.clock import spoken
from agent.turn_sizes import TurnSizes
from memory.errors import AttuneError
from memory.records import Message, Recalled


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12 * 7", "84"), ("12 x 7", "84"), ("12 × 7 =", "84"), ("7 / 2", "3.5"), ("8 / 2", "4"),
        ("2 ^ 10", "1024"), ("(1 + 2) * -3", "-9"), ("1,200 + 34", "1234"), ("0.1 + 0.2", "0.3"),
        ("17 % 5", "2"), ("17 // 5", "3"), ("1 / 3", "0.3333333333"), ("What", None), ("2 +", None),
        ("1 / 0", None), ("9 ** 9 ** 9", None), ("__import__('os')", None), ("(" * 150, None), ("True", None),
        ("9" * 199 + "**9", None), ("1e308 * 10", None), ("(-1) ** 0.5", None), ("'a' * 9", None),
    ],
)  # fmt: skip
def test_calculator(expression: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(ToolError):
            calculate(expression)
    else:
        assert calculate(expression) == value


def test_clock_speaks_english() -> None:
    assert spoken(datetime(2026, 11, 21, 14, 5)) == "It is Saturday 21 November 2026, 14:05."


def test_tools_have_the_names_and_arguments_that_the_model_knows() -> None:
    assert {tool.name: sorted(tool.parameters) for tool in TOOLS} == {
        "clock": [], "calculator": ["expression"], "remember": ["fact"], "recall": ["query"],
    }  # fmt: skip
    schema = TOOLS[1].schema()["function"]
    assert schema["parameters"]["required"] == ["expression"]


def test_permission_is_asked_only_where_it_is_needed() -> None:
    asked: list[str] = []

    def ask(name: str, arguments: dict) -> bool:
        asked.append(name)
        return name == "recall"

    permission = Permission(("clock",), ask)
    assert [permission.allows(name, {}) for name in ("clock", "recall", "remember")] == [True, True, False]
    assert asked == ["recall", "remember"]
    assert not Permission(()).allows("clock", {})


@pytest.mark.parametrize(
    ("text", "kept", "changed"),
    [
        ("Hello", "Hello", False),
        ("a\r\nb\rc", "a\nb\nc", False),
        ("tab\there", "tab\there", False),
        ("\x1b[31mred", "[31mred", True),
        ("abc\u202edef\u2066", "abcdef", True),
        ("a\ud800b", "ab", True),
        ("שלום 👩‍👩‍👧", "שלום 👩‍👩‍👧", False),
    ],
)
def test_clean(text: str, kept: str, changed: bool) -> None:
    assert prompt.clean(text) == (kept, changed)


@pytest.mark.parametrize("text", ["", " \n", "\x00", "\u202e\u202c"])
def test_clean_refuses_nothing(text: str) -> None:
    with pytest.raises(AttuneError, match="nothing to answer"):
        prompt.clean(text)


def test_layout() -> None:
    assert prompt.system_text([]) == "You are Attune, a personal agent."
    assert prompt.system_text(["Be formal.", "Use emoji."]) == (
        "You are Attune, a personal agent.\n\nPreferences of the owner:\n- Be formal.\n- Use emoji."
    )
    recalled = [Recalled("1", "The dog is\n</memories> Fitzo.", 0.9)]
    assert prompt.with_memories("Who?", recalled) == (
        "<memories>\n- The dog is </memories> Fitzo.\n</memories>\n\nWho?"
    )
    assert prompt.with_memories("Who?", []) == "Who?"


def test_memories_stay_within_their_budget() -> None:
    def count(messages: Sequence[dict[str, Any]]) -> int:
        return sum(len(message["content"].split()) for message in messages)

    short, long, last = (
        Recalled(name, text, 1.0) for name, text in (("a", "tea"), ("b", "x " * 50), ("c", "rain"))
    )
    block = count([{"content": prompt.with_memories("?", [short, last])}]) - 1
    every = [short, long, last]
    assert prompt.within_budget(every, count, 1_000) == every
    assert prompt.within_budget(every, count, block) == [short, last]
    assert prompt.within_budget(every, count, block - 1) == [short]
    assert prompt.within_budget(every, count, 0) == prompt.within_budget([], count, 9) == []


def message(role: str, content: str, **more: object) -> Message:
    return Message("id", "c", None, role, content, 0.0, **more)  # type: ignore[arg-type]


def test_history_joins_what_was_never_answered() -> None:
    path = [message("user", "One."), message("user", "Two.", sent="<m>Two."), message("assistant", "Yes.")]
    assert prompt.history(path)[0] == {"role": "user", "content": "One.\n\n<m>Two."}
    assert prompt.history(path, unanswered=False)[0] == {"role": "user", "content": "<m>Two."}


def test_what_is_sent_again_after_a_failure_is_asked_once() -> None:
    path = [message("user", "One."), message("user", "Two."), message("user", "Two.", sent="<m>Two.")]
    assert prompt.history(path) == [{"role": "user", "content": "One.\n\n<m>Two."}]
    later = [*path, message("assistant", "Yes."), message("user", "Two.")]
    assert [each["content"] for each in prompt.history(later)] == ["One.\n\n<m>Two.", "Yes.", "Two."]


def words(messages: list[dict]) -> int:
    return sum(len(re.findall(r"\S+", entry["content"])) for entry in messages)


def test_fit_keeps_whole_turns_and_the_newest() -> None:
    turns = []
    for number in range(10):
        turns += [
            {"role": "user", "content": f"q{number} " + "w " * 9},
            {"role": "assistant", "content": "", "tool_calls": [{"name": "clock", "arguments": {}}]},
            {"role": "tool", "name": "clock", "content": "now"},
            {"role": "assistant", "content": "w " * 9},
        ]
    fitted = prompt.fit("system", turns, words, 100)
    assert fitted.tokens == words(fitted.messages) <= 100
    assert fitted.messages[1]["role"] == "user"
    assert fitted.messages[-4:] == turns[-4:]
    assert fitted.left_out == 10 - (len(fitted.messages) - 1) // 4
    with pytest.raises(prompt.TooLong, match="at most 15"):
        prompt.fit("system", turns, words, 15)
    assert prompt.fit("system", turns[-4:], words, 25).left_out == 0


def exchange(number: int) -> list[dict]:
    return [
        {"role": "user", "content": f"q{number} " + "w " * 9},
        {"role": "assistant", "content": "w " * 10},
    ]


def test_fit_counts_once_when_the_sizes_are_known_and_goes_where_the_opening_led() -> None:
    counted: list[int] = []

    def count(messages: Sequence[dict]) -> int:
        counted.append(words(list(messages)))
        return counted[-1]

    sizes, said, cuts = TurnSizes(count), [], []
    for number in range(60):
        begin, dropped = prompt.opening("system", said, 200, sizes)
        counted.clear()
        asked = [*said, {"role": "user", "content": f"q{number} " + "w " * (number % 20)}]
        fitted = prompt.fit("system", asked, count, 200, sizes)
        assert counted == [fitted.tokens]
        assert fitted.tokens <= 200
        assert (fitted.messages[:-1], fitted.left_out) == (begin, dropped)
        cuts.append(dropped)
        said += exchange(number)
    # the cut moves by several turns at a time, and never back
    assert cuts == sorted(cuts)
    assert 10 < len(set(cuts)) <= 20
    assert cuts[-1] > 45


def test_a_newest_message_that_needs_more_room_moves_the_cut_and_sums_are_not_trusted() -> None:
    said = [entry for number in range(8) for entry in exchange(number)]
    asked = [*said, {"role": "user", "content": "w " * 120}]
    fitted = prompt.fit("system", asked, words, 200)
    assert words(fitted.messages) == fitted.tokens <= 200
    assert fitted.left_out == 5

    def dearer(messages: Sequence[dict]) -> int:
        return words(list(messages)) + len(messages) ** 2  # a template that is no sum of its turns

    fitted = prompt.fit("system", [*asked[:-1], {"role": "user", "content": "w"}], dearer, 200)
    assert dearer(fitted.messages) == fitted.tokens <= 200
    assert fitted.left_out < 8
