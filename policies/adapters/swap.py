"""Putting an adapter into a model that is in memory, and taking it out again bit for bit.

A small model gets the adapter's delta added to its weights: the decode loop then costs what it costs
without an adapter, while peft's wrappers slow a small model down by half. Before that, the touched
weights are copied, and taking the adapter out puts the copies back, so nothing is ever off by a
rounding. Where the copies would take more than COPY_BYTES, where the weights are not float32 (of an update
that is smaller than the steps of bfloat16 the sum keeps about half), or where the adapter is not plain LoRA
on linear layers of their own, peft's wrapped model speaks instead.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.adapters.files import WEIGHTS, AdapterError, check_folder

if TYPE_CHECKING:
    import torch

COPY_BYTES = 10**9
NAME = "default"
BASE = "__base__"  # peft's name for a row without an adapter


class AdapterSlot:
    """The place for one adapter in `model`; `served` is the model to call."""

    def __init__(self, model: Any, base_sha256: str) -> None:
        self._model = model
        self._base_sha256 = base_sha256
        self._pristine: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._wrapped: Any = None
        self._mixed: Any = None
        self.sha256: str | None = None

    @property
    def served(self) -> Any:
        return self._mixed or self._wrapped or self._model

    def put(self, folder: Path) -> None:
        """Serve the adapter in `folder`, whose digest is then `sha256`.

        Raises AdapterError; what was served before stays, or the base where that was a wrapped model. After
        any other failure (the memory is full) the base is served.
        """
        sha256 = check_folder(folder, self._base_sha256)
        if self._wrapped is not None:
            self.take_out()
        try:
            wrapped = self._load(folder)
            deltas = _deltas(wrapped)
            self._restore()
            if deltas is None:
                self._wrapped = wrapped
            else:
                wrapped.unload()
                self._forget_config()
                for weight, delta in deltas:
                    self._pristine.append((weight, weight.detach().clone()))
                    weight.data.add_(delta)
        except AdapterError:
            self._unwrap()
            raise
        except BaseException:
            self.take_out()
            raise
        self.sha256 = sha256

    def take_out(self) -> None:
        """Serve the base again, with exactly the weights that it was loaded with."""
        self._restore()
        if self._wrapped is not None:
            self._wrapped.unload()
            self._wrapped = None
        # else nothing was ever put on, and the import takes its time
        if "peft" in sys.modules:
            self._unwrap()

    def _restore(self) -> None:
        for weight, kept in self._pristine:
            weight.data.copy_(kept)
        self._pristine = []
        self.sha256 = None

    @contextmanager
    def without(self) -> Iterator[None]:
        """The model that was given is the base inside, bit for bit; what is served is put back after it."""
        from policies.learners.heads import adapters_off

        with self._unmerged(), adapters_off(self._model):
            yield

    @contextmanager
    def _unmerged(self) -> Iterator[None]:
        """The weights as they were loaded, for as long as this lasts; nothing is copied."""
        served = [(weight, weight.data) for weight, _ in self._pristine]
        for weight, kept in self._pristine:
            weight.data = kept
        try:
            yield
        finally:
            for weight, values in served:
                weight.data = values

    @contextmanager
    def mixing(self, folders: Sequence[Path | None]) -> Iterator[list[str]]:
        """Serve several adapters at once; yields peft's name of each, for `adapter_names` (None: the base).

        Every side is loaded from its file and none is merged, so that no side is rounded in another way
        than the others. What was served before comes back bit for bit. Raises AdapterError where an adapter
        is unsound or, as DoRA, cannot stand beside another in one batch.
        """
        for folder in folders:
            if folder is not None:
                check_folder(folder, self._base_sha256)
        names: dict[Path, str] = {}
        with self._unmerged():
            try:
                self._mixed = self._wrapped
                for folder in folders:
                    if folder is not None and folder not in names:
                        names[folder] = f"side{len(names)}"
                        self._mixed = self._load(folder, names[folder], self._mixed)
                if self._mixed is not None:
                    _check_plain(self._mixed, list(names.values()))
                yield [BASE if folder is None else names[folder] for folder in folders]
            finally:
                mixed, self._mixed = self._mixed, None
                if self._wrapped is not None:
                    for name in set(names.values()) & set(self._wrapped.peft_config):
                        self._wrapped.delete_adapter(name)
                else:
                    if mixed is not None:
                        mixed.unload()
                    self._unwrap()

    def _load(self, folder: Path, name: str = NAME, beside: Any = None) -> Any:
        """peft's model around ours, its LoRA tensors compared with the file's; raises AdapterError.

        `beside` is such a model already, which then holds this adapter as well.
        """
        from peft import PeftModel, get_peft_model_state_dict
        from safetensors.torch import load_file

        try:
            with warnings.catch_warnings():
                # transformers warns of a name of its own that peft still uses
                warnings.simplefilter("ignore", FutureWarning)
                if beside is None:
                    wrapped = PeftModel.from_pretrained(self._model, str(folder), adapter_name=name)
                else:
                    wrapped = beside
                    wrapped.load_adapter(str(folder), adapter_name=name)
            wrapped.eval()
            loaded = get_peft_model_state_dict(wrapped, adapter_name=name)
        except Exception as error:
            raise AdapterError(
                f"The adapter {folder.name} does not fit this model: choose the model that it was "
                "trained on, or run `attune train`."
            ) from error
        filed = load_file(folder / WEIGHTS)
        if loaded.keys() != filed.keys() or any(
            not loaded[name].cpu().float().equal(filed[name].to(loaded[name].dtype).float()) for name in filed
        ):
            raise AdapterError(
                f"The adapter {folder.name} did not load as it was trained: choose the model that it was "
                "trained on, or run `attune train`."
            )
        return wrapped

    def _unwrap(self) -> None:
        """Put back the plain layers where a load that failed half way left others."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        for name, module in list(self._model.named_modules()):
            if isinstance(module, BaseTunerLayer):
                parent, _, child = name.rpartition(".")
                setattr(self._model.get_submodule(parent), child, module.get_base_layer())
        self._forget_config()

    def _forget_config(self) -> None:
        # peft leaves this mark on the model and warns about it the next time
        for mark in ("peft_config", "_hf_peft_config_loaded"):
            if mark in self._model.__dict__:
                delattr(self._model, mark)


def _check_plain(mixed: Any, names: Sequence[str]) -> None:
    """Raise AdapterError where peft would not run `names` in one batch (`LoraLayer._check_forward_args`)."""
    from peft.tuners.lora import LoraLayer

    for layer in mixed.modules():
        if isinstance(layer, LoraLayer) and any(layer.use_dora.get(name) for name in names):
            raise AdapterError(
                "A DoRA adapter cannot speak in one batch with another: compare plain LoRA adapters."
            )


def _deltas(wrapped: Any) -> list[tuple[torch.Tensor, torch.Tensor]] | None:
    """(weight, what the adapter adds to it) for every layer; None when it must stay wrapped."""
    import torch
    from peft.tuners.lora import Linear, LoraLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    layers: list[Any] = [module for module in wrapped.modules() if isinstance(module, LoraLayer)]
    if any(isinstance(module, AuxiliaryTrainingWrapper) for module in wrapped.modules()):
        return None
    embedding = wrapped.get_base_model().get_input_embeddings().weight.data_ptr()
    weights = []
    for layer in layers:
        if type(layer) is not Linear or layer.use_dora.get(NAME) or layer.lora_bias.get(NAME):
            return None
        base = layer.get_base_layer()
        if not isinstance(base, torch.nn.Linear) or base.weight.data_ptr() == embedding:
            return None
        if base.weight.dtype != torch.float32:
            return None
        weights.append(base.weight)
    if sum(weight.numel() * weight.element_size() for weight in weights) > COPY_BYTES:
        return None
    with torch.no_grad():
        deltas = [layer.get_delta_weight(NAME) for layer in layers]
    return [(weight, delta.to(weight.dtype)) for weight, delta in zip(weights, deltas, strict=True)]
