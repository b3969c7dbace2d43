"""The status line: who speaks, how full the context is, and when it learns next."""

from __future__ import annotations

from textual.widgets import Static

from agent.learning_clock import LearningStatus
from agent.tui.plain import bar, clean, count, one_line

GAP = "  \u00b7  "


def status_text(status: LearningStatus, width: int, loading: tuple[float, str] | None = None) -> str:
    """One line of at most `width` cells. What matters least is shortened, then left out: the stage of an
    update and the tokens before the rating that is waited for, and that before the state of the adapter."""
    model = one_line(status.model.rstrip("/").rsplit("/", 1)[-1], 24)
    if loading is not None:
        fraction, stage = loading
        return _fit([[f"{model} wakes {bar(fraction)}", one_line(clean(stage), 40)]], width)
    adapter = status.adapter or "base"
    state = " (provisional)" if status.adapter and status.adapter_status == "provisional" else ""
    used = f"{status.context_used:,}/{status.context_length:,}" if status.context_length else ""
    stage, brief = "", ""
    if status.progress is not None:
        learning = f"learning {bar(status.progress)} {status.progress:.0%}"
        stage, brief = one_line(clean(status.stage), 28), f"learning {status.progress:.0%}"
    elif not status.updates:
        learning = "updates off (/train)"
    elif status.ratings_until_update > 0:
        ratings = count(status.ratings_until_update, "rating")
        learning, brief = f"{ratings} until the next update", f"update in {ratings}"
    else:
        learning = "update due when idle"
    brief = brief or learning
    return _fit(
        [
            [model, adapter + state, used and f"{used} tokens", learning, stage],
            [model, adapter + state, used, learning, stage],
            [model, adapter + state, used, learning],
            [model, adapter + state, learning],
            [model, adapter + state, brief],
            [model, adapter, brief],
        ],
        width,
    )


def _fit(lines: list[list[str]], width: int) -> str:
    """The first of `lines` that fits, which begin with the one that says most."""
    joined = [GAP.join(part for part in lines[0] if part)]
    joined += [" \u00b7 ".join(part for part in line if part) for line in lines]
    return next((line for line in joined if len(line) <= width), one_line(joined[-1], width))


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
            self.update(status_text(self._status, self.size.width, self._loading))
