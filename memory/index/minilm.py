"""all-MiniLM-L6-v2 on ONNX Runtime: the network is written down here, the weights are its own safetensors.

sentence-transformers brings torch and transformers along: seconds of imports for a network of six layers.
Architecture: BERT (arXiv 1810.04805), post-norm; a text is the mean of its token vectors (arXiv 1908.10084).
The operators named CONTRIB are ONNX Runtime's own fused forms of attention, "add and norm" and GELU.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memory.index.onnx_model import CONTRIB, FLOAT, INT32, INT64, model, node

if TYPE_CHECKING:
    import numpy as np

LAYERS, HEADS, WIDTH = 6, 12, 384
TOKENS = 256  # where its sentence_bert_config.json cuts
EPSILON = 1e-12  # of layer norm, as its config.json says
BATCH = 32
MOST_THREADS = 8  # more do not help a network of this size
INPUTS = {"ids": ("batch", "length"), "mask": ("batch", "length")}


class MiniLM:
    """The model of a folder, loaded. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Read `model.safetensors` and `tokenizer.json`. Raises whatever ONNX Runtime, tokenizers or the
        system raise when one of them is missing or not this model's."""
        import numpy as np
        import onnxruntime
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS)
        self._tokenizer.no_padding()
        weights = _weights(_safetensors(folder / "model.safetensors"))
        shapes = {
            name: (INT64 if one.dtype == np.int64 else FLOAT, one.shape) for name, one in weights.items()
        }
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors, which are raised as well
        options.intra_op_num_threads = _threads()
        # Threads that spin while they wait would take time from a policy that speaks meanwhile.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_external_initializers(
            list(weights), [onnxruntime.OrtValue.ortvalue_from_numpy(one) for one in weights.values()]
        )
        network = model(_network(), INPUTS, f"h{LAYERS}", shapes)
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    @property
    def dimension(self) -> int:
        return WIDTH

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 of shape (len(texts), 384). Texts of like length share a batch."""
        import numpy as np

        # One by one: a batch would start the tokenizer's own threads, which warn when the process forks.
        tokens = [self._tokenizer.encode(text).ids for text in texts]
        vectors = np.empty((len(tokens), WIDTH), dtype=np.float32)
        by_length = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
        for start in range(0, len(by_length), BATCH):
            some = by_length[start : start + BATCH]
            longest = len(tokens[some[-1]])
            ids = np.zeros((len(some), longest), dtype=np.int64)
            mask = np.zeros((len(some), longest), dtype=np.int64)
            for row, at in enumerate(some):
                ids[row, : len(tokens[at])] = tokens[at]
                mask[row, : len(tokens[at])] = 1
            [hidden] = self._session.run(None, {"ids": ids, "mask": mask})
            # The mean has the direction of the sum, and only that is left once it is scaled to length 1.
            total = np.einsum("btw,bt->bw", hidden, mask.astype(np.float32))
            vectors[some] = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
        return vectors


def _network() -> list[bytes]:
    """ids, mask: int64 (batch, length) -> h6: float32 (batch, length, 384)."""
    nodes = [
        node("Shape", ["ids"], "length", start=1, end=2),
        node("Slice", ["place", "zero", "length"], "places"),
        node("Gather", ["word", "ids"], "words"),
        node("Add", ["words", "places"], "embedded"),
        node("LayerNormalization", ["embedded", "norm.w", "norm.b"], "h0", epsilon=EPSILON),
        node("Cast", ["mask"], "seen", to=INT32),
    ]
    for layer in range(LAYERS):
        nodes += _layer(f"{layer}.", f"h{layer}", f"h{layer + 1}")
    return nodes


def _layer(at: str, before: str, after: str) -> list[bytes]:
    """Self-attention and the feed-forward part, each with its residual and norm."""

    def names(*parts: str) -> list[str]:
        return [at + part for part in parts]

    return [
        node("Attention", [before, *names("qkv.w", "qkv.b"), "seen"], at + "mixed", CONTRIB, num_heads=HEADS),
        node("MatMul", names("mixed", "out.w"), at + "out"),
        node(
            "SkipLayerNormalization",
            [at + "out", before, *names("out.norm.w", "out.norm.b", "out.b")],
            at + "attended",
            CONTRIB,
            epsilon=EPSILON,
        ),
        node("MatMul", names("attended", "wide.w"), at + "wide"),
        node("BiasGelu", names("wide", "wide.b"), at + "active", CONTRIB),
        node("MatMul", names("active", "narrow.w"), at + "narrow"),
        node(
            "SkipLayerNormalization",
            names("narrow", "attended", "narrow.norm.w", "narrow.norm.b", "narrow.b"),
            after,
            CONTRIB,
            epsilon=EPSILON,
        ),
    ]


def _weights(raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors of the safetensors file under the names of `_network`, matrices as (in, out)."""
    import numpy as np

    made = {
        "word": raw["embeddings.word_embeddings.weight"],
        # All tokens are of the first type, so its vector is added to the places once and for all.
        "place": raw["embeddings.position_embeddings.weight"]
        + raw["embeddings.token_type_embeddings.weight"][0],
        "zero": np.array([0], dtype=np.int64),
        "norm.w": raw["embeddings.LayerNorm.weight"],
        "norm.b": raw["embeddings.LayerNorm.bias"],
    }
    for layer in range(LAYERS):
        at, source = f"{layer}.", f"encoder.layer.{layer}."
        three = [f"{source}attention.self.{part}" for part in ("query", "key", "value")]
        made[at + "qkv.w"] = np.concatenate([raw[f"{part}.weight"].T for part in three], axis=1)
        made[at + "qkv.b"] = np.concatenate([raw[f"{part}.bias"] for part in three])
        for ours, theirs in (
            ("out", "attention.output"),
            ("wide", "intermediate"),
            ("narrow", "output"),
        ):
            made[f"{at}{ours}.w"] = np.ascontiguousarray(raw[f"{source}{theirs}.dense.weight"].T)
            made[f"{at}{ours}.b"] = raw[f"{source}{theirs}.dense.bias"]
            if ours != "wide":
                made[f"{at}{ours}.norm.w"] = raw[f"{source}{theirs}.LayerNorm.weight"]
                made[f"{at}{ours}.norm.b"] = raw[f"{source}{theirs}.LayerNorm.bias"]
    return {name: np.ascontiguousarray(one) for name, one in made.items()}


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a mapping)


def _threads() -> int:
    """As torch counts them, so that one setting holds for all: OMP_NUM_THREADS, else the cores."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(said) if said.isdecimal() and int(said) else cores, MOST_THREADS)
