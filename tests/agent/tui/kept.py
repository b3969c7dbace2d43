"""What lies in the home behind a screen: adapters with a report, and rows with dates that stay."""

from __future__ import annotations

import time
from typing import Any

from tests.agent.tui.fake_runtime import NOW, FakeRuntime

REPORT = {
    "verdict": "provisional",
    "reasons": ["Not enough evidence yet: 3 held-out ratings."],
    "held_out": {
        "liked": 2,
        "disliked": 1,
        "accuracy": 1.0,
        "margin": 1.4,
        "margin_low": 0.2,
        "margin_high": 2.1,
    },
    "kl": 0.42,
    "words": {"base": 31, "candidate": 17},
    "skills": {"recall": {"base": 10, "candidate": 10, "probes": 10}},
    "samples": [{"text": "Tea is made from leaves. [/b]"}],
}


def make_adapter(
    runtime: FakeRuntime, status: str, report: dict[str, Any], base: str = "sprout", sha256: str = "0" * 64
) -> str:
    """A sound adapter in the registry; returns its version."""
    import json

    import numpy
    from safetensors.numpy import save_file

    folder = runtime.home / f"trained-{time.monotonic_ns()}"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2}))
    weights = {
        "base_model.model.q.lora_A.weight": numpy.ones((2, 4), numpy.float32),
        "base_model.model.q.lora_B.weight": numpy.ones((4, 2), numpy.float32),
    }
    save_file(weights, folder / "adapter_model.safetensors")
    meta = {
        "base": base,
        "base_sha256": sha256,
        "algorithm": "kto",
        "status": status,
        "signals": 12,
        "report": report,
    }
    return runtime.registry.add(folder, meta).version


def freeze_times(runtime: FakeRuntime) -> None:
    """Every row of the home was written a minute apart from NOW on, so that pictures do not change."""
    with runtime.db.transaction() as connection:
        for table in ("conversation", "message", "feedback", "memory", "adapters"):
            connection.execute(f"UPDATE {table} SET created_at = {NOW} + 60 * rowid")
        connection.execute(f"UPDATE conversation SET updated_at = {NOW} + 60 * rowid")
