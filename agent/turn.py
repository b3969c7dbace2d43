"""What one turn carries from round to round, and how a generation is written down."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

from agent import prompt
from agent.known import Known
from agent.tools import TOOLS
from memory.records import Generation, Message, Passage, Recalled
from memory.taste.card_texts import CARD_TEXTS
from memory.taste.preferences import PreferenceCard
from policies.policy import Generated, Policy, Renders, SamplingParams, Side
from policies.tool_calls import ToolCallFilter

SCHEMAS = tuple(tool.schema() for tool in TOOLS)


@dataclass(slots=True)
class Turn:
    """What stays the same during one turn, and what its tool rounds add to."""

    policy: Policy
    sampling: SamplingParams
    cancel: threading.Event
    card_lines: tuple[str, ...]
    source: Message
    use_memory: bool
    known: Known
    tools: tuple[dict[str, Any], ...]
    recalled: list[Recalled] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    leaf: Message | None = None
    # Where the conversation goes back to when the new message of this turn is too long to be answered;
    # (None,) is its very beginning, None means that there is no new message (regenerate).
    back_to: tuple[str | None] | None = None
    # The styles that are only tried in this turn; then theirs are the only lines of the card.
    trial: tuple[str, ...] = ()
    # What speaks and what it is compared with, in a turn that shows two replies.
    sides: tuple[Side, Side] | None = None

    # How many replies were drawn for the one that is kept; the reward model chose among them.
    drawn: int = 1

    def within(self, fitted: prompt.Fitted) -> SamplingParams:
        """The sampling, for as many tokens as the prompt leaves room for."""
        room = max(self.policy.context_length - fitted.tokens, 1)
        return replace(self.sampling, max_new_tokens=min(self.sampling.max_new_tokens, room))

    def generation(self, fitted: prompt.Fitted, generated: Generated) -> Generation:
        """How the newest reply of the turn came about, for the journal."""
        return Generation(
            reply_id="",
            base=self.policy.base,
            adapter=generated.adapter,
            messages=tuple(fitted.messages),
            prompt_text=generated.prompt_text,
            prompt_ids=generated.prompt_ids,
            completion_ids=generated.completion_ids,
            sampling={
                "temperature": self.sampling.temperature,
                "top_p": self.sampling.top_p,
                "max_new_tokens": self.sampling.max_new_tokens,
                "seed": self.sampling.seed,
                **({"best_of": self.drawn} if self.drawn > 1 else {}),
            },
            recalled=tuple(self.recalled),
            passages=tuple(self.passages),
            card_lines=self.card_lines,
            trial=self.trial,
            tools=self.tools,
            finish_reason=generated.finish_reason,
            first_token_ms=generated.first_token_ms,
            total_ms=generated.total_ms,
            reused_tokens=generated.reused_tokens,
        )


@dataclass(frozen=True, slots=True)
class Drawn:
    text: str
    calls: tuple[dict[str, Any], ...]
    generated: Generated


def read(generated: Generated) -> Drawn:
    """A generation that was not streamed, read like one that was."""
    visible = ToolCallFilter()
    visible.feed(generated.text)
    _, text, calls = visible.finish()
    return Drawn(text, () if generated.finish_reason == "cancelled" else tuple(calls), generated)


def lines_for(card: PreferenceCard, explore: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands on the card in this turn, and the styles of it that are a trial (`taste.exploration`)."""
    trial = card.trial() if explore else ()
    # asked second: a line that another process has learned meanwhile is shown alone
    lines = tuple(card.active_lines())
    return (lines, ()) if lines else (tuple(CARD_TEXTS[style] for style in trial), trial)


def tools_for(policy: Policy) -> tuple[dict[str, Any], ...]:
    """The tools, unless their schemas alone would fill a third of a very small context."""
    system = [{"role": "system", "content": prompt.PERSONA}, {"role": "user", "content": "Hi."}]
    return SCHEMAS if policy.count_tokens(system, SCHEMAS) <= policy.context_length // 3 else ()


def broken(turn: Turn, fitted: prompt.Fitted, raw: str, reason: str) -> Generated:
    """What is known of a generation that never came to its end: the words, and not their tokens.

    A policy that cannot render (its process may be dead) leaves the prompt empty; training then
    renders it from the messages.
    """
    shown: str = ""
    ids: tuple[int, ...] = ()
    if isinstance(turn.policy, Renders):
        shown, ids = turn.policy.prompt(fitted.messages, turn.tools)
    return Generated(
        text=raw,
        prompt_text=shown,
        prompt_ids=ids,
        completion_ids=(),
        adapter=turn.policy.adapter,
        finish_reason=reason,
        first_token_ms=0.0,
        total_ms=0.0,
        reused_tokens=0,
    )
