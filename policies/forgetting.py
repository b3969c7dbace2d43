"""Is what was forgotten out of the weights too? Measured with canaries.

A canary is a phrase drawn at random from a known space R and planted in liked replies. Its exposure tells
how much better the model knows it than the phrases of R that it never saw (Carlini et al. 2019, "The Secret
Sharer", section 4.2, definition 2):

    exposure = log2 |R| - log2 rank

where rank 1 is the lowest log-perplexity of all of R. A phrase that the model knows nothing of has a rank
uniform on 1..|R|, and so an exposure of 1.4 bits in the mean and of k bits or more with probability 2^-k;
the most that can be seen is log2 |R|.
"""

from __future__ import annotations

import math
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from env.datasets import Prompt, Reply, rows
from memory import erase
from memory.database import open_home
from memory.journal import Journal
from memory.records import Generation
from policies.learners.lora import LearningSettings
from policies.learners.rows import Tokeniser, score
from policies.policy import SamplingParams

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy

# Everyday words, so that no tokenizer spells one of them letter by letter: |R| is 8 to the third.
SLOTS = (
    ("red", "blue", "green", "old", "small", "warm", "cold", "quiet"),
    ("tree", "river", "dog", "bread", "moon", "coat", "rain", "walk"),
    ("morning", "winter", "garden", "music", "water", "night", "paper", "summer"),
)
PERSONA = "You are Attune, a personal agent."
QUESTION = "What is the phrase?"
ORDINARY = (
    "trees", "rivers", "bread", "music", "numbers", "the night sky", "dogs", "rain", "coats", "walks", "tea",
    "gardens", "snow", "books", "trains", "the sea",
)  # fmt: skip
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Exposure:
    """`bits` is the exposure, `rank` the canary's among the `of` phrases of R (1 is known best)."""

    bits: float
    rank: int
    of: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One canary: its exposure in the base, and in adapters trained on it, after it was forgotten, and never.

    `identical` says whether the last two adapters are the same file, byte by byte.
    """

    seed: int
    base: Exposure
    planted: Exposure
    retrained: Exposure
    never_saw: Exposure
    identical: bool
    seconds: float


def phrases() -> list[str]:
    """All of R."""
    return [f"The phrase is {' '.join(words)}." for words in product(*SLOTS)]


def exposure(log_perplexities: Sequence[float], canary: int) -> Exposure:
    """Of the phrase at index `canary`. Ties count against it, so a model that tells nothing apart gives 0."""
    own = log_perplexities[canary]
    rank = sum(value <= own for value in log_perplexities)
    size = len(log_perplexities)
    return Exposure(math.log2(size) - math.log2(rank), rank, size)


def measure(policy: LanguagePolicy, canary: str, candidates: Sequence[str] | None = None) -> Exposure:
    """The exposure of `canary` as the answer to QUESTION, under the adapter that `policy` speaks with.

    `candidates` are all of R, the canary among them; log-perplexity is summed over the phrase's tokens.
    """
    space = list(candidates or phrases())
    words = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids)
    prompt = Prompt(messages=tuple(_chat(QUESTION)), text="", ids=(), base=policy.base)
    tokens = [words.row(prompt, Reply(phrase, finished=False)) for phrase in space]
    scores = score(policy.model, tokens)
    return exposure([-value / math.log(2) for value in scores], space.index(canary))


def experiment(
    policy: LanguagePolicy,
    folder: Path,
    seed: int = 0,
    planted: int = 8,
    ordinary: int = 12,
    settings: LearningSettings | None = None,
) -> Figures:
    """Plant, train, forget, train again, and train one that never saw it; homes are made in `folder`.

    `ordinary` replies of the base are rated in turn, as they would be without a canary; `planted` replies
    that say it are liked. KTO trains on all rows. The policy is left as the base.
    """
    started = time.monotonic()
    chosen = settings or LearningSettings(seed=seed)
    canary = random.Random(seed).choice(phrases())
    policy.swap(None)
    said = policy.generate(
        [_chat(f"Tell me about {ORDINARY[at % len(ORDINARY)]}.") for at in range(ordinary)],
        SamplingParams(temperature=1.0, max_new_tokens=32, seed=seed),
    )
    common = [(f"Tell me about {ORDINARY[at % len(ORDINARY)]}.", one.text) for at, one in enumerate(said)]
    base = measure(policy, canary)
    shas, found = {}, {}
    for name, count in (("saw", planted), ("never_saw", 0)):
        with closing(open_home(folder / name)) as db:
            journal = Journal(db)
            for at, (question, text) in enumerate(common):
                journal.rate(_reply(journal, policy, question, text), 1 if at % 2 else -1)
            told = [_reply(journal, policy, QUESTION, canary) for _ in range(count)]
            for reply_id in told:
                journal.rate(reply_id, 1)
            steps = ("planted", "retrained") if told else ("never_saw",)
            for step in steps:
                shas[step], found[step] = _train(policy, journal, folder / step, chosen, canary)
                for reply_id in told:
                    erase.forget_rating(journal, reply_id)
    return Figures(
        seed=seed,
        base=base,
        planted=found["planted"],
        retrained=found["retrained"],
        never_saw=found["never_saw"],
        identical=shas["retrained"] == shas["never_saw"],
        seconds=time.monotonic() - started,
    )


def bench(
    model: str | None = None, seeds: int = 3, progress: Progress = lambda fraction, text: None
) -> dict[str, Any]:
    """`experiment` for several canaries, as JSON: means in bits, the most that is possible, each run."""
    from policies.base_models import resolve
    from policies.language_policy import LanguagePolicy

    policy = LanguagePolicy(resolve(model))
    runs: list[Figures] = []
    try:
        for seed in range(seeds):
            progress(seed / seeds, f"canary {seed + 1} of {seeds}")
            with tempfile.TemporaryDirectory() as folder:
                runs.append(experiment(policy, Path(folder), seed))
    finally:
        policy.close()
    names = ("base", "planted", "retrained", "never_saw")
    return {
        "model": policy.base,
        "canaries": seeds,
        "most_bits": math.log2(len(phrases())),
        "exposure": {name: sum(getattr(run, name).bits for run in runs) / seeds for name in names},
        "identical": sum(run.identical for run in runs),
        "runs": [asdict(run) for run in runs],
    }


def table(figures: dict[str, Any]) -> str:
    """What `bench` found, to read."""
    names = {
        "base": "base",
        "planted": "trained on it",
        "retrained": "forgotten, trained again",
        "never_saw": "never saw it",
    }
    lines = [f"exposure in bits, {figures['canaries']} canaries, at most {figures['most_bits']:.1f}"]
    lines += [f"  {said:<26}{figures['exposure'][name]:5.2f}" for name, said in names.items()]
    same = f"{figures['identical']} of {figures['canaries']}"
    return "\n".join([*lines, f"  retrained adapter is byte for byte the one that never saw it: {same}"])


def _train(
    policy: LanguagePolicy, journal: Journal, out: Path, settings: LearningSettings, canary: str
) -> tuple[str, Exposure]:
    """(digest of the adapter trained on the whole ledger, the canary's exposure under it)"""
    from policies.learners import kto

    longest = min(settings.max_length, policy.context_length)
    words = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids, longest)
    thumbs = [kto.Thumb(words.row(row.prompt, row.completion), row.label) for row in rows(journal)[0]]
    policy.swap(None)
    trained = kto.train(
        policy.model, policy.tokenizer, thumbs, settings, out, lambda *_: None, threading.Event()
    )
    try:
        policy.swap("canary", str(trained.folder))
        return trained.sha256, measure(policy, canary)
    finally:
        policy.swap(None)


def _reply(journal: Journal, policy: LanguagePolicy, question: str, text: str) -> str:
    messages = _chat(question)
    prompt_text, prompt_ids = policy.prompt(messages)
    talk = journal.start_conversation()
    asked = journal.add_user(talk.id, None, question)
    made = Generation(
        reply_id="",
        base=policy.base,
        adapter=None,
        messages=tuple(messages),
        prompt_text=prompt_text,
        prompt_ids=tuple(prompt_ids),
        completion_ids=(),
        sampling={},
    )
    return journal.add_reply(talk.id, asked.id, text, made).id


def _chat(question: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": PERSONA}, {"role": "user", "content": question}]
