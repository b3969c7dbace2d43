"""Tool calls in reply text: tables of examples, and a stream that never shows one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.tool_calls import ToolCallFilter, parse_tool_calls

CLOCK = {"name": "clock", "arguments": {}}
SUM = {"name": "calculator", "arguments": {"expression": "6 * 14"}}


@pytest.mark.parametrize(
    ("text", "visible", "calls"),
    [
        ("Hello.", "Hello.", []),
        ("", "", []),
        ('<tool_call>{"name": "clock", "arguments": {}}</tool_call>', "", [CLOCK]),
        ('<tool_call>\n{"name": "clock"}\n</tool_call>', "", [CLOCK]),
        ('Wait.\n<tool_call>{"name": "clock", "arguments": null}</tool_call>\n', "Wait.", [CLOCK]),
        ('<tool_call>{"name":"calculator","parameters":{"expression":"6 * 14"}}</tool_call>', "", [SUM]),
        (
            '<tool_call>{"name":"calculator","arguments":"{\\"expression\\":\\"6 * 14\\"}"}</tool_call>',
            "",
            [SUM],
        ),
        ('<tool_call>{"function": {"name": "clock", "arguments": {}}}</tool_call>', "", [CLOCK]),
        # the end was never written: the reply stopped there
        ('<tool_call>{"name": "clock", "arguments": {}}', "", [CLOCK]),
        (
            '<tool_call>{"name": "clock"}</tool_call><tool_call>'
            '{"name": "calculator", "arguments": {"expression": "6 * 14"}}</tool_call>',
            "",
            [CLOCK, SUM],
        ),
        ('{"name": "clock", "arguments": {}}', "", [CLOCK]),
        ('```json\n{"name": "calculator", "parameters": {"expression": "6 * 14"}}\n```', "", [SUM]),
        # nothing that can be read as a call: as it is
        ("<tool_call>{oops}</tool_call>", "<tool_call>{oops}</tool_call>", []),
        ('<tool_call>["clock"]</tool_call>', '<tool_call>["clock"]</tool_call>', []),
        ('<tool_call>{"name": 7}</tool_call>', '<tool_call>{"name": 7}</tool_call>', []),
        ('<tool_call>{"name": "a", "arguments": [1]}</tool_call>', '<tool_call>{"name": "a", "arguments": [1]}</tool_call>', []),  # noqa: E501
        # numbers that JSON does not have, which no database could read again
        ('<tool_call>{"name": "a", "arguments": {"x": 1e999}}</tool_call>', '<tool_call>{"name": "a", "arguments": {"x": 1e999}}</tool_call>', []),  # noqa: E501
        ('<tool_call>{"name": "a", "arguments": "{\\"x\\": [NaN]}"}</tool_call>', '<tool_call>{"name": "a", "arguments": "{\\"x\\": [NaN]}"}</tool_call>', []),  # noqa: E501
        ('{"name": "Fitzo", "age": 3}', '{"name": "Fitzo", "age": 3}', []),
        ("<tool_call>" + "[" * 100_000, "<tool_call>" + "[" * 100_000, []),
    ],
)  # fmt: skip
def test_parse(text: str, visible: str, calls: list[dict[str, object]]) -> None:
    assert parse_tool_calls(text) == (visible, calls)
    for size in (1, 3, 7, 1000):
        seen, last = feed(text, size)
        assert last[1:] == (visible, calls)
        assert (seen + last[0]).strip() == visible.strip()
        assert not calls or "<tool" not in seen + last[0]


def feed(text: str, size: int) -> tuple[str, tuple[str, str, list[dict[str, object]]]]:
    stream = ToolCallFilter()
    seen = "".join(stream.feed(text[at : at + size]) for at in range(0, len(text), size))
    return seen, stream.finish()


def test_text_that_is_no_call_flows_at_once() -> None:
    stream = ToolCallFilter()
    assert stream.feed("It is 3 ") == "It is 3 "
    assert stream.feed("< 4") == "< 4"
    assert stream.feed(" and <to") == " and "
    assert stream.feed("day>") == "<today>"
    assert stream.feed(" <tool_call>{") == " "
    assert stream.feed("}") == ""


@given(st.text(alphabet='<>tool_cal{}" na:', max_size=60), st.integers(1, 9))
def test_nothing_is_lost_and_nothing_is_shown_twice(text: str, size: int) -> None:
    seen, (rest, visible, calls) = feed(text, size)
    assert seen + rest == visible or calls
