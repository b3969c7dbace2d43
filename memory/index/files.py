"""The files of a vector index: what a collection is called, whether a file changed, what moves on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
from pathlib import Path

MOVED = 1_000  # entries a call, when many are stored or read
HEADER = struct.Struct("<i6QiI3QdQ")
PLAIN = re.compile(r"[A-Za-z0-9]{1,64}")


def collection_name(owner: str, kind: str, embedder: str) -> str:
    """One for each (owner, kind, embedder), of characters that Chroma takes."""
    space = hashlib.sha256(embedder.encode()).hexdigest()[:12]
    if PLAIN.fullmatch(owner) and PLAIN.fullmatch(kind):
        return f"{owner}-{kind}-{space}"
    # Two parts where the readable names have three, so that no owner's name can imitate another's.
    return f"{hashlib.sha256(json.dumps([owner, kind]).encode()).hexdigest()[:32]}-{space}"


def signature(folder: Path) -> object:
    """Changes with every write by whomever: Chroma puts each into its SQLite file first."""
    seen = []
    for name in ("chroma.sqlite3", "chroma.sqlite3-wal"):
        try:
            stat = os.stat(folder / name)
            seen.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError:
            seen.append((0, 0, 0))
    return tuple(seen)


def torn(folder: Path) -> bool:
    """Whether the vectors of a collection cannot be what Chroma wrote. It would read beyond them, and end
    the process, so this is asked before it opens them.

    The header is hnswlib's `saveIndex` in Chroma's form: version, first offset, room, elements, bytes an
    element, where its label and its vector begin; then the graph, of which the entry point must be there.
    """
    for header in folder.glob("*/header.bin"):
        try:
            version, _, room, elements, size, label, begins, _, entry, *_ = HEADER.unpack(header.read_bytes())
            held, lengths = (
                header.with_name(name).stat().st_size for name in ("data_level0.bin", "length.bin")
            )
        except (OSError, struct.error):
            return True
        if version != 1 or not begins < label == size - 8 or (elements and entry >= elements):
            return True
        # A file may be as long as there are elements, or as there is room for.
        if not elements <= lengths // 4 <= room or lengths % 4 or held != lengths // 4 * size:
            return True
    return False


def blank_rest(folder: Path, known: set[str]) -> None:
    """Zeros over what lies behind the elements in the vector files of collections that are not `known` yet.

    Chroma makes these files with room for a hundred elements and fills the room with whatever its memory
    held before, forgotten vectors among it. Later it writes elements only. `known` grows by those done.
    """
    for entry in os.scandir(folder):
        if entry.name in known or not entry.is_dir():
            continue
        try:
            elements, size = HEADER.unpack(Path(entry, "header.bin").read_bytes())[3:5]
            for name, each in (("data_level0.bin", size), ("length.bin", 4)):
                with Path(entry, name).open("r+b") as file:
                    rest = os.fstat(file.fileno()).st_size - elements * each
                    file.seek(elements * each)
                    file.write(b"\0" * max(0, rest))
        except (OSError, struct.error):
            continue  # not made yet, or not in this form: `torn` judges that when it is opened
        known.add(entry.name)


def delete_files(folder: Path) -> None:
    """Whatever lies in the folder, or in its place; the folder itself stays."""
    if folder.is_file():
        folder.unlink()
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def only_chroma(error: BaseException) -> None:
    """Let pass what is not Chroma's: its Rust core panics with a class that derives from BaseException."""
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        return
    raise error
