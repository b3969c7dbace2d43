"""The small lines between messages: notices, tools at work, what a rating taught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.widgets import Static

from agent.tui.plain import clean, one_line


class NoticeLine(Static):
    """One sentence for the person. `kind` is a class of the style sheet: info, good, bad."""

    def __init__(self, text: str, kind: str = "info") -> None:
        sign = {"info": "\u00b7", "good": "\u2713", "bad": "!"}[kind]
        super().__init__(f"{sign} {clean(text)}", markup=False, classes=f"notice -{kind}")


class ToolLine(Static):
    """A tool call: its name and arguments while it runs, its result when it has one."""

    def __init__(
        self, name: str, arguments: Mapping[str, Any], result: str | None = None, ok: bool = True
    ) -> None:
        super().__init__("", markup=False, classes="tool")
        self._call = f"{name}({', '.join(one_line(str(value), 60) for value in arguments.values())})"
        self._result, self._ok = result, ok

    def on_mount(self) -> None:
        self.show(self._result, self._ok)

    def show(self, result: str | None, ok: bool = True) -> None:
        self._result, self._ok = result, ok
        if result is None:
            ending = "\u2026"
        else:
            ending = f"\u2192 {one_line(result, 80)}" if ok else f"\u2192 failed: {one_line(result, 80)}"
        self.update(one_line(f"\u203a {self._call}", 90) + f" {ending}")
