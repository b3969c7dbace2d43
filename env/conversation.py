"""`attune/Conversation-v0`: a simulated person asks, the agent replies, the person may give a thumb.

S  The prompt that was just asked, the prompts still to come, and the person: a taste, a noise, a rate
   and a seed. Only the prompt is observed; the taste is hidden, and is to be learned from the thumbs.
A  The reply: any text of up to REPLY_LENGTH characters.
P  The next prompt follows in an order shuffled once per episode by the seed; after the last one they
   start over. It does not depend on the reply, so one step is a contextual bandit; an episode is what
   a policy that learns while it talks can use. The person never leaves: `terminated` is always False,
   and the TimeLimit that gymnasium.make adds (40 steps) truncates.
R  `rewards.thumb` of the person's thumb: +1, -1, or 0 when none is given.

`info` of a step carries {"verdict": 1 | -1 | 0, "satisfied": bool}: what was rated, and the truth
behind it without noise, for measuring only. Equal seeds and actions give equal episodes.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import gymnasium

from env import rewards
from env.people import Person, Taste
from memory.features import STYLES

ENV_ID = "attune/Conversation-v0"
PROMPT_LENGTH = 4_000
REPLY_LENGTH = 20_000
POOL = 200


class AnyText(gymnasium.spaces.Text):
    """Every string of at most `max_length` characters, in any script. Samples are printable ASCII.

    gymnasium's Text must list its characters; Unicode has a million, and people and models use them.
    """

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=frozenset(string.printable))

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText) and other.max_length == self.max_length


class ConversationEnv(gymnasium.Env[str, str]):
    """See the module. `taste` None draws one of the five styles at each reset.

    `prompts` replaces the POOL everyday prompts of `split` ("train" or "held_out") of env.skills.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (gymnasium's own)

    def __init__(
        self,
        taste: str | Taste | None = None,
        noise: float = 0.0,
        rate: float = 1.0,
        prompts: Sequence[str] | None = None,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        if prompts is None:
            from env.skills.probes import everyday_prompts

            prompts = everyday_prompts(split, POOL, 0)
        if not prompts:
            raise ValueError("A conversation needs at least one prompt.")
        self.observation_space = AnyText(PROMPT_LENGTH)
        self.action_space = AnyText(REPLY_LENGTH)
        self.render_mode = render_mode
        self._taste, self._noise, self._rate = taste, noise, rate
        self._pool = tuple(prompt[:PROMPT_LENGTH] for prompt in prompts)
        self._order: list[int] = []
        self._turn = 0
        self._shown = ""
        # a wrong taste, noise or rate is told here, not at the first reset
        self._person = Person(taste or STYLES[0], noise, rate)

    @property
    def person(self) -> Person:
        """Who is asking in this episode. For measuring: a learner that looks here cheats."""
        return self._person

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Start an episode; `seed` fixes its person and the order of its prompts."""
        super().reset(seed=seed)
        who = int(self.np_random.integers(2**31))
        drawn = STYLES[int(self.np_random.integers(len(STYLES)))]
        self._order = [int(i) for i in self.np_random.permutation(len(self._pool))]
        self._person = Person(self._taste or drawn, self._noise, self._rate, who)
        self._turn = 0
        self._shown = f"> {self._prompt}\n"
        return self._prompt, {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Reply with `action` to the prompt last observed; the next prompt comes back."""
        if not self._order:
            raise gymnasium.error.ResetNeeded("Call reset() before step(): nobody has asked anything yet.")
        if not isinstance(action, str):
            raise TypeError(f"A reply is a str, not {type(action).__name__}.")
        verdict = self._person.judge(self._prompt, action)
        info = {"verdict": verdict or 0, "satisfied": self._person.satisfied(action)}
        self._turn += 1
        mark = {1: "[+]", -1: "[-]", 0: "[ ]"}[verdict or 0]
        self._shown = f"{action} {mark}\n> {self._prompt}\n"
        return self._prompt, rewards.thumb(verdict), False, False, info

    def render(self) -> str | None:
        """The last reply with its thumb and the prompt that followed, with `render_mode="ansi"`."""
        return self._shown if self.render_mode == "ansi" else None

    @property
    def _prompt(self) -> str:
        return self._pool[self._order[self._turn % len(self._order)]]


if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="env.conversation:ConversationEnv", max_episode_steps=40)
