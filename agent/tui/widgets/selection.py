"""What is selected with the mouse."""

from __future__ import annotations

from typing import Any

from textual.screen import Screen


def selected_on(screen: Screen[Any]) -> str:
    """The selected text, "" where there is none.

    Text that went on growing may have become shorter than what was selected of it (a fence was closed and
    another one opened); Textual 8 raises IndexError then, and the selection is taken off.
    """
    try:
        return screen.get_selected_text() or ""
    except IndexError:
        screen.clear_selection()
        return ""
