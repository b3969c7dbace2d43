"""The two arms that the product is compared with: examples in the prompt, and updates on updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.benches.learner import BenchLearner, fresh_policy
from agent.turn import SCHEMAS
from policies.tool_calls import parse_tool_calls

# As many as leave a small context room for a long reply; the newest say most about a taste that may change.
EXAMPLES = 4


class FewShotLearner(BenchLearner):
    """No card and no training: the newest liked replies stand in the prompt as turns that went before.

    An edited reply is liked as it was edited. Nothing is kept in the home.
    """

    def __init__(self, arm: str, seed: int, model: str | None = None, device: str = "auto") -> None:
        super().__init__(arm, seed, model, device)
        self._given: dict[str, tuple[str, str]] = {}
        self._liked: dict[str, tuple[str, str]] = {}

    def reply(self, prompt_text: str) -> tuple[str, str]:
        self._turns += 1
        text = self._say([prompt_text], self._seed + self._turns)[0]
        reply_id = f"reply {self._turns}"
        self._given[reply_id] = (prompt_text, text)
        return reply_id, text

    def rate(self, reply_id: str, value: int, why: str | None = None) -> None:
        self._liked.pop(reply_id, None)
        if value > 0:
            self._liked[reply_id] = self._given[reply_id]

    def edit(self, reply_id: str, text: str) -> None:
        self._liked[reply_id] = (self._given[reply_id][0], text)

    def replies(self, prompts: Sequence[str], seed: int) -> list[str]:
        return self._say(prompts, seed)

    def under(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        first, *rest = super().under(messages)
        return [first, *self._examples(), *rest]

    def _say(self, prompts: Sequence[str], seed: int) -> list[str]:
        head = [{"role": "system", "content": self.system()}, *self._examples()]
        batch = [[*head, {"role": "user", "content": text}] for text in prompts]
        made = self.policy.generate(batch, self.runtime.settings.sampling(seed=seed), SCHEMAS)
        return [parse_tool_calls(one.text)[0] for one in made]

    def _examples(self) -> list[dict[str, Any]]:
        chosen = list(self._liked.values())[-EXAMPLES:]
        return [
            {"role": role, "content": text}
            for pair in chosen
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]


class StackedLearner(BenchLearner):
    """As the arm "weights", but each update starts from what the last one made of the weights.

    The last adapter is added to the base before the next one is trained on the whole ledger, so the
    reference, the anchors and the gate compare with the policy as it spoke, and not with the base.
    """

    def __init__(self, arm: str, seed: int, model: str | None = None, device: str = "auto") -> None:
        super().__init__(arm, seed, model, device, policy=fresh_policy(model, device))

    @property
    def trains(self) -> bool:
        return True

    def update(self) -> None:
        from policies.adapters.merging import merge_for_good

        result = self._train()
        if result is None or result.verdict == "rejected":
            return
        registry, base = self.runtime.registry, self.policy.spec.sha256
        merge_for_good(self.policy, registry.get(result.adapter).path)
        registry.activate(None, "added to the base", base)
        self.runtime.sync_between_replies()

    def close(self) -> None:
        super().close()
        self.policy.close()


def make_learner(arm: str, seed: int, model: str | None = None, device: str = "auto") -> BenchLearner:
    """The learner of `arm`."""
    kinds: Mapping[str, type[BenchLearner]] = {"fewshot": FewShotLearner, "stacked": StackedLearner}
    return kinds.get(arm, BenchLearner)(arm, seed, model, device)
