"""What the tests of the vector index ask of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memory.index.vector_index import VectorIndex
from tests.support import HashEmbedder

MakeIndex = Callable[..., VectorIndex]


def ids(found: list[tuple[str, float]]) -> list[str]:
    return [one for one, _ in found]


def vector(text: str) -> list[float]:
    return HashEmbedder().embed([text])[0]


def lies_in(folder: Path, text: str) -> bool:
    """Whether the vector of a text can be read anywhere in the files, as it is or scaled to unit length.

    A graph holds it scaled, so the last bits differ: all runs of numbers are compared. The text should have
    several words, or its few numbers are found in many places.
    """
    sought = np.array(vector(text), dtype="<f4")
    sought /= np.linalg.norm(sought)
    for path in folder.rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        for shift in range(4):
            numbers = np.frombuffer(held[shift : len(held) - (len(held) - shift) % 4], dtype="<f4")
            if len(numbers) < len(sought):
                continue
            numbers = np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0).clip(-1e3, 1e3)
            runs = np.lib.stride_tricks.sliding_window_view(numbers, len(sought))
            scale = np.linalg.norm(runs, axis=1)
            if ((runs @ sought) > 0.999 * scale)[scale > 1e-3].any():
                return True
    return False


def refuse(monkeypatch: pytest.MonkeyPatch, step: str, said: str) -> None:
    """`step` is where it stands: a module of the room and a name in it."""

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError(said)

    monkeypatch.setattr(f"memory.{step}", fail)
