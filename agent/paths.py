"""Where a home lies. Everything that Attune keeps is under one folder."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder(given: str | Path | None = None) -> Path:
    """`given`, else `ATTUNE_HOME`, else the platform's data folder. Nothing is created here."""
    chosen = given or os.environ.get("ATTUNE_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("attune", appauthor=False))


def config_file(home: Path) -> Path:
    return home / "config.toml"


def log_file(home: Path) -> Path:
    return home / "logs" / "attune.log"
