"""Who speaks: the policy under its active adapter, changed only between two replies."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config import Settings
from memory.errors import AttuneError
from memory.records import Adapter, AdapterStatus
from memory.rescue.restore import open_safely
from policies.adapters.registry import AdapterError, AdapterRegistry, Overtaken

if TYPE_CHECKING:
    from policies.base_models import BaseSpec
    from policies.policy import Policy

# The base of a home whose model is not on this disk: no adapter was ever trained on it here.
UNKNOWN_BASE = "unknown"
log = logging.getLogger("attune.speaker")


class Speaker:
    """An open home with the policy that speaks in it, once there is one; the rest is in its subclasses."""

    def __init__(self, home: Path, settings: Settings, policy: Policy | None, spec: BaseSpec | None) -> None:
        self.home = home
        self.settings = settings
        self.db, self._notices = open_safely(home)
        self.registry = AdapterRegistry(self.db, home)
        self._policy = policy
        self._spec = spec
        self._refused: str | None = None
        self._failed: str | None = None
        self._named: tuple[str | None, BaseSpec] | None = None
        self._told: str | None = None
        self._speaking = threading.Lock()

    @property
    def loaded_policy(self) -> Policy | None:
        """The policy if it is there; never loads."""
        return self._policy

    @property
    def model_name(self) -> str:
        if self._policy is not None:
            return self._policy.base
        return self.settings.model or "sprout"

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
        named = self._named_base()
        return named.sha256 if named else UNKNOWN_BASE

    @property
    def base_name(self) -> str:
        """Name of that base, as its replies bear it (`Generation.base`)."""
        if self._policy is not None:
            return self._policy.base
        named = self._spec or self._named_base()
        return named.name if named else self.model_name

    def _named_base(self) -> BaseSpec | None:
        """The base that the settings name, if it is on this disk."""
        model = self.settings.model
        if self._named is None or self._named[0] != model:
            from policies.base_models import resolve

            try:
                self._named = model, resolve(model, download=False)
            except AttuneError:
                return None
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

        Other processes may have changed it. One whose files are unsound, or whose weights are not those that
        were trained once they are in the model, is left out with a notice and not tried again until something
        else is chosen. After any other failure (the model's process died, the memory was full) the next turn
        tries again; without `retry` that is left to it.
        """
        if self._policy is None:
            return
        adapter = self.active_adapter()
        wanted = adapter.version if adapter else None
        if _serves(self._policy, adapter) or (wanted is not None and wanted == self._refused):
            return
        if wanted is not None and wanted == self._failed and not retry:
            return
        self._refused = self._failed = None
        try:
            self._policy.swap(wanted, adapter.path if adapter else None)
            if not _serves(self._policy, adapter):
                self._policy.swap(None)
                raise AdapterError(
                    f"The adapter {wanted} that was loaded is not the one that was trained (its digest "
                    "differs): use another version, or run `attune train`."
                )
        except AttuneError as wrong:
            log.warning("adapter %s not used: %s", wanted, wrong)
            if isinstance(wrong, AdapterError):
                self._refused = wanted
            else:
                self._failed = wanted
            self._notices.append(f"{wrong} Until then {self._policy.adapter or 'the base'} speaks.")

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Held during a reply, so that swaps fall between two of them."""
        with self._speaking:
            self.sync_adapter()
            yield

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

    def take_off(
        self,
        adapter: Adapter,
        reason: str,
        status: AdapterStatus,
        report: Mapping[str, Any],
        to_base: bool = False,
    ) -> bool:
        """Go back from `adapter` to what spoke before (or to the base), and record what became of it, both or
        neither. False where it does not speak any more: then it is not this one that has to go."""
        base = self.base_sha256
        try:
            with self.db.transaction():
                if to_base:
                    self.registry.activate(None, reason, base, expected=adapter.version)
                else:
                    self.registry.rollback(base, reason, expected=adapter.version)
                self.registry.set_status(adapter.version, status, report)
        except Overtaken:
            return False
        self._activated()
        return True

    def prove(self, adapter: Adapter, report: Mapping[str, Any]) -> bool:
        """Promote `adapter`. False where it does not speak any more, or is judged already."""
        base = self.base_sha256
        with self.db.transaction():
            now = self.registry.active(base)
            if now is None or (now.version, now.status) != (adapter.version, adapter.status):
                return False
            self.registry.set_status(adapter.version, "promoted", report)
        return True

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

    def notice(self, text: str) -> None:
        self._notices.append(text)

    def take_notices(self) -> list[str]:
        taken, self._notices = self._notices, []
        return taken

    def release_policy(self) -> None:
        """Leave the policy to whoever gave it; `close` then does not close it."""
        self._policy = None


def _serves(policy: Policy, adapter: Adapter | None) -> bool:
    """Whether `policy` speaks under `adapter` and, where it knows the digest of what is in the model, with
    the very weights that were trained."""
    if adapter is None:
        return policy.adapter is None
    served = getattr(policy, "served_sha256", None)
    return policy.adapter == adapter.version and served in (None, adapter.sha256)
