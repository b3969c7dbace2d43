"""Train the embedded model, top to bottom: corpus -> tokenizer -> a small Llama -> safetensors.

    python -m policies.seed.train [--tokens 28e6] [--out policies/seed/model] [--resume CHECKPOINT]

Muon (policies/seed/muon.py) moves the matrices, AdamW the embedding and the norms.
Only what the assistant says is predicted. Batches hold conversations of like length, so that little is
padding. Seeded: the same arguments on the same machine give the same weights. On two CPU cores 28 M
tokens take between two and three hours; a GPU is used when there is one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from policies.seed import corpus, tokenizer
from policies.seed.muon import Muon

VOCABULARY = 3584
SHAPE: dict[str, Any] = {
    "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 8,
}  # fmt: skip
LONGEST = 1024
BATCH_TOKENS = 4096
FACT, FOCUS = 2.0, 6.0
EARLY = 0.4  # of all tokens come from the copying-heavy mix
MUON_LR, ADAM_LR = 0.02, 3e-3


def encode(tok: Any, messages: list[dict[str, Any]]) -> tuple[list[int], list[float]]:
    """Token ids, and for each its weight in the loss: 0 for what is not the assistant's own.

    Replies about topics are long and most of their tokens are easy, so that they would drown the few on
    which a fact hangs: a message with a "focus" (a value, or the word that admits that there is none)
    weighs FACT, its focus FOCUS. Between replies of one kind nothing is weighed by length: that would
    change how often the model ends after the first sentence, and with it the mix of styles.
    """
    ids: list[int] = []
    own: list[float] = []
    pieces = tokenizer.parts(messages)
    replies = iter([message for message in messages if message["role"] == "assistant"])
    coded = tok([text for text, _ in pieces], add_special_tokens=False, return_offsets_mapping=True)
    for (text, mine), piece, spans in zip(pieces, coded.input_ids, coded.offset_mapping, strict=True):
        ids += piece
        reply = next(replies) if mine else None
        if reply is None or reply.get("mute"):
            own += [0.0] * len(piece)
            continue
        part = str(reply.get("focus", ""))
        start = text.rfind(part) if part else -1
        end = start + len(part)
        weight = FACT if part else 1.0
        own += [FOCUS if start >= 0 and a < end and b > start else weight for a, b in spans]
    return ids[:LONGEST], own[:LONGEST]


def batches(tok: Any, seed: int, phase: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(ids, own) padded to the longest of the batch: about BATCH_TOKENS tokens, lengths alike."""
    rng = random.Random(seed)
    source = corpus.stream(seed, phase)
    while True:
        pool = sorted(
            (encode(tok, messages) for messages in itertools.islice(source, 1500)),
            key=lambda p: len(p[0]),
        )
        groups: list[list[tuple[list[int], list[float]]]] = [[]]
        for pair in pool:
            if (len(groups[-1]) + 1) * len(pair[0]) > BATCH_TOKENS:
                groups.append([])
            groups[-1].append(pair)
        rng.shuffle(groups)
        for group in groups:
            width = max(len(ids) for ids, _ in group)
            yield (
                torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in group]),
                torch.tensor([own + [0] * (width - len(own)) for _, own in group]),
            )


def make_tokenizer(seed: int = 1) -> Any:
    """From the pieces between special tokens, so that a reply's first word counts without a space before."""
    marks = re.compile("|".join(map(re.escape, (*tokenizer.SPECIAL, *tokenizer.CALL))))
    talks = itertools.islice(corpus.stream(seed), 20_000)
    pieces = (marks.split("".join(t for t, _ in tokenizer.parts(talk))) for talk in talks)
    return tokenizer.build(itertools.chain.from_iterable(pieces), VOCABULARY)


def make_model(tok: Any) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=tokenizer.CONTEXT_LENGTH, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tok.eos_token_id, pad_token_id=tok.pad_token_id, **SHAPE,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def attention(
    module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: Any, **rest: Any
) -> tuple[torch.Tensor, None]:
    """Causal attention, (batch, heads, length, size) in, (batch, length, heads, size) out.

    On a CPU the queries of shorter rows go in chunks, each over the keys that it may see: torch's fused
    backward takes two to four times as long there, and one whole matrix up to twice.
    """
    length, chunk = q.size(2), 128
    if q.is_cuda or length > 768:
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return found.transpose(1, 2).contiguous(), None
    q, k = q * q.size(-1) ** -0.5, k.transpose(-1, -2)
    found_by = []
    for start in range(0, length, chunk):
        end = min(length, start + chunk)
        scores = q[:, :, start:end] @ k[..., :end]
        future = torch.full((end - start, end - start), float("-inf"), dtype=q.dtype).triu(1)
        own = scores[..., start:] + future
        scores = torch.cat([scores[..., :start], own], -1) if start else own
        found_by.append(scores.softmax(-1) @ v[:, :, :end])
    return torch.cat(found_by, 2).transpose(1, 2).contiguous(), None


def loss_of(model: Any, ids: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Weighted mean cross-entropy over the assistant's tokens; logits are made for those alone."""
    fast = ids.is_cuda or torch.cpu._is_avx512_bf16_supported()
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=fast):
        return _loss(model, ids, own)


def _loss(model: Any, ids: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    mask = own[:, 1:] > 0
    weight = own[:, 1:][mask]
    each = F.cross_entropy(model.lm_head(hidden[mask]).float(), ids[:, 1:][mask], reduction="none")
    return (each * weight).sum() / weight.sum()


def train(arguments: argparse.Namespace) -> None:
    torch.manual_seed(arguments.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    if arguments.resume:
        from transformers import AutoTokenizer

        tok = AutoTokenizer.from_pretrained(arguments.resume)
        model: Any = LlamaForCausalLM.from_pretrained(arguments.resume, dtype=torch.float32)
    else:
        tok = make_tokenizer()
        model = make_model(tok)
    tok.save_pretrained(out)
    ALL_ATTENTION_FUNCTIONS["seed"] = attention
    model.set_attn_implementation("seed")
    model.to(device)
    matrices = [
        p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n
    ]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimisers = [
        Muon(matrices, lr=arguments.lr * MUON_LR),
        torch.optim.AdamW(others, lr=arguments.lr * ADAM_LR, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    first = [group["lr"] for o in optimisers for group in o.param_groups]
    forward = torch.compile(loss_of, dynamic=True) if arguments.compile else loss_of
    early = batches(tok, arguments.seed, "early")
    main = batches(tok, arguments.seed + 1, "main")
    if arguments.phase:
        early = main = batches(tok, arguments.seed + 2, arguments.phase)
    seen, step, smooth, saved, log = 0, 0, 0.0, time.time(), []
    bar = tqdm(total=int(arguments.tokens), unit="tok", unit_scale=True, mininterval=5)
    while seen < arguments.tokens:
        if hasattr(os, "sched_getaffinity"):  # the cores that it may use can be changed while it runs
            torch.set_num_threads(len(os.sched_getaffinity(0)))
        ids, own = next(early if seen < EARLY * arguments.tokens else main)
        part = seen / arguments.tokens
        factor = min(1.0, (step + 1) / 60) * (
            1.0 if part < 0.35 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (part - 0.35) / 0.65))
        )
        for group, lr in zip((g for o in optimisers for g in o.param_groups), first, strict=True):
            group["lr"] = lr * factor
        loss = forward(model, ids.to(device), own.to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        seen, step = seen + ids.numel(), step + 1
        smooth = loss.item() if step == 1 else 0.97 * smooth + 0.03 * loss.item()
        bar.update(ids.numel())
        if step % 20 == 0:
            bar.set_postfix(step=step, loss=f"{smooth:.3f}")
            log.append({"step": step, "tokens": seen, "loss": round(smooth, 4)})
        if time.time() - saved > 300:
            saved = time.time()
            save(model, out, log)
    bar.close()
    save(model, out, log)


def save(model: Any, out: Path, log: list[dict[str, Any]]) -> None:
    """fp16 on disk: half the bytes, and no bf16 rounding; the norm of each weight is far below 65504."""
    state = {
        name: value.detach().half() for name, value in model.state_dict().items() if name != "lm_head.weight"
    }
    model.config.dtype = torch.float16
    model.config.architectures = ["LlamaForCausalLM"]
    model.config.save_pretrained(out)
    model.generation_config.save_pretrained(out)
    from safetensors.torch import save_file

    save_file(
        {n: v.contiguous().cpu() for n, v in state.items()},
        out / "model.safetensors",
        metadata={"format": "pt"},
    )
    (out / "training_log.json").write_text(json.dumps(log))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=float, default=28e6)
    parser.add_argument("--out", default=str(Path(__file__).parent / "model"))
    parser.add_argument("--resume", default="", help="a folder to go on from")
    parser.add_argument("--phase", default="", help="only this mix of corpus.MIX")
    parser.add_argument("--lr", type=float, default=1.0, help="times the learning rates above")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile the step (needs a C++ compiler)"
    )
    train(parser.parse_args())
