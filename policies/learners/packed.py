"""The logits of completions alone, with what rows share computed once (see `token_tree`).

The tree goes through the model as one sequence; only its attention is ours, put in through transformers'
registry of attention functions. Linear layers then see each token once, the head only the places that
predict a completion, and no layer sees padding. Models that do not go through that registry, or whose
layers mix tokens in other ways, would give other numbers: they are tried once and padded instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from policies.learners.token_tree import TokenTree, grow
from policies.rows import Tokens, pad_batch

NAME = "attune_token_tree"
# relative difference of logits that rounding explains in bf16; attention that goes astray makes it large
TOLERANCE = 0.05
# torch's fused attention has a slow backward on short rows on a CPU (four times that of multiplying out)
SHORT = 256
# what pads rows where they are padded; it is masked out, so any id of the vocabulary will do
FILLING = 0
# the models that were tried, and how it went
_fits: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


@contextmanager
def packing(model: Any) -> Iterator[bool]:
    """Within it `completion_logits(model, …)` shares and packs, if this model can; says whether.

    To be left only after the backward pass: layers that are checkpointed run again in it.
    """
    inner = _inner(model)
    before = inner.config._attn_implementation
    if before == NAME:
        yield True
        return
    if inner not in _fits:
        _fits[inner] = _tried(inner)
    if not _fits[inner]:
        yield False
        return
    inner.set_attn_implementation(NAME)
    try:
        with _ready_made(inner.device):
            yield True
    finally:
        inner.set_attn_implementation(before)


def completion_logits(model: Any, rows: Sequence[Tokens]) -> tuple[Any, Any, Any]:
    """(logits (n, vocabulary), targets (n,), row (n,)) for the n completion tokens of `rows`, in order."""
    if _inner(model).config._attn_implementation == NAME:
        tree = grow(rows, model.device, whole=few_calls(model.device))
        logits = model(
            input_ids=tree.input_ids,
            position_ids=tree.position_ids,
            use_cache=False,
            logits_to_keep=tree.predicting,
            tree=tree,
        ).logits[0]
        return logits, tree.targets, tree.row
    batch = pad_batch(rows, FILLING, model.device)
    said = batch["completion_mask"][:, 1:].bool()
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    logits = model(**inputs, use_cache=False).logits[:, :-1][said]
    return logits, batch["input_ids"][:, 1:][said], said.nonzero()[:, 0]


def _ready_made(device: Any) -> AbstractContextManager[Any]:
    """Within it attention takes kernels that are compiled for every length.

    cuDNN's, which torch prefers on recent cards, are planned anew for each one, and hardly two trees are as
    long as each other: planning took half of an update.
    """
    if device.type != "cuda":
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


def few_calls(device: Any) -> bool:
    """Whether fewer calls are faster than less arithmetic, as for short rows on an accelerator."""
    return bool(device.type != "cpu")


def log_probabilities(model: Any, rows: Sequence[Tokens], floor: float | None = None) -> Any:
    """log p(completion | prompt) of each of the N `rows` in nats, summed over its tokens: float32, (N,).

    With a `floor` no token counts as less likely than that.
    """
    from torch.nn.functional import cross_entropy

    logits, targets, row = completion_logits(model, rows)
    by_token = -cross_entropy(logits.float(), targets, reduction="none")
    if floor is not None:
        by_token = by_token.clamp(min=floor)
    return by_token.new_zeros(len(rows)).index_add(0, row, by_token)


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Any = None,
    tree: TokenTree | None = None,
    **_: Any,
) -> tuple[Any, None]:
    """An attention function of transformers over a tree: (1, heads, T, d) to (1, T, heads, d)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    if tree is None or softcap is not None or s_aux is not None:
        raise NotImplementedError("attention that is not a plain softmax over one tree")
    scaling = scaling or 1 / math.sqrt(query.shape[-1])
    groups = query.shape[1] // key.shape[1]
    if tree.levels[0].queries is None:
        key, value = (each.repeat_interleave(groups, 1) if groups > 1 else each for each in (key, value))
        mask = tree.levels[0].added(query.dtype, sliding_window)
        said = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)
        return said.transpose(1, 2), None
    query, key, value = query[0], key[0], value[0]
    parts = []
    for level in tree.levels:
        # (N, heads, R or K, d)
        asked = query[:, level.queries].transpose(0, 1)
        looked, held = (
            each[:, level.keys].repeat_interleave(groups, 0).transpose(0, 1) for each in (key, value)
        )
        seen = level.seen(sliding_window)
        if query.device.type == "cpu" and seen.shape[-1] <= SHORT:
            scores = (asked @ looked.transpose(-1, -2)) * scaling
            said = scores.masked_fill(~seen, -math.inf).softmax(-1) @ held
        else:
            said = scaled_dot_product_attention(asked, looked, held, attn_mask=seen, scale=scaling)
        said = said.transpose(1, 2).flatten(0, 1)
        parts.append(said.index_select(0, level.spoken))
    return torch.cat(parts)[None], None


def _inner(model: Any) -> Any:
    """The transformers model inside a peft model."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _tried(model: Any) -> bool:
    """Whether the tree gives the same logits as padding, on rows that share some and differ in length."""
    import torch
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attend)
    top = int(model.config.get_text_config().vocab_size)
    tokens = [at * 7919 % top for at in range(1, 30)]
    rows = [
        Tokens(tokens[:9], tokens[9:12]),
        Tokens(tokens[:9], tokens[12:20]),
        Tokens(tokens[:5] + tokens[20:24], tokens[24:]),
    ]
    before = model.config._attn_implementation
    with torch.inference_mode():
        expected = completion_logits(model, rows)[0].float()
        try:
            model.set_attn_implementation(NAME)
            if model.config._attn_implementation != NAME:
                return False
            found = completion_logits(model, rows)[0].float()
        except Exception:
            # whatever a foreign model does with a call that it does not know: it is padded
            return False
        finally:
            model.set_attn_implementation(before)
    apart = (found - expected).square().mean().sqrt() / expected.std()
    return bool(apart < TOLERANCE)
