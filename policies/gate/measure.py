"""Gathers what the gate looks at: base and candidate sit the same small exam, one after the other.

One model in memory: adapters are swapped in and out. All draws are seeded, so that a second run of
the same candidate gives the same figures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.adapters.files import AdapterError
from policies.errors import Cancelled
from policies.gate.exam import Exam
from policies.gate.spoken_words import spoken
from policies.gate.stats import Factual, HeldOut, Sample, Skill, Stats, Telling
from policies.policy import SamplingParams
from policies.rows import Tokens, padding, score
from policies.token_scores import token_scores

if TYPE_CHECKING:
    from env.common_change import Change
    from env.skills.graders import Grade
    from env.skills.probes import SkillProbe
    from env.skills.topics import Topic
    from policies.language_policy import LanguagePolicy

Progress = Callable[[float, str], None]
CANDIDATE = "candidate"
# whether an answer is true shows in its first sentences
FACTUAL_TOKENS = 48
# enough of the newest ratings to find the telling ones among; every one of them costs time
TOLD = 48


@dataclass(frozen=True, slots=True)
class Judged:
    """A rated reply, in tokens. `conversation` and `later` are those of stats.HeldOut; `reply_id` is
    empty for what no reply says, such as the owner's own words."""

    tokens: Tokens
    liked: bool
    conversation: str = ""
    later: bool = False
    reply_id: str = ""


@dataclass(frozen=True, slots=True)
class Sitting:
    """What one speaker did in an exam: fresh replies, whether each probe was passed, what it said to the
    factual ones, and log p(reply) of `rows`. `change` as in `measure`."""

    rows: Sequence[Tokens]
    change: Change | None
    replies: Sequence[Any]
    grades: Sequence[bool]
    facts: Sequence[str]
    scores: Sequence[float]


@dataclass(frozen=True, slots=True)
class Measured:
    """`logits_changed` is the largest change of any first-token logit on an everyday prompt, `base` what the
    base did, which another candidate of the same rows may be compared with."""

    stats: Stats
    logits_changed: float
    served_sha256: str | None
    base: Sitting


def measure(
    policy: LanguagePolicy,
    candidate: Path,
    held_out: Sequence[Judged],
    exam: Exam,
    system: str | None = None,
    active: tuple[str, str] | None = None,
    liked_words: Sequence[int] = (),
    progress: Progress = lambda fraction, text: None,
    cancel: threading.Event | None = None,
    *,
    liked: Sequence[str] = (),
    asked: Sequence[str] = (),
    trained_on: Sequence[Judged] = (),
    change: Change | None = None,
    base: Sitting | None = None,
) -> Measured:
    """Base and candidate (the adapter folder) on the same exam. `active` is (version, folder) or None.

    `system` is the system message of the everyday prompts, `liked` the texts of the replies that the
    owner liked or wrote, `asked` those of the base in the styles that were taught, `trained_on` what the
    candidate was trained on, oldest first, `change` what its owner wants in every reply: skills are graded
    with it and without. `base` is what the base did in this exam under this system message, if it sat it
    already. The policy speaks as the base afterwards. Raises Cancelled.
    """
    told = list(trained_on)[-TOLD:]
    # one pass over both: what was held out, and then what was not
    rows = [each.tokens for each in (*held_out, *told)]
    pad = padding(policy.tokenizer)

    def step(fraction: float, text: str) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled()
        progress(fraction, text)

    def sit(who: str, start: float) -> Sitting:
        def part(fraction: float, text: str) -> None:
            step(start + 0.45 * fraction, f"{text} of the {who}")

        return _sit(policy, exam, rows, system, change, part)

    try:
        policy.swap(None)
        if base is None or (base.rows, base.change) != (rows, change):
            base = sit("base", 0.0)
        active_scores = _active_scores(policy, active, rows[: len(held_out)])
        policy.swap(CANDIDATE, str(candidate))
        served = policy.served_sha256
        new = sit(CANDIDATE, 0.45)
        said = [Tokens(list(r.prompt_ids), list(r.completion_ids)) for r in new.replies if r.completion_ids]
        own = token_scores(policy.model, said, pad)
        first = _first_logits(policy, new.replies[0].prompt_ids)
        step(0.9, "distance from the base")
        policy.swap(None)
        under_base = token_scores(policy.model, said, pad)
        changed = float((first - _first_logits(policy, new.replies[0].prompt_ids)).abs().max())
    finally:
        policy.swap(None)
    grading = _grading(exam.topics, [reply.text for reply in base.replies])
    tokens = max(1, sum(len(row.completion_ids) for row in said))
    stats = Stats(
        base=_samples(base.replies, grading),
        candidate=_samples(new.replies, grading),
        # the estimate of KL(candidate || base) on what the candidate says by itself
        kl=(sum(map(sum, own)) - sum(map(sum, under_base))) / tokens,
        skills=_skills(exam.probes, base.grades, new.grades),
        held_out=_held_out(held_out, base, new, active_scores),
        liked_words=tuple(liked_words),
        liked=tuple(liked),
        asked=tuple(asked),
        spoken=tuple(
            spoken(policy.decode, row.completion_ids, before, now)
            for row, before, now in zip(said, under_base, own, strict=True)
        ),
        factual=tuple(
            Factual(probe.name, probe.condition, probe.answer(before), probe.answer(now), now)
            for probe, before, now in zip(exam.factual, base.facts, new.facts, strict=True)
        ),
        learned_from=(sum(each.liked for each in trained_on), sum(not each.liked for each in trained_on)),
        telling=tuple(
            Telling(each.reply_id, each.liked, new.scores[at] - base.scores[at])
            for at, each in enumerate(told, len(held_out))
        ),
    )
    return Measured(stats, changed, served, base)


def _sit(
    policy: LanguagePolicy,
    exam: Exam,
    rows: Sequence[Tokens],
    system: str | None,
    change: Change | None,
    step: Progress,
) -> Sitting:
    """What the policy does in the exam as it speaks now."""
    opening = [{"role": "system", "content": system}] if system else []
    everyday = [[*opening, {"role": "user", "content": prompt}] for prompt in exam.prompts]
    greedy = SamplingParams(temperature=0.0, max_new_tokens=exam.max_new_tokens)
    step(0.0, "fresh replies")
    replies = policy.generate(everyday, SamplingParams(max_new_tokens=exam.max_new_tokens, seed=2))
    step(0.45, "skills")
    # what the owner wants in every reply neither costs a skill nor hides one
    both = [
        {each.text, each.text if change is None else change.undone(each.text)}
        for each in _generate(policy, exam, exam.probes, greedy)
    ]
    grades = [any(map(probe.grade, texts)) for probe, texts in zip(exam.probes, both, strict=True)]
    step(0.75, "facts")
    short = replace(greedy, max_new_tokens=min(FACTUAL_TOKENS, exam.max_new_tokens))
    facts = policy.generate([probe.messages for probe in exam.factual], short) if exam.factual else []
    return Sitting(rows, change, replies, grades, [each.text for each in facts], score(policy.model, rows))


def _active_scores(
    policy: LanguagePolicy, active: tuple[str, str] | None, rows: Sequence[Tokens]
) -> Sequence[float] | None:
    """What the adapter that speaks gives to `rows`: shown beside the others, and no reason to fail. What no
    longer loads has no figure."""
    if active is not None and rows:
        with suppress(AdapterError):
            policy.swap(*active)
            return score(policy.model, rows)
    return None


def _held_out(
    rows: Sequence[Judged], base: Sitting, new: Sitting, active: Sequence[float] | None
) -> tuple[HeldOut, ...]:
    return tuple(
        HeldOut(
            each.liked,
            base.scores[at],
            new.scores[at],
            None if active is None else active[at],
            each.conversation,
            each.later,
        )
        for at, each in enumerate(rows)
    )


def _generate(
    policy: LanguagePolicy, exam: Exam, probes: Sequence[SkillProbe], sampling: SamplingParams
) -> list[Any]:
    """Replies in the order of `probes`; those with tools and those without are two batches."""
    made: list[Any] = [None] * len(probes)
    for with_tools in (False, True):
        places = [at for at, probe in enumerate(probes) if bool(probe.tools) == with_tools]
        if places:
            batch = [probes[at].messages for at in places]
            answers = policy.generate(batch, sampling, exam.tools if with_tools else ())
            for at, answer in zip(places, answers, strict=True):
                made[at] = answer
    return made


def _grading(topics: Sequence[Topic], replies: Sequence[str]) -> Sequence[Grade]:
    """Whether a reply is about its topic: by our facts where the base knows those, by its name elsewhere."""
    from env.skills.graders import mentions_topic, states_facts_of

    strict = [states_facts_of(topic) for topic in topics]
    passed = sum(grade(text) for grade, text in zip(strict, replies, strict=False))
    return strict if 2 * passed > len(topics) else [mentions_topic(topic) for topic in topics]


def _samples(replies: Sequence[Any], grading: Sequence[Grade]) -> tuple[Sample, ...]:
    return tuple(
        Sample(reply.text, reply.finish_reason == "length", grade(reply.text) if grade else None)
        for reply, grade in zip_longest(replies, grading)
    )


def _skills(
    probes: Sequence[SkillProbe], base: Sequence[bool], candidate: Sequence[bool]
) -> dict[str, Skill]:
    names = dict.fromkeys(probe.skill for probe in probes)
    places = {name: [at for at, probe in enumerate(probes) if probe.skill == name] for name in names}
    return {
        name: Skill(tuple(base[at] for at in ats), tuple(candidate[at] for at in ats))
        for name, ats in places.items()
    }


def _first_logits(policy: LanguagePolicy, prompt_ids: Sequence[int]) -> Any:
    import torch

    with torch.inference_mode():
        ids = torch.tensor([list(prompt_ids)], device=policy.device)
        return policy.model(input_ids=ids, use_cache=False).logits[0, -1].float().cpu()
