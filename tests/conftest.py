"""What every test may ask for. Nothing here reaches the network."""

from __future__ import annotations

import os

# Before anything imports huggingface_hub or tokenizers: they read these once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from memory.database import Database, open_home
from memory.facts import Facts
from memory.index.embedder import MiniLMEmbedder
from memory.journal import Journal

# the settings of whoever runs the tests are not what is tested
for name in [name for name in os.environ if name.startswith("ATTUNE_")]:
    del os.environ[name]
# a machine that is busy with something else is no defect, and every run tries the same examples
hypothesis.settings.register_profile("attune", deadline=None, derandomize=True)
hypothesis.settings.load_profile("attune")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def db(home: Path) -> Iterator[Database]:
    opened = open_home(home)
    yield opened
    opened.close()


@pytest.fixture
def journal(db: Database) -> Journal:
    return Journal(db)


@pytest.fixture
def facts(db: Database) -> Facts:
    return Facts(db)


@pytest.fixture(scope="session")
def minilm() -> MiniLMEmbedder:
    """The bundled embedding model, loaded once for all tests."""
    return MiniLMEmbedder()
