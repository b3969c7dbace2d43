"""What base and candidate are both asked before a candidate may speak (see `measure`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from policies.anchors import Anchor, asks_for_style
from policies.policy import SamplingParams

if TYPE_CHECKING:
    from env.skills.factual import FactualProbe
    from env.skills.probes import SkillProbe
    from env.skills.topics import Topic
    from policies.language_policy import LanguagePolicy

LEAST_ROOM = 32
# the first tokens of a reply decide what kind of reply it is, and every one of them costs time
ANCHOR_TOKENS = 48
# enough to see one reply in seven go astray
PROMPTS = 40
PROBES_PER_SKILL = 5
EXAM_SEED = 20_011
Chat = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Exam:
    """`prompts` are everyday questions, `probes` graded ones; `tools` go with those that want them.

    `factual` are questions with an answer that is true, asked with and without a wrong belief; `topics`,
    one for each of `prompts`, are what these ask about.

    `anchors` are no part of the test: the base's replies to them are what training holds on to.
    """

    prompts: tuple[str, ...]
    probes: tuple[SkillProbe, ...] = ()
    anchors: tuple[Chat, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    max_new_tokens: int = 160
    factual: tuple[FactualProbe, ...] = ()
    topics: tuple[Topic, ...] = ()


def standard_exam() -> Exam:
    """The exam of the embedded skills: a few seconds with a small model."""
    from env.skills import probes as skills
    from env.skills.factual import factual_probes
    from policies.anchors import anchor_chats

    # "mix" asks for several styles at once, which is what thumbs are there to change
    names = [name for name in skills.SKILLS if name != "mix"]
    asked = skills.everyday_topics("train", PROMPTS, EXAM_SEED)
    return Exam(
        prompts=tuple(question for _, question in asked),
        topics=tuple(topic for topic, _ in asked),
        probes=tuple(p for name in names for p in skills.probes(name, PROBES_PER_SKILL, EXAM_SEED)),
        anchors=tuple(anchor_chats()),
        tools=skills.TOOLS,
        factual=tuple(factual_probes()),
    )


def fitted(policy: LanguagePolicy, exam: Exam) -> Exam:
    """The exam without the probes that a short context cannot hold with room for a reply."""

    def fits(messages: Chat, tools: bool = True) -> bool:
        needed = policy.count_tokens(messages, exam.tools if tools else ())
        return needed + LEAST_ROOM <= policy.context_length

    return replace(
        exam,
        probes=tuple(probe for probe in exam.probes if fits(probe.messages, probe.tools)),
        anchors=tuple(messages for messages in exam.anchors if fits(messages)),
        factual=tuple(probe for probe in exam.factual if fits(probe.messages, False)),
    )


def anchors(policy: LanguagePolicy, exam: Exam, count: int) -> list[Anchor]:
    """What the policy says to up to `count` of the exam's anchors, for the learners."""
    chosen = exam.anchors[:count]
    if not chosen:
        return []
    room = min(ANCHOR_TOKENS, exam.max_new_tokens)
    made = policy.generate(chosen, SamplingParams(max_new_tokens=room, seed=1), exam.tools)
    return [
        Anchor(list(each.prompt_ids), list(each.completion_ids), asks_for_style(messages))
        for messages, each in zip(chosen, made, strict=True)
        if each.completion_ids
    ]
