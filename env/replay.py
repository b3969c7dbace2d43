"""`attune/Replay-v0`: the owner's own journal as episodes of the type of `attune/Conversation-v0`.

S  A place in a recorded conversation. Observed is what was asked there (the question, or a tool's
   result), in the same space as in `env.conversation`; `info["state"]` is the exact chat list that the
   policy was shown, as in `env.episodes`. A last observation is "": nobody asks any more.
A  A reply, in the same space. `info["reply"]` is the one that was recorded.
P  The branch goes on as it was recorded, whatever is said: the past does not answer. It terminates
   behind its last reply. Episodes come in an order shuffled by the seed, all of them before any again.
R  The recorded reward of the recorded reply (a thumb, else an edit or a pick, see `env.episodes`); 0 for
   any other, of which nobody can tell. `info["recorded"]` says which it was, so that a policy can be
   scored on matching steps alone: the replay method of Li et al. 2011 (arXiv 1003.5956).

Of the keys that `info` has in `env.conversation` none is here: nobody knows what is true behind a thumb of
the owner's. Replying `info["reply"]` each time replays the journal, which is read once, when the
environment is made.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium

from env.any_text import AnyText
from env.conversation import PROMPT_LENGTH, REPLY_LENGTH
from env.episodes import Step, episodes
from memory.errors import AttuneError

ENV_ID = "attune/Replay-v0"


class NothingToReplay(AttuneError):
    """The journal has no reply yet."""


class ReplayEnv(gymnasium.Env[str, str]):
    """The journal of the home folder `home`; see the module. Raises NothingToReplay and DatabaseError."""

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (gymnasium's own)

    def __init__(self, home: str | Path, render_mode: str | None = None) -> None:
        if not isinstance(home, str | Path):
            raise TypeError(f"`home` is the folder of a journal, not {home!r}.")
        self.observation_space = AnyText(PROMPT_LENGTH)
        self.action_space = AnyText(REPLY_LENGTH)
        self.render_mode = render_mode
        self._episodes = recorded(home)
        self._order: list[int] = []
        self._steps: tuple[Step, ...] = ()
        self._at = 0
        self._shown = ""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start the next episode; with a `seed`, the first one of the order that it shuffles."""
        super().reset(seed=seed)
        if seed is not None or not self._order:
            self._order = [int(i) for i in self.np_random.permutation(len(self._episodes))]
        self._steps = self._episodes[self._order.pop(0)]
        self._at = 0
        self._shown = f"> {self._prompt}\n"
        return self._prompt, self._place()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Reply with `action`; what was asked next comes back, and True as third where nothing was."""
        if self._at >= len(self._steps):
            raise gymnasium.error.ResetNeeded("Call reset() before step(): nobody has asked anything.")
        if not isinstance(action, str):
            raise TypeError(f"A reply is a str, not {type(action).__name__}.")
        step = self._steps[self._at]
        same = action == step.action[:REPLY_LENGTH]
        self._at += 1
        over = self._at == len(self._steps)
        reward = step.reward if same else 0.0
        self._shown = f"{action} [{reward:+.2f}]\n> {self._prompt}\n"
        return self._prompt, reward, over, False, {"recorded": same, **self._place()}

    def render(self) -> str | None:
        """The last reply with its reward and what was asked next, with `render_mode="ansi"`."""
        return self._shown if self.render_mode == "ansi" else None

    @property
    def _prompt(self) -> str:
        return self._steps[self._at].prompt[:PROMPT_LENGTH] if self._at < len(self._steps) else ""

    def _place(self) -> dict[str, Any]:
        if self._at == len(self._steps):
            return {"state": (), "reply": ""}
        step = self._steps[self._at]
        # a copy: whoever gets it may keep it and change it
        return {"state": deepcopy(step.state), "reply": step.action[:REPLY_LENGTH]}


def recorded(home: str | Path) -> tuple[tuple[Step, ...], ...]:
    """All episodes of the journal in `home`, oldest first; a home that does not exist is not made."""
    from memory.database import open_home
    from memory.journal import Journal

    found: tuple[tuple[Step, ...], ...] = ()
    # a folder alone may be anybody's: opened, it would become a home
    if (Path(home).expanduser() / "attune.db").is_file():
        db = open_home(Path(home))
        try:
            found = tuple(episodes(Journal(db)))
        finally:
            db.close()
    if not found:
        raise NothingToReplay(f"There is no reply in the journal of {home} yet; chat with Attune first.")
    return found


if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="env.replay:ReplayEnv")
