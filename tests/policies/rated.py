"""A home with rated replies of a tiny model, as the loop would have written them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory.database import open_home
from memory.journal import Journal
from memory.records import Generation, Message
from policies.adapters.registry import AdapterRegistry
from policies.gate.exam import Exam
from policies.gate.verdict import Limits
from policies.language_policy import LanguagePolicy
from policies.learners.lora import LearningSettings
from policies.policy import Generated, SamplingParams
from policies.update.job import run_update

PERSONA = "You are Attune, a personal agent."
THINGS = ("trees", "rivers", "bread", "music", "numbers", "the night sky", "dogs", "rain", "coats", "walks")
SETTINGS = LearningSettings(learning_rate=2e-3, epochs=2, batch_size=4)
# a random model says much nonsense, and says other nonsense after training: only what a test is about
# may decide it
LENIENT = Limits(degenerate=1.0, truncated=1.0, longest=1e9, shortest=0.0, distinct=0.0, kl=1e9)


@dataclass(frozen=True)
class Probe:
    skill: str
    messages: list[dict[str, Any]]
    grade: Callable[[str], bool]
    tools: bool = False


def chat(text: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": PERSONA}, {"role": "user", "content": text}]


def small_exam(**changes: Any) -> Exam:
    """Eight prompts and four probes that any model passes."""
    fields: dict[str, Any] = {
        "prompts": tuple(f"Tell me about {thing}." for thing in THINGS[:8]),
        "probes": tuple(Probe("speaks", chat(f"{thing}?"), lambda text: True) for thing in THINGS[:4]),
        "anchors": tuple(chat(f"Hello {thing}") for thing in THINGS[:2]),
        "max_new_tokens": 16,
    }
    return Exam(**{**fields, **changes})


def questions(count: int) -> list[str]:
    return [f"{THINGS[at % len(THINGS)]} number {at}?" for at in range(count)]


def generation(said: Generated, messages: Sequence[dict[str, Any]], base: str) -> Generation:
    return Generation(
        reply_id="",
        base=base,
        adapter=said.adapter,
        messages=tuple(messages),
        prompt_text=said.prompt_text,
        prompt_ids=said.prompt_ids,
        completion_ids=said.completion_ids,
        sampling={},
        finish_reason=said.finish_reason,
    )


@dataclass
class Rated:
    """Talks with `policy` in `home`, one conversation a question."""

    home: Path
    policy: LanguagePolicy
    replies: list[Message] = field(default_factory=list)

    def talk(self, count: int, rate: Callable[[int], int] | None = None, length: int = 12) -> list[Message]:
        """`count` replies; `rate` gives the thumb of reply number n."""
        batch = [chat(text) for text in questions(count)]
        said = self.policy.generate(batch, SamplingParams(temperature=1.0, max_new_tokens=length, seed=3))
        db = open_home(self.home)
        journal = Journal(db)
        for at, (text, messages, reply) in enumerate(zip(questions(count), batch, said, strict=True)):
            conversation = journal.start_conversation()
            user = journal.add_user(conversation.id, None, text)
            made = generation(reply, messages, self.policy.base)
            message = journal.add_reply(conversation.id, user.id, reply.text, made)
            self.replies.append(message)
            if rate is not None:
                journal.rate(message.id, rate(at))
        db.close()
        return self.replies

    def siblings(self, count: int) -> None:
        """Two replies to each of `count` questions, the first one picked."""
        batch = [chat(text) for text in questions(count) for _ in range(2)]
        said = self.policy.generate(batch, SamplingParams(temperature=1.0, max_new_tokens=12, seed=4))
        db = open_home(self.home)
        journal = Journal(db)
        for at, text in enumerate(questions(count)):
            conversation = journal.start_conversation()
            user = journal.add_user(conversation.id, None, text)
            ids = [
                journal.add_reply(
                    conversation.id, user.id, reply.text, generation(reply, batch[2 * at], self.policy.base)
                ).id
                for reply in said[2 * at : 2 * at + 2]
            ]
            journal.pick(ids[0], ids[1])
        db.close()


def update(
    home: Path, policy: LanguagePolicy, algorithm: str = "auto", **changes: Any
) -> tuple[str, dict[str, Any]]:
    """(the algorithm that was used, the adapter's report) of a small update; `changes` are of its terms."""
    terms: dict[str, Any] = {"settings": SETTINGS, "exam": small_exam(), "limits": LENIENT}
    result = run_update(home, algorithm=algorithm, policy=policy, **{**terms, **changes})
    db = open_home(home)
    report = AdapterRegistry(db, home).get(result.adapter).report
    db.close()
    return result.algorithm, report


def up_and_down(at: int) -> int:
    return 1 if at % 2 else -1


def state(home: Path) -> tuple[list[str], str | None]:
    """(statuses of all adapters, the active version)"""
    db = open_home(home)
    registry = AdapterRegistry(db, home)
    active = registry.active()
    found = [adapter.status for adapter in registry.list()], active and active.version
    db.close()
    return found
