"""The status line: who speaks, how full the context is, and when it learns next."""

from __future__ import annotations

from textual.widgets import Static

from agent.learning_clock import LearningStatus
from agent.tui.plain import bar, clean, count, one_line

GAP = "  \u00b7  "


def status_text(status: LearningStatus, width: int, loading: tuple[float, str] | None = None) -> str:
    """One line of at most `width` cells. What matters least is shortened, then left out."""
    model = one_line(status.model.rstrip("/").rsplit("/", 1)[-1], 24)
    adapter = status.adapter or "base"
    if status.adapter and status.adapter_status == "provisional":
        adapter += " (provisional)"
    if loading is not None:
        fraction, stage = loading
        return _fit([f"{model} wakes {bar(fraction)}", one_line(clean(stage), 40)], width)
    tokens = f"{status.context_used:,}/{status.context_length:,} tokens" if status.context_length else ""
    if status.progress is not None:
        learning = [
            f"learning {bar(status.progress)} {status.progress:.0%}",
            one_line(clean(status.stage), 28),
        ]
    elif not status.updates:
        learning = ["updates off (/train)"]
    elif status.ratings_until_update > 0:
        learning = [f"{count(status.ratings_until_update, 'rating')} until the next update"]
    else:
        learning = ["update due when idle"]
    parts = [model, adapter, tokens, *learning]
    return _fit([part for part in parts if part], width)


def _fit(parts: list[str], width: int) -> str:
    for joined in (
        GAP.join(parts),
        " \u00b7 ".join(parts),
        " \u00b7 ".join(parts[:-1] if len(parts) > 4 else parts),
    ):
        if len(joined) <= width:
            return joined
    return one_line(" \u00b7 ".join(parts), width)


class StatusLine(Static):
    """Draws `status_text`; give it news with `show`."""

    def __init__(self) -> None:
        super().__init__("", markup=False, id="status")
        self._status: LearningStatus | None = None
        self._loading: tuple[float, str] | None = None

    def show(self, status: LearningStatus | None, loading: tuple[float, str] | None = None) -> None:
        self._status, self._loading = status, loading
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._status is not None and self.size.width:
            self.update(status_text(self._status, self.size.width - 2, self._loading))
