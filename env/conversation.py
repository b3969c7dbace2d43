"""`attune/Conversation-v0`: a simulated person asks, the agent replies, the person may answer to that.

S  The prompt that was just asked, the prompts still to come, the count of replies so far, and the
   person (env/people.py): a taste, a noise, a rate, a habit, a drift and a seed. Only the prompt is
   observed, a text of up to PROMPT_LENGTH characters; the taste is hidden, and is to be learned.
A  The reply: any text of up to REPLY_LENGTH characters. Both spaces are `AnyText`.
P  The next prompt follows in an order shuffled once per episode by the seed; after the last one they
   start over. It does not depend on the reply, so one step is a contextual bandit; an episode is what
   a policy that learns while it talks can use. With a drift the taste changes at step `drift_at`. The
   person never leaves: `terminated` is always False, and the TimeLimit that gymnasium.make adds
   (40 steps) truncates.
R  `rewards.response` of what the person did: +1 or -1 for a thumb; for someone who edits, 1 for a
   reply that was read and left as it is, and less the more of it was changed; 0 for nothing. The same
   reply to the same prompt may be judged otherwise the next time, where the person is noisy.

`info` of a step carries {"verdict": 1 | -1 | 0, "satisfied": bool}: the thumb, and the truth behind it
without noise, for measuring only. "edit" and "why" (str) are there when the person wrote one. `info` of
a reset carries {"name": str}, what the person is called. Equal seeds and actions give equal episodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gymnasium

from env import rewards
from env.any_text import AnyText
from env.people import AnyTaste, Habit, Person
from memory.taste.features import STYLES

__all__ = ["ENV_ID", "PROMPT_LENGTH", "REPLY_LENGTH", "AnyText", "ConversationEnv"]

ENV_ID = "attune/Conversation-v0"
PROMPT_LENGTH = 4_000
REPLY_LENGTH = 20_000
POOL = 200
SPLITS = ("train", "held_out")


class ConversationEnv(gymnasium.Env[str, str]):
    """See the module. `taste` None draws one of the five styles at each reset.

    `prompts` replaces the POOL everyday prompts of `split` ("train" or "held_out") of env.skills;
    `then`, `drift_at` and `habit` are those of `env.people.Person`.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (gymnasium's own)

    def __init__(
        self,
        taste: AnyTaste | None = None,
        noise: float = 0.0,
        rate: float = 1.0,
        prompts: Sequence[str] | None = None,
        split: str = "train",
        render_mode: str | None = None,
        then: AnyTaste | None = None,
        drift_at: int | None = None,
        habit: Habit = "thumbs",
    ) -> None:
        if prompts is None:
            from env.skills.probes import everyday_prompts

            if split not in SPLITS:
                raise ValueError(f"No split {split!r}; the splits are {', '.join(SPLITS)}.")
            prompts = everyday_prompts(split, POOL, 0)
        if isinstance(prompts, str) or not all(isinstance(prompt, str) for prompt in prompts):
            raise ValueError("`prompts` is a sequence of texts, one for each question.")
        if not prompts:
            raise ValueError("A conversation needs at least one prompt.")
        self.observation_space = AnyText(PROMPT_LENGTH)
        self.action_space = AnyText(REPLY_LENGTH)
        self.render_mode = render_mode
        self._taste = taste
        self._pool = tuple(prompt[:PROMPT_LENGTH] for prompt in prompts)
        self._order: list[int] = []
        self._turn = 0
        self._shown = ""
        # a wrong taste, noise or rate is told here, not at the first reset
        first = STYLES[0] if taste is None else taste
        self._person = Person(first, noise, rate, then=then, drift_at=drift_at, habit=habit)
        self._read: Counter[tuple[str, str]] = Counter()

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
        drawn = int(self.np_random.integers(len(STYLES)))
        # a drift to the taste that was there already would be none
        style = STYLES[drawn] if STYLES[drawn] != self._person.then else STYLES[drawn - 1]
        self._order = [int(i) for i in self.np_random.permutation(len(self._pool))]
        self._person = replace(self._person, taste=style if self._taste is None else self._taste, seed=who)
        self._turn = 0
        self._read.clear()
        self._shown = f"> {self._prompt}\n"
        return self._prompt, {"name": self._person.name}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Reply with `action` to the prompt last observed; the next prompt comes back."""
        if not self._order:
            raise gymnasium.error.ResetNeeded("Call reset() before step(): nobody has asked anything yet.")
        if not isinstance(action, str):
            raise TypeError(f"A reply is a str, not {type(action).__name__}.")
        person, turn = self._person, self._turn
        read = self._prompt, action
        did = person.respond(*read, turn, self._read[read])
        self._read[read] += 1
        satisfied = person.satisfied(action, self._prompt, turn)
        info: dict[str, Any] = {"verdict": did.value or 0, "satisfied": satisfied}
        info |= {key: text for key, text in (("edit", did.edit), ("why", did.why)) if text is not None}
        # someone who edits and let it stand has left it untouched
        after = action if did.read and did.edit is None else did.edit
        self._turn += 1
        mark = "[e]" if did.edit is not None else {1: "[+]", -1: "[-]", 0: "[ ]"}[did.value or 0]
        self._shown = f"{action} {mark}\n> {self._prompt}\n"
        return self._prompt, rewards.response(did.value, action, after), False, False, info

    def render(self) -> str | None:
        """The last reply with its thumb and the prompt that followed, with `render_mode="ansi"`."""
        return self._shown if self.render_mode == "ansi" else None

    @property
    def _prompt(self) -> str:
        return self._pool[self._order[self._turn % len(self._order)]]


if ENV_ID not in gymnasium.registry:
    gymnasium.register(ENV_ID, entry_point="env.conversation:ConversationEnv", max_episode_steps=40)
