"""What PPO and GRPO are asked, and how long they may answer: prompts of the ledger, and everyday ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from env.datasets import Pair, Reply, Unpaired
from policies.update.material import Material, system_message

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy
    from policies.rows import Tokeniser

# what is asked beside the prompts of the ledger
EVERYDAY, PROMPT_SEED = 32, 50_021
SHORTEST_ROOM, LONGEST_ROOM = 32, 192


def rollout_prompts(policy: LanguagePolicy, cut: Material, words: Tokeniser, longest: int) -> list[list[int]]:
    """Different prompts of up to `longest` ids: those that were judged, then everyday ones without a card."""
    from env.skills.probes import everyday_prompts

    rows = [words.row(row.prompt, _reply(row)).prompt_ids for row in judged(cut)]
    system = system_message(cut)
    opening = [{"role": "system", "content": system}] if system else []
    rows += [
        list(policy.prompt([*opening, {"role": "user", "content": text}])[1])
        for text in everyday_prompts("train", EVERYDAY, PROMPT_SEED)
    ]
    different = dict.fromkeys(tuple(ids) for ids in rows if len(ids) <= longest)
    return [list(ids) for ids in different]


def room(cut: Material, words: Tokeniser) -> int:
    """Tokens for a new reply: as long as the longest judged one, within bounds."""
    longest = max((len(words.row(row.prompt, _reply(row)).completion_ids) for row in judged(cut)), default=0)
    return max(SHORTEST_ROOM, min(LONGEST_ROOM, longest))


def judged(cut: Material) -> list[Unpaired | Pair]:
    """Each judgement once: siblings with opposite thumbs are two thumbs already."""
    return [*cut.thumbs, *(pair for pair in cut.pairs if pair.source != "siblings")]


def _reply(row: Unpaired | Pair) -> Reply:
    return row.completion if isinstance(row, Unpaired) else row.chosen
