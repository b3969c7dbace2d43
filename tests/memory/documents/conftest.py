from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory.database import Database
from memory.documents.learning import Documents
from memory.documents.search import PassageSearch
from memory.documents.store import DocumentStore
from memory.index.vector_index import VectorIndex
from tests.support import HashEmbedder

Make = Callable[..., Documents]


@pytest.fixture
def make(db: Database, home: Path) -> Iterator[Make]:
    """Documents of an owner on the one home, each with a real index; all closed at the end."""
    made: list[Documents] = []

    def open_(owner: str = "owner") -> Documents:
        store = DocumentStore(db, owner)
        index = VectorIndex(home / "index", HashEmbedder(), owner, "passage")
        made.append(Documents(store, PassageSearch(store, index), home))
        return made[-1]

    yield open_
    for one in made:
        one.passages.index.close()


@pytest.fixture
def documents(make: Make) -> Documents:
    return make()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three files about different things."""
    found = tmp_path / "notes"
    found.mkdir()
    (found / "garden.md").write_text("# Garden\n\nThe old pear tree gives fruit in late September.\n")
    (found / "boat.txt").write_text("The blue boat lies in the harbour of Lindau.\nIts engine is broken.\n")
    (found / "work.html").write_text("<p>The meeting with the architect is every second Monday.</p>")
    return found
