"""Figures of retrieval by hand, and the plain splitter beside what it imitates."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from env.bench.errors import BenchError
from env.bench.recall_documents import (
    Corpus,
    PlainSplitter,
    Question,
    Span,
    as_table,
    load,
    run,
    score,
    split,
)
from tests.support import HashEmbedder

TEXT = "one two three four five six seven eight nine ten"


def words(text: str) -> list[int]:
    return [at for at in range(len(text)) if text[at] != " " and (not at or text[at - 1] == " ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "numbers.md").write_text(TEXT)
    begin = TEXT.index("three")
    wanted = [{"content": "three four", "start_index": begin, "end_index": begin + len("three four")}]
    with (tmp_path / "questions_df.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "references", "corpus_id"])
        writer.writerow(["What comes after two?", json.dumps(wanted), "numbers"])
    return tmp_path


def spans(*found: str) -> list[Span]:
    return [(TEXT.index(one), TEXT.index(one) + len(one)) for one in found]


@pytest.mark.parametrize(
    ("found", "recall", "precision", "iou"),
    [
        (["three four"], 1.0, 1.0, 1.0),
        (["two three"], 0.5, 0.5, 1 / 3),
        (["three", "three four five"], 1.0, 2 / 3, 2 / 3),
        (["nine"], 0.0, 0.0, 0.0),
        ([], 0.0, 0.0, 0.0),
    ],
)
def test_figures_by_hand(
    folder: Path, found: Sequence[str], recall: float, precision: float, iou: float
) -> None:
    [corpus] = load(folder, words)
    figures = score(corpus, corpus.questions[0], spans(*found))
    assert figures == pytest.approx({"recall": recall, "precision": precision, "iou": iou})


def test_the_result_has_an_entry_for_each_arm_and_corpus(folder: Path) -> None:
    def good(corpus: Corpus) -> object:
        return lambda question: spans("three four")

    def bad(corpus: Corpus) -> object:
        return lambda question: spans("ten")

    told: list[str] = []
    result = run(
        load(folder, words),
        {"ours": good, "plain": bad},  # type: ignore[dict-item]
        lambda share, stage: told.append(stage),
    )
    perfect = {"recall": 1.0, "precision": 1.0, "iou": 1.0}
    nothing = {"recall": 0.0, "precision": 0.0, "iou": 0.0}
    assert result == {
        "n": 1,
        "ours": perfect,
        "plain": nothing,
        "by_corpus": {"numbers": {"n": 1, "ours": perfect, "plain": nothing}},
    }
    assert told == ["numbers, ours", "numbers, plain"]
    assert "numbers" in as_table(result)


def test_a_folder_without_questions_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"questions_df\.csv"):
        load(tmp_path, words)


def test_the_plain_arm_fills_its_budget_with_the_nearest_chunks() -> None:
    text = "Cats sleep all day.\n\nDogs bark at night.\n\nCats hunt mice."
    corpus = Corpus("x", Path("x"), text, (Question("cats", ()),), tuple(words(text)))
    search = PlainSplitter(corpus, HashEmbedder().embed, budget=7, size=22)
    assert {text[begin:end] for begin, end in search("cats")} == {"Cats sleep all day.", "Cats hunt mice."}
    assert len(PlainSplitter(corpus, HashEmbedder().embed, budget=4, size=22)("cats")) == 1


@given(st.text(alphabet="ab .\n?", max_size=300), st.integers(1, 60))
def test_chunks_are_short_in_order_and_lose_nothing(text: str, size: int) -> None:
    found = list(split(text, size))
    assert all(0 < end - begin <= size for begin, end in found)
    assert "".join(text[begin:end] for begin, end in found).split() != [] or not text.strip()
    assert "".join("".join(text[begin:end] for begin, end in found).split()) == "".join(text.split())
    assert found == sorted(found)
