"""A tiny model that speaks, and a registry with an adapter to put in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.database import Database
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from policies.language_policy import LanguagePolicy
from tests.policies.tiny_models import FAMILIES, make_model, shared_adapter, shared_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(
        tmp_path_factory.mktemp("models") / "tiny", initializer_range=0.1, max_position_embeddings=2048
    )


@pytest.fixture(scope="module")
def policy(folder: Path) -> Iterator[LanguagePolicy]:
    loaded = LanguagePolicy(resolve(str(folder)), device="cpu")
    yield loaded
    loaded.close()


@pytest.fixture
def registry(db: Database, home: Path) -> AdapterRegistry:
    return AdapterRegistry(db, home)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_adapter(), tmp_path / "trained"))


@pytest.fixture(scope="module", params=FAMILIES)
def shared(request: pytest.FixtureRequest) -> tuple[str, LanguagePolicy]:
    return request.param, LanguagePolicy(resolve(str(shared_model(request.param))), device="cpu")


@pytest.fixture(scope="module")
def loaded() -> LanguagePolicy:
    return LanguagePolicy(resolve(str(shared_model("llama"))), device="cpu")


@pytest.fixture
def llama(loaded: LanguagePolicy) -> Iterator[LanguagePolicy]:
    yield loaded
    loaded.swap(None)
