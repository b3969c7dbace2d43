"""`attune bench learning`: a real agent for every arm of the experiment.

An arm says what the agent may use: `base` nothing, `card` the preference card, `memory` the memories,
`weights` the updates, `all` everything. The thumb goes through `Runtime.rate`, the update through
`policies.update`, and the loaded base is shared by all agents of a process.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import prompt
from agent.config import Settings
from agent.events import ReplyDone, TurnFailed
from agent.runtime import Runtime
from agent.turn import SCHEMAS
from memory.errors import AttuneError
from memory.features import STYLES
from policies.policy import SamplingParams
from policies.tool_calls import parse_tool_calls

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy

log = logging.getLogger("attune.bench")
Progress = Callable[[float, str], None]
# Probes a skill, and the seed they are drawn with: the same ones for every agent.
PROBES, PROBE_SEED = 20, 7
SKILL_TOKENS = 128


@cache
def _policy(model: str | None, device: str) -> LanguagePolicy:
    """One loaded base for all agents of this process, which follow one another."""
    from policies.base_models import resolve
    from policies.language_policy import LanguagePolicy

    return LanguagePolicy(resolve(model), device=device)


@cache
def _embedder() -> Any:
    from memory.embedder import load_embedder

    return load_embedder(None)


class BenchLearner:
    """A Learner of `env.bench.learning`: one agent on a home of its own, which `close` deletes."""

    def __init__(self, arm: str, seed: int, model: str | None = None, device: str = "auto") -> None:
        self.arm = arm
        self._seed = seed * 100_000
        self._turns = 0
        self._home = Path(tempfile.mkdtemp(prefix="attune-bench-"))
        settings = Settings(
            model=model,
            card=arm in ("card", "all"),
            memory=arm in ("memory", "all"),
            updates=False,
        )
        policy = _policy(model, device)
        policy.swap(None)
        self._policy = policy
        self.runtime = Runtime(self._home, settings, policy=policy, embedder=_embedder(), spec=policy.spec)

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

    def update(self) -> None:
        """Train on the whole ledger and swap, if this arm trains; what the gate rejects stays out."""
        if self.arm not in ("weights", "all"):
            return
        from policies.update import LearnError, NothingToLearn, run_update

        try:
            run_update(self._home, self.runtime.settings.model, policy=self._policy)
        except (LearnError, NothingToLearn) as wrong:
            log.info("no update in arm %s: %s", self.arm, wrong)
        self.runtime.sync_between_replies()

    def replies(self, prompts: Sequence[str], seed: int) -> list[str]:
        """As `reply` would have been, in one batch and without a trace in the journal."""
        runtime, settings = self.runtime, self.runtime.settings
        system = self._system()
        batch = []
        for text in prompts:
            recalled = runtime.recall.search(text, k=settings.recall_k) if settings.memory else []
            batch.append(
                [
                    {"role": "system", "content": system},
                    {"role": "user", "content": prompt.with_memories(text, recalled)},
                ]
            )
        made = self._policy.generate(batch, settings.sampling(seed=seed), SCHEMAS)
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

    def _passed(self, asked: Sequence[Any]) -> list[bool]:
        if not asked:
            return []
        system = self._system()
        batch = [_under(system, probe.messages) for probe in asked]
        sampling = SamplingParams(temperature=0.0, max_new_tokens=SKILL_TOKENS)
        made = self._policy.generate(batch, sampling, SCHEMAS)
        return [bool(probe.grade(one.text)) for probe, one in zip(asked, made, strict=True)]

    def _system(self) -> str:
        runtime = self.runtime
        return prompt.system_text(runtime.card.active_lines() if runtime.settings.card else [])

    def close(self) -> None:
        """The shared base stays loaded; the home goes."""
        self._policy.swap(None)
        self.runtime.release_policy()
        self.runtime.close()
        shutil.rmtree(self._home, ignore_errors=True)


def _under(system: str, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The probe under this agent's card; a probe that brings a card of its own keeps it."""
    first = messages[0]
    if first["role"] == "system" and first["content"] == prompt.PERSONA:
        return [{"role": "system", "content": system}, *messages[1:]]
    return list(messages)


def run(
    model: str | None = None,
    quick: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The figures of `env.bench.learning` for this product."""
    from env.bench import learning

    return learning.run(
        partial(BenchLearner, model=model),
        workers=workers,
        progress=progress,
        cancelled=cancelled,
        **(learning.QUICK if quick else {}),
    )
