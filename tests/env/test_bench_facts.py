"""The facts bench: what it counts, on conversations small enough to count by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from env.bench.facts import BadFolder, as_table, at_odds, run, same, speakers
from memory.records import Memory

TURNS = (
    ("Ann", "My dog is called Fits."), ("Bob", "I live in Oslo!"), ("Ann", "Sorry, my dog is called Fitzo."),
    ("Bob", "Nice. I love hiking."), ("Ann", "So cool!"), ("Bob", "I live in Bergen."),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    told = {
        "id": "c1",
        "speakers": ["Ann", "Bob"],
        "turns": [{"speaker": who, "text": text} for who, text in TURNS],
    }
    (tmp_path / "c1.json").write_text(json.dumps(told))
    return tmp_path


def memories(turns: Sequence[str], step: Callable[[], None]) -> list[Memory]:
    """Keeps every turn as it is."""
    for _ in turns:
        step()
    return [Memory(str(n), text, "fact", float(n)) for n, text in enumerate(turns)]


def test_who_keeps_everything_has_contradictions_alive(folder: Path) -> None:
    assert [(one.name, len(one.turns)) for one in speakers(folder)] == [("Ann", 3), ("Bob", 3)]
    result = run(folder, memories, sample=2, seed=1)
    assert (result["turns"], result["facts"], result["contradictions"], result["duplicates"]) == (6, 6, 2, 0)
    assert result["sample"] == run(folder, memories, sample=2, seed=1)["sample"]
    assert "contradictions   2" in as_table(result)


def test_pairs() -> None:
    one, other = (
        Memory("1", "My dog is called Fitzo.", "fact", 1.0),
        Memory("2", "my dog's name is Fitzo", "fact", 2.0),
    )
    assert same(one, other)
    assert not at_odds(one, other)


def test_the_loop_keeps_no_duplicates_and_no_contradictions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.benches import facts as bench
    from tests.support import HashEmbedder

    monkeypatch.setattr("memory.index.embedder.load_embedder", lambda setting=None: HashEmbedder())
    result = bench.run(folder, sample=9)
    assert (result["facts"], result["superseded"]) == (3, 2)
    assert (result["duplicates"], result["contradictions"]) == (0, 0)
    assert {one["text"] for one in result["sample"]} == {
        "My dog is called Fitzo.",
        "I love hiking.",
        "I live in Bergen.",
    }


def test_what_you_set_for_yourself_does_not_change_what_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.benches import facts as bench
    from agent.runtime import Runtime
    from tests.support import HashEmbedder

    seen = []

    def runtime(home: Path, settings: Any, **parts: Any) -> Runtime:
        seen.append((settings.best_of, settings.recall_k, settings.blind, settings.max_new_tokens))
        return Runtime(home, settings, **parts)

    monkeypatch.setattr("memory.index.embedder.load_embedder", lambda setting=None: HashEmbedder())
    monkeypatch.setattr(bench, "Runtime", runtime)
    monkeypatch.setenv("ATTUNE_BEST_OF", "4")
    monkeypatch.setenv("ATTUNE_RECALL_K", "1")
    bench.run(folder)
    assert seen == [(1, 5, "off", bench.TOKENS)] * 2


def test_a_folder_without_conversations_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match="holds no conversations"):
        run(tmp_path, memories)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(BadFolder, match="no conversation as LoCoMo"):
        run(tmp_path, memories)
