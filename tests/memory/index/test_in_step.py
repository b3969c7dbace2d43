"""The index follows the database: when is there something to compare, and what happens in between."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.database import Database
from memory.errors import AttuneError
from memory.facts import Facts
from memory.index.folder import IndexError_
from memory.index.in_step import InStep
from memory.index.vector_index import VectorIndex
from memory.records import Memory
from tests.support import HashEmbedder


class Counted(Facts):
    """Counts how often all ids are read."""

    compared = 0

    def ids(self) -> set[str]:
        self.compared += 1
        return super().ids()


@pytest.fixture
def facts(db: Database) -> Counted:
    return Counted(db)


@pytest.fixture
def step(facts: Counted, home: Path) -> Iterator[InStep]:
    index = VectorIndex(home / "index", HashEmbedder())
    yield InStep(facts, index)
    index.close()


def remember(step: InStep, facts: Facts, text: str) -> Memory:
    return step.change(lambda: facts.remember(text), lambda made: step.index.add([made.id], [made.text]))


def found(step: InStep, text: str) -> set[str]:
    return {one for one, _ in step.query(text, 50)}


def test_what_goes_through_change_needs_no_comparison(step: InStep, facts: Counted) -> None:
    assert step.sync() is False
    for number in range(5):
        memory = remember(step, facts, f"Tea number {number}.")
        assert memory.id in found(step, memory.text)
    assert facts.compared == 1
    assert remember(step, facts, "Tea number 0.").text == "Tea number 0."  # known already
    assert step.sync() is False
    assert facts.compared == 1


def test_what_does_not_is_found_and_mended(step: InStep, facts: Counted) -> None:
    first = remember(step, facts, "I like tea.")
    late = facts.remember("I drive a Saab.")
    assert found(step, "Saab") == {first.id, late.id}
    edited = facts.edit(late.id, "I drive a Volvo.")
    facts.forget(first.id)
    assert found(step, "Volvo") == {edited.id}
    assert step.index.ids() == {edited.id}
    step.index.remove([edited.id])  # behind its back
    assert found(step, "Volvo") == {edited.id}
    assert step.sync() is False


def test_usefulness_is_no_reason_to_compare(step: InStep, facts: Counted) -> None:
    memory = remember(step, facts, "I like tea.")
    step.sync()
    before = facts.compared
    facts.bump([memory.id], helped=True)
    assert step.sync() is False
    assert facts.compared == before


def test_an_index_that_fails_catches_up(
    step: InStep, facts: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    step.sync()
    with monkeypatch.context() as broken:

        def fail(ids: object, texts: object) -> None:
            raise IndexError_("no")

        broken.setattr(step.index, "add", fail)
        memory = remember(step, facts, "I like tea.")
    assert facts.get(memory.id) == memory
    assert found(step, "tea") == {memory.id}


def test_a_change_that_is_rolled_back_is_noticed(step: InStep, facts: Counted) -> None:
    kept = remember(step, facts, "I like tea.")

    def outer() -> None:
        with facts.db.transaction():
            remember(step, facts, "I like coffee.")
            raise AttuneError("stop")

    with pytest.raises(AttuneError, match="stop"):
        outer()
    other = remember(step, facts, "I like milk.")
    assert found(step, "like") == {kept.id, other.id}
    assert step.index.ids() == {kept.id, other.id}


def test_an_error_in_the_change_itself_is_raised(step: InStep, facts: Counted) -> None:
    step.sync()
    with pytest.raises(AttuneError):
        remember(step, facts, "   ")
    assert facts.count() == 0
    assert step.sync() is False


def test_threads_that_remember_at_once_stay_in_step(step: InStep, facts: Counted) -> None:
    step.sync()
    names = [f"Tea number {one} of thread {thread}." for thread in range(4) for one in range(5)]

    def work(mine: list[str]) -> None:
        for text in mine:
            remember(step, facts, text)

    threads = [threading.Thread(target=work, args=(names[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert step.sync() is False
    assert step.index.ids() == facts.ids()
    assert len(found(step, "tea")) == len(names)


@pytest.mark.parametrize("damage", ["deleted", "rubbish", "shortened"])
def test_vectors_that_are_lost_while_ids_are_not_are_made_again(
    step: InStep, facts: Counted, home: Path, damage: str
) -> None:
    """Chroma keeps ids in one file and, beyond the first thousand, vectors in others."""
    words = [" ".join(f"w{number * prime % 997}" for prime in (1, 3, 7, 11, 13)) for number in range(1_200)]
    with facts.db.transaction():
        made = [facts.remember(f"{number} {text}") for number, text in enumerate(words)]
    step.sync()
    step.index.close()
    files = [path for path in (home / "index").rglob("*.bin") if path.is_file()]
    assert files, "Chroma has written no vectors yet"
    for path in files:
        if damage == "deleted":
            path.unlink()
        else:
            path.write_bytes(b"rubbish" * 99 if damage == "rubbish" else path.read_bytes()[:50])
    again = InStep(facts, VectorIndex(home / "index", HashEmbedder()))
    try:
        for number in (3, 600, 1_190):
            assert made[number].id in found(again, made[number].text)
    finally:
        again.index.close()
