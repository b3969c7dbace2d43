"""The folder that holds adapters on disk: one whole folder a version, put there in one rename."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memory.forgetting import erase
from policies.adapters.files import CONFIG, META, REWARD, WEIGHTS

VERSION = re.compile(r"v([1-9]\d*)")
INCOMING = re.compile(r"\.incoming-(\d+)-")
log = logging.getLogger("attune.adapters")


class AdapterShelf:
    """`folder` of a home. Methods raise OSError; the registry gives it its sentence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def stage(self, source: Path, about: Mapping[str, Any]) -> Path:
        """A synced copy of the adapter in `source` beside its place, with `about` as its attune.json."""
        incoming = self.folder / f".incoming-{os.getpid()}-{uuid.uuid4().hex}"
        incoming.mkdir()
        try:
            names = [CONFIG, WEIGHTS, *([REWARD] if (source / REWARD).is_file() else [])]
            for name in names:
                shutil.copyfile(source / name, incoming / name)
            (incoming / META).write_text(json.dumps(dict(about), indent=2) + "\n")
            for name in (*names, META):
                _sync(incoming / name)
            _sync(incoming)
        except BaseException:
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        return incoming

    def place(self, incoming: Path, version: str) -> None:
        """Let the staged copy be `version`, durably."""
        os.rename(incoming, self.folder / version)
        _sync(self.folder)

    def erase(self, path: Path) -> None:
        """Overwrite and delete a folder of this shelf; what cannot be deleted now stays for a later sweep."""
        try:
            erase.folder(path)
        except OSError as error:
            log.warning("%s could not be deleted: %s", path, error)

    def numbers(self) -> list[int]:
        """Of all folders that look like a version, with a row or without."""
        return [int(match[1]) for path in self.folder.iterdir() if (match := VERSION.fullmatch(path.name))]

    def orphans(self, known: set[str]) -> list[Path]:
        """What a crash left: versions that are not `known`, and copies whose process is gone."""
        found = []
        for path in self.folder.iterdir():
            incoming = INCOMING.match(path.name)
            if incoming:
                import psutil

                if not psutil.pid_exists(int(incoming[1])):
                    found.append(path)
            elif VERSION.fullmatch(path.name) and path.name not in known:
                found.append(path)
        return found


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
