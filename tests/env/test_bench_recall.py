"""The recall bench, on a small made-up conversation."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agent.benches import recall as ours
from agent.cli import main
from env.bench import recall as bench
from env.bench.errors import BenchCancelled, BenchError
from tests.support import HashEmbedder

MAY, JUNE = "1:56 pm on 8 May, 2023", "9:05 am on 2 June, 2023"
TURNS = [
    {"id": "D1:1", "session": 1, "time": MAY, "speaker": "Ann", "text": "I planted red roses."},
    {"id": "D1:2", "session": 1, "time": MAY, "speaker": "Ben", "text": "Lovely! I bought a boat."},
    {"id": "D2:1", "session": 2, "time": JUNE, "speaker": "Ann", "text": "Look!", "caption": "a cat"},
]
QUESTIONS = [
    {"question": "Which roses did Ann plant?", "evidence": ["D1:1"], "category": 4, "flagged": False},
    {"question": "What have Ann and Ben?", "evidence": ["D1:1; D1:2"], "category": 1, "flagged": False},
    {"question": "When was the boat bought?", "evidence": ["D1:2"], "category": 2, "flagged": True},
    {"question": "Who is Carl?", "evidence": ["D1:1"], "category": 5, "flagged": False},
    {"question": "What is nowhere?", "evidence": ["D9:9"], "category": 4, "flagged": False},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "talks"
    made.mkdir()
    talk = {"id": "talk", "speakers": ["Ann", "Ben"], "turns": TURNS, "questions": QUESTIONS}
    (made / "talk.json").write_text(json.dumps(talk), encoding="utf-8")
    return made


class Finds:
    """Remembers nothing, and brings what it was made with for every question."""

    def __init__(self, found: Sequence[str]) -> None:
        self.found = found
        self.closed = False

    def store(self, turns: Sequence[bench.Turn], progress: Callable[[int, int], None]) -> None:
        progress(len(turns), len(turns))

    def find(self, question: str, k: int) -> Sequence[str]:
        return self.found[:k]

    def close(self) -> None:
        self.closed = True


def test_a_folder_is_read_as_it_is_published(folder: Path) -> None:
    [talk] = bench.load(folder)
    assert [turn.id for turn in talk.turns] == ["D1:1", "D1:2", "D2:1"]
    assert talk.turns[2].text == "Look! a cat"
    assert talk.turns[0].at == datetime(2023, 5, 8, 13, 56).timestamp()
    assert [question.text for question in talk.questions] == [one["question"] for one in QUESTIONS[:3]]
    assert talk.questions[1].evidence == {"D1:1", "D1:2"}


def test_the_share_of_the_evidence_is_averaged_over_the_questions(folder: Path) -> None:
    other = [f"x{number}" for number in range(5)]
    finds = Finds([*other, "D1:1"])
    stages: list[float] = []
    result = bench.run(bench.load(folder), lambda: finds, lambda share, text: stages.append(share))
    assert result["n"] == 3
    assert result["n_clean"] == 2
    assert result["clean"] == {"5": 0.0, "10": 0.75, "25": 0.75}
    assert result["all"] == {"5": 0.0, "10": 0.5, "25": 0.5}
    assert result["by_category"] == {
        "1": {"name": "multi-hop", "n": 1, "5": 0.0, "10": 0.5, "25": 0.5},
        "4": {"name": "single-hop", "n": 1, "5": 0.0, "10": 1.0, "25": 1.0},
    }
    assert finds.closed
    assert stages == sorted(stages)
    assert "multi-hop" in bench.as_table(result)


def test_it_can_be_stopped(folder: Path) -> None:
    with pytest.raises(BenchCancelled):
        bench.run(bench.load(folder), lambda: Finds([]), cancelled=lambda: True)


def test_the_products_memory_finds_what_was_said(folder: Path) -> None:
    result = ours.run(folder, HashEmbedder())
    assert result["n"] == 3
    assert result["clean"]["25"] == 1.0  # three turns are all among the first 25
    home = ours.Home(folder.parent / "home", HashEmbedder())
    home.store(bench.load(folder)[0].turns, lambda done, total: None)
    assert home.find("Which roses did Ann plant?", 1) == ["D1:1"]
    assert home.find("the boat that Ben bought", 1) == ["D1:2"]
    home.close()


def test_a_part_of_the_score_can_be_left_out(tmp_path: Path) -> None:
    turns = [
        bench.Turn("a", "1", "Ann", "I sold Ben the red roses."),
        bench.Turn("b", "2", "Ben", "I sold red roses by the river."),
    ]
    first = []
    for without in ((), ("speaker",)):
        home = ours.Home(tmp_path / str(len(without)), HashEmbedder(), without)
        home.store(turns, lambda done, total: None)
        first.append(home.find("What did Ben say of red roses?", 1))
        home.close()
    assert first == [["b"], ["a"]]
    with pytest.raises(BenchError, match="has no part 'colour'"):
        ours.run(tmp_path, HashEmbedder(), without=["colour"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "holds no .json file"),
        ("{", "is not a LoCoMo conversation"),
        ("[]", "is not a LoCoMo conversation"),
        ('{"turns": [{"id": "D1:1"}], "questions": []}', "is not a LoCoMo conversation"),
        ('{"turns": [], "questions": []}', "nothing to measure"),
    ],
)
def test_a_bad_folder_gets_a_sentence(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "talk.json").write_text(content, encoding="utf-8")
    with pytest.raises(BenchError, match=said.replace(".", r"\*?\.")):
        bench.load(tmp_path)


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "recall", "--locomo", str(tmp_path / "none"), "--json"]) != 0
    assert "is not a folder" in capsys.readouterr().err
    assert main(["bench", "recall"]) != 0
    assert "--locomo FOLDER" in capsys.readouterr().err


def test_the_command_prints_the_object_that_was_promised(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.index.embedder.load_embedder", lambda setting=None: HashEmbedder())
    assert main(["bench", "recall", "--locomo", str(folder), "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(result["clean"]) == set(result["all"]) == {"5", "10", "25"}
    assert result["by_category"]["1"]["name"] == "multi-hop"
