"""The one place that builds objects and hands them to each other.

What a face uses (none of it needs a model to be loaded unless it says so):

    runtime = Runtime.open(home, settings, in_process=False)   cheap: no torch, no chroma
    runtime.warm(progress)      loads model, index, embedder; progress(fraction 0..1, stage); in a thread
    runtime.ready               True when a reply can be spoken
    runtime.loop                agent.loop.Loop: turn(), regenerate(), edit_user() -> Iterator[Event]
    runtime.journal / .facts / .recall / .card / .registry      the rooms of memory and policies
    runtime.rate(reply_id, value, why=None)   -> Feedback   value +1, -1, or 0 to take it back
    runtime.edit_reply(reply_id, text)        -> Feedback   the owner's better version
    runtime.pick(reply_id, other_id)          -> Feedback   this one is better than its sibling
    runtime.why(reply_id)                     -> Why        memories, card lines, adapter of a reply
    runtime.clock               agent.learning_clock.LearningClock, and through the runtime:
    runtime.maybe_update(idle_seconds) -> bool       starts an update when it is due; True when it started
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

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config import Settings, load_settings
from agent.learning_clock import LearningClock, LearningStatus, UpdateNews
from agent.paths import home_folder, log_file
from agent.why import Why, explain
from memory.database import open_home
from memory.errors import AttuneError
from memory.facts import Facts
from memory.journal import Journal
from memory.preferences import PreferenceCard
from memory.records import Adapter, Feedback
from policies.adapters import AdapterError, AdapterRegistry

if TYPE_CHECKING:
    from agent.loop import Loop
    from memory.embedder import Embedder
    from memory.recall import Recall
    from policies.base_models import BaseSpec
    from policies.policy import Policy

Progress = Callable[[float, str], None]
# The base of a home whose model is not on this disk: no adapter was ever trained on it here.
UNKNOWN_BASE = "unknown"
log = logging.getLogger("attune.runtime")


class Runtime:
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
        self.home = home
        self.settings = settings
        self.in_process = in_process
        self.db = open_home(home)
        self.journal = Journal(self.db)
        self.facts = Facts(self.db)
        self.card = PreferenceCard(self.db, self.journal)
        self.registry = AdapterRegistry(self.db, home)
        self.context_used = 0
        self.ask_permission: Callable[[str, dict[str, Any]], bool] | None = None
        self._policy = policy
        self._embedder = embedder
        self._recall: Recall | None = None
        self._host: Any = None
        self._spec = spec
        self._loop: Loop | None = None
        self._notices: list[str] = []
        self._refused: str | None = None
        self._failed: str | None = None
        self._named: tuple[str | None, str] | None = None
        self._told: str | None = None
        self._warming = threading.Lock()
        self._speaking = threading.Lock()
        self.clock = LearningClock(self)

    @classmethod
    def open(
        cls,
        home: str | Path | None = None,
        settings: Settings | None = None,
        *,
        in_process: bool = True,
        policy: Policy | None = None,
        embedder: Embedder | None = None,
        **flags: Any,
    ) -> Runtime:
        """Open (and make, if need be) a home. `flags` are settings that win over its config.toml."""
        folder = home_folder(home)
        chosen = settings or load_settings(folder, **flags)
        return cls(folder, chosen, in_process, policy, embedder)

    # --- objects -------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self._policy is not None and (self._recall is not None or not self.settings.memory)

    @property
    def policy(self) -> Policy:
        """The policy that speaks; loads it when it is not there yet."""
        if self._policy is None:
            self.warm()
        assert self._policy is not None
        return self._policy

    @property
    def loaded_policy(self) -> Policy | None:
        """The policy if it is there; never loads."""
        return self._policy

    @property
    def embedder(self) -> Embedder:
        if self._embedder is None:
            if self.in_process:
                from memory.embedder import load_embedder

                self._embedder = load_embedder(self.settings.embedder)
            else:
                from agent.remote import RemoteEmbedder

                self._embedder = RemoteEmbedder(self.host, self.settings.embedder)
        return self._embedder

    @property
    def recall(self) -> Recall:
        """Memory search. The first use opens Chroma (about 1.5 s); the first search loads the embedder."""
        if self._recall is None:
            from memory.recall import Recall
            from memory.vector_index import VectorIndex

            self._recall = Recall(self.facts, VectorIndex(self.home / "index", self.embedder))
        return self._recall

    @property
    def host(self) -> Any:
        if self._host is None:
            from agent.model_host import ModelHost

            self._host = ModelHost(self.log_file.with_name("model.log"))
        return self._host

    @property
    def loop(self) -> Loop:
        if self._loop is None:
            from agent.loop import Loop

            self._loop = Loop(self)
        return self._loop

    @property
    def model_name(self) -> str:
        if self._policy is not None:
            return self._policy.base
        return self.settings.model or "sprout"

    # --- loading -------------------------------------------------------------------------------

    def warm(self, progress: Progress | None = None) -> None:
        """Load what a turn needs. Safe to call twice and from two threads; the second waits."""
        say = progress or (lambda fraction, stage: None)
        with self._warming:
            if self._policy is None:
                policy, spec = self._load(self.settings.model, lambda part, stage: say(0.7 * part, stage))
                with self._speaking:
                    self._policy, self._spec = policy, spec
                    self.sync_adapter()
            if self.settings.memory:
                say(0.7, "opening the memories")
                recall = self.recall
                # A single question on an empty home needs no index; the chat may need it any moment.
                if not self.in_process or self.facts.count():
                    recall.sync()
                    say(0.85, "loading the embedder")
                    self.embedder.embed(["ready"])
            say(1.0, "ready")

    def _load(self, model: str | None, say: Progress) -> tuple[Policy, BaseSpec]:
        from policies.base_models import BaseSpec, resolve

        say(0.0, "finding the model")

        def fetching(fraction: float, stage: str) -> None:
            say(0.1 * fraction, stage)

        # In the child where there is one: a download would otherwise take turns with the screen.
        if self.in_process:
            spec = resolve(model, fetching)
        else:
            spec = BaseSpec(**self.host.call("resolve", fetching, model=model))
        say(0.1, f"loading {spec.name}")
        if self.in_process:
            from policies.language_policy import LanguagePolicy

            policy: Policy = LanguagePolicy(spec, device=self.settings.device)
        else:
            from agent.remote import RemotePolicy

            policy = RemotePolicy(self.host, spec, device=self.settings.device, progress=say)
        return policy, spec

    @property
    def base_sha256(self) -> str | None:
        """Fingerprint of the base that speaks or, before one is loaded, of the one that the settings name.

        UNKNOWN_BASE when that is not on this disk; None when a policy was given without its base, which
        then counts as the base of every adapter. Never downloads.
        """
        if self._spec is not None:
            return self._spec.sha256
        if self._policy is not None:
            return None
        model = self.settings.model
        if self._named is None or self._named[0] != model:
            from policies.base_models import resolve

            try:
                self._named = model, resolve(model, download=False).sha256
            except AttuneError:
                return UNKNOWN_BASE
        return self._named[1]

    def adapters(self) -> list[Adapter]:
        """All versions, oldest first; `active` is what was last chosen for the base that speaks."""
        return self.registry.list(self.base_sha256)

    def active_adapter(self) -> Adapter | None:
        """What should speak on the loaded base (None: the base); a damaged one is left out with a notice."""
        adapter = self.registry.active(self.base_sha256)
        if self.registry.notice and self.registry.notice != self._told:
            self._told = self.registry.notice
            self._notices.append(self.registry.notice)
        return adapter

    def sync_adapter(self, retry: bool = True) -> None:
        """Make the policy speak under the active adapter. Call only between two replies.

        Other processes may have changed it. One whose files are unsound is left out with a notice and
        not tried again until something else is chosen. After any other failure (the model's process
        died, the memory was full) the next turn tries again; without `retry` that is left to it.
        """
        if self._policy is None:
            return
        adapter = self.active_adapter()
        wanted = adapter.version if adapter else None
        if wanted == self._policy.adapter or (wanted is not None and wanted == self._refused):
            return
        if wanted is not None and wanted == self._failed and not retry:
            return
        self._refused = self._failed = None
        try:
            self._policy.swap(wanted, adapter.path if adapter else None)
        except AttuneError as wrong:
            log.warning("adapter %s not used: %s", wanted, wrong)
            if isinstance(wrong, AdapterError):
                self._refused = wanted
            else:
                self._failed = wanted
            self._notices.append(f"{wrong} Until then {self._policy.adapter or 'the base'} speaks.")

    def use_model(self, model: str | None, progress: Progress | None = None) -> str:
        """Speak with another base from the next reply on; returns its name. None is sprout."""
        say = progress or (lambda fraction, stage: None)
        if self.clock.updating:
            raise AttuneError("An update is training; wait for it or cancel it, then change the model.")
        with self._warming:
            policy, spec = self._load(model, say)
            with self._speaking:
                old, self._policy, self._spec = self._policy, policy, spec
                self._refused = self._failed = None
                self.sync_adapter()
            if old is not None:
                old.close()
            self.settings = self.settings.model_copy(update={"model": model})
            say(1.0, "ready")
        return policy.base

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Held during a reply, so that swaps fall between two of them."""
        with self._speaking:
            self.sync_adapter()
            yield

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
        return self.journal.edit_reply(reply_id, cleaned)

    def pick(self, reply_id: str, other_id: str) -> Feedback:
        """`reply_id` is better than its sibling; the newest pick between the two, when it says so already."""
        between = [
            one
            for one in (*self.journal.feedback(reply_id), *self.journal.feedback(other_id))
            if one.kind == "pick" and {one.reply_id, one.other_id} == {reply_id, other_id}
        ]
        newest = max(between, key=lambda one: one.seq, default=None)
        if newest is not None and newest.reply_id == reply_id:
            return newest
        return self.journal.pick(reply_id, other_id)

    def why(self, reply_id: str) -> Why:
        """Everything behind a reply. NotFound when there is no such reply."""
        return explain(self.journal, self.card, self.registry, reply_id)

    def forget(self, memory_id: str) -> None:
        """Take a memory out of database, index and stored prompts for good. NotFound when there is none."""
        from memory.erase import forget_memory

        forget_memory(self.recall, self.journal, memory_id)

    # --- learning ------------------------------------------------------------------------------

    def maybe_update(self, idle_seconds: float) -> bool:
        return self.clock.maybe_update(idle_seconds)

    def start_update(self, algorithm: str = "auto") -> None:
        self.clock.start(algorithm)

    def poll_update(self) -> list[UpdateNews]:
        return self.clock.poll()

    def cancel_update(self) -> bool:
        return self.clock.cancel()

    def use(self, version: str | None, reason: str = "chosen by the owner") -> str | None:
        """Activate an adapter (None is the base). A reply in flight ends first; returns what is active."""
        base = self.base_sha256
        # The way back to the base is open whatever the settings name.
        self.registry.activate(version, reason, None if version is None and base == UNKNOWN_BASE else base)
        return self._activated()

    def rollback(self, reason: str = "rolled back by the owner") -> str | None:
        """Go back to what was active before; returns what is active now (None is the base)."""
        self.registry.rollback(self.base_sha256, reason)
        return self._activated()

    def _activated(self) -> str | None:
        self._refused = self._failed = None
        self.sync_between_replies()
        active = self.active_adapter()
        return active.version if active else None

    def sync_between_replies(self) -> bool:
        """Swap now if nobody is speaking; otherwise the next turn does it. Never waits."""
        if not self._speaking.acquire(blocking=False):
            return False
        try:
            self.sync_adapter(retry=False)
        finally:
            self._speaking.release()
        return True

    def learning_status(self) -> LearningStatus:
        return self.clock.status()

    # --- odds and ends -------------------------------------------------------------------------

    @property
    def log_file(self) -> Path:
        return log_file(self.home)

    def notice(self, text: str) -> None:
        self._notices.append(text)

    def take_notices(self) -> list[str]:
        taken, self._notices = self._notices, []
        return taken

    def release_policy(self) -> None:
        """Leave the policy to whoever gave it; `close` then does not close it."""
        self._policy = None

    def close(self) -> None:
        """Stop the update, the child process and the database. Safe to call twice."""
        self.clock.cancel()
        if self._policy is not None:
            self._policy.close()
        if self._host is not None:
            self._host.close()
        if self._recall is not None:
            self._recall.index.close()
        self.db.close()
