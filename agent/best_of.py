"""Several replies drawn, one shown: the reward model of the newest adapter chooses, when the owner wants it.

It costs the time of a batch, and nothing is streamed: the best one is known when all are finished.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agent import prompt
from agent.turn import Drawn, Turn, read
from memory.errors import AttuneError
from policies.policy import Chooses
from policies.watch import SET_ASIDE

if TYPE_CHECKING:
    from agent.runtime import Runtime

log = logging.getLogger("attune.best_of")


class BestOf:
    """The choices of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._failed: set[str] = set()

    def reward(self) -> str | None:
        """The folder of the reward model that chooses: that of the newest adapter of this base whose model
        foretold held-out ratings better than a guess; none of what was forgotten since is in it. None once
        the taste has changed, until there is one of the new taste."""
        base = self._runtime.base_sha256
        for one in reversed(self._runtime.registry.list(base)):
            if base not in (None, one.base_sha256):
                continue  # the registry lists those of all bases
            if SET_ASIDE in one.report:
                return None  # whatever is older knows no newer taste
            found = one.report.get("reward_model") or {}
            if found.get("gain_low", 0.0) > 0.0 and not one.forgotten and one.path not in self._failed:
                return one.path
        return None

    def draw(self, turn: Turn, fitted: prompt.Fitted) -> Drawn | None:
        """The best of the replies that the setting asks for; None where one is to be streamed as ever."""
        wanted = self._runtime.settings.best_of
        if wanted < 2 or not isinstance(turn.policy, Chooses):
            return None
        folder = self.reward()
        if folder is None:
            return None
        try:
            made = turn.policy.best_of(
                fitted.messages, wanted, folder, turn.within(fitted), turn.tools, turn.cancel
            )
        except AttuneError as wrong:
            log.warning("no choice among replies: %s", wrong)
            self._failed.add(folder)
            return None
        turn.drawn = wanted
        return read(made)
