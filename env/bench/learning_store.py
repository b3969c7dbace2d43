"""Finished cells as JSON lines: a run that was cut off is resumed, and pieces of several runs are merged.

Every run appends to a file of its own and reads all that lie in the folder, so that two runs never write
to one file and a folder from another machine is merged by copying its files in. A line that was cut off
in the middle is skipped: its cell is run again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from env.bench.errors import BenchError
from env.bench.learning_cell import Cell, Experiment

Key = tuple[str, str, str, int]  # (condition, arm, taste, seed)
COUNTED = ("held_out", "phrase")  # keyed by counts, which JSON turns into text
NAMED = ("condition", "arm", "taste", "seed", "held_out")


def key(cell: Cell) -> Key:
    return cell.condition, cell.arm, cell.taste, cell.seed


class CellStore:
    """The cells of `folder`, which is made. `model` names the weights that the learners begin with, `code`
    the code that new cells are of."""

    def __init__(self, folder: Path, model: str, code: str = "") -> None:
        self._folder, self._model, self._code = folder, model, code
        self._file = folder / f"cells-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lines = [line for path in sorted(folder.glob("cells*.jsonl")) for line in _read(path)]
        except OSError as broken:
            raise BenchError(
                f"{folder} cannot be used ({broken.strerror}); choose another --out."
            ) from broken

    def cells(self, condition: str, experiment: Experiment) -> dict[Key, Cell]:
        """What there is of `condition`. Raises BenchError if it was run with other settings or weights."""
        wanted = self._settings(experiment)
        found: dict[Key, Cell] = {}
        for line in self._lines:
            if line["cell"]["condition"] != condition:
                continue
            if line["settings"] != wanted:
                other = sorted(name for name in wanted if line["settings"].get(name) != wanted[name])
                raise BenchError(
                    f"{self._folder} holds cells of {condition} with another {' and '.join(other)}; "
                    "choose another --out."
                )
            cell = _cell(line["cell"])
            found[key(cell)] = cell
        return found

    def add(self, cell: Cell, experiment: Experiment) -> None:
        """Write `cell`; it is on the disk when this returns."""
        cell.code = self._code
        line = {"settings": self._settings(experiment), "cell": asdict(cell)}
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
        self._lines.append(json.loads(json.dumps(line)))

    def _settings(self, experiment: Experiment) -> dict[str, Any]:
        settings = {
            one.name: getattr(experiment, one.name) for one in fields(experiment) if one.name != "prompts"
        }
        return json.loads(json.dumps(settings | {"model": self._model}))


def _read(path: Path) -> list[dict[str, Any]]:
    found = []
    # whatever else is called so, or was damaged, holds no cell
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            whole = entry["settings"].keys() and set(NAMED) <= entry["cell"].keys()
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        if whole:
            found.append(entry)
    return found


def _cell(body: Mapping[str, Any]) -> Cell:
    known = {one.name for one in fields(Cell)}
    values = {name: value for name, value in body.items() if name in known}
    for name in COUNTED:
        values[name] = {int(count): list(each) for count, each in values.get(name, {}).items()}
    return Cell(**values)
