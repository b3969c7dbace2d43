"""Learned documents as a turn, a command and a footer use them: which passages a prompt shows, and their
citations. The agent cites what was shown; it does not rely on the model to name its sources."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from memory.errors import AttuneError
from memory.records import Message, Passage, Recalled
from memory.statements.wording import SENTENCE

if TYPE_CHECKING:
    from agent.runtime import Runtime
    from policies.policy import Policy

# Share of the context, and tokens at most, for memories and passages together.
SHARE, MOST_TOKENS = 4, 1_000
MOST_PASSAGES = 4
TOLD = """
    SELECT DISTINCT json_extract(one.value, '$.text') AS text
    FROM message JOIN generation ON reply_id = message.id, json_each(body, '$.passages') AS one
    WHERE conversation_id = ?
"""
USE = "Use /learn PATH, /learn list or /learn forget PATH."


@dataclass(frozen=True, slots=True)
class Source:
    """A citation: the marker that stands before the passage in the prompt, and where the passage is from."""

    marker: int
    path: str
    place: str
    text: str
    score: float


def passages_for(
    runtime: Runtime,
    policy: Policy,
    text: str,
    recalled: Sequence[Recalled],
    shown: Sequence[Passage] = (),
) -> list[Passage]:
    """The passages that a prompt shows beside the memories, within what these leave of the budget, and what
    the passages leave that the turn was `shown` already."""

    def count(one: str) -> int:
        return policy.count_tokens([{"role": "user", "content": f"- [1] {one}"}])

    if not runtime.has_documents:
        return []
    budget = min(policy.context_length // SHARE, MOST_TOKENS)
    budget -= sum(count(memory.text) for memory in recalled) + sum(count(passage.text) for passage in shown)
    return runtime.documents.passages.search(text, budget, count, most=MOST_PASSAGES)


def claims(runtime: Runtime, source: Message, passages: Sequence[Passage]) -> list[str]:
    """What documents told the model up to this turn, in short pieces: what repeats one of these does not
    come from the owner. `passages` are those of this turn; earlier ones stand in its prompt as history."""
    before = runtime.journal.db.rows(TOLD, (source.conversation_id,))
    texts = {*(one.text for one in passages), *(row["text"] for row in before)}
    # Sentences run over the ends of lines, and items of a list end with their lines.
    return [
        piece for text in texts for one in (text, " ".join(text.split())) for piece in SENTENCE.split(one)
    ]


def sources(passages: Sequence[Passage]) -> list[Source]:
    """In the order of their markers."""
    return [
        Source(number, one.path, one.place, one.text, one.score) for number, one in enumerate(passages, 1)
    ]


def sources_line(passages: Sequence[Passage]) -> str:
    """The footer of a reply: "Sources: [1] notes.md, line 12". Empty without passages.

    A file is named by its path where two of the same name are cited.
    """
    if not passages:
        return ""
    names = {PurePath(path).name for path in {one.path for one in passages}}
    short = len(names) == len({one.path for one in passages})
    cited = [
        f"[{one.marker}] {PurePath(one.path).name if short else one.path}, {one.place}"
        for one in sources(passages)
    ]
    return "Sources: " + " \u00b7 ".join(cited)


def list_text(runtime: Runtime) -> str:
    """What was learned, a line a file."""
    lines = [
        f"{one.passages:6,} passages  {one.format:<5} {one.path}" for one in runtime.documents.store.all()
    ]
    return (
        "\n".join(lines)
        or "Nothing was learned yet; `attune learn PATH` or /learn PATH reads files and folders."
    )


def follow(
    runtime: Runtime,
    rest: str,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> str:
    """The slash command: what to say. AttuneError when it cannot be done."""
    try:
        words = shlex.split(rest)
    except ValueError as unbalanced:
        raise AttuneError(f"A quotation mark is open. {USE}") from unbalanced
    if not words or words == ["list"]:
        return list_text(runtime)
    if words[0] == "forget":
        if len(words) != 2:
            raise AttuneError(USE)
        gone = runtime.documents.forget(Path(words[1]))
        return f"Forgotten: {', '.join(gone)}."
    return runtime.documents.learn([Path(word) for word in words], progress, cancelled).text()
