"""One turn: recall, prompt, generate, tools, record.

Whatever is yielded as done is already in the journal. What was said is kept however a reply ends:
cancelled, out of tokens, a model that failed, or Ctrl+C in the middle.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent import extraction, noting, prompt
from agent.again import shown_again
from agent.best_of import BestOf
from agent.blind import Blind
from agent.documents import passages_for
from agent.events import (
    Event,
    Notice,
    RecallDone,
    ReplyDone,
    ReplyKept,
    TextDelta,
    TurnFailed,
    TurnStarted,
)
from agent.known import Known, show
from agent.layout import Layout
from agent.tool_use import use_tool
from agent.turn import Drawn, Turn, broken, lines_for, tools_for
from memory.errors import AttuneError
from memory.records import Generation, Message, Passage, Recalled
from policies.policy import Generated, Policy, SamplingParams, TokenChunk
from policies.tool_calls import ToolCallFilter, is_unreadable_call

if TYPE_CHECKING:
    from agent.runtime import Runtime

MAX_TOOL_ROUNDS = 5
log = logging.getLogger("attune.loop")


class Loop:
    """Speaks one turn at a time for a runtime and journals everything before it says so."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._layout = Layout(runtime.journal)
        self._blind = Blind(runtime)
        self._best_of = BestOf(runtime)

    def turn(
        self,
        text: str,
        conversation_id: str | None = None,
        parent_id: str | None = None,
        cancel: threading.Event | None = None,
        sampling: SamplingParams | None = None,
        use_memory: bool | None = None,
        use_card: bool | None = None,
        blind: bool | None = False,
    ) -> Iterator[Event]:
        """Answer `text` under `parent_id` (default: the head of the conversation; None and no id: a new one).

        AttuneError at once when there is nothing to answer; later trouble is a TurnFailed event. Iterate
        in a worker thread; set `cancel` to stop the reply, which is kept. `use_*` None means the settings;
        so does `blind` (agent/blind.py), which a face leaves False unless it can show two replies.
        """
        cleaned, changed = prompt.clean(text)
        if conversation_id is not None and parent_id is None:
            parent_id = self.runtime.journal.conversation(conversation_id).head_id
        elif parent_id is not None and conversation_id is None:
            conversation_id = self.runtime.journal.message(parent_id).conversation_id
        return self._turn(
            cleaned, changed, conversation_id, parent_id, cancel, sampling, use_memory, use_card, blind
        )

    def regenerate(
        self, reply_id: str, cancel: threading.Event | None = None, sampling: SamplingParams | None = None
    ) -> Iterator[Event]:
        """Another reply to the same prompt, beside `reply_id`; the events of a turn without TurnStarted.

        It is shown the same memories, but for those that were forgotten since; none with the memory off.
        """
        journal, erasures = self.runtime.journal, self.runtime.db.erasures()
        old = journal.generation(reply_id)
        reply = journal.message(reply_id)
        if reply.parent_id is None:
            raise AttuneError("This reply answers nothing, so it cannot be made again.")
        path = journal.path(reply.parent_id)
        source = next(message for message in reversed(path) if message.role == "user")
        shown = *shown_again(self.runtime, old, source), erasures
        return self._guarded(self._answer(path[-1], source, cancel, sampling, None, None, shown))

    def edit_user(
        self,
        message_id: str,
        text: str,
        cancel: threading.Event | None = None,
        sampling: SamplingParams | None = None,
    ) -> Iterator[Event]:
        """A new branch: `text` in place of the user message `message_id`, and its answer."""
        old = self.runtime.journal.message(message_id)
        if old.role != "user":
            raise AttuneError("Only your own messages can be edited into a new branch.")
        cleaned, changed = prompt.clean(text)
        return self._turn(cleaned, changed, old.conversation_id, old.parent_id, cancel, sampling, None, None)

    # --- one turn ------------------------------------------------------------------------------

    def _turn(
        self,
        text: str,
        changed: bool,
        conversation_id: str | None,
        parent_id: str | None,
        cancel: threading.Event | None,
        sampling: SamplingParams | None,
        use_memory: bool | None,
        use_card: bool | None,
        blind: bool | None = False,
    ) -> Iterator[Event]:
        journal = self.runtime.journal
        try:
            if conversation_id is None:
                conversation_id = journal.start_conversation().id
            head = journal.conversation(conversation_id).head_id
            user = journal.add_user(conversation_id, parent_id, text)
        except AttuneError as wrong:
            yield TurnFailed(str(wrong))
            return
        yield TurnStarted(user)
        if changed:
            yield Notice("Invisible control characters were taken out of your message.")
        events = self._answer(
            user, user, cancel, sampling, use_memory, use_card, back_to=(head,), blind=blind, heard=True
        )
        yield from self._guarded(events)

    def _guarded(self, events: Iterator[Event]) -> Iterator[Event]:
        """The edge of the loop: an error becomes one sentence, and the log has the rest."""
        try:
            yield from events
        except AttuneError as wrong:
            log.warning("turn failed: %s", wrong)
            yield TurnFailed(str(wrong))
        except Exception as wrong:
            log.exception("turn failed")
            yield TurnFailed(
                f"The reply failed ({type(wrong).__name__}); what was said is kept, and the log has more: "
                f"{self.runtime.log_file}."
            )

    def _answer(
        self,
        leaf: Message,
        source: Message,
        cancel: threading.Event | None,
        sampling: SamplingParams | None,
        use_memory: bool | None,
        use_card: bool | None,
        shown: tuple[list[Recalled], list[Passage], int] | None = None,
        back_to: tuple[str | None] | None = None,
        blind: bool | None = False,
        heard: bool = False,
    ) -> Iterator[Event]:
        runtime, settings = self.runtime, self.runtime.settings
        with_memory = settings.memory if use_memory is None else use_memory
        with_card = settings.card if use_card is None else use_card
        new: set[str] = set()
        if heard and with_memory:
            # before the recall, so that what it corrects is not shown any more
            new, notices = noting.listen(runtime, source)
            yield from notices
        policy = runtime.policy
        with runtime.speaking():
            policy = runtime.policy
            for text in runtime.take_notices():
                yield Notice(text)
            if shown is not None:
                recalled, passages, erasures = shown
                known = Known(erasures)
                known.see(runtime.db, source.conversation_id, recalled, passages)
            else:
                recalled = self._recalled(policy, source.content, new) if with_memory else []
                passages = passages_for(runtime, policy, source.content, recalled) if with_memory else []
                known, recalled, passages = show(runtime.journal, source, recalled, passages)
            yield RecallDone(tuple(recalled), tuple(passages))
            yield from noting.questions(runtime, recalled)
            sides = self._blind.sides(policy, source, blind)
            # a style that is only tried asks for a thumb, and two replies ask for a choice
            explore = settings.explore and sides is None
            card_lines, trial = lines_for(runtime.card, explore) if with_card else ((), ())
            turn = Turn(
                policy=policy,
                sampling=sampling or settings.sampling(),
                cancel=cancel or threading.Event(),
                card_lines=card_lines,
                trial=trial,
                source=source,
                use_memory=with_memory,
                known=known,
                tools=tools_for(policy),
                recalled=recalled,
                passages=passages,
                leaf=leaf,
                back_to=back_to,
                sides=sides,
            )
            yield from self._rounds(turn)

    def _recalled(self, policy: Policy, text: str, new: set[str]) -> list[Recalled]:
        found = noting.recall(self.runtime, text, new)
        return prompt.within_budget(found, policy.count_tokens, self.runtime.settings.recall_tokens)

    def _rounds(self, turn: Turn) -> Iterator[Event]:
        for round_number in range(MAX_TOOL_ROUNDS + 1):
            if round_number:  # a tool may have shown or stored more
                turn.known.see(self.runtime.db, turn.source.conversation_id, turn.recalled, turn.passages)
            fitted = yield from self._layout.fit(turn)
            drawn = None
            if turn.sides is not None and not round_number:
                over, drawn = yield from self._blind.answer(turn, fitted)
                if over:
                    # which of the two is picked says nothing of what the owner told
                    yield from extraction.after_turn(self.runtime, turn)
                    return
            if drawn is None and (drawn := self._best_of.draw(turn, fitted)) and drawn.text:
                yield TextDelta(drawn.text)
            if drawn is None:
                drawn = yield from self._draw(turn, fitted)
            calls = drawn.calls if round_number < MAX_TOOL_ROUNDS else ()
            reply, generation = self._keep(turn, fitted, drawn.text, drawn.generated, calls)
            if not calls:
                if drawn.calls:
                    yield Notice(f"The tools were used {MAX_TOOL_ROUNDS} times; the reply stops there.")
                elif drawn.generated.finish_reason == "length":
                    yield Notice(
                        "The reply reached its longest length; ask to go on, or raise max_new_tokens."
                    )
                elif is_unreadable_call(drawn.text):
                    yield Notice(
                        "The model meant to use a tool, and how cannot be read; ask again, or have the reply "
                        "made once more."
                    )
                made = drawn.generated
                self.runtime.context_used = len(made.prompt_ids) + len(made.completion_ids)
                yield ReplyDone(reply, generation, self.runtime.context_used)
                self._layout.prepare_next(turn, fitted, reply, drawn.generated)
                yield from extraction.after_turn(self.runtime, turn)
                return
            for call in reply.tool_calls:  # as they were written down
                yield from use_tool(self.runtime, turn, call)

    def _draw(self, turn: Turn, fitted: prompt.Fitted) -> Generator[Event, None, Drawn]:
        """Stream one generation. What was said is kept when it breaks off, and then the reason is raised."""
        visible, raw = ToolCallFilter(), ""
        stream = turn.policy.stream(fitted.messages, turn.within(fitted), turn.tools, turn.cancel)
        generated: Generated | None = None
        try:
            for item in stream:
                if isinstance(item, TokenChunk):
                    raw += item.text
                    if shown := visible.feed(item.text):
                        yield TextDelta(shown)
                else:
                    generated = item
        except (GeneratorExit, KeyboardInterrupt):
            turn.cancel.set()
            last = next((item for item in stream if isinstance(item, Generated)), None)
            self._keep(turn, fitted, visible.finish()[1], last or broken(turn, fitted, raw, "cancelled"), ())
            raise
        except Exception:
            if raw.strip():
                said = visible.finish()[1]
                yield ReplyKept(*self._keep(turn, fitted, said, broken(turn, fitted, raw, "error"), ()))
            raise
        if generated is None:
            raise AttuneError("The model stopped without a reply; try again.")
        rest, text, calls = visible.finish()
        if rest:
            yield TextDelta(rest)
        return Drawn(text, () if generated.finish_reason == "cancelled" else tuple(calls), generated)

    def _keep(
        self,
        turn: Turn,
        fitted: prompt.Fitted,
        text: str,
        generated: Generated,
        calls: tuple[dict[str, Any], ...],
    ) -> tuple[Message, Generation]:
        """Write the reply and how it came about; durable on return."""
        assert turn.leaf is not None
        generation = turn.generation(fitted, generated)
        reply, generation = turn.known.add_reply(self.runtime.journal, turn.leaf, text, generation, calls)
        turn.leaf = reply
        return reply, replace(generation, reply_id=reply.id)
