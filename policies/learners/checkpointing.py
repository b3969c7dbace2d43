"""Whether a step keeps what backward needs, or computes it again (gradient checkpointing).

Computed again it costs a third of the arithmetic once more; kept, it takes memory that grows with the
tokens of a step. So a large model keeps it where there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policies.rows import Tokens

# of the memory that is free: others use it, too
SHARE = 0.25
# As measured with float32 on models of Qwen3's architecture with LoRA on all linear layers: values kept of a
# token in a layer are these times its hidden size, its MLP's size, and that of its queries. In bfloat16 the
# norms keep copies in float32, so that four bytes a value is a bound from above there.
OF_HIDDEN, OF_MLP, OF_QUERIES = 8, 4, 8
BYTES = 4


def needed(model: Any, tokens: int, free: int | None = None) -> bool:
    """Whether steps of `tokens` tokens are to be checkpointed with `free` bytes (default: the device's)."""
    have = _free(model.device) if free is None else free
    return kept_bytes(model, tokens) > SHARE * have


def kept_bytes(model: Any, tokens: int) -> int:
    """About what one step of `tokens` tokens keeps for its backward pass, in bytes."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    queries = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
    mlp = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    values = OF_HIDDEN * config.hidden_size + OF_MLP * mlp + OF_QUERIES * queries
    return tokens * config.num_hidden_layers * values * BYTES


def most_tokens(rows: Sequence[Sequence[Tokens]], batch_size: int) -> int:
    """The most tokens that a step of `batch_size` examples can have, each of them one or more rows."""
    by_example = (sum(len(row.prompt_ids) + len(row.completion_ids) for row in example) for example in rows)
    return sum(sorted(by_example, reverse=True)[:batch_size])


def _free(device: Any) -> int:
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)
