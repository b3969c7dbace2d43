"""Looks at everything that Attune stands on, and says what to do where something is wrong.

Every check is on its own: one that fails, however, does not keep the others from being made.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from memory.errors import AttuneError
from memory.rescue.restore import moment

if TYPE_CHECKING:
    from agent.config import Settings
    from memory.database import Database

PACKAGES = (
    "torch", "transformers", "peft", "trl", "sentence-transformers", "chromadb", "textual", "gymnasium",
)  # fmt: skip
LEAST_DISK = 200_000_000
log = logging.getLogger("attune.doctor")


@dataclass(frozen=True, slots=True)
class Check:
    """`text` says what was found; `todo` what to do, empty when all is well."""

    name: str
    ok: bool
    text: str
    todo: str = ""


def examine(home: Path, model: str | None = None) -> Iterator[Check]:
    """Yield one Check after another, as they are made. Never raises; downloads nothing."""
    from agent.config import Settings, load_settings

    yield _guarded("versions", _versions)
    settings = Settings.model_construct()

    def read() -> Check:
        nonlocal settings
        settings = load_settings(home, model=model)
        path = home / "config.toml"
        return Check("config", True, f"{path} is fine" if path.exists() else f"no {path}; the defaults apply")

    yield _guarded("config", read)
    yield _guarded("device", lambda: _device(settings))
    yield _guarded("memory", _memory)
    yield _guarded("model", lambda: _model(settings))
    yield _guarded("embedder", lambda: _embedder(settings))
    opened: list[Database] = []
    yield _guarded("database", lambda: _database(home, opened))
    yield _guarded("backups", lambda: _backups(home))
    if not opened:
        for name in ("index", "adapter"):
            yield Check(name, False, "not looked at", "Put the database in order first.")
        return
    try:
        yield _guarded("index", lambda: _index(home, opened[0], settings))
        yield _guarded("adapter", lambda: _adapters(home, opened[0], settings))
    finally:
        opened[0].close()


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except AttuneError as wrong:
        return Check(name, False, "wrong", str(wrong))
    except Exception as wrong:
        log.exception("%s", name)
        first = (str(wrong).splitlines() or [""])[0][:200]
        return Check(name, False, f"{type(wrong).__name__}: {first}", "Install Attune anew: make install.")


def _versions() -> Check:
    found, missing = [f"Python {platform.python_version()}"], []
    for name in ("attune", *PACKAGES):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("versions", False, f"without {', '.join(missing)}", "Install Attune anew: make install.")
    return Check("versions", True, ", ".join(found))


def _device(settings: Settings) -> Check:
    import torch

    from policies.base_models import pick_device

    device = pick_device(settings.device)
    text = f"{device}, {torch.get_num_threads()} CPU threads"
    if device == "cuda":
        text = f"{torch.cuda.get_device_name()}, bfloat16"
    return Check("device", True, text)


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    text = f"{memory.available / 1e9:.1f} GB of {memory.total / 1e9:.1f} GB free"
    if memory.available < 1_000_000_000:
        return Check("memory", False, text, "Close other programs: chat and an update need about 1 GB.")
    return Check("memory", True, text)


def _model(settings: Settings) -> Check:
    from policies.base_models import check_memory, load_tokenizer, pick_device, resolve

    spec = resolve(settings.model, download=False)
    device = pick_device(settings.device)
    need = check_memory(spec, device, "bfloat16" if device == "cuda" else "float32")
    load_tokenizer(spec)
    return Check("model", True, f"{spec.name}, {spec.sha256[:12]}, needs {need / 1e9:.2f} GB")


def _embedder(settings: Settings) -> Check:
    from memory.index.embedder import EmbedderError, load_embedder

    embedder = load_embedder(settings.embedder)
    try:
        with _offline():
            embedder.embed(["ready"])
    except EmbedderError:
        if not settings.embedder or Path(settings.embedder).expanduser().is_dir():
            raise
        return Check(
            "embedder",
            False,
            f"{settings.embedder} is not on this machine",
            "It is fetched when a memory is first looked for; check the setting `embedder`, or leave it "
            "empty for the bundled one.",
        )
    return Check("embedder", True, f"{embedder.name}, {embedder.dimension} dimensions")


@contextmanager
def _offline() -> Iterator[None]:
    """A check downloads nothing, whatever the environment allows."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before


def _database(home: Path, opened: list[Database]) -> Check:
    from memory.database import open_home
    from memory.errors import DamagedDatabase

    try:
        database = open_home(home)
    except DamagedDatabase:
        return Check("database", False, f"{home / 'attune.db'} is damaged", _mend(home))
    faults = database.check()
    if faults:
        database.close()
        return Check("database", False, " ".join(faults), _mend(home))
    opened.append(database)
    free = shutil.disk_usage(home).free
    size = database.path.stat().st_size / 1e6
    text = f"{database.path}, {size:.1f} MB, sound; {free / 1e9:.1f} GB of disk free"
    if free < LEAST_DISK:
        return Check("database", False, text, "Free some space, or choose another home with --home.")
    return Check("database", True, text)


def _mend(home: Path) -> str:
    """What to do about a damaged database. The next start looks at all of it, and finds what this did."""
    from memory.rescue.backups import Backups

    backups = Backups(home)
    backups.suspect_damage()
    there = backups.all()
    copy = f"the copy of {moment(there[0].made_at)}" if there else "what can still be read"
    return f"Start Attune: it sets {home / 'attune.db'} aside and restores {copy}."


def _backups(home: Path) -> Check:
    from memory.rescue.backups import Backups, faults_of

    backups = Backups(home)
    there = backups.all()
    aside = "".join(f"; {path} is a damaged one, set aside" for path in backups.set_aside())
    if not there:
        return Check("backups", True, f"none yet: the first is made when you are idle{aside}")
    newest = there[0]
    size = sum(one.path.stat().st_size for one in there) / 1e6
    text = f"{len(there)}, {size:.1f} MB, the newest of {moment(newest.made_at)}"
    if faults := faults_of(newest.path):
        return Check(
            "backups", False, f"{text}, damaged: {faults[0]}", f"Delete {newest.path}; a new one is made."
        )
    return Check("backups", True, f"{text}, sound{aside}")


def _index(home: Path, database: Database, settings: Settings) -> Check:
    from memory.facts import Facts
    from memory.index.embedder import load_embedder
    from memory.index.vector_index import VectorIndex

    facts = Facts(database)
    index = VectorIndex(home / "index", load_embedder(settings.embedder))
    try:
        wanted, there = {memory_id for memory_id, _ in facts.texts()}, index.ids()
    finally:
        index.close()
    if wanted != there:
        text = f"{len(wanted - there)} memories are missing from it and {len(there - wanted)} are too many"
        return Check("index", False, text, "Run `attune memory rebuild`; nothing is lost.")
    return Check("index", True, f"{len(there)} memories")


def _adapters(home: Path, database: Database, settings: Settings) -> Check:
    from memory.forgetting import lineage
    from policies.adapters.left_out import left_out
    from policies.adapters.registry import AdapterRegistry
    from policies.base_models import resolve

    registry = AdapterRegistry(database, home)
    adapters = registry.list()
    # A model that is not there has a check of its own; on it, nothing speaks.
    active = silent = None
    try:
        spec = resolve(settings.model, download=False)
        silent = left_out(registry, spec)
        active = registry.active(spec.sha256)
    except AttuneError as wrong:
        log.info("no base to look up the adapter of: %s", wrong)
    if registry.notice:
        return Check("adapter", False, registry.notice, "Run `attune policy rollback`.")
    for adapter in adapters:
        try:
            registry.verify(adapter.version)
        except AttuneError as wrong:
            return Check("adapter", False, str(wrong), "Use another version: `attune policy list`.")
    speaks = f"{active.version} ({active.status}) speaks" if active else "the base speaks"
    text = f"{speaks}; {len(adapters)} in the registry, all sound"
    if active is not None and active.forgotten:
        return Check("adapter", False, text, lineage.what_to_do(active))
    if marked := [adapter for adapter in adapters if adapter.forgotten]:
        known = ", ".join(f"{adapter.version} was {lineage.mark(adapter)}" for adapter in marked)
        text = f"{text}. {known}: `attune forget --purge` deletes what does not speak"
    return Check("adapter", True, f"{text}. {silent}" if silent else text)
