"""What makes an adapter folder fit to speak: checked from its files, without torch.

A folder holds peft's `adapter_config.json` and `adapter_model.safetensors`; in the registry also
`attune.json` (its base, its digest, how it was made), so that a folder explains itself, and the reward model
that came of the same ratings, where there is one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memory.errors import AttuneError
from policies import weights_file

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
META = "attune.json"
REWARD = "reward_model.safetensors"


class AdapterError(AttuneError):
    """An adapter cannot be used; the sentence says why and what to do."""


def read_meta(folder: Path) -> dict[str, Any]:
    """The folder's `attune.json`, or {} where there is none (a candidate that was just trained)."""
    path = folder / META
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise AdapterError(f"{path} is damaged: use another adapter, or run `attune train`.") from error
    return found if isinstance(found, dict) else {}


def check_folder(folder: Path, base_sha256: str | None = None, sha256: str | None = None) -> str:
    """SHA-256 of the folder's weights, after all of them were read and found sound.

    Raises AdapterError: missing or damaged files, another base than `base_sha256`, another digest
    than `sha256` or than its own `attune.json` says, values that are not finite, every B matrix zero.
    """
    name = folder.name
    missing = [each for each in (CONFIG, WEIGHTS) if not (folder / each).is_file()]
    if missing:
        raise AdapterError(
            f"The adapter {name} lacks {' and '.join(missing)}: use another adapter, or run `attune train`."
        )
    meta = read_meta(folder)
    belongs = meta.get("base_sha256")
    if base_sha256 and belongs and belongs != base_sha256:
        raise AdapterError(
            f"The adapter {name} was trained on another base ({meta.get('base', 'unknown')}): "
            "choose that model, or run `attune train` for this one."
        )
    try:
        config = json.loads((folder / CONFIG).read_text())
        if not isinstance(config, dict) or config.get("peft_type") != "LORA":
            raise AdapterError(f"The adapter {name} is not a LoRA adapter: use another one.")
        found = weights_file.digest(folder / WEIGHTS)
        tensors = weights_file.arrays(folder / WEIGHTS)
    except (OSError, ValueError, weights_file.DamagedFile) as error:
        raise AdapterError(
            f"The adapter {name} is damaged ({error}): use another adapter, or run `attune train`."
        ) from error
    for expected in (sha256, meta.get("sha256")):
        if expected and found != expected:
            raise AdapterError(
                f"The adapter {name} is not the file that was trained (its digest differs): "
                "use another adapter, or run `attune train`."
            )
    _check_values(name, tensors)
    return found


def max_abs_b(folder: Path) -> float:
    """The largest magnitude in any B matrix: zero means that training changed nothing."""
    return max((abs(values).max() for values in _b(weights_file.arrays(folder / WEIGHTS))), default=0.0)


def _b(tensors: dict[str, Any]) -> list[Any]:
    return [values for name, values in tensors.items() if "lora_B" in name or "lora_embedding_B" in name]


def _check_values(name: str, tensors: dict[str, Any]) -> None:
    import numpy

    if not all(numpy.isfinite(values).all() for values in tensors.values()):
        raise AdapterError(f"The adapter {name} holds values that are not finite: run `attune train` again.")
    if not any(values.any() for values in _b(tensors)):
        raise AdapterError(f"The adapter {name} changes nothing (every B matrix is zero): train it again.")
