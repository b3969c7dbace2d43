"""Where a home lies. Everything that Attune keeps is under one folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from memory.errors import AttuneError

OWNERS = "owners"
# A folder name on every system, and nothing that leads out of the folder.
OWNER = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def home_folder(given: str | Path | None = None, owner: str | None = None) -> Path:
    """`given`, else `ATTUNE_HOME`, else the platform's data folder. Nothing is created here.

    Each further owner has a whole home of their own inside it, `owners/NAME`: database, index, adapters,
    backups, settings. No query can return a row of another owner, since it is asked of another file.
    `owner` None is `ATTUNE_OWNER`, else the `owner` in the home's config.toml, else the home itself; so is
    "default". Raises AttuneError for a name that cannot be a folder.
    """
    home = _home(given)
    name = owner or os.environ.get("ATTUNE_OWNER") or _chosen(home)
    if not name or name == "default":
        return home
    if not OWNER.fullmatch(name):
        raise AttuneError(
            f"{name[:40]!r} cannot name an owner; use small letters, digits, - and _, such as `--owner ann`."
        )
    return home / OWNERS / name


def owners(home: Path) -> list[str]:
    """The further owners of a home, by name."""
    folder = home / OWNERS
    if not folder.is_dir():
        return []
    return sorted(one.name for one in folder.iterdir() if OWNER.fullmatch(one.name) and one.is_dir())


def _chosen(home: Path) -> str | None:
    """`owner` of the home's config.toml; a broken file is told by whoever reads the settings."""
    import tomllib

    try:
        name = tomllib.loads(config_file(home).read_text(encoding="utf-8")).get("owner")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def _home(given: str | Path | None) -> Path:
    chosen = given or os.environ.get("ATTUNE_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("attune", appauthor=False))


def config_file(home: Path) -> Path:
    return home / "config.toml"


def log_file(home: Path) -> Path:
    return home / "logs" / "attune.log"
