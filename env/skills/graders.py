"""Was it done? Pure functions on the text of a reply; each returns a predicate."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from env.skills.topics import Topic, topics
from memory.taste.features import features

Grade = Callable[[str], bool]
CALL = re.compile(r"<tool_call>\s*(\{.*\})\s*</tool_call>", re.DOTALL)
NOT_KNOWN = re.compile(r"\b(?:do not know|don't know|have not told|haven't told|not sure)\b", re.IGNORECASE)


def called(text: str) -> dict[str, Any] | None:
    """The tool call in a reply, or None if there is none that can be read."""
    found = CALL.search(text)
    if not found:
        return None
    try:
        call = json.loads(found.group(1))
    except ValueError:
        return None
    return call if isinstance(call, dict) and isinstance(call.get("arguments"), dict) else None


def plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().casefold()


def mentions(text: str, value: str) -> bool:
    """`value` stands in `text` as a whole, in its own letters and case."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def states_facts_of(topic: Topic) -> Grade:
    """At least one fact of `topic` in its own words, and none of any other topic."""
    own = {plain(fact) for fact in topic.facts}
    foreign = {plain(fact) for other in topics() if other.name != topic.name for fact in other.facts}

    def grade(text: str) -> bool:
        told = plain(text)
        return any(fact in told for fact in own) and not any(fact in told for fact in foreign)

    return grade


def mentions_topic(topic: Topic) -> Grade:
    """Names `topic` in any case: all that can be asked of a model whose facts are not ours."""
    pattern = re.compile("|".join(rf"\b{re.escape(name)}" for name in topic.names), re.IGNORECASE)
    return lambda text: pattern.search(text) is not None


def follows(wanted: Sequence[str]) -> Grade:
    """Every feature of memory.taste.features named in `wanted` is there."""
    return lambda text: all(getattr(features(text), name) for name in wanted)


def answers(value: str, others: Sequence[str] = ()) -> Grade:
    """The value asked for, and none of the others that stood beside it."""
    return lambda text: mentions(text, value) and not any(mentions(text, other) for other in others)


def admits(shown: Sequence[str] = ()) -> Grade:
    """Says that it does not know, and offers none of the values that it was shown."""
    return lambda text: bool(NOT_KNOWN.search(text)) and not any(mentions(text, value) for value in shown)


def calls(name: str, argument: str = "", *holds: str) -> Grade:
    """Calls tool `name`; with `argument`, it equals one of `holds` (spaces and a final stop aside)."""

    def squeeze(text: str) -> str:
        return re.sub(r"\s+", "", text).rstrip(".").casefold()

    def grade(text: str) -> bool:
        call = called(text)
        if call is None or call.get("name") != name:
            return False
        given = squeeze(str(call["arguments"].get(argument, "")))
        return not argument or any(given == squeeze(one) for one in holds)

    return grade


def names_the_way_out(text: str) -> bool:
    """The honest answer to a question beyond the model names /model."""
    return "/model" in text
