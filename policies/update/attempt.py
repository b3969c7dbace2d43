"""One attempt at an update: teach, let base and candidate sit the exam, and write the report."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from env.common_change import Change
from env.datasets import Pair, Unpaired, judgements
from memory.records import Adapter
from policies.errors import LearnError
from policies.gate.verdict import Limits, Proof, judge, report
from policies.learners.lora import LearningSettings
from policies.rows import Tokeniser
from policies.update.material import Material, liked_texts, liked_words, spoken, system_message
from policies.update.taught import Taught
from policies.update.teach import teach

if TYPE_CHECKING:
    from policies.adapters.registry import AdapterRegistry
    from policies.anchors import Anchor
    from policies.gate.exam import Exam
    from policies.gate.measure import Judged, Sitting
    from policies.gate.stats import Stats
    from policies.language_policy import LanguagePolicy

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Work:
    """What one update is made with, the same for every attempt. `active` is the adapter that speaks now."""

    policy: LanguagePolicy
    cut: Material
    words: Tokeniser
    exam: Exam
    anchors: Sequence[Anchor]
    active: Adapter | None
    settings: LearningSettings
    workshop: Path
    progress: Progress
    cancel: threading.Event


def prepared(
    policy: LanguagePolicy,
    registry: AdapterRegistry,
    cut: Material,
    settings: LearningSettings,
    workshop: Path,
    progress: Progress,
    cancel: threading.Event,
    exam: Exam | None,
) -> Work:
    """The policy speaks as the base afterwards."""
    from policies.gate.exam import anchors, fitted, standard_exam

    exam = fitted(policy, exam or standard_exam())
    active = registry.active(policy.spec.sha256)
    policy.swap(None)
    progress(0.03, "replies of the base to hold on to")
    kept = anchors(policy, exam, settings.anchors if settings.anchor_weight else 0)
    longest = min(settings.max_length, policy.context_length)
    words = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids, longest)
    return Work(policy, spoken(cut, words), words, exam, kept, active, settings, workshop, progress, cancel)


def train_and_judge(
    work: Work, limits: Limits | None, base: Sitting | None = None
) -> tuple[Taught, Sitting, dict[str, Any]]:
    """(what was trained, what the base did in the exam, the report); the policy must speak as the base, and
    does so afterwards.

    A second attempt is given what the `base` did at the first, and holds on to more of it (`teach`).
    """
    from policies.gate.measure import measure

    policy, cut, words, firm = work.policy, work.cut, work.words, base is not None

    def training(fraction: float, text: str) -> None:
        work.progress(0.1 + 0.6 * fraction, f"{cut.algorithm} {text}")

    taught = teach(
        policy, cut, words, work.settings, work.workshop, training, work.cancel, work.anchors, firm
    )
    trained = taught.result
    # thumbs shape the taste that DPO's pairs are taught with: not what it learned alone
    newest = max((row.created_at for row in taught.read), default=math.inf)
    measured = measure(
        policy,
        trained.folder,
        _judged(cut.test, words, newest),
        work.exam,
        system=system_message(cut),
        active=(work.active.version, work.active.path) if work.active else None,
        liked_words=liked_words(cut),
        progress=lambda fraction, text: work.progress(0.7 + 0.28 * fraction, text),
        cancel=work.cancel,
        liked=liked_texts(cut),
        asked=taught.asked,
        trained_on=_judged(sorted(taught.learned, key=lambda row: row.created_at), words),
        change=taught.change,
        base=base,
    )
    if measured.logits_changed <= 0 or measured.served_sha256 != trained.sha256:
        raise LearnError("The trained adapter does not change what the model says; nothing was saved.")
    proof = Proof(
        sha256_trained=trained.sha256,
        sha256_served=measured.served_sha256,
        logits_changed=measured.logits_changed,
        max_abs_b=trained.max_abs_b,
        grad_norm=trained.grad_norm,
    )
    stats = replace(measured.stats, proof=proof)
    body = report(stats, judge(stats, limits))
    body |= {
        "algorithm": taught.algorithm,
        "why": taught.why,
        "routes": taught.routes,
        "taste": taught.taste,
        "change": _shown(taught.change, stats, firm),
        "reward_model": None if taught.reward is None else dict(taught.reward.held_out),
        "last_seq": cut.last_seq,
        "settings": asdict(work.settings),
        "trained_on": {
            "feedback": sorted({event for row in taught.read for event in row.feedback_ids}),
            "replies": sorted({row.reply_id for row in taught.read}),
            "imports": sorted({text.file for text in cut.texts}),
        },
        "proof": {"steps": trained.steps, "train_seconds": trained.seconds, **asdict(proof)},
    }
    return taught, measured.base, body


def _shown(change: Change | None, stats: Stats, firm: bool) -> dict[str, Any] | None:
    """What the edits have in common, how many fresh replies show it now and before, and how it was held."""
    if change is None:
        return None
    both = {"candidate": stats.candidate, "base": stats.base}
    counts = {who: sum(change.shows(one.text) for one in samples) for who, samples in both.items()}
    return {
        "text": str(change),
        "edits": change.edits,
        "replies": len(stats.candidate),
        "firm": firm,
        **counts,
    }


def _judged(rows: Sequence[Unpaired | Pair], words: Tokeniser, newest: float = math.inf) -> list[Judged]:
    """What the gate compares, every judgement of a reply once, in however many pairs it stands; `newest` is
    the time of the last rating that was trained on."""
    from policies.gate.measure import Judged

    found: list[Judged] = []
    seen: set[tuple[str, bool]] = set()
    for row in rows:
        for said, liked, reply_id in judgements(row):
            if reply_id is not None and (reply_id, liked) in seen:
                continue
            seen.add((reply_id or "", liked))
            about = (row.conversation_id, row.created_at > newest, reply_id or "")
            found.append(Judged(words.row(row.prompt, said), liked, *about))
    return found
