"""The one place that builds objects and hands them to each other.

What a face uses (none of it needs a model to be loaded unless it says so):

    runtime = Runtime.open(home, settings, in_process=False)   cheap: no torch, no chroma
    runtime.warm(progress)      loads model, index, embedder; progress(fraction 0..1, stage); in a thread
    runtime.ready               True when a reply can be spoken
    runtime.loop                agent.loop.Loop: turn(), regenerate(), edit_user() -> Iterator[Event]
    runtime.journal / .facts / .recall / .card / .registry      the rooms of memory and policies
    runtime.documents           Documents: learn(paths), forget(path), passages.search(text)
    runtime.rate(reply_id, value, why=None)   -> Feedback   value +1, -1, or 0 to take it back
    runtime.edit_reply(reply_id, text)        -> Feedback   the owner's better version
    runtime.pick(reply_id, other_id)          -> Feedback   this one is better than its sibling
    runtime.choose(first_id, second_id, choice)   the answer to two replies without labels (BlindReplies)
    runtime.why(reply_id)                     -> Why        memories, card lines, adapter of a reply
    runtime.clock               agent.learning_clock.LearningClock, and through the runtime:
    runtime.maybe_update(idle_seconds) -> bool       starts an update when it is due; True when it started.
                                                     Copies the database, too, when that is due
    runtime.start_update(algorithm="auto") -> None   /train; AttuneError when it cannot
    runtime.poll_update() -> list[UpdateNews]        call in a thread every ~0.5 s; it also does the swap
    runtime.cancel_update() -> bool
    runtime.use(version | None) / runtime.rollback() -> str | None     the adapter that now speaks
    runtime.adapters() -> list[Adapter]     all versions; `active` means on the base that speaks
    runtime.active_adapter() -> Adapter | None    what should speak on that base (None: the base itself)
    runtime.use_model(name, progress=None)           another base model; the old one speaks until it is loaded
    runtime.learning_status() -> LearningStatus      the status line, cheap enough for a timer
    runtime.take_notices() -> list[str]              sentences that came up outside a turn
    runtime.forget(memory_id), runtime.close()

Every call that can fail raises memory.errors.AttuneError, whose text is one sentence for the person.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.backup_clock import BackupClock
from agent.config import Settings, load_settings
from agent.learning_clock import LearningClock, LearningStatus, UpdateNews
from agent.loading import Loading, Progress
from agent.paths import home_folder
from agent.why import Why, explain
from memory.comparisons import Choice, settle
from memory.errors import AttuneError
from memory.forgetting.erase import finish
from memory.journal import Journal
from memory.records import Feedback
from memory.taste.preferences import PreferenceCard

if TYPE_CHECKING:
    from agent.loop import Loop
    from memory.index.embedder import Embedder
    from policies.base_models import BaseSpec
    from policies.policy import Policy

__all__ = ["Progress", "Runtime", "Why"]


class Runtime(Loading):
    """All the objects of one open home. One per process; safe to use from several threads."""

    def __init__(
        self,
        home: Path,
        settings: Settings,
        in_process: bool = True,
        policy: Policy | None = None,
        embedder: Embedder | None = None,
        spec: BaseSpec | None = None,
    ) -> None:
        """A given `policy` (of the base `spec`) or `embedder` is used as it is; else `warm` makes them."""
        super().__init__(home, settings, in_process, policy, embedder, spec)
        finish(self.db, self.home)
        self.journal = Journal(self.db)
        self.card = PreferenceCard(self.db, self.journal)
        self.context_used = 0
        self.ask_permission: Callable[[str, dict[str, Any]], bool] | None = None
        self._loop: Loop | None = None
        self._sized: tuple[str, int] | None = None
        self.clock = LearningClock(self)
        self.backup_clock = BackupClock(self.db, self.home, self.notice)

    @classmethod
    def open(
        cls,
        home: str | Path | None = None,
        settings: Settings | None = None,
        *,
        in_process: bool = True,
        policy: Policy | None = None,
        embedder: Embedder | None = None,
        owner: str | None = None,
        **flags: Any,
    ) -> Runtime:
        """Open (and make, if need be) a home, or that of an `owner` in it. `flags` win over the settings."""
        folder = home_folder(home, owner or ("default" if home else None))
        chosen = settings or load_settings(folder, **flags)
        return cls(folder, chosen, in_process, policy, embedder)

    @property
    def loop(self) -> Loop:
        if self._loop is None:
            from agent.loop import Loop

            self._loop = Loop(self)
        return self._loop

    @property
    def base_parameters(self) -> int | None:
        """How many parameters the base has that speaks; None when a policy was given without its base."""
        if self._spec is None:
            return None
        if self._sized is None or self._sized[0] != self._spec.sha256:
            from policies.base_models import parameters

            self._sized = self._spec.sha256, parameters(self._spec)
        return self._sized[1]

    @property
    def infers(self) -> bool:
        """Whether the base may add what the owner did not say in so many words (marked as inferred)."""
        from agent.extraction import LARGE

        size = self.base_parameters
        return size is None or size >= LARGE

    def use_model(self, model: str | None, progress: Progress | None = None) -> str:
        if self.clock.updating:
            raise AttuneError("An update is training; wait for it or cancel it, then change the model.")
        return super().use_model(model, progress)

    # --- feedback ------------------------------------------------------------------------------

    def rate(self, reply_id: str, value: int, why: str | None = None, source: str = "owner") -> Feedback:
        """A thumb: +1, -1, or 0 to take it back. Durable on return; card and memories have learned."""
        if value not in (-1, 0, 1):
            raise AttuneError(f"A rating is up, down or clear, not {value!r}.")
        # Card and usefulness follow from the ledger, so this one write teaches both.
        feedback = self.journal.rate(reply_id, value, why=why, source=source)
        self.clock.watch()
        return feedback

    def edit_reply(self, reply_id: str, text: str) -> Feedback:
        from agent.prompt import clean

        cleaned, _ = clean(text)
        feedback = self.journal.edit_reply(reply_id, cleaned)
        self.clock.watch()
        return feedback

    def pick(self, reply_id: str, other_id: str) -> Feedback:
        """`reply_id` is better than its sibling; the newest pick between the two, when it says so already."""
        newest = self.journal.newest_pick(reply_id, other_id)
        if newest is not None and newest.reply_id == reply_id:
            return newest
        feedback = self.journal.pick(reply_id, other_id)
        self.clock.watch()
        return feedback

    def choose(self, first_id: str, second_id: str, choice: Choice) -> list[Feedback]:
        """The owner's answer to two replies without labels; a picked one becomes the head."""
        events = settle(self.journal, first_id, second_id, choice)
        self.clock.watch()
        return events

    def why(self, reply_id: str) -> Why:
        """Everything behind a reply. NotFound when there is no such reply."""
        return explain(self.journal, self.card, self.registry, reply_id)

    def forget(self, memory_id: str) -> None:
        """Take a memory out of database, index and stored prompts for good. NotFound when there is none."""
        from memory.forgetting.erase import forget_memory

        forget_memory(self.recall, self.journal, memory_id)

    def in_step(self) -> None:
        """Bring the index in step with memories that were changed in the database alone. Never raises for
        an index that cannot be used: the next search tries again."""
        try:
            self.recall.sync()
        except AttuneError:
            pass

    # --- learning ------------------------------------------------------------------------------

    def maybe_update(self, idle_seconds: float) -> bool:
        self.backup_clock.maybe(idle_seconds, self.settings.idle_seconds)
        return self.clock.maybe_update(idle_seconds)

    def start_update(self, algorithm: str = "auto") -> None:
        self.clock.start(algorithm)

    def poll_update(self) -> list[UpdateNews]:
        return self.clock.poll()

    def cancel_update(self) -> bool:
        return self.clock.cancel()

    def learning_status(self) -> LearningStatus:
        return self.clock.status()

    def close(self) -> None:
        """Stop the update, the child process and the database, after a backup if one is due. Safe to call
        twice."""
        self.clock.cancel()
        self.backup_clock.close()
        super().close()
