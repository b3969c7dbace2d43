"""One prompt answered under several adapters in one batch: a row a side, none of them shown before the end.

peft runs the rows of a batch under adapters of their own (`adapter_names`; only in inference, only LoRA).
The rows share a prompt, so nothing is padded; a row that is finished leaves the batch.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.generation.batch import drop_rows
from policies.generation.decoding import PREFILL_CHUNK, PolicyError, since
from policies.generation.sampling import Sampler
from policies.policy import Generated, SamplingParams, Side

if TYPE_CHECKING:
    from policies.adapters.swap import AdapterSlot
    from policies.language_policy import LanguagePolicy


def speak_mixed(
    policy: LanguagePolicy,
    slot: AdapterSlot,
    prompt: tuple[str, tuple[int, ...]],
    sides: Sequence[Side],
    sampling: SamplingParams,
    cancel: threading.Event | None,
    started: float,
) -> list[Generated]:
    """A reply of each of `sides` to `prompt` (text, ids), in their order.

    Called by `LanguagePolicy.mixed`, which holds its lock. Each reply's `total_ms` is the time at which it
    was finished. Raises AdapterError and PolicyError; what was served before is served again in any case.
    """
    if all(side.version == policy.adapter for side in sides):
        return _speak(policy, prompt, sides, None, sampling, cancel, started)
    for side in sides:
        if side.version is not None and side.path is None:
            raise PolicyError(
                f"The folder of adapter {side.version} is not known: `attune policy list` shows those."
            )
    with slot.mixing([None if side.path is None else Path(side.path) for side in sides]) as names:
        return _speak(policy, prompt, sides, names, sampling, cancel, started)


def _speak(
    policy: LanguagePolicy,
    prompt: tuple[str, tuple[int, ...]],
    sides: Sequence[Side],
    names: list[str] | None,
    sampling: SamplingParams,
    cancel: threading.Event | None,
    started: float,
) -> list[Generated]:
    """The decode loop; `names` are peft's names of the sides, None where all are what is served anyway."""
    import torch

    from policies.generation.prefix_cache import new_cache

    text, ids = prompt
    sampler = Sampler(sampling, policy.device)
    room = min(sampling.max_new_tokens, policy.context_length - len(ids))
    known = torch.tensor([ids] * len(sides), device=policy.device)
    cache, held, first_ms = new_cache(policy.model.config), 0, 0.0
    completions: list[list[int]] = [[] for _ in sides]
    reasons = ["cancelled"] * len(sides)
    ended = [0.0] * len(sides)
    rows = live = list(range(len(sides)))
    while live and not (cancel is not None and cancel.is_set()):
        end = min(known.shape[1], held + PREFILL_CHUNK)
        more: dict[str, Any] = {} if names is None else {"adapter_names": [names[row] for row in rows]}
        with torch.inference_mode():
            logits = policy.forward(known[:, held:end], cache, **more)
            held = end
            if held < known.shape[1]:
                continue
            if not first_ms and bool(logits.isnan().any()):
                raise PolicyError(
                    "The model computed values that are not numbers: use another adapter or model."
                )
            drawn = sampler.pick(logits)
        first_ms = first_ms or since(started)
        for row, token in zip(rows, drawn[:, 0].tolist(), strict=True):
            if row not in live:
                continue
            completions[row].append(token)
            if token in policy.stop_ids:
                reasons[row] = "stop"
            elif len(completions[row]) >= room:
                reasons[row] = "length"
            if reasons[row] != "cancelled":
                ended[row] = since(started)
        live = [row for row in live if reasons[row] == "cancelled"]
        known, held = drawn, 0
        if live and len(live) < len(rows) and drop_rows(cache, rows, live, policy.device):
            known = drawn[[index for index, row in enumerate(rows) if row in live]]
            rows = live
    return [
        Generated(
            policy.decode(done), text, ids, tuple(done), side.version, why, first_ms, at or since(started), 0
        )
        for side, done, why, at in zip(sides, completions, reasons, ended, strict=True)
    ]
