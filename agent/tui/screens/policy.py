"""Versions of the policy: how each one did, why the gate let it in or not, and which one speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult
from textual.color import Color
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Static
from textual_plotext import PlotextPlot

from agent.learning_clock import LearningStatus
from agent.tui import keys
from agent.tui.curve import Curve, curve, satisfaction
from agent.tui.edge import told
from agent.tui.plain import bar, clean
from agent.tui.report import full_report
from memory.errors import AttuneError
from memory.records import Adapter

if TYPE_CHECKING:
    from agent.runtime import Runtime

BASE = "base"
KEYS = ("Enter use", "r roll back", "b base", "t train", "x stop", "Tab report", "Esc back")
HINT = " \u00b7 ".join(KEYS)


class LearningPlot(PlotextPlot):
    """The share of good ratings over time, with a line wherever another version began to speak."""

    def _rgb(self, name: str) -> tuple[int, int, int]:
        return Color.parse(self.app.theme_variables[name]).rgb

    def draw(self, found: Curve) -> None:
        plot = self.plt
        plot.clear_figure()
        plot.title("good ratings, % of the last 8")
        plot.ylim(0, 100)
        plot.yticks([0, 50, 100])
        if found.share:
            ratings = list(range(1, len(found.share) + 1))
            plot.plot(ratings, list(found.share), marker="braille", color=self._rgb("primary"))
            plot.xlim(1, max(len(ratings), 2))
            ticks = [1.0, *(index + 1.0 for index, _ in found.changes), float(len(ratings))]
            names = {index + 1.0: f"{index + 1} {version}" for index, version in found.changes}
            plot.xticks(ticks, [names.get(tick, f"{tick:.0f}") for tick in ticks])
            for index, _ in found.changes:
                plot.vline(index + 1, color=self._rgb("accent"))
        self.refresh()


class PolicyScreen(Screen[None]):
    BINDINGS = keys.POLICY
    AUTO_FOCUS = "DataTable"

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self._reports: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Static("Policy", markup=False, classes="heading")
        with Horizontal(id="policy"):
            with Vertical(id="versions"):
                yield DataTable(cursor_type="row", zebra_stripes=False)
                with VerticalScroll(id="report", can_focus=True):
                    yield Static("", markup=False)
            with Vertical(id="curve"):
                yield LearningPlot()
                yield Static("", markup=False, id="no-curve")
        yield Static(HINT, markup=False, classes="hint")

    async def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("", "version", "status", "learner", "signals", "liked")
        status = self.app.status  # type: ignore[attr-defined]
        if status is not None:
            self.show_progress(status)
        self.look()

    async def fill(self) -> None:
        """Read registry and ledger again; the cursor stays where it was."""
        try:
            adapters, found, liked, reports = await asyncio.to_thread(self._read)
        except Exception as error:
            self._sorry(error)
            return
        if not self.is_attached:  # the person has left meanwhile
            return
        self._reports = reports
        table = self.query_one(DataTable)
        row = table.cursor_row
        table.clear()
        base = self.runtime.base_sha256
        for adapter in reversed(adapters):
            table.add_row(
                "\u25cf" if adapter.active else " ",
                adapter.version,
                _status(adapter) if base in (None, adapter.base_sha256) else "other model",
                adapter.algorithm,
                str(adapter.signals),
                _liked(liked.get(adapter.version)),
                key=adapter.version,
            )
        table.add_row(
            " " if any(adapter.active for adapter in adapters) else "\u25cf",
            BASE,
            "",
            "",
            "",
            _liked(liked.get(BASE)),
            key=BASE,
        )
        table.move_cursor(row=min(row, table.row_count - 1))
        self.query_one(LearningPlot).draw(found)
        self.query_one(LearningPlot).display = bool(found.share)
        nothing = self.query_one("#no-curve", Static)
        nothing.display = not found.share
        nothing.update("The learning curve begins with your first rating.")
        self._show_report()

    def _read(self) -> tuple[list[Adapter], Curve, dict[str, tuple[int, int]], dict[str, str]]:
        """The adapters (active is the one that speaks on the loaded base), the curve, who was liked, and the
        reports by version."""
        active = self.runtime.active_adapter()
        speaks = active.version if active else None
        adapters = [
            replace(adapter, active=adapter.version == speaks) for adapter in self.runtime.registry.list()
        ]
        journal = self.runtime.journal
        signals = journal.ledger(withheld=True)
        reports = {one.version: full_report(one, journal) for one in adapters}
        return adapters, curve(signals), satisfaction(signals), reports

    def look(self) -> None:
        self.run_worker(self.fill, group="fill", exclusive=True, exit_on_error=False)  # type: ignore[arg-type]

    def show_progress(self, status: LearningStatus) -> None:
        """The heading says who speaks, and how far an update is."""
        text = f"Policy  {clean(status.model)} \u00b7 {status.adapter or BASE}"
        if status.progress is not None:
            text += f" \u00b7 learning {bar(status.progress)} {status.progress:.0%} {clean(status.stage)}"
        self.query_one(".heading", Static).update(text)

    @property
    def chosen(self) -> str | None:
        """The version under the cursor; None before the table is filled, and when it could not be read."""
        table = self.query_one(DataTable)
        if not table.row_count:
            return None
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        return key or BASE

    @on(DataTable.RowHighlighted)
    def _show_report(self) -> None:
        if self.chosen is None:
            return
        text = self._reports.get(self.chosen, "base: the model as it came, without any adapter.")
        self.query_one("#report Static", Static).update(text)
        self.query_one("#report").scroll_home(animate=False)

    @on(DataTable.RowSelected)
    async def action_use(self) -> None:
        chosen = self.chosen
        if chosen is None:
            self.app.notify("No version is on the screen yet.", timeout=3)
            return
        version = None if chosen == BASE else chosen
        await self._do(lambda: self.runtime.use(version), "{} speaks from the next reply on.")

    async def action_base(self) -> None:
        await self._do(lambda: self.runtime.use(None), "{} speaks from the next reply on.")

    async def action_rollback(self) -> None:
        await self._do(self.runtime.rollback, "Rolled back: {} speaks from the next reply on.")

    async def action_train(self) -> None:
        await self._do(self.runtime.start_update, "An update has started.")

    async def action_cancel_update(self) -> None:
        await self._do(self._cancel, "The update is being stopped.")

    def _cancel(self) -> None:
        if not self.runtime.cancel_update():
            raise AttuneError("No update is running.")

    async def _do(self, act: Callable[[], Any], said: str) -> None:
        try:
            given = await asyncio.to_thread(act)
        except Exception as error:
            self._sorry(error)
        else:
            self.app.notify(said.format("The base" if given is None else given), timeout=3, markup=False)
        self.app.look_again()  # type: ignore[attr-defined]
        await self.fill()

    def _sorry(self, error: Exception) -> None:
        self.app.notify(told(error, "the policy screen"), severity="error", markup=False)

    def action_back(self) -> None:
        self.dismiss(None)


def _status(adapter: Adapter) -> str:
    """Marked: something that it was trained on was forgotten since; its report says what."""
    return f"{adapter.status} (marked)" if adapter.forgotten else adapter.status


def _liked(counts: tuple[int, int] | None) -> str:
    return f"{counts[0]}/{counts[1]}" if counts else "-"
