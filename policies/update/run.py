"""One update: the whole ledger -> a fresh adapter -> the gate -> the registry.

The registry learns of the adapter in one transaction, the last: an update that fails or is killed before its
end leaves nothing but files. Those in the home's `training` folder the next one sweeps away, or whoever
cancels or forgets; a copy that was placed already goes at the next start (see `adapters.registry`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from env.imported import imported
from memory.database import open_home
from memory.forgetting import erase
from memory.journal import Journal
from memory.records import Adapter
from policies.errors import Cancelled
from policies.gate.verdict import Limits
from policies.learners.lora import LearningSettings
from policies.update.attempt import prepared, train_and_judge
from policies.update.lock import update_lock
from policies.update.material import TasteChanged, material

if TYPE_CHECKING:
    from policies.adapters.registry import AdapterRegistry
    from policies.gate.exam import Exam
    from policies.language_policy import LanguagePolicy

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What came of an update. `adapter` is its version; a rejected one is kept, and does not speak.

    `peak_rss_mb` is None where its process ended before it could tell.
    """

    adapter: str
    algorithm: str
    signals: int
    verdict: str
    reasons: tuple[str, ...]
    held_out: dict[str, Any]
    seconds: float
    peak_rss_mb: float | None
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, adapter: Adapter, seconds: float, peak_rss_mb: float | None = None) -> UpdateResult:
        """What came of the update that made `adapter`, which the registry knows whatever became of us."""
        report = adapter.report
        return cls(
            adapter=adapter.version,
            algorithm=adapter.algorithm,
            signals=adapter.signals,
            verdict=report.get("verdict", adapter.status),
            reasons=tuple(report.get("reasons", ())),
            held_out=report.get("held_out", {}),
            seconds=seconds,
            peak_rss_mb=peak_rss_mb,
            settings=report.get("settings", {}),
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `attune train --json` prints."""
        body = asdict(self)
        del body["settings"]
        return body | {"reasons": list(self.reasons)}


def run_update(
    home: Path | str,
    model: str | None = None,
    algorithm: str = "auto",
    settings: LearningSettings | None = None,
    progress: Progress = lambda fraction, text: None,
    cancel: threading.Event | None = None,
    policy: LanguagePolicy | None = None,
    *,
    device: str = "auto",
    exam: Exam | None = None,
    limits: Limits | None = None,
) -> UpdateResult:
    """Train, judge and register one adapter; if the gate lets it, it is the active one afterwards.

    With `policy` its model is used (it must be idle), and speaks as before when this returns. Raises
    UpdateBusy, LearnError, Cancelled, NothingToLearn (where that is TasteChanged, the base speaks from now
    on), and what loading the model raises.
    """
    from policies.adapters.files import check_folder
    from policies.adapters.registry import AdapterRegistry

    started = time.monotonic()
    home = Path(home)
    settings, cancel = settings or LearningSettings(), cancel or threading.Event()
    with update_lock(home), closing(open_home(home)) as db, ExitStack() as giving_way:
        workshop = home / "training"
        # whoever left this here does not hold the lock any more, so it is dead
        erase.sweep(workshop)
        journal, registry = Journal(db), AdapterRegistry(db, home)
        giving_way.enter_context(_way_for_the_base(registry, policy, model))
        cut = material(journal, algorithm, settings.hold_out, imported(home))
        progress(0.0, "loading the model")
        owned = policy is None
        if policy is None:
            from policies.base_models import resolve
            from policies.language_policy import LanguagePolicy

            policy = LanguagePolicy(resolve(model), device)
        spoke = policy.adapter
        try:
            work = prepared(policy, registry, cut, settings, workshop, progress, cancel, exam)
            taught, base, body = train_and_judge(work, limits)
            if taught.change is not None and body["verdict"] == "rejected":
                # what comes into every reply may take too much with it
                progress(0.1, "rejected: once more, with a firmer hold on what the base says")
                erase.sweep(workshop)
                taught, _, body = train_and_judge(work, limits, base)
            verdict = body["verdict"]
            if cancel.is_set():
                raise Cancelled()
            progress(0.98, f"{verdict}: {body['reasons'][0]}")
            if taught.reward is not None:
                taught.reward.save(taught.result.folder)
            check_folder(taught.result.folder, policy.spec.sha256, taught.result.sha256)
            adapter = registry.add(
                taught.result.folder,
                {
                    "base": policy.spec.name,
                    "base_sha256": policy.spec.sha256,
                    "algorithm": taught.algorithm,
                    "status": verdict,
                    "signals": cut.signals,
                    "report": body,
                },
                speaks=None if verdict == "rejected" else f"{verdict}: {body['reasons'][0]}",
            )
        finally:
            # rows of the ledger lie in there: they are overwritten, not only unlinked
            erase.sweep(workshop)
            if owned:
                policy.close()
            elif spoke is not None:
                policy.swap(spoke, registry.get(spoke).path)
    progress(1.0, verdict)
    return UpdateResult.of(adapter, time.monotonic() - started, _peak_rss_mb())


@contextmanager
def _way_for_the_base(
    registry: AdapterRegistry, policy: LanguagePolicy | None, model: str | None
) -> Iterator[None]:
    """Where the taste has changed and nothing is known of the new one, what was learned speaks no longer."""
    from policies.base_models import resolve

    try:
        yield
    except TasteChanged as changed:
        base = policy.spec.sha256 if policy is not None else resolve(model).sha256
        if registry.active(base) is not None:
            registry.activate(None, str(changed), base)
        raise


def _peak_rss_mb() -> float:
    """Peak resident memory of this process in MB (on Linux ru_maxrss counts KiB, on macOS bytes)."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
