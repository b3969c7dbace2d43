"""What the embedded model can do, on held-out phrasings, names and combinations.

Over the Protocol: anything with a batched `generate` can be measured. Prints every row, reached or not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from env.bench.errors import BenchError
from env.bench.report import wilson
from env.skills import probes as skills
from memory.taste.features import STYLES, style

FLOORS = {
    "topics": 0.95, **dict.fromkeys(STYLES, 0.90), "recall": 0.95, "unknown": 0.95, "tools": 0.95,
    "turns": 0.90, "beyond": 0.90,
}  # fmt: skip
MIX_MOST, MIX_LEAST = 0.45, 0.08
BATCH = 50


def rows(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The skills called `names`, all of them by default. Raises BenchError for a name that none has."""
    for name in names or ():
        if name not in skills.SKILLS:
            raise BenchError(f"No skill {name!r}; the skills are {', '.join(skills.SKILLS)}.")
    return tuple(names or skills.SKILLS)


def run(
    policy: Any,
    sampling: Any,
    n: int = 200,
    names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] = lambda fraction, text: None,
) -> dict[str, Any]:
    """Ask `n` probes of each of `rows(names)`. `sampling` is passed to `policy.generate` as it is.

    Returns {"skills": {NAME: {"passed", "n", "share", "low", "high", "floor", "holds", "failures"}},
    "mix": {...}, "holds", "seconds"}; failures are up to five (question, reply) pairs.
    """
    begun = time.perf_counter()
    found: dict[str, Any] = {}
    chosen = rows(names)
    for number, name in enumerate(chosen):
        progress(number / len(chosen), name)
        asked = skills.probes(name, n, seed)
        texts = _replies(policy, sampling, asked)
        if name == "mix":
            found[name] = _mix(texts)
            continue
        passed = [probe.grade(text) for probe, text in zip(asked, texts, strict=True)]
        later = [i for i, probe in enumerate(asked) if passed[i] and probe.then is not None]
        for i, text in zip(later, _replies(policy, sampling, [asked[i].then for i in later]), strict=True):
            passed[i] = asked[i].then.grade(text)  # type: ignore[union-attr]
            texts[i] += "\n" + text
        share, low, high = wilson(sum(passed), n)
        found[name] = {
            "passed": sum(passed), "n": n,
            "share": round(share, 4), "low": round(low, 4), "high": round(high, 4),
            "floor": FLOORS[name], "holds": share >= FLOORS[name],
            "failures": [
                (asked[i].messages[-1]["content"], texts[i]) for i in range(n) if not passed[i]
            ][:5],
        }  # fmt: skip
    progress(1.0, "done")
    return {
        "skills": found,
        "holds": all(row["holds"] for row in found.values()),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _replies(policy: Any, sampling: Any, asked: Sequence[Any]) -> list[str]:
    texts: list[str] = []
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        made = policy.generate([probe.messages for probe in some], sampling, tools=skills.TOOLS)
        texts += [each.text for each in made]
    return texts


def _mix(texts: Sequence[str]) -> dict[str, Any]:
    """With an empty card no style may rule and none may be missing: thumbs need something to move."""
    counts = Counter(style(text) for text in texts)
    shares = {name: round(counts[name] / len(texts), 4) for name in (*STYLES, "plain")}
    held = all(shares[name] >= MIX_LEAST for name in STYLES) and max(shares.values()) <= MIX_MOST
    return {"shares": shares, "n": len(texts), "most": MIX_MOST, "least": MIX_LEAST, "holds": held}
