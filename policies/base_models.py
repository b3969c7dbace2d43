"""Which model speaks: the embedded seed, a local folder or a hub id, brought into memory.

`resolve` finds the files and needs no torch; `load` brings them into memory, after a look at how
much of it is free. Weights are safetensors only: pickled checkpoints can run code and are refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.errors import AttuneError
from policies import weights_file

SEED = Path(__file__).parent / "seed" / "model"
HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# activations, the key-value cache of a few thousand tokens and the allocator's slack
OVERHEAD_SHARE = 1.15
OVERHEAD_BYTES = 64 * 2**20

Progress = Callable[[float, str], None]


class ModelError(AttuneError):
    """The base model cannot be found or loaded; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class BaseSpec:
    """A model on this disk. `sha256` is `weights_file.fingerprint` of its safetensors files."""

    name: str
    path: str
    sha256: str


def resolve(model: str | None = None, progress: Progress | None = None, download: bool = True) -> BaseSpec:
    """Find `model`: None or "sprout" is the embedded seed, then a local folder, then a hub id.

    A hub id is downloaded once (huggingface_hub's cache; HF_HUB_OFFLINE is respected), told to
    `progress` as a fraction and a stage; nothing is drawn. Without `download` only what is on this
    disk is found, and the hub is not asked. Raises ModelError.
    """
    if model in (None, "", "sprout"):
        if not (SEED / "config.json").is_file():
            raise ModelError(
                "The embedded model is missing: run `make sprout`, or choose one with `--model`."
            )
        return _spec("sprout", SEED)
    assert model is not None
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _spec(folder.resolve().name, folder.resolve())
    if model.startswith((".", "/", "~")) or model.count("/") > 1 or "\\" in model:
        raise ModelError(f"There is no folder {model}: check the path, or give a hub id such as owner/name.")
    return _spec(model, _fetched(model, progress, download))


def weights(folder: Path) -> list[Path]:
    """The safetensors files that make up the model in `folder`, or ModelError when some are missing."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{index} is damaged: fetch the model again.") from error
        found = [folder / name for name in names]
    else:
        found = sorted(folder.glob("model*.safetensors"))
    missing = [path.name for path in found if not path.is_file()]
    if not found:
        missing = ["model.safetensors"]
    if missing:
        raise ModelError(f"The model folder {folder} lacks {_listed(missing)}: fetch the model again.")
    return found


def pick_device(device: str = "auto") -> str:
    """ "cuda", "mps" or "cpu": the first that this machine has, unless one is asked for."""
    import torch

    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, there in have.items() if there)
    kind = device.split(":")[0]
    if not have.get(kind, False):
        there = ", ".join(name for name, yes in have.items() if yes)
        raise ModelError(f"This machine has no device {device!r}: set `device` to auto or one of {there}.")
    return device


def parameters(spec: BaseSpec) -> int:
    """How many values the weights of `spec` have. Raises ModelError when they cannot be read."""
    try:
        return sum(weights_file.parameters(path) for path in weights(Path(spec.path)))
    except weights_file.DamagedFile as error:
        raise ModelError(f"The model {spec.name} cannot be read: {error}; fetch it again.") from error


def check_memory(
    spec: BaseSpec, device: str, dtype: str, free: int | None = None, device_free: int | None = None
) -> int:
    """Bytes that `spec` needs at `dtype` ("float32", "bfloat16", "float16"); ModelError if they are not free.

    `free` is what the machine has left (default: psutil), `device_free` what a CUDA device has left.
    """
    import psutil

    need = int(parameters(spec) * BYTES[dtype] * OVERHEAD_SHARE) + OVERHEAD_BYTES
    if device.startswith("cuda"):
        if device_free is None:
            import torch

            device_free = torch.cuda.mem_get_info(torch.device(device))[0]
        place, have = "on the GPU", device_free
    else:
        place, have = "of memory", psutil.virtual_memory().available if free is None else free
    if need > have:
        raise ModelError(
            f"{spec.name} needs about {_gigabytes(need)} {place} and {_gigabytes(have)} is free: "
            "close other programs, or choose a smaller model with `--model` or `/model`."
        )
    return need


def load(spec: BaseSpec, device: str = "auto", dtype: str = "auto") -> tuple[Any, Any]:
    """(model in eval mode, tokenizer). dtype "auto" is bfloat16 on CUDA and float32 elsewhere.

    Raises ModelError: too big for the memory, no chat template, damaged or missing files.
    """
    tokenizer = load_tokenizer(spec)
    device = pick_device(device)
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    if dtype not in BYTES:
        raise ModelError(f"There is no dtype {dtype!r}: choose auto, float32, bfloat16 or float16.")
    check_memory(spec, device, dtype)

    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as hf_logging

    hf_logging.disable_progress_bar()
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            spec.path, dtype=getattr(torch, dtype), local_files_only=True, output_loading_info=True
        )
        model, report = loaded
    except AttuneError:
        raise
    except Exception as error:
        # whatever transformers found wrong with a foreign folder is the folder's fault, not a crash
        raise ModelError(f"The model {spec.name} cannot be loaded: {_first_line(error)}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"The weights of {spec.name} lack {_listed(missing)}: fetch it again, whole and as a causal LM."
        )
    try:
        model.to(device)
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{spec.name} does not fit on {device}: choose a smaller model.") from error
    model.requires_grad_(False)
    return model.eval(), tokenizer


def load_tokenizer(spec: BaseSpec) -> Any:
    """The tokenizer of `spec`, which must have a chat template; raises ModelError."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(spec.path, local_files_only=True)
    except Exception as error:
        raise ModelError(f"The tokenizer of {spec.name} cannot be loaded: {_first_line(error)}") from error
    if not tokenizer.chat_template:
        raise ModelError(
            f"The tokenizer of {spec.name} has no chat template: choose an instruct or chat version of it."
        )
    return tokenizer


def _spec(name: str, folder: Path) -> BaseSpec:
    if missing := _lacks(folder):
        raise ModelError(f"The model folder {folder} lacks {_listed(missing)}: fetch the model again.")
    try:
        json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'} is damaged: fetch the model again.") from error
    return BaseSpec(name, str(folder), weights_file.fingerprint(weights(folder)))


def _whole(folder: Path) -> bool:
    try:
        return not _lacks(folder) and bool(weights(folder))
    except ModelError:
        return False


def _lacks(folder: Path) -> list[str]:
    """Files that a model cannot do without, weights aside."""
    needed = ["config.json"]
    if not (folder / "tokenizer.json").is_file() and not (folder / "tokenizer.model").is_file():
        needed.append("tokenizer.json")
    return [each for each in needed if not (folder / each).is_file()]


def _fetched(model: str, progress: Progress | None, download: bool) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        here = Path(huggingface_hub.snapshot_download(model, allow_patterns=HUB_FILES, local_files_only=True))
        if not download or _whole(here):
            return here
        # another program may have fetched the tokenizer alone
    except (errors.LocalEntryNotFoundError, FileNotFoundError):
        pass
    except (errors.HFValidationError, ValueError) as error:
        raise ModelError(f"{model!r} is neither a folder nor a hub id such as owner/name.") from error
    if not download:
        raise ModelError(f"{model} is not on this machine yet: it is fetched when it is first spoken to.")
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    if offline:
        raise ModelError(
            f"{model} is not on this machine and HF_HUB_OFFLINE is set: unset it, or give a local folder."
        )
    try:
        size = _check_download(model)
        say = progress or (lambda fraction, stage: None)
        say(0.0, f"downloading {model} ({_gigabytes(size)})")

        def told(done: int) -> None:
            share = min(done / size, 1.0)
            say(share, f"downloading {model} ({_gigabytes(done)} of {_gigabytes(size)})")

        return Path(
            huggingface_hub.snapshot_download(model, allow_patterns=HUB_FILES, tqdm_class=_silent_bar(told))
        )
    except errors.GatedRepoError as error:
        raise ModelError(f"{model} is gated: accept its terms on the hub, then `hf auth login`.") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(f"The hub has no model {model}: check its name, or give a local folder.") from error
    except AttuneError:
        raise
    except Exception as error:
        # no route, no name service, a proxy's page, a full disk: all the same to the person
        raise ModelError(
            f"{model} could not be fetched from the hub ({_first_line(error)}): "
            "check the network, or give a local folder."
        ) from error


def _silent_bar(told: Callable[[int], None]) -> Any:
    """A bar class for huggingface_hub that draws nothing and tells how many bytes have come."""
    from huggingface_hub.utils import tqdm

    class SilentBar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._bytes = 0 if options.get("unit") == "B" else None
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            if self._bytes is not None:
                self._bytes += int(n or 0)
                told(self._bytes)
            return super().update(n)

    return SilentBar


def _check_download(model: str) -> int:
    """Bytes of the weights. Refuses before the download what could not be held after it: disk."""
    import shutil

    import huggingface_hub
    from huggingface_hub import constants

    files = huggingface_hub.HfApi().model_info(model, files_metadata=True).siblings or []
    size = sum(file.size or 0 for file in files if file.rfilename.endswith(".safetensors"))
    if not size:
        raise ModelError(f"{model} has no safetensors weights: choose a version that has them.")
    cache = Path(constants.HF_HUB_CACHE)
    while not cache.exists():
        cache = cache.parent
    free = shutil.disk_usage(cache).free
    if size > free:
        raise ModelError(
            f"{model} needs {_gigabytes(size)} of disk and {_gigabytes(free)} is free: "
            "make room, or set HF_HOME to another disk."
        )
    return size


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
