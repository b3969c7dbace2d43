"""Adapters that are sound on disk and fit no model: for tests that never speak under one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LIGHT_BASE = "0" * 64


def light_adapter(folder: Path) -> Path:
    """Written without torch."""
    import numpy
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2}))
    weights = {
        "base_model.model.q.lora_A.weight": numpy.ones((2, 4), numpy.float32),
        "base_model.model.q.lora_B.weight": numpy.ones((4, 2), numpy.float32),
    }
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def light_meta(*events: str, **changes: Any) -> dict[str, Any]:
    """What the registry is told of it: trained on the feedback events named here, and on no other."""
    about = {"base": "light", "base_sha256": LIGHT_BASE, "algorithm": "kto", "status": "promoted"}
    return about | ({"trained_on": {"feedback": list(events)}} if events else {}) | changes
