"""Small parts that tests share."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from memory.records import Generation, Recalled

# of the checkout
ROOT = Path(__file__).resolve().parents[1]


class HashEmbedder:
    """Bags of words hashed into 64 dimensions: deterministic, instant; alike texts are near."""

    dimension = 64
    name = "hash-64"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimension
        for word in re.findall(r"\w+", text.casefold()):
            vector[zlib.crc32(word.encode()) % self.dimension] += 1.0
        length = math.sqrt(sum(x * x for x in vector))
        return [x / length for x in vector] if length else [1.0] + [0.0] * (self.dimension - 1)


def generation(text: str = "hi", recalled: Sequence[Recalled] = (), **changes: object) -> Generation:
    """How a reply came about, for tests that do not care how."""
    shown = "".join(f"- {one.text}\n" for one in recalled)
    user = f"<memories>\n{shown}</memories>\n\n{text}" if recalled else text
    fields: dict[str, object] = {
        "reply_id": "",
        "base": "sprout",
        "adapter": None,
        "messages": (
            {"role": "system", "content": "You are Attune, a personal agent."},
            {"role": "user", "content": user},
        ),
        "prompt_text": f"<|system|>You are Attune, a personal agent.<|user|>{user}<|assistant|>",
        "prompt_ids": (1, 2, 3),
        "completion_ids": (4, 5),
        "sampling": {"temperature": 0.7, "seed": None},
        "recalled": tuple(recalled),
    }
    return Generation(**{**fields, **changes})  # type: ignore[arg-type]
