"""Gathers what the gate looks at: base and candidate sit the same small exam, one after the other.

One model in memory: adapters are swapped in and out. All draws are seeded, so that a second run of
the same candidate gives the same figures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.adapter_files import AdapterError
from policies.exam import Exam
from policies.gate_stats import Factual, HeldOut, Sample, Skill, Stats, Telling
from policies.learners.lora import Cancelled
from policies.learners.rows import Tokens, padding, score
from policies.policy import SamplingParams
from policies.word_scores import spoken, token_scores

if TYPE_CHECKING:
    from env.common_change import Change
    from env.skills.graders import Grade
    from env.skills.probes import SkillProbe
    from env.skills.topics import Topic
    from policies.language_policy import LanguagePolicy

CANDIDATE = "candidate"
# whether an answer is true shows in its first sentences
FACTUAL_TOKENS = 48
# enough of the newest ratings to find the telling ones among; every one of them costs time
TOLD = 48


@dataclass(frozen=True, slots=True)
class Judged:
    """A rated reply, in tokens. `conversation` and `later` are those of gate_stats.HeldOut; `reply_id` is
    empty for what no reply says, such as the owner's own words."""

    tokens: Tokens
    liked: bool
    conversation: str = ""
    later: bool = False
    reply_id: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """`logits_changed` is the largest change of any first-token logit on an everyday prompt."""

    stats: Stats
    logits_changed: float
    served_sha256: str | None


def measure(
    policy: LanguagePolicy,
    candidate: Path,
    held_out: Sequence[Judged],
    exam: Exam,
    system: str | None = None,
    active: tuple[str, str] | None = None,
    liked_words: Sequence[int] = (),
    progress: Callable[[float, str], None] = lambda fraction, text: None,
    cancel: threading.Event | None = None,
    *,
    liked: Sequence[str] = (),
    asked: Sequence[str] = (),
    trained_on: Sequence[Judged] = (),
    change: Change | None = None,
) -> Measured:
    """Base and candidate (the adapter folder) on the same exam. `active` is (version, folder) or None.

    `system` is the system message of the everyday prompts, `liked` the texts of the replies that the
    owner liked or wrote, `asked` those of the base in the styles that were taught, `trained_on` what the
    candidate was trained on, oldest first, `change` what its owner wants in every reply: skills are graded
    with it and without. The policy speaks as the base afterwards. Raises Cancelled.
    """
    told = list(trained_on)[-TOLD:]
    # one pass over both: what was held out, and then what was not
    rows = [each.tokens for each in (*held_out, *told)]
    kept_out = [each.tokens for each in held_out]
    pad = padding(policy.tokenizer)
    everyday = [
        [*([{"role": "system", "content": system}] if system else []), _user(p)] for p in exam.prompts
    ]

    def step(fraction: float, text: str) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled()
        progress(fraction, text)

    def replies() -> list[Any]:
        return policy.generate(everyday, SamplingParams(max_new_tokens=exam.max_new_tokens, seed=2))

    def grades() -> list[bool]:
        greedy = SamplingParams(temperature=0.0, max_new_tokens=exam.max_new_tokens)
        made = _generate(policy, exam, exam.probes, greedy)
        # what the owner wants in every reply neither costs a skill nor hides one
        both = [{each.text, each.text if change is None else change.undone(each.text)} for each in made]
        return [any(p.grade(text) for text in texts) for p, texts in zip(exam.probes, both, strict=True)]

    def facts() -> list[str]:
        room = min(FACTUAL_TOKENS, exam.max_new_tokens)
        asked = [probe.messages for probe in exam.factual]
        greedy = SamplingParams(temperature=0.0, max_new_tokens=room)
        return [each.text for each in policy.generate(asked, greedy)] if asked else []

    try:
        policy.swap(None)
        step(0.0, "fresh replies of the base")
        base_replies = replies()
        step(0.2, "skills of the base")
        base_grades = grades()
        step(0.35, "facts of the base")
        base_facts = facts()
        base_scores = score(policy.model, rows)
        active_scores: list[float] | None = None
        if active is not None and kept_out:
            # shown beside the others, and no reason to fail: what no longer loads has no figure
            with suppress(AdapterError):
                policy.swap(*active)
                active_scores = score(policy.model, kept_out)
        policy.swap(CANDIDATE, str(candidate))
        served = policy.served_sha256
        step(0.5, "fresh replies of the candidate")
        new_replies = replies()
        step(0.7, "skills of the candidate")
        new_grades = grades()
        step(0.8, "facts of the candidate")
        new_facts = facts()
        new_scores = score(policy.model, rows)
        said = [Tokens(list(r.prompt_ids), list(r.completion_ids)) for r in new_replies if r.completion_ids]
        own = token_scores(policy.model, said, pad)
        first = _first_logits(policy, new_replies[0].prompt_ids)
        step(0.9, "distance from the base")
        policy.swap(None)
        under_base = token_scores(policy.model, said, pad)
        changed = float((first - _first_logits(policy, new_replies[0].prompt_ids)).abs().max())
    finally:
        policy.swap(None)
    grading = _grading(exam.topics, [reply.text for reply in base_replies])
    tokens = max(1, sum(len(row.completion_ids) for row in said))
    stats = Stats(
        base=_samples(base_replies, grading),
        candidate=_samples(new_replies, grading),
        # the estimate of KL(candidate || base) on what the candidate says by itself
        kl=(sum(map(sum, own)) - sum(map(sum, under_base))) / tokens,
        skills=_skills(exam.probes, base_grades, new_grades),
        held_out=tuple(
            HeldOut(
                each.liked,
                base_scores[at],
                new_scores[at],
                None if active_scores is None else active_scores[at],
                each.conversation,
                each.later,
            )
            for at, each in enumerate(held_out)
        ),
        liked_words=tuple(liked_words),
        liked=tuple(liked),
        asked=tuple(asked),
        spoken=tuple(
            spoken(policy.decode, row.completion_ids, base, candidate_)
            for row, base, candidate_ in zip(said, under_base, own, strict=True)
        ),
        factual=tuple(
            Factual(probe.name, probe.condition, probe.answer(before), probe.answer(now), now)
            for probe, before, now in zip(exam.factual, base_facts, new_facts, strict=True)
        ),
        learned_from=(sum(each.liked for each in trained_on), sum(not each.liked for each in trained_on)),
        telling=tuple(
            Telling(each.reply_id, each.liked, new_scores[at] - base_scores[at])
            for at, each in enumerate(told, len(held_out))
        ),
    )
    return Measured(stats, changed, served)


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


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


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
