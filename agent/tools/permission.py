"""Who may act: asked in front of every tool call, never after it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any


class Permission:
    """Tools in `allowed` run; any other asks the person through `ask`, and without one it is refused."""

    def __init__(
        self, allowed: Collection[str], ask: Callable[[str, dict[str, Any]], bool] | None = None
    ) -> None:
        self.allowed = frozenset(allowed)
        self.ask = ask

    def allows(self, name: str, arguments: dict[str, Any]) -> bool:
        if name in self.allowed:
            return True
        return self.ask is not None and self.ask(name, arguments)
