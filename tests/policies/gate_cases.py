"""A candidate that is sound and proven, for tests that take something of it away."""

from __future__ import annotations

from typing import Any

from policies.gate.verdict import (
    Factual,
    HeldOut,
    Proof,
    Sample,
    Skill,
    Stats,
)

SOUND = tuple(Sample(f"Rivers carry water from the hills to the sea, number {at}.") for at in range(20))
BRIEF = tuple(Sample(f"Rivers flow {at}.") for at in range(20))
ASKED = tuple(
    Factual(name, how, "true", "true")
    for name in ("whales", "snakes", "honey", "paris", "birds")
    for how in ("asked plainly", "memory of it", "belief told", "both")
)
LEARNED = Proof("a" * 64, "a" * 64, logits_changed=0.4, max_abs_b=0.02, grad_norm=1.5)
PROVEN = tuple(
    HeldOut(at % 2 == 0, -20.0, -18.0 + at / 10 if at % 2 == 0 else -23.0 - at / 10) for at in range(8)
)


def stats(**changes: Any) -> Stats:
    fields: dict[str, Any] = {
        "base": SOUND,
        "candidate": SOUND,
        "kl": 0.3,
        "skills": {"recall": Skill((True,) * 10, (True,) * 10), "tools": Skill((True,) * 10, (True,) * 10)},
        "held_out": PROVEN,
        "liked_words": (3, 4, 3),
        "factual": ASKED,
        "proof": LEARNED,
    }
    return Stats(**{**fields, **changes})
