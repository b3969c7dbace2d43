"""`attune bench crash`: kill a real agent at random points, and look whether anything was lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memory.errors import AttuneError

Progress = Callable[[float, str], None]
# what takes seconds to import, once for all lives
PRELOAD = (
    "torch",
    "transformers.models.llama.modeling_llama",
    "peft",
    "trl",
    "agent.loop",
    "policies.language_policy",
    "policies.update.run",
    "agent.benches.crash_child",
    "env.bench.crash_store",
)


def audit_adapters(home: Path, acks: Sequence[Any]) -> list[str]:
    """Never a half adapter: a folder for every row, a row for every folder, and each of them whole.

    The one that speaks is the one that was acknowledged last, or one that was about to after that.
    """
    from memory.database import open_home
    from policies.adapters.registry import AdapterRegistry

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
        active = registry.active()
        if registry.notice:
            problems.append(registry.notice)
        known = {adapter.version for adapter in registry.list()}
        # a hidden one is a copy that was never put in its place
        folders = {path.name for path in (home / "adapters").iterdir() if not path.name.startswith(".")}
        problems += [f"adapter {name} has only a row or only a folder" for name in sorted(known ^ folders)]
        told = [ack for ack in acks if "active" in (ack.get("ack"), ack.get("about"))]
        for ack in told:
            if "ack" in ack and ack["version"] not in {None, *known}:
                problems.append(f"adapter {ack['version']} was acknowledged as active and is gone")
        speaks, possible = active.version if active else None, _possible(told)
        if possible is not None and speaks not in possible:
            names = ", ".join(sorted(version or "the base" for version in possible))
            problems.append(f"{speaks or 'the base'} speaks, though what was acknowledged is {names}")
    except AttuneError as wrong:
        problems.append(str(wrong))
    finally:
        db.close()
    return problems


def _possible(told: Sequence[Any]) -> set[str | None] | None:
    """What may speak after these lines; None is anything. An "about" may not know its version yet."""
    last = max((at for at, ack in enumerate(told) if "ack" in ack), default=None)
    since = told[last or 0 :]
    if any("version" not in ack for ack in since):
        return None
    possible: set[str | None] = {ack["version"] for ack in since}
    return possible if last is not None else {None, *possible}


def run(
    model: str | None = None,
    kills: int = 100,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The report of `env.bench.crash`: an agent that chats, rates, trains and promotes (`crash_child`), and
    a store that keeps, corrects, forgets, copies and restores (`env.bench.crash_store`)."""
    from agent.benches import crash_child
    from env.bench import crash, crash_store
    from env.bench.crash_audits import audit_backups, audit_journal
    from env.bench.crash_life import Nursery

    agent, audits = partial(crash_child.live, model=model), [audit_journal, audit_backups]
    families = [
        crash.Family(
            lambda home: Nursery(agent, home, PRELOAD).begin,
            [*audits, audit_adapters],
            1 + len(crash_child.PHASES),
            alone=True,
        ),
        crash.Family(
            lambda home: Nursery(crash_store.live, home, PRELOAD).begin,
            audits,
            1 + len(crash_store.PHASES),
            alone=True,
        ),
    ]
    with tempfile.TemporaryDirectory(prefix="attune-crash-") as folder:
        return crash.run_all(families, Path(folder), kills, progress=progress, cancelled=cancelled)
