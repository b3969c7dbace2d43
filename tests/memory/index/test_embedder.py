"""The bundled embedder on ONNX Runtime, beside sentence-transformers with the same weights."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.index.embedder import MiniLMEmbedder, SentenceEmbedder
from tests.support import ROOT

LONG = "The heron stood in the shallow water and did not move. " * 60


@pytest.fixture(scope="module")
def library(minilm: MiniLMEmbedder) -> SentenceEmbedder:
    """The same folder through sentence-transformers."""
    return SentenceEmbedder(minilm.source)


def difference(one: MiniLMEmbedder, other: SentenceEmbedder, texts: list[str]) -> float:
    ours, theirs = np.array(one.embed(texts)), np.array(other.embed(texts))
    assert ours.shape == theirs.shape == (len(texts), 384)
    return float(np.abs(ours - theirs).max())


@pytest.mark.parametrize(
    "texts",
    [
        [""],
        [" ", "\n\t", "\x00", "\ud800"],
        ["naïve ÅNGSTRÖM ẞ", "日本語のテキスト", "שלום", "👩‍👩‍👧 🙂", "e\u0301 \u202e abc", "ΑΣ Σ"],
        ["[CLS] and [SEP] and [MASK] are words too"],
        [LONG, LONG[: len(LONG) // 2], "short", ""],
        ["word " * 253, "word " * 254, "word " * 255, "word " * 256, "x" * 5_000],
        [f"sentence number {number}, " * (number % 7 + 1) for number in range(70)],
    ],
    ids=["empty", "nothing to see", "unicode", "special tokens", "long", "where it is cut", "batches"],
)
def test_vectors_are_those_of_sentence_transformers(
    minilm: MiniLMEmbedder, library: SentenceEmbedder, texts: list[str]
) -> None:
    assert difference(minilm, library, texts) < 1e-4


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(st.text(max_size=300), min_size=1, max_size=5))
def test_vectors_are_the_same_for_any_text(
    minilm: MiniLMEmbedder, library: SentenceEmbedder, texts: list[str]
) -> None:
    assert difference(minilm, library, texts) < 1e-4


def test_a_vector_does_not_depend_on_its_company(minilm: MiniLMEmbedder) -> None:
    alone, among = minilm.embed(["tea"])[0], minilm.embed([LONG, "tea", "a" * 500])[1]
    assert np.abs(np.array(alone) - np.array(among)).max() < 1e-5


def test_threads_share_one_model(minilm: MiniLMEmbedder) -> None:
    texts = [f"memory number {number}" for number in range(8)]
    expected, found = minilm.embed(texts), dict[int, Any]()
    threads = [
        threading.Thread(target=lambda at=at: found.update({at: minilm.embed([texts[at]])[0]}))
        for at in range(len(texts))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at, vector in enumerate(expected):
        assert found[at] == pytest.approx(vector, abs=1e-5)


def test_it_loads_without_torch() -> None:
    script = (
        "import sys\nfrom memory.index.embedder import load_embedder\n"
        "embedder = load_embedder()\n"
        "assert not any(name in sys.modules for name in ('numpy', 'onnxruntime', 'tokenizers'))\n"
        "assert len(embedder.embed(['tea'])[0]) == 384\n"
        "print([name for name in ('torch', 'transformers', 'chromadb') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_embedding_leaves_nothing_outside_of_the_home(tmp_path: Path) -> None:
    """The runtime would put an id of the device, and what it means to send, in ~/.cache."""
    ours = {one: value for one, value in os.environ.items() if "TELEMETRY" not in one and "XDG" not in one}
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "memory", "add", "My dog is called Fitzo."],
        cwd=ROOT,
        env={**ours, "HOME": str(tmp_path / "person"), "ATTUNE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["home"]


def test_without_its_runtime_the_library_embeds_the_same(
    minilm: MiniLMEmbedder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    slow = MiniLMEmbedder()
    with caplog.at_level(logging.WARNING, logger="memory.index.embedder"):
        assert slow.embed(["tea"])[0] == pytest.approx(minilm.embed(["tea"])[0], abs=1e-4)
    assert slow.name == minilm.name
    assert "sentence-transformers" in caplog.text
