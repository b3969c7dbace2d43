"""All keys and commands."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from agent.commands import usages
from agent.tui import keys

WIDTH = 31  # of the left column
NARROW = 12  # of that of the commands


class HelpScreen(Screen[None]):
    BINDINGS = keys.HELP
    AUTO_FOCUS = "VerticalScroll"

    def compose(self) -> ComposeResult:
        yield Static("Keys and commands", markup=False, classes="heading")
        with VerticalScroll():
            for title in keys.TABLES:
                yield Static(title, markup=False, classes="section")
                rows = [(keys.written(one.key), one.description) for one in keys.table(title)]
                yield Static(_table(rows, WIDTH), markup=False, classes="rows")
            yield Static("Commands", markup=False, classes="section")
            yield Static(_table(_commands(), NARROW), markup=False, classes="rows")
            yield Static("Also", markup=False, classes="section")
            yield Static(
                "Ctrl+P opens the command palette. Every mark under a reply can be clicked.",
                markup=False,
                classes="rows",
            )
        yield Static("\u2191\u2193 scroll \u00b7 Esc back", markup=False, classes="hint")

    def action_back(self) -> None:
        self.dismiss(None)


def _commands() -> list[tuple[str, str]]:
    """Every command with its help, and below it what may stand after its name."""
    rows = []
    for name, said, usage in usages():
        rows.append((name, said))
        if usage:
            rows.append(("", f"{name} {usage}"))
    return rows


def _table(rows: list[tuple[str, str]], width: int) -> str:
    return "\n".join(f"{left:<{width}} {right}" for left, right in rows)
