"""The ledger as training rows: thumbs are unpaired rows; edits, picks and split siblings are pairs.

Rows carry the exact prompt and token ids of the reply that was judged, so that training needs no
guess about how the prompt was rendered. Nothing here knows a tokenizer: the ids of an edited text are
left empty, and the learner fills them in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from env.episodes import Signal, signals
from memory.journal import Journal
from memory.records import Feedback, Generation, Message
from memory.taste.card_texts import card_block
from memory.taste.observations import Observations

Source = Literal["thumb", "edit", "pick", "siblings", "hindsight"]


@dataclass(frozen=True, slots=True)
class Reply:
    """Something said, or wished. `ids` are empty when `text` never came out of the policy; they are under
    the tokenizer of `base`.

    `finished` is False for a reply that was cut off (cancelled, or out of tokens): no end-of-turn
    token belongs after it.
    """

    text: str
    ids: tuple[int, ...] = ()
    finished: bool = True
    base: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the policy was shown. `ids` are under the tokenizer of `base`."""

    messages: tuple[dict[str, Any], ...]
    text: str
    ids: tuple[int, ...]
    base: str
    tools: tuple[dict[str, Any], ...] = ()

    @property
    def question(self) -> str:
        """The newest user turn, folded for comparison: the part of a prompt that must not leak."""
        turns = [m["content"] for m in self.messages if m.get("role") == "user"]
        return " ".join(str(turns[-1]).rsplit("</memories>", 1)[-1].casefold().split()) if turns else ""


@dataclass(frozen=True, slots=True)
class Unpaired:
    """One reply that was liked (`label` True) or disliked, and `why`, where the owner said so.

    `style` is False for a verdict on what the reply says, which tells nothing of taste (`memory/taste`).
    """

    prompt: Prompt
    completion: Reply
    label: bool
    reply_id: str
    conversation_id: str
    created_at: float
    feedback_ids: tuple[str, ...]
    source: Source = "thumb"
    why: str | None = None
    style: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """Two replies to one prompt, the better one first. `reply_id` is the reply that the event names.

    `style` as in Unpaired.
    """

    prompt: Prompt
    chosen: Reply
    rejected: Reply
    reply_id: str
    conversation_id: str
    created_at: float
    feedback_ids: tuple[str, ...]
    source: Source
    chosen_id: str | None = None
    rejected_id: str | None = None
    style: bool = True


Row = TypeVar("Row", bound=Unpaired | Pair)


def judgements(row: Unpaired | Pair) -> list[tuple[Reply, bool, str | None]]:
    """(what was said, whether it is liked, the id of the reply that it is) for each side of `row`.

    The id is None for what no reply says: the owner's own words, and an answer that was made of a reason.
    """
    if isinstance(row, Pair):
        return [(row.chosen, True, row.chosen_id), (row.rejected, False, row.rejected_id)]
    written = row.label and row.source in ("edit", "hindsight")
    return [(row.completion, row.label, None if written else row.reply_id)]


def rows(journal: Journal) -> tuple[list[Unpaired], list[Pair]]:
    """(unpaired, pairs) of the whole ledger, oldest first.

    A thumb is always an unpaired row; where siblings under one question have opposite thumbs they are
    pairs as well, and the learner takes the one reading or the other, never both. Of what was said of the
    same two replies, and of several edits of one reply, the newest counts.
    """
    unpaired: list[Unpaired] = []
    pairs: list[Pair] = []
    siblings: dict[str | None, list[Signal]] = defaultdict(list)
    said: dict[str, Message] = {}
    for signal in signals(journal):
        feedback = signal.feedback
        said |= {reply.id: reply for reply in (signal.reply, signal.other) if reply is not None}
        if feedback.kind == "thumb":
            unpaired.append(_thumb(signal))
            siblings[signal.reply.parent_id].append(signal)
        elif (
            feedback.kind == "edit"
            and feedback.text
            and feedback.text.strip() != signal.reply.content.strip()
        ):
            pairs.append(_edit(signal, feedback.text.strip()))
        elif feedback.kind == "pick" and signal.other is not None and signal.other_generation is not None:
            lost = replace(signal, reply=signal.other, generation=signal.other_generation)
            pairs.append(_compared("pick", signal, lost, feedback))
    for parent, judged in siblings.items():
        if parent is not None:
            pairs += _split_siblings(judged)
    style = Observations(journal).about_style(said.values())
    return _marked(unpaired, _standing(pairs), style)


def _marked(
    unpaired: Sequence[Unpaired], pairs: Sequence[Pair], style: Mapping[str, bool]
) -> tuple[list[Unpaired], list[Pair]]:
    """The rows, those about what was said marked as such: of a pair both replies have a style, or none."""
    return (
        [row if style[row.reply_id] else replace(row, style=False) for row in unpaired],
        [
            pair
            if all(style[one] for one in (pair.chosen_id, pair.rejected_id) if one is not None)
            else replace(pair, style=False)
            for pair in pairs
        ],
    )


def _standing(pairs: Iterable[Pair]) -> list[Pair]:
    """Of any two replies the newest judgement alone, oldest first: who picks the other one has thought again.

    Where thumbs only say the same as a pick, the pick stays.
    """
    found: dict[frozenset[str | None], Pair] = {}
    for pair in sorted(pairs, key=lambda pair: pair.created_at):
        # of the owner's own words for a reply the newest count: what they replaced is not preferred to it
        both = frozenset({pair.chosen_id, pair.rejected_id})
        old = found.get(both)
        if old is None or pair.source != "siblings" or old.chosen_id != pair.chosen_id:
            found.pop(both, None)
            found[both] = pair
    return list(found.values())


def unpair(unpaired: Sequence[Unpaired], pairs: Iterable[Pair]) -> list[Unpaired]:
    """All rows as thumbs: the better half of a pair is liked, the worse one disliked.

    A reply that has a thumb of its own keeps that thumb and gets no second row. Of several `pairs`, oldest
    first, that a reply stands in the newest says whether it is liked.
    """
    result, pairs = list(unpaired), list(pairs)
    seen = {row.reply_id for row in unpaired}
    liked = {
        one: better for pair in pairs for one, better in ((pair.chosen_id, True), (pair.rejected_id, False))
    }
    for pair in pairs:
        for reply, reply_id, label in (
            (pair.chosen, pair.chosen_id, True),
            (pair.rejected, pair.rejected_id, False),
        ):
            if reply_id is not None and (reply_id in seen or liked[reply_id] is not label):
                continue
            if reply_id is not None:
                seen.add(reply_id)
            about = (reply_id or pair.reply_id, pair.conversation_id, pair.created_at, pair.feedback_ids)
            result.append(Unpaired(pair.prompt, reply, label, *about, pair.source, style=pair.style))
    return result


def _thumb(signal: Signal) -> Unpaired:
    return Unpaired(
        prompt=_prompt(signal.generation),
        completion=_said(signal.reply.content, signal.generation),
        label=signal.feedback.value > 0,
        reply_id=signal.reply.id,
        conversation_id=signal.reply.conversation_id,
        created_at=signal.feedback.created_at,
        feedback_ids=(signal.feedback.id,),
        why=signal.feedback.why,
    )


def _split_siblings(judged: Sequence[Signal]) -> list[Pair]:
    """Each liked sibling against each disliked one; the prompt is the liked one's."""
    liked = [signal for signal in judged if signal.feedback.value > 0]
    disliked = [signal for signal in judged if signal.feedback.value < 0]
    return [
        _compared("siblings", good, bad, good.feedback, bad.feedback) for good in liked for bad in disliked
    ]


def _edit(signal: Signal, text: str) -> Pair:
    """The owner's own words against the reply."""
    return Pair(
        prompt=_prompt(signal.generation),
        chosen=Reply(text),
        rejected=_said(signal.reply.content, signal.generation),
        reply_id=signal.reply.id,
        conversation_id=signal.reply.conversation_id,
        created_at=signal.feedback.created_at,
        feedback_ids=(signal.feedback.id,),
        source="edit",
        rejected_id=signal.reply.id,
    )


def _compared(source: Source, good: Signal, bad: Signal, *events: Feedback) -> Pair:
    """Two replies of the policy, by what `events` say of them; the time is that of the newest."""
    return Pair(
        prompt=_prompt(good.generation),
        chosen=_said(good.reply.content, good.generation),
        rejected=_said(bad.reply.content, bad.generation),
        reply_id=good.reply.id,
        conversation_id=good.reply.conversation_id,
        created_at=max(event.created_at for event in events),
        feedback_ids=tuple(event.id for event in events),
        source=source,
        chosen_id=good.reply.id,
        rejected_id=bad.reply.id,
    )


def _prompt(generation: Generation) -> Prompt:
    if generation.trial:
        return _untried(generation)
    return Prompt(
        messages=tuple(generation.messages),
        text=generation.prompt_text,
        ids=tuple(generation.prompt_ids),
        base=generation.base,
        tools=tuple(generation.tools),
    )


def _untried(generation: Generation) -> Prompt:
    """The prompt without the card lines that were only tried: the thumb says whether the owner wants this
    style, not whether a reply should do what its card says. The ids are left to the learner.
    """
    system, *rest = generation.messages
    bare = {**system, "content": system["content"].removesuffix(card_block(generation.card_lines))}
    return Prompt(
        messages=(bare, *rest), text="", ids=(), base=generation.base, tools=tuple(generation.tools)
    )


def _said(text: str, generation: Generation) -> Reply:
    return Reply(text, tuple(generation.completion_ids), generation.finish_reason == "stop", generation.base)
