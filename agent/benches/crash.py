"""`attune bench crash`: kill a real agent at random points, and look whether anything was lost."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from memory.errors import AttuneError

Progress = Callable[[float, str], None]


def audit_adapters(home: Path, acks: Sequence[Any]) -> list[str]:
    """Never a half adapter: each one that has a row is whole, and what is active is one of them."""
    from memory.database import open_home
    from policies.adapters import AdapterRegistry

    problems: list[str] = []
    try:
        db = open_home(home)
    except AttuneError as wrong:
        return [str(wrong)]
    try:
        registry = AdapterRegistry(db, home)
        for adapter in registry.list():
            try:
                registry.verify(adapter.version)
            except AttuneError as wrong:
                problems.append(str(wrong))
        registry.active()
        if registry.notice:
            problems.append(registry.notice)
        known = {adapter.version for adapter in registry.list()}
        for ack in acks:
            if ack["ack"] == "active" and ack["version"] not in known:
                problems.append(f"adapter {ack['version']} was acknowledged as active and is gone")
    except AttuneError as wrong:
        problems.append(str(wrong))
    finally:
        db.close()
    return problems


def run(
    model: str | None = None,
    rounds: int = 100,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The report of `env.bench.crash`; chat, rating, training and promotion by `crash_child`."""
    from env.bench import crash

    with tempfile.TemporaryDirectory(prefix="attune-crash-") as folder:
        home = Path(folder) / "home"
        command = [sys.executable, "-m", "agent.benches.crash_child", str(home), *([model] if model else [])]
        return crash.run(
            command,
            home,
            [crash.audit_journal, audit_adapters],
            rounds=rounds,
            progress=progress,
            cancelled=cancelled,
        )
