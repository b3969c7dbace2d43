"""Hindsight: what the owner said is wrong becomes a pair that shows what would have been right.

The policy answers again with the owner's words in its prompt, as a line of the preference card; that
answer against the first one is a pair under the prompt as it was, without the words. So what a line on
the card brings about moves into the weights (context distillation, Askell et al. 2021, arXiv 2112.00861;
feedback in words as something to learn from, Liu et al. 2023, arXiv 2302.02676). Nobody saw the new
answer, so the reward model, which knows all the other ratings, may object to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from env.datasets import Pair, Prompt, Reply, Unpaired
from memory.taste.card_texts import card_block
from policies.degenerate import degenerate
from policies.policy import SamplingParams
from policies.tool_calls import parse_tool_calls

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy
    from policies.reward_model import RewardModel
    from policies.rows import Tokeniser

HEADING = card_block(("",)).strip().splitlines()[0]
# the new answer goes when it is only this probable, or less, that the owner prefers it to the first
OBJECTION = 0.4
SEED = 41


@dataclass(frozen=True, slots=True)
class Hindsight:
    """`pairs`, and what became of the other reasons: no better answer came, or the reward model objected."""

    pairs: tuple[Pair, ...]
    unanswered: int = 0
    objected: int = 0


def hindsight(
    policy: LanguagePolicy,
    rows: Sequence[Unpaired],
    words: Tokeniser,
    reward: RewardModel | None = None,
    room: int = 160,
) -> Hindsight:
    """A pair for every disliked reply of `rows` that says why, from up to `room` new tokens each.

    The policy must speak as the base. Without a `reward` model nobody objects.
    """
    asked = [row for row in rows if row.why and not row.label]
    pairs, objected = [], 0
    again = answers(policy, [row.prompt for row in asked], [(row.why or "",) for row in asked], room)
    for row, answer in zip(asked, again, strict=True):
        if answer is None or answer.text.strip() == row.completion.text.strip():
            continue
        if reward is not None:
            better = reward.preference(words.row(row.prompt, answer), words.row(row.prompt, row.completion))
            if better <= OBJECTION:
                objected += 1
                continue
        pairs.append(
            Pair(
                prompt=row.prompt,
                chosen=answer,
                rejected=row.completion,
                reply_id=row.reply_id,
                conversation_id=row.conversation_id,
                created_at=row.created_at,
                feedback_ids=row.feedback_ids,
                source="hindsight",
                rejected_id=row.reply_id,
            )
        )
    return Hindsight(tuple(pairs), len(asked) - len(pairs) - objected, objected)


def told(messages: Sequence[dict[str, Any]], *whys: str) -> list[dict[str, Any]]:
    """The chat with `whys` as more lines of the preference card, the last and so the loudest."""
    lines = [" ".join(why.split()) for why in whys]
    first, *rest = messages if messages and messages[0].get("role") == "system" else ({}, *messages)
    content = str(first.get("content", ""))
    more = "".join(f"\n- {line}" for line in lines) if HEADING in content else card_block(lines)
    return [{"role": "system", "content": (content + more).lstrip("\n")}, *rest]


def answers(
    policy: LanguagePolicy,
    prompts: Sequence[Prompt],
    lines: Sequence[Sequence[str]],
    room: int,
    temperature: float = 0.0,
    seed: int = SEED,
) -> list[Reply | None]:
    """An answer to each prompt with its `lines` on the card; None where no finished text came (a call of a
    tool is none), or where the prompt does not fit into the context.

    By default the likeliest one, the same at every update.
    """
    found: list[Reply | None] = [None] * len(prompts)
    kits: dict[str, list[int]] = {}
    for at, prompt in enumerate(prompts):
        kits.setdefault(json.dumps(prompt.tools, sort_keys=True), []).append(at)
    sampling = SamplingParams(temperature=temperature, max_new_tokens=room, seed=seed)
    for places in kits.values():
        tools = prompts[places[0]].tools
        asked = [(at, told(prompts[at].messages, *lines[at])) for at in places]
        # a prompt that filled the context has no room for one line more; the others are answered all the same
        asked = [one for one in asked if policy.count_tokens(one[1], tools) < policy.context_length]
        made = policy.generate([messages for _, messages in asked], sampling, tools) if asked else []
        for (at, _), reply in zip(asked, made, strict=True):
            said_in_words = not degenerate(reply.text) and not parse_tool_calls(reply.text)[1]
            if reply.finish_reason == "stop" and said_in_words:
                found[at] = Reply(reply.text.strip())
    return found
