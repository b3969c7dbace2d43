"""Indexes that are closed when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.index.vector_index import VectorIndex
from tests.memory.index.indexes import MakeIndex
from tests.support import HashEmbedder


@pytest.fixture
def make_index(tmp_path: Path) -> Iterator[MakeIndex]:
    """Another collection in the folder `index`."""
    made: list[VectorIndex] = []

    def index(owner: str = "owner", kind: str = "fact") -> VectorIndex:
        made.append(VectorIndex(tmp_path / "index", HashEmbedder(), owner, kind))
        return made[-1]

    yield index
    for one in made:
        one.close()
