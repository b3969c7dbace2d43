"""An adapter that stays silent because it belongs to another base: the sentence that says so."""

from __future__ import annotations

import json
from pathlib import Path

from memory.records import Adapter
from policies.adapters.files import CONFIG
from policies.adapters.registry import AdapterRegistry
from policies.base_models import BaseSpec


def left_out(registry: AdapterRegistry, base: BaseSpec) -> str | None:
    """Why the adapter that was chosen last is not heard on `base`, and how it comes back.

    None when it is heard, when none was chosen, or when `base` has an adapter of its own to speak.
    """
    chosen = next((adapter for adapter in registry.list() if adapter.active), None)
    if chosen is None or chosen.base_sha256 == base.sha256 or registry.active(base.sha256) is not None:
        return None
    name = _asked_for(chosen)
    if name in (base.name, base.path):
        return (
            f"The adapter {chosen.version} was trained on {chosen.base} as it was before its weights changed "
            "and is left out; `attune train` makes a new one from the same ratings."
        )
    return (
        f"The adapter {chosen.version} belongs to the model {chosen.base} and is left out on {base.name}; "
        f"it comes back with `--model {name}`, or `/model {name}` in the chat."
    )


def _asked_for(adapter: Adapter) -> str:
    """What the base of `adapter` is chosen by: its folder where it is one on this disk, else its name."""
    try:
        path = json.loads((Path(adapter.path) / CONFIG).read_text())["base_model_name_or_path"]
        # the embedded model and those of the hub lie in folders that are called otherwise
        if Path(path).is_dir() and Path(path).resolve().name == adapter.base:
            return str(Path(path).resolve())
    except (OSError, ValueError, KeyError, TypeError):
        pass  # the registry tells of a folder that is damaged
    return adapter.base
