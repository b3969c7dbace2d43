"""A real agent for one cell of the learning benches.

An arm says what the agent may use: `base` nothing, `card` the preference card, `memory` the memories,
`weights` the updates, `all` everything. The thumb goes through `Runtime.rate`, the update through
`policies.update.job`, and the loaded base is shared by all agents of a process.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import prompt
from agent.config import defaults
from agent.events import ReplyDone, TurnFailed
from agent.runtime import Runtime
from agent.turn import SCHEMAS
from memory.errors import AttuneError
from memory.taste.features import STYLES
from policies.policy import SamplingParams
from policies.tool_calls import parse_tool_calls

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy
    from policies.update.job import UpdateResult

log = logging.getLogger("attune.bench")
# Probes a skill, and the seed they are drawn with: the same ones for every agent.
PROBES, PROBE_SEED = 20, 7
SKILL_TOKENS = 128
# How the gate's veto against flattery begins.
VETO = "It flatters"


@cache
def shared_policy(model: str | None, device: str) -> LanguagePolicy:
    """One loaded base for all agents of this process, which follow one another."""
    from agent.benches.base_replies import RememberingPolicy
    from policies.base_models import resolve

    return RememberingPolicy(resolve(model), device=device)


def fresh_policy(model: str | None, device: str) -> LanguagePolicy:
    """A base of one's own, to change."""
    from policies.base_models import resolve
    from policies.language_policy import LanguagePolicy

    return LanguagePolicy(resolve(model), device=device)


@cache
def embedder() -> Any:
    from memory.index.embedder import load_embedder

    return load_embedder(None)


class BenchLearner:
    """A Learner of `env.bench.learning`: one agent on a home of its own, which `close` deletes."""

    # what run_update is called with besides the home, the model and the policy
    how: Mapping[str, Any] = {}

    def __init__(
        self,
        arm: str,
        seed: int,
        model: str | None = None,
        device: str = "auto",
        policy: LanguagePolicy | None = None,
        algorithm: str = "auto",
    ) -> None:
        self.arm, self.algorithm = arm, algorithm
        self._verdicts: dict[str, int] = {}
        self._seed = seed * 100_000
        self._turns = 0
        self._home = Path(tempfile.mkdtemp(prefix="attune-bench-"))
        settings = defaults(
            model=model,
            card=arm in ("card", "all"),
            memory=arm in ("memory", "all"),
            updates=False,
        )
        policy = policy or shared_policy(model, device)
        policy.swap(None)
        self.policy = policy
        self.runtime = Runtime(self._home, settings, policy=policy, embedder=embedder(), spec=policy.spec)

    @property
    def trains(self) -> bool:
        return self.arm in ("weights", "all")

    def reply(self, prompt_text: str) -> tuple[str, str]:
        """One turn of a conversation of its own."""
        self._turns += 1
        sampling = self.runtime.settings.sampling(seed=self._seed + self._turns)
        for event in self.runtime.loop.turn(prompt_text, sampling=sampling):
            if isinstance(event, ReplyDone):
                return event.message.id, event.message.content
            if isinstance(event, TurnFailed):
                raise AttuneError(event.text)
        raise AttuneError("A turn of the bench ended without a reply; see the log.")

    def rate(self, reply_id: str, value: int, why: str | None = None) -> None:
        self.runtime.rate(reply_id, value, why, source="simulated person")
        # a thumb may set an adapter aside, or roll it back
        self.runtime.sync_between_replies()

    def edit(self, reply_id: str, text: str) -> None:
        self.runtime.journal.edit_reply(reply_id, text, source="simulated person")

    def update(self) -> None:
        """Train on the whole ledger and swap, if this arm trains; what the gate rejects stays out."""
        if self.trains:
            self._train()
            self.runtime.sync_between_replies()

    def _train(self) -> UpdateResult | None:
        """None where there was nothing to learn from. Either way it is among the verdicts."""
        from policies.update.job import LearnError, NothingToLearn, run_update

        result = None
        try:
            result = run_update(
                self._home, self.runtime.settings.model, self.algorithm, policy=self.policy, **self.how
            )
            self._count(result.verdict)
            if any(reason.startswith(VETO) for reason in result.reasons):
                self._count("vetoed")
        except (LearnError, NothingToLearn) as wrong:
            log.info("no update in arm %s: %s", self.arm, wrong)
            self._count("nothing learned")
        return result

    def verdicts(self) -> dict[str, int]:
        """How many updates ended how; "vetoed" (for flattery) are among the "rejected"."""
        return dict(self._verdicts)

    def _count(self, verdict: str) -> None:
        self._verdicts[verdict] = self._verdicts.get(verdict, 0) + 1

    def replies(self, prompts: Sequence[str], seed: int) -> list[str]:
        """As `reply` would have been, in one batch and without a trace in the journal."""
        runtime, settings = self.runtime, self.runtime.settings
        system = self.system()
        batch = []
        for text in prompts:
            recalled = runtime.recall.search(text, k=settings.recall_k) if settings.memory else []
            batch.append(
                [
                    {"role": "system", "content": system},
                    {"role": "user", "content": prompt.with_memories(text, recalled)},
                ]
            )
        made = self.policy.generate(batch, settings.sampling(seed=seed), SCHEMAS)
        return [parse_tool_calls(one.text)[0] for one in made]

    def skill_score(self) -> float:
        """Share of the fixed probes passed, under this agent's card and adapter as they are now.

        How well a card line is followed is not among them: this card and this adapter pull against it.
        """
        from env.skills.probes import SKILLS, probes

        names = [name for name in SKILLS if name not in (*STYLES, "mix")]
        drawn = [probe for name in names for probe in probes(name, PROBES, PROBE_SEED)]
        passed = self._passed(drawn)
        later = [at for at, probe in enumerate(drawn) if passed[at] and probe.then is not None]
        then = self._passed([drawn[at].then for at in later])
        for at, ok in zip(later, then, strict=True):
            passed[at] = ok
        return sum(passed) / len(passed)

    def factual_answers(self) -> list[str]:
        """What becomes of each factual probe, under this agent's card and adapter as they are now."""
        from env.skills.factual import factual_probes

        asked = factual_probes()
        return [
            probe.answer(text)
            for probe, text in zip(asked, self._greedy([one.messages for one in asked]), strict=True)
        ]

    def under(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The probe under this agent's card; a probe that brings a card of its own keeps it."""
        first = messages[0]
        if first["role"] == "system" and first["content"] == prompt.PERSONA:
            return [{"role": "system", "content": self.system()}, *messages[1:]]
        return list(messages)

    def system(self) -> str:
        runtime = self.runtime
        return prompt.system_text(runtime.card.active_lines() if runtime.settings.card else [])

    def close(self) -> None:
        """The shared base stays loaded; the home goes."""
        self.policy.swap(None)
        self.runtime.release_policy()
        self.runtime.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _passed(self, asked: Sequence[Any]) -> list[bool]:
        texts = self._greedy([probe.messages for probe in asked])
        return [bool(probe.grade(text)) for probe, text in zip(asked, texts, strict=True)]

    def _greedy(self, asked: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
        if not asked:
            return []
        sampling = SamplingParams(temperature=0.0, max_new_tokens=SKILL_TOKENS)
        batch = [self.under(messages) for messages in asked]
        return [one.text for one in self.policy.generate(batch, sampling, SCHEMAS)]
