"""Models of the shape of well-known ones, with random weights: what such a model costs on this machine.

Speed and memory of a transformer do not depend on what its weights are, so no download is needed to know
them. The shapes are those of the published configurations; the tokenizer is the embedded model's, which
knows fewer ids than the shapes have rows.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from policies.base_models import SEED, ModelError, pick_device

# Qwen3 technical report (arXiv 2505.09388), table 1, and the models' configurations
SHAPES: dict[str, Any] = {
    "qwen3-0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
                   "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128},
    "qwen3-4b": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
                 "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128},
}  # fmt: skip
VOCABULARY = 151_936
SEED_OF_WEIGHTS = 1
UNLIKELY = 0.01


def make(shape: str, folder: Path, device: str = "auto", vocabulary: int | None = None) -> Path:
    """A model of `shape` (one of SHAPES) with tied embeddings, in bfloat16, written into `folder`.

    It has `vocabulary` rows of them (default: VOCABULARY), at least as many as the tokenizer knows ids.
    Ids that the tokenizer cannot read, and those that end a turn, have an embedding close to zero, so that
    greedy replies are text and as long as they may be. Raises ModelError.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config
    from transformers.utils import logging as hf_logging

    if shape not in SHAPES:
        raise ModelError(f"There is no shape {shape!r}: choose {' or '.join(SHAPES)}.")
    hf_logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    for file in SEED.iterdir():
        if "tokenizer" in file.name or file.suffix == ".jinja":
            shutil.copy(file, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    config = Qwen3Config(
        **SHAPES[shape],
        vocab_size=vocabulary or VOCABULARY,
        tie_word_embeddings=True,
        max_position_embeddings=40_960,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(SEED_OF_WEIGHTS)
    with torch.device(pick_device(device)):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    with torch.no_grad():
        embedding = model.get_input_embeddings().weight
        # not quite zero: a first token of nothing stays nothing in every layer, and the gradient of each
        # normalization is a thousandfold there
        embedding[len(tokenizer) :] *= UNLIKELY
        embedding[sorted(tokenizer.added_tokens_decoder)] *= UNLIKELY
    model.save_pretrained(str(folder))
    return folder


def where(device: str = "auto") -> tuple[str, str]:
    """(what the device is called, the dtype that models have on it)."""
    import torch

    found = pick_device(device)
    if found.startswith("cuda"):
        return torch.cuda.get_device_name(found), "bfloat16"
    return found, "float32"
