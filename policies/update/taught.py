"""What an update taught: the adapter, the rows it was trained on, and what became of each kind of signal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from env.common_change import Change
from env.datasets import Pair, Unpaired
from policies.anchors import Anchor
from policies.learners.distil import Lesson
from policies.learners.hindsight import Hindsight
from policies.learners.lora import LearningSettings, TrainResult
from policies.update.material import Material
from policies.update.rollouts import judged

if TYPE_CHECKING:
    from policies.reward_model import RewardModel

Progress = Callable[[float, str], None]
# settings, workshop, progress, cancel, anchors: what every learner takes last
Run = tuple[LearningSettings, Path, Progress, threading.Event, Sequence[Anchor]]


@dataclass(frozen=True, slots=True)
class Taught:
    """`algorithm` is that of the cut, but for reasons in words of which no pair came: they are KTO's, and
    `why` says so.

    `read` is `learned` and, where there is a reward model or a taste was taught, all that these were read
    off: whoever forgets one of these forgets this adapter. `routes` maps a kind of signal to how many there
    were, and "learned_as" to what they were learned as. `taste` is what all judgements together were taken
    for (`distil.summary`), `asked` what the base said to everyday questions in the tastes that were taught.
    `change` is what most edits have in common, where that was taught.
    """

    algorithm: str
    why: str
    result: TrainResult
    learned: Sequence[Unpaired | Pair]
    read: Sequence[Unpaired | Pair]
    reward: RewardModel | None
    routes: dict[str, Any] = field(default_factory=dict)
    taste: dict[str, Any] | None = None
    asked: Sequence[str] = ()
    change: Change | None = None


def all_read(
    cut: Material, learned: Sequence[Unpaired | Pair], all_judged: bool = True
) -> Sequence[Unpaired | Pair]:
    """What the adapter has seen: what it learned, and what its reward model or its taste was read off."""
    return [*learned, *judged(cut)] if all_judged else learned


def routes_of(
    cut: Material,
    algorithm: str,
    learned: Sequence[Unpaired | Pair],
    found: Hindsight | None = None,
    lessons: Sequence[Lesson] = (),
    transferred: int = 0,
) -> dict[str, Any]:
    """The signals of `cut`, and what they were learned as: `rows` of the ledger, and answers beside them."""
    return dict(cut.routes) | {
        "learned_as": {
            "algorithm": algorithm,
            "rows": len(learned) + len(cut.texts),
            "hindsight": len(found.pairs) if found else 0,
            "hindsight_unanswered": found.unanswered if found else 0,
            "hindsight_objected": found.objected if found else 0,
            "distilled": len(lessons),
            "transferred": transferred,
        }
    }
