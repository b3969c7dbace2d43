"""Taking vectors out of the files of an index for good, without making it anew.

Chroma marks what is deleted and leaves the numbers where they are: in its queue until that is written out,
in the graph for ever. The text can be guessed from them (arXiv 2310.06816). So what goes gets noise in its
place first, and forgetting has the queue and the graph written out, and the database file made anew.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from memory.index.files import MOVED

FILLER = "-"  # an id that no table gives
# Chroma writes a graph out once this many changes wait in its queue; its default, and the least it takes
USUAL, AT_ONCE = 1_000, 2


def drop(collection: Any, ids: Sequence[str]) -> None:
    """Delete those of `ids` that are there, noise in their place."""
    for start in range(0, len(ids), MOVED):
        held = collection.get(ids=list(ids[start : start + MOVED]), include=["embeddings"])
        if held["ids"]:
            collection.upsert(
                ids=held["ids"], embeddings=_noise(len(held["ids"]), len(held["embeddings"][0]))
            )
            collection.delete(ids=held["ids"])


def drop_everywhere(client: Any, ids: Sequence[str]) -> None:
    """`drop` from every collection; one that holds nothing then goes as well."""
    for one in client.list_collections():
        drop(one, ids)
        if not one.count():
            client.delete_collection(one.name)


def hasten(client: Any) -> None:
    """Have each queue written out at once, from when the files are opened next."""
    for one in client.list_collections():
        one.modify(configuration={"hnsw": {"sync_threshold": AT_ONCE}})


def write_out(client: Any) -> None:
    """After `hasten`: as many changes as it takes, and all is as usual when the files are opened next."""
    for one in client.list_collections():
        size = len(one.get(limit=1, include=["embeddings"])["embeddings"][0])
        for _ in range(AT_ONCE + 1):
            one.upsert(ids=[FILLER], embeddings=_noise(1, size))
        one.delete(ids=[FILLER])
        settle(one)


def settle(collection: Any) -> None:
    """Have its queue written out as seldom as usual; a process may have died after `hasten`."""
    if collection.configuration["hnsw"]["sync_threshold"] != USUAL:
        collection.modify(configuration={"hnsw": {"sync_threshold": USUAL}})


def compact(folder: Path) -> None:
    """Write Chroma's database anew without what was deleted from it, and delete the graphs of collections
    that are no more. The files must not be open. Raises sqlite3.Error and OSError.
    """
    with closing(sqlite3.connect(folder / "chroma.sqlite3", isolation_level=None)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        used = {row[0] for row in connection.execute("SELECT id FROM segments")}
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name not in used:
            shutil.rmtree(entry)


def _noise(count: int, size: int) -> list[Any]:
    """`count` unit vectors in directions that say nothing."""
    import numpy as np

    drawn = np.random.default_rng().normal(size=(count, size)).astype(np.float32)
    return list(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
