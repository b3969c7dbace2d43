"""The nouns of the house: what happened, what is known, what was thought of it.

Every record is a frozen dataclass; times are Unix seconds (float, UTC), ids are opaque strings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["user", "assistant", "tool"]
FeedbackKind = Literal["thumb", "edit", "pick"]
CardState = Literal["auto", "pinned", "struck"]
Origin = Literal["said", "inferred"]
Ending = Literal["edited", "superseded", "retracted"]
AdapterStatus = Literal["candidate", "promoted", "provisional", "rejected"]
# What stands in old prompts in the place of a memory that was erased.
FORGOTTEN = "(forgotten)"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One tree of messages. `head_id` is the leaf that the person last looked at."""

    id: str
    title: str
    created_at: float
    updated_at: float
    head_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A node of a conversation tree.

    `content` is what the person reads; `sent` is what the model was shown in its place (a user turn
    carries its recalled memories there), kept so that the next prompt repeats it to the letter and
    the key-value cache stays valid. `tool_calls` is a tuple of {"name", "arguments"} mappings.
    """

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    created_at: float
    sent: str | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()
    tool_name: str | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Recalled:
    """A memory as it was shown to the model, with the score it was ranked by and the parts of it.

    `ranks` says which retriever found it: its place (from 1) among the nearest "vectors" and in the "full
    text"; and how many "repeats" it stands for, which say the same and were not shown.
    """

    memory_id: str
    text: str
    score: float
    parts: dict[str, float] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a learned document as it was shown to the model, and where it stands in it.

    `ids` are its neighbouring rows, `begin` and `end` characters of the document's text, `place` is such as
    "page 3" or "lines 12\u20134". `parts` adds up to the score it was ranked by.
    """

    ids: tuple[int, ...]
    document_id: str
    path: str
    place: str
    text: str
    score: float
    parts: dict[str, float] = field(default_factory=dict)
    heading: str = ""
    begin: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """How a reply came about: enough to train on it and to explain it.

    `prompt_ids` and `completion_ids` are token ids under `base`'s tokenizer; `messages` is the exact
    chat list that was rendered (system first). `card_lines` are the texts of the card that was shown.
    `trial` names the styles among them that were only tried once, to learn whether they are liked.
    """

    reply_id: str
    base: str
    adapter: str | None
    messages: tuple[dict[str, Any], ...]
    prompt_text: str
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    sampling: dict[str, Any]
    recalled: tuple[Recalled, ...] = ()
    passages: tuple[Passage, ...] = ()
    card_lines: tuple[str, ...] = ()
    trial: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    finish_reason: str = "stop"
    first_token_ms: float = 0.0
    total_ms: float = 0.0
    reused_tokens: int = 0


def tried(stored: Any) -> tuple[str, ...]:
    """`Generation.trial` as a home or an export holds it: a list, or in older ones a name or nothing."""
    return (stored,) if isinstance(stored, str) else tuple(stored or ())


@dataclass(frozen=True, slots=True)
class Feedback:
    """One append-only event about a reply. `seq` grows by one with every event of a home.

    kind "thumb": `value` is +1, -1, or 0 (a clear: the rating is taken back); `why` may explain it.
    kind "edit":  `text` is the owner's better version of the reply.
    kind "pick":  the owner preferred this reply to `other_id`, its sibling.
    `source` names who gave it: "owner" or a simulated person.
    """

    id: str
    seq: int
    reply_id: str
    kind: FeedbackKind
    value: int
    created_at: float
    why: str | None = None
    text: str | None = None
    other_id: str | None = None
    source: str = "owner"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a memory stands in what was said in sequence: `position` in `thread`, `at` a time, `by` whom."""

    thread: str
    position: int
    at: float | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """One remembered fact, where it came from, and when it held.

    `valid_to` is None while it holds; `superseded_by` names what replaced it. `usefulness` in (0, 1)
    is the posterior mean of Beta(1 + helped, 1 + hurt) from the thumbs of replies that were shown it.
    `origin` is "inferred" for what the agent made of the owner's words, and was last asked about at
    `asked_at`. One that no longer holds was `ended` at `ended_at`; `valid_to` may lie before that ("until
    May", said in June). `valid_from` is None where only the end is known.
    A turn of a conversation has `thread`, `position`, `told_at` and `told_by` (see Place).
    """

    id: str
    text: str
    kind: str
    created_at: float
    source_message_id: str | None = None
    valid_from: float | None = None
    valid_to: float | None = None
    superseded_by: str | None = None
    helped: float = 0.0
    hurt: float = 0.0
    origin: Origin = "said"
    ended: Ending | None = None
    ended_at: float | None = None
    asked_at: float | None = None
    thread: str | None = None
    position: int | None = None
    told_at: float | None = None
    told_by: str | None = None

    @property
    def place(self) -> Place | None:
        """Where it was said, if it is a turn of a conversation."""
        if self.thread is None or self.position is None:
            return None
        return Place(self.thread, self.position, self.told_at, self.told_by)

    @property
    def usefulness(self) -> float:
        return (1.0 + self.helped) / (2.0 + self.helped + self.hurt)


@dataclass(frozen=True, slots=True)
class CardLine:
    """A line of the preference card, and why it stands there.

    `probability` is the posterior probability that the owner likes replies with the feature better
    than replies without it. `evidence` holds (reply id, had the feature, value) for each rating used.
    """

    feature: str
    text: str
    probability: float
    state: CardState = "auto"
    active: bool = True
    evidence: tuple[tuple[str, bool, int], ...] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained LoRA adapter in the registry. `sha256` is the digest of its safetensors file.

    `forgotten` counts what it was trained on and was forgotten since, by kind ("feedback", "reply",
    "memory"; see memory/forgetting/lineage.py); empty where all of it is still there.
    """

    version: str
    base: str
    base_sha256: str
    algorithm: str
    status: AdapterStatus
    sha256: str
    created_at: float
    path: str
    signals: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    active: bool = False
    forgotten: dict[str, int] = field(default_factory=dict)
