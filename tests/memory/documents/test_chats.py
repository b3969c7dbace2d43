"""Exports of chats that hold what no other does: what is readable in them is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.documents.readers import read
from memory.documents.records import Unreadable
from memory.documents.store import cut
from tests.memory.documents import files


def text_of(talks: Any) -> str:
    return read("conversations.json", json.dumps(talks).encode())[1].text


def claude(**message: Any) -> list[dict[str, Any]]:
    return [{"uuid": "1", "name": "Boats", "chat_messages": [{"sender": "human", **message}]}]


NAMES = [
    "mapping", "current_node", "chat_messages", "message", "parent", "author", "role", "content", "parts",
    "text", "type", "sender", "attachments", "extracted_content", "file_name", "title", "name", "1",
]  # fmt: skip
odd = st.recursive(
    st.none() | st.integers(0, 2) | st.sampled_from(["1", "user", "human", "text", "\ud800#"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


def conversation(said: Any, node: Any, author: Any, content: Any) -> dict[str, Any]:
    """One that is whole down to some depth."""
    message = {"author": author, "content": content, "sender": "human", "attachments": [content]}
    nodes = {"0": node, "1": {"message": message, "parent": "0"}}
    return {"mapping": nodes, "current_node": "1"} if said else {"chat_messages": [message, said]}


def test_a_node_without_content_does_not_lose_the_conversation() -> None:
    talks = json.loads(files.chatgpt("Tea", [("user", "Which tea?"), ("assistant", "Rooibos.")]))
    mapping = talks[0]["mapping"]
    mapping["root"] = None
    mapping["2"] = {"message": {"author": "?", "content": ["?"]}, "parent": "1"}
    talks[0]["current_node"] = "2"
    text = text_of(talks)
    assert "**User:** Which tea?" in text
    assert "**Assistant:** Rooibos." in text


def test_a_message_of_claude_may_be_a_plain_string() -> None:
    assert "**User:** Where is the boat?" in text_of(claude(content="Where is the boat?", text=""))
    assert "**User:** Where is it?" in text_of(claude(content=[None, "?"], text="Where is it?"))


@settings(max_examples=100, deadline=None)
@given(st.lists(odd | st.builds(conversation, odd, odd, odd, odd), max_size=3))
def test_a_conversation_that_cannot_be_read_loses_only_itself(others: list[Any]) -> None:
    assert "**User:** Where is the boat?" in text_of([*others, *claude(text="Where is the boat?")])


def test_an_export_that_is_no_list_has_no_text() -> None:
    with pytest.raises(Unreadable, match="no text"):
        text_of({"conversations": 5, "chat_messages": 1, "sender": 1})


def test_what_was_pasted_into_a_message_is_read() -> None:
    pasted = [{"file_name": "boats.txt", "extracted_content": "The blue boat lies in Lindau."}, None]
    text = text_of(claude(text="What is this?", attachments=pasted))
    assert text.index("What is this?") < text.index("boats.txt") < text.index("The blue boat lies in Lindau.")
    assert "in Lindau." in text_of(claude(text="", content=[], attachments=pasted))


def test_headings_in_a_message_stay_below_the_conversation_and_code_stays_as_it_is() -> None:
    said = "# Plan\n\nRun this:\n\n```sh\n#!/bin/sh\n# say it\necho\n```\n\n#!/bin/sh is its first line."
    rows = cut(read("conversations.json", json.dumps(claude(text=said)).encode())[1])
    code = next(row for row in rows if "echo" in row.text)
    assert code.text == "```sh\n#!/bin/sh\n# say it\necho\n```"
    assert {row.heading for row in rows if row is not rows[0]} <= {"Boats", "Boats > Plan"}
    assert rows[-1].text == "#!/bin/sh is its first line."


def test_a_message_that_begins_with_code_stays_below_the_conversation() -> None:
    talks = claude(text="```\n# say it\necho\n```\nWhat does it do?")
    rows = cut(read("conversations.json", json.dumps(talks).encode())[1])
    assert {row.heading for row in rows} == {"Boats"}
    assert [row.text for row in rows][-2:] == ["```\n# say it\necho\n```", "What does it do?"]
