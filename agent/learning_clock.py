"""When the weights learn: counts signals, starts the job, tells its verdict, watches what it swapped in."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from env.common_change import change_in_words
from memory.errors import AttuneError
from memory.taste.preferences import taste_in_words

if TYPE_CHECKING:
    from agent.runtime import Runtime
    from memory.records import Adapter
    from policies.update.job import UpdateJob
    from policies.watch import Trial

log = logging.getLogger("attune.clock")


@dataclass(frozen=True, slots=True)
class LearningStatus:
    """The status line. `progress` is 0..1 while an update runs, else None; tokens are of the last turn;
    `updates` says whether one starts by itself."""

    model: str
    adapter: str | None
    adapter_status: str | None
    context_used: int
    context_length: int
    ratings_until_update: int
    progress: float | None
    stage: str
    ready: bool
    updates: bool = True


@dataclass(frozen=True, slots=True)
class UpdateNews:
    """Something that the person should see. kind: "progress", "result", "rolled_back", "promoted",
    "failed"."""

    kind: str
    text: str
    fraction: float | None = None
    report: dict[str, Any] = field(default_factory=dict)


class LearningClock:
    """One per runtime. Its calls may come from several threads."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._job: UpdateJob | None = None
        self._lock = threading.Lock()
        self._progress: tuple[float, str] = (0.0, "")
        self._tried_at: dict[str, int] = {}
        self._news: list[UpdateNews] = []

    @property
    def updating(self) -> bool:
        return self._job is not None

    def remaining(self) -> int:
        """How many more signals on replies of this base start an update by itself; 0 when it is due."""
        return max(self._runtime.settings.update_after - self._new_signals(), 0)

    def _new_signals(self) -> int:
        """Signals on replies of this base that no update of it has read yet.

        One that failed here is not tried again on the same. An update reads the whole ledger, but what
        was said of another base's replies is no news about this one, so it does not start one.
        """
        runtime = self._runtime
        base, name = runtime.base_sha256, runtime.base_name
        read = [
            int(adapter.report.get("last_seq", 0))
            for adapter in runtime.registry.list()
            if base in (None, adapter.base_sha256)
        ]
        return runtime.journal.signals_since(max([self._tried_at.get(name, 0), *read]), name)

    def maybe_update(self, idle_seconds: float) -> bool:
        """Start an update when enough is new and the person is idle; True when it started."""
        settings = self._runtime.settings
        if not settings.updates or self.updating or idle_seconds < settings.idle_seconds or self.remaining():
            return False
        self.start("auto")
        return True

    def start(self, algorithm: str = "auto") -> None:
        """Start training in a child process. AttuneError when one runs, here or in another process, or when
        nothing was rated."""
        from policies.update.job import UpdateJob

        with self._lock:
            if self._job is not None:
                raise AttuneError("An update is training already; /train cancel stops it.")
            if not self._runtime.journal.signals_since(0):
                from env.imported import imported
                from policies.update.material import material

                # the update would say the same, but only once its process is there
                material(self._runtime.journal, algorithm, texts=imported(self._runtime.home))
            self._tried_at[self._runtime.base_name] = self._runtime.journal.last_seq()
            settings = self._runtime.settings
            job = UpdateJob(self._runtime.home, settings.model, algorithm, device=settings.device)
            job.start()
            self._progress = (0.0, "starting")
            self._job = job

    def poll(self) -> list[UpdateNews]:
        """What happened since the last call. Puts on what became active, unless a reply is being spoken:
        then the next turn does. Never waits for the update."""
        with self._lock:
            news, self._news = self._news, []
            job = self._job
            if job is not None:
                if reports := job.poll():
                    last = reports[-1]
                    self._progress = (last.fraction, last.text)
                    news.append(UpdateNews("progress", last.text, last.fraction))
                if not job.running:
                    self._job = None
                    news.append(self._ending(job))
        self._runtime.sync_between_replies()
        return news

    def cancel(self) -> bool:
        """Ask the update that runs here to stop; `poll` reports its end. False when there is none."""
        with self._lock:
            if self._job is None:
                return False
            self._job.cancel()
            return True

    def watch(self) -> None:
        """Look at the adapter that speaks after a rating. While on trial it is rolled back by itself when it
        does worse than what spoke before, and promoted when it does better, by thumbs or by blind picks; any
        is set aside when the taste that it learned is gone. In that order: a few thumbs down right after a
        swap look like a change of taste too, and if it is one, the next thumb tells it of the one before."""
        runtime = self._runtime
        # First the cheap question: to know the active one, the base must be found on the disk.
        if not any(one.status in ("provisional", "promoted") for one in runtime.registry.list()):
            return
        adapter = runtime.active_adapter()
        if adapter is not None and not (adapter.status == "provisional" and self._tried(adapter)):
            self._set_aside(adapter)

    def _tried(self, adapter: Adapter) -> bool:
        """Hold the trial of `adapter`; whether it has ended."""
        from policies.watch import trial
        from policies.win_rate import win_rates

        runtime = self._runtime
        ledger = runtime.journal.ledger(withheld=True)
        mine = {reply.id for _, reply, generation in ledger if generation.adapter == adapter.version}
        # the thumbs of a trial do not decide which earlier ones it is measured by
        weights = runtime.card.weights(before=mine)
        others = {event.other_id for event, _, _ in ledger if event.kind == "pick" and event.other_id}
        lost = {reply_id: runtime.journal.generation(reply_id) for reply_id in others}
        seen = trial(adapter, ledger, weights, runtime.registry.line(adapter.base_sha256), lost=lost)
        decided, why = seen.decided, seen.text
        if decided is None:
            picked = next((one for one in win_rates(runtime.journal, adapter.version) if one.decided), None)
            # picks against the base do not outweigh the thumbs of a better adapter before
            if picked is None or (picked.decided == "better" and seen.behind):
                return False
            decided, why = picked.decided, f"{picked.wins} of {picked.picks} blind picks went to it"
        if decided == "worse":
            text = f"{adapter.version} was rolled back by itself: {why}."
            if not runtime.take_off(adapter, text, "rejected", _watched(adapter, text, seen)):
                return True
            news = UpdateNews("rolled_back", text)
        else:
            text = f"{adapter.version} has proven itself and is promoted: {why}."
            if not runtime.prove(adapter, _watched(adapter, text, seen)):
                return True
            news = UpdateNews("promoted", text)
        log.info("%s (e-values: better %.3g, worse %.3g)", text, seen.e_better, seen.e_worse)
        with self._lock:
            self._news.append(news)
        return True

    def _set_aside(self, adapter: Adapter) -> None:
        """Let the base speak where all that `adapter` learned from has faded.

        Once for each adapter: an owner who lets it speak again has the last word.
        """
        from policies.watch import SET_ASIDE, outdated

        runtime = self._runtime
        if SET_ASIDE in adapter.report or not outdated(adapter, runtime.card.weights()):
            return
        text = (
            f"{adapter.version} was set aside: your taste has changed since the replies that it learned "
            "from, so the base speaks until the next update."
        )
        if not runtime.take_off(
            adapter, text, adapter.status, {**adapter.report, SET_ASIDE: text}, to_base=True
        ):
            return
        log.info("%s", text)
        with self._lock:
            self._news.append(UpdateNews("rolled_back", text))

    def status(self) -> LearningStatus:
        runtime = self._runtime
        policy = runtime.loaded_policy
        # What speaks, which is not what was chosen while a reply is spoken or when it could not be put on.
        if policy is not None:
            version = policy.adapter
        else:
            active = runtime.active_adapter()
            version = active.version if active else None
        statuses = {one.version: one.status for one in runtime.registry.list()}
        fraction, stage = self._progress
        return LearningStatus(
            model=runtime.model_name,
            adapter=version,
            adapter_status=statuses.get(version) if version else None,
            context_used=runtime.context_used,
            context_length=policy.context_length if policy else 0,
            ratings_until_update=self.remaining(),
            progress=fraction if self.updating else None,
            stage=stage if self.updating else "",
            ready=runtime.ready,
            updates=runtime.settings.updates,
        )

    def _ending(self, job: UpdateJob) -> UpdateNews:
        result = job.result
        if result is None:
            log.warning("update: %s", job.error)
            return UpdateNews("failed", job.error or "The update ended without a result; train again.")
        reason = result.reasons[0] if result.reasons else ""
        what = {
            "promoted": f"{result.adapter} speaks from the next reply on.",
            "provisional": f"{result.adapter} speaks on trial from the next reply on.",
            "rejected": f"{result.adapter} was rejected and does not speak.",
        }[result.verdict]
        told = ""
        if result.verdict != "rejected":
            report = self._runtime.registry.get(result.adapter).report
            told = change_in_words(report.get("change")) or taste_in_words(report.get("taste"), most=1)
        log.info("update: %s %s %s", result.adapter, result.verdict, reason)
        text = " ".join(part for part in (what, told, reason) if part)
        return UpdateNews("result", text, 1.0, result.to_json())


def _watched(adapter: Adapter, text: str, seen: Trial) -> dict[str, Any]:
    """The adapter's report with how its trial ended; what the gate found stays as it was."""
    return {**adapter.report, "trial": {"text": text, **seen.to_json()}}
