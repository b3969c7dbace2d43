"""Best of several replies, by the reward model."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from policies.policy import Side
from policies.rows import Tokens
from policies.tool_calls import parse_tool_calls

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy
    from policies.policy import ChatMessage, Generated, SamplingParams
    from policies.reward_model import RewardModel


def best_of(
    policy: LanguagePolicy,
    messages: Sequence[ChatMessage],
    n: int,
    reward: RewardModel,
    sampling: SamplingParams,
    tools: Sequence[Mapping[str, Any]] = (),
    cancel: threading.Event | None = None,
) -> Generated:
    """The best of `n` replies to one prompt (as in Nakano et al. 2021, arXiv 2112.09332).

    All are drawn in one batch, under the adapter that speaks now; the base judges them. Whether a tool is
    called is not for taste to decide: the first reply does, and is compared with those that do as it does.
    Stopped by `cancel`, it is the first.
    """
    drawn = policy.mixed(messages, [Side(policy.adapter)] * n, sampling, tools, cancel)
    calls = [bool(parse_tool_calls(reply.text)[1]) for reply in drawn]
    said = [reply for reply, calling in zip(drawn, calls, strict=True) if calling == calls[0]]
    said = [reply for reply in said if reply.completion_ids]
    if len(said) < 2 or calls[0] or any(reply.finish_reason == "cancelled" for reply in said):
        return drawn[0]
    with policy.as_base():
        scores = reward.score([Tokens(list(r.prompt_ids), list(r.completion_ids)) for r in said])
    return said[max(range(len(said)), key=scores.__getitem__)]
