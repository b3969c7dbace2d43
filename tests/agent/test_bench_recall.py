"""`attune bench recall` as it is called."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.agent.command_line import Attune

TEXT = (
    "# Harbour\n\nThe blue boat lies in the harbour of Lindau. Its engine was repaired in the spring.\n\n"
    "# Kitchen\n\nBread is baked on Saturday, with rye flour and honey. The oven is older than the house.\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "data"
    (found / "corpora").mkdir(parents=True)
    (found / "corpora" / "house.md").write_text(TEXT)
    wanted = "Its engine was repaired in the spring."
    span = {
        "content": wanted,
        "start_index": TEXT.index(wanted),
        "end_index": TEXT.index(wanted) + len(wanted),
    }
    with (found / "questions_df.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "references", "corpus_id"])
        writer.writerow(["When was the engine of the boat repaired?", json.dumps([span]), "house"])
    return found


def test_documents_print_both_arms(attune: Attune, folder: Path) -> None:
    result = attune("bench", "recall", "--documents", str(folder), "--json").json
    assert result["n"] == result["by_corpus"]["house"]["n"] == 1
    assert result["plain"]["recall"] == result["ours"]["recall"] == 1.0
    # the plain arm returns the whole text, ours what answers
    assert result["ours"]["iou"] > result["plain"]["iou"]


def test_something_must_be_named(attune: Attune, tmp_path: Path) -> None:
    assert attune("bench", "recall").code == 2
    assert "questions_df.csv" in attune("bench", "recall", "--documents", str(tmp_path)).sentence
