"""Which files a folder holds for reading: hidden ones and what programs make for themselves are left out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

JUNK_FOLDERS = (
    "node_modules", "bower_components", "__pycache__", "__MACOSX", "site-packages", "venv", "virtualenv",
    "$RECYCLE.BIN", "System Volume Information",
)  # fmt: skip
JUNK_NAMES = ("package-lock.json", "Thumbs.db", "desktop.ini")
JUNK_ENDINGS = (
    ".pyc", ".pyo", ".o", ".a", ".so", ".dylib", ".dll", ".exe", ".class", ".jar", ".min.js",
    ".min.css", ".map", ".lock", ".log", ".tmp", ".bak", ".swp", ".part", ".png", ".jpg", ".jpeg",
    ".gif", ".webp", ".bmp", ".ico", ".tif", ".tiff", ".heic", ".svg", ".mp3", ".wav", ".flac",
    ".ogg", ".m4a", ".mp4", ".mkv", ".mov", ".avi", ".webm", ".zip", ".gz", ".bz2", ".xz", ".zst",
    ".7z", ".rar", ".tar", ".tgz", ".iso", ".dmg", ".deb", ".rpm", ".whl", ".woff", ".woff2",
    ".ttf", ".otf", ".eot", ".db", ".sqlite", ".sqlite3", ".parquet", ".npy", ".npz", ".pt", ".pth",
    ".safetensors", ".onnx", ".bin", ".pkl",
)  # fmt: skip


def files(root: Path, outside: Collection[Path] = ()) -> Iterator[Path]:
    """The file `root` itself, or every readable file below it, each once, by name.

    Links are followed, but no folder is entered twice, so a loop of links ends. Folders in `outside` are
    not entered.
    """
    if not root.is_dir():
        yield root
        return
    seen: set[tuple[int, int]] = set()
    yield from _below(root, seen, {path.resolve() for path in outside})


def _below(folder: Path, seen: set[tuple[int, int]], outside: set[Path]) -> Iterator[Path]:
    try:
        stat = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return  # no permission, or gone in this moment
    if (stat.st_dev, stat.st_ino) in seen or folder.resolve() in outside:
        return
    seen.add((stat.st_dev, stat.st_ino))
    for entry in entries:
        if entry.name.startswith((".", "~$")) or entry.name in JUNK_NAMES:
            continue
        try:
            if entry.is_dir():
                if entry.name not in JUNK_FOLDERS:
                    yield from _below(folder / entry.name, seen, outside)
            elif entry.is_file() and not _junk(entry.name):
                identity = entry.stat()
                if (identity.st_dev, identity.st_ino) not in seen:
                    seen.add((identity.st_dev, identity.st_ino))
                    yield folder / entry.name
        except OSError:
            continue  # a link that leads nowhere


def _junk(name: str) -> bool:
    return name.casefold().endswith(JUNK_ENDINGS)
