"""What a policy says, and what the bare model says."""

from __future__ import annotations

from typing import Any

from policies.language_policy import LanguagePolicy
from policies.policy import Generated, SamplingParams, TokenChunk

GREEDY = SamplingParams(temperature=0.0, max_new_tokens=20)
SYSTEM = {"role": "system", "content": "You are Attune, a personal agent."}
HELLO = {"role": "user", "content": "My dog is called Fitzo."}


def say(
    policy: LanguagePolicy, messages: list[dict[str, Any]], sampling: SamplingParams = GREEDY
) -> Generated:
    *chunks, last = policy.stream(messages, sampling)
    assert isinstance(last, Generated)
    assert all(isinstance(chunk, TokenChunk) and chunk.text for chunk in chunks)
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, TokenChunk)) == last.text
    return last


def raw_greedy(policy: LanguagePolicy, ids: tuple[int, ...], new: int = 20) -> tuple[int, ...]:
    """What transformers' own loop answers to the same ids."""
    import torch

    prompt = torch.tensor([ids])
    whole = policy.model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=new,
        do_sample=False,
        eos_token_id=sorted(policy.stop_ids),
        pad_token_id=0,
    )
    return tuple(whole[0, len(ids) :].tolist())
