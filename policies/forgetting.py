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
import shutil
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
from memory.database import open_home
from memory.facts import Facts
from memory.forgetting import erase, withheld
from memory.journal import Journal
from memory.records import Generation, Recalled
from policies.learners.lora import LearningSettings
from policies.policy import SamplingParams
from policies.rows import Tokeniser, score

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
MEMORY = "The owner likes phrases."
# what may be forgotten, so that the canary is in no row of a later update
WAYS = ("rating", "conversation", "memory")
EPOCHS = 30
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

    `retrained` has one for each way to forget (WAYS); `identical` says whether that adapter and the one that
    never saw the canary are the same file, byte by byte.
    """

    seed: int
    base: Exposure
    planted: Exposure
    retrained: dict[str, Exposure]
    never_saw: Exposure
    identical: dict[str, bool]
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
    ordinary: int = 16,
    settings: LearningSettings | None = None,
) -> Figures:
    """Plant, train, forget, train again, and train one that never saw it; homes are made in `folder`.

    `ordinary` replies of the base are rated in turn, as they would be without a canary; `planted` replies
    that say it, each in a conversation of its own and shown one memory, are liked. Then the ratings, the
    conversations or that memory are forgotten, each in a copy of the home. KTO trains on all rows of a
    ledger and on nothing else, and for EPOCHS: an update of the product has so much else to hold on to that
    a phrase which was liked eight times is hardly known better. The policy is left as the base.
    """
    started = time.monotonic()
    chosen = settings or LearningSettings(seed=seed, epochs=EPOCHS)
    canary = random.Random(seed).choice(phrases())
    policy.swap(None)
    questions = [f"Tell me about {ORDINARY[at % len(ORDINARY)]}." for at in range(ordinary)]
    said = policy.generate(
        [_chat(question) for question in questions],
        SamplingParams(temperature=1.0, max_new_tokens=32, seed=seed),
    )
    base = measure(policy, canary)
    told: list[str] = []
    for name in ("saw", "never_saw"):
        with closing(open_home(folder / name)) as db:
            journal = Journal(db)
            for at, (question, one) in enumerate(zip(questions, said, strict=True)):
                journal.rate(_reply(journal, policy, question, one.text), 1 if at % 2 else -1)
            if name == "saw":
                known = Facts(db).remember(MEMORY)
                shown = (Recalled(known.id, known.text, 1.0),)
                told = [_reply(journal, policy, QUESTION, canary, shown) for _ in range(planted)]
                for reply_id in told:
                    journal.rate(reply_id, 1)
    for way in WAYS:
        shutil.copytree(folder / "saw", folder / way)
        with closing(open_home(folder / way)) as db:
            _forget(way, Journal(db), told)
    trained = {
        name: _train(policy, folder / name, folder / f"{name}-adapter", chosen, canary)
        for name in ("saw", "never_saw", *WAYS)
    }
    never_saw, without = trained["never_saw"]
    return Figures(
        seed=seed,
        base=base,
        planted=trained["saw"][1],
        retrained={way: trained[way][1] for way in WAYS},
        never_saw=without,
        identical={way: trained[way][0] == never_saw for way in WAYS},
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

    def mean(found: Sequence[Exposure]) -> float:
        return sum(one.bits for one in found) / seeds

    return {
        "model": policy.base,
        "canaries": seeds,
        "most_bits": math.log2(len(phrases())),
        "exposure": {
            "base": mean([run.base for run in runs]),
            "planted": mean([run.planted for run in runs]),
            "never_saw": mean([run.never_saw for run in runs]),
            "retrained": {way: mean([run.retrained[way] for run in runs]) for way in WAYS},
        },
        "identical": {way: sum(run.identical[way] for run in runs) for way in WAYS},
        "runs": [asdict(run) for run in runs],
    }


def table(figures: dict[str, Any]) -> str:
    """What `bench` found, to read."""
    bits, many = figures["exposure"], figures["canaries"]
    rows = {"base": bits["base"], "trained on it": bits["planted"], "never saw it": bits["never_saw"]}
    rows |= {f"{way} forgotten, trained again": bits["retrained"][way] for way in WAYS}
    lines = [f"exposure in bits, {many} canaries, at most {figures['most_bits']:.1f}"]
    lines += [f"  {said:<40}{value:5.2f}" for said, value in rows.items()]
    same = ", ".join(f"{way} {figures['identical'][way]} of {many}" for way in WAYS)
    return "\n".join([*lines, f"  byte for byte the adapter that never saw it: {same}"])


def _forget(way: str, journal: Journal, told: Sequence[str]) -> None:
    if way == "memory":
        [known] = Facts(journal.db).all()
        with journal.db.transaction():
            Facts(journal.db).forget(known.id)
            withheld.withhold(journal.db, [known])
    for reply_id in told:
        if way == "rating":
            erase.forget_rating(journal, reply_id)
        elif way == "conversation":
            erase.forget_conversation(journal, journal.message(reply_id).conversation_id)


def _train(
    policy: LanguagePolicy, home: Path, out: Path, settings: LearningSettings, canary: str
) -> tuple[str, Exposure]:
    """(digest of the adapter trained on the whole ledger of `home`, the canary's exposure under it)"""
    from policies.learners import kto

    longest = min(settings.max_length, policy.context_length)
    words = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids, longest)
    with closing(open_home(home)) as db:
        ledger, _ = rows(Journal(db))
    thumbs = [kto.Thumb(words.row(row.prompt, row.completion), row.label) for row in ledger]
    policy.swap(None)
    trained = kto.train(
        policy.model, policy.tokenizer, thumbs, settings, out, lambda *_: None, threading.Event()
    )
    try:
        policy.swap("canary", str(trained.folder))
        return trained.sha256, measure(policy, canary)
    finally:
        policy.swap(None)


def _reply(
    journal: Journal,
    policy: LanguagePolicy,
    question: str,
    text: str,
    recalled: tuple[Recalled, ...] = (),
) -> str:
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
        recalled=recalled,
    )
    return journal.add_reply(talk.id, asked.id, text, made).id


def _chat(question: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": PERSONA}, {"role": "user", "content": question}]
