"""The prompt of each round within the context, and the beginning of the next one ahead of time."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from agent import prompt
from agent.events import Event, Notice
from agent.turn import Turn
from agent.turn_sizes import TurnSizes
from memory.journal import Journal
from memory.records import Message
from policies.policy import ChatMessage, Generated, Policy

log = logging.getLogger("attune.layout")


@runtime_checkable
class Prepares(Protocol):
    """A policy that can compute, in idle time, what the next prompt begins with."""

    def prepare_next(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> None:
        """`messages` end with a reply. Returns at once; the next request takes precedence."""
        ...


class Layout:
    """Lays out the prompts of a loop's turns; remembers what it counted and what it told the person."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._left_out: dict[str, int] = {}
        self._counted: tuple[Policy, tuple[dict[str, Any], ...], TurnSizes] | None = None

    def fit(self, turn: Turn) -> Generator[Event, None, prompt.Fitted]:
        """The messages of this round within the context; TooLong puts the head back where it was."""
        assert turn.leaf is not None
        journal, sizes = self._journal, self._sizes(turn)
        limit, system = _limit(turn), prompt.system_text(turn.card_lines)

        def lay_out(unanswered: bool) -> prompt.Fitted:
            assert turn.leaf is not None
            told = prompt.history(journal.path(turn.leaf.id), unanswered)
            return prompt.fit(system, told, sizes.count, limit, sizes)

        try:
            try:
                fitted = lay_out(unanswered=True)
            except prompt.TooLong:
                fitted = lay_out(unanswered=False)
        except prompt.TooLong:
            try:
                if not (turn.recalled or turn.passages) or turn.leaf.id != turn.source.id:
                    raise
                journal.set_sent(turn.source.id, turn.source.content)
                turn.recalled.clear()
                turn.passages.clear()
                fitted = lay_out(unanswered=False)
                yield Notice("The recalled memories were left out to make room for your message.")
            except prompt.TooLong:
                # The text stays in the tree; the conversation goes on from before it. A face that goes
                # on from it all the same must not have it tokenised with every turn: nothing is sent.
                if turn.back_to is not None and turn.leaf.id == turn.source.id:
                    journal.set_sent(turn.source.id, "")
                    journal.set_head(turn.source.conversation_id, turn.back_to[0])
                raise
        if fitted.left_out > self._left_out.get(turn.source.conversation_id, 0):
            many = f"{fitted.left_out} oldest turns were" if fitted.left_out > 1 else "oldest turn was"
            yield Notice(f"The {many} left out of the prompt: the conversation is longer than the context.")
        self._left_out[turn.source.conversation_id] = fitted.left_out
        return fitted

    def prepare_next(self, turn: Turn, fitted: prompt.Fitted, reply: Message, generated: Generated) -> None:
        """Behind a reply: if the oldest turns leave with the next message, begin its prompt in idle time.

        Only then, since otherwise the cache holds that beginning already; but in a long conversation this
        also counts the turn that has just ended, which spares the next one the wait. Never raises: the
        reply is done, and without this the next one only takes longer to start.
        """
        limit, tokens = _limit(turn), fitted.tokens + len(generated.completion_ids)
        if not isinstance(turn.policy, Prepares):
            return
        if not fitted.left_out and not prompt.nearly_full(tokens, limit):
            return
        try:
            told = prompt.history(self._journal.path(reply.id))
            # a line that was only tried in this turn is not on the card of the next one
            system = prompt.system_text(() if turn.trial else turn.card_lines)
            begin, dropped = prompt.opening(system, told, limit, self._sizes(turn))
            if dropped != fitted.left_out:
                turn.policy.prepare_next(begin, turn.tools)
        except Exception:
            log.exception("the next prompt was not prepared")

    def _sizes(self, turn: Turn) -> TurnSizes:
        policy, tools = turn.policy, turn.tools
        if self._counted is None or self._counted[0] is not policy or self._counted[1] != tools:
            sizes = TurnSizes(lambda messages: policy.count_tokens(messages, tools))
            self._counted = policy, tools, sizes
        return self._counted[2]


def _limit(turn: Turn) -> int:
    """Tokens that a prompt may have: a reply needs room too."""
    context = turn.policy.context_length
    return context - min(turn.sampling.max_new_tokens, context // 4)
