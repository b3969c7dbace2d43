"""Rows that begin alike as one tree of tokens: every token that rows share stands in it once.

Rows of a ledger all begin with the system message and its tools, and the two replies of a pair have the
whole prompt in common. The tree has up to three levels: what all rows begin with, prompts that several
rows share, and the rest of each row. Laid out level by level it is one sequence without any padding.

Attention goes level by level, which is the least arithmetic, or over the whole sequence under one mask,
which is the fewest calls: on an accelerator a call of few tokens costs more than what it computes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.generation.prefix_cache import common_prefix
from policies.rows import Tokens

# above this many tokens the arithmetic of a whole mask is no longer small beside that of the layers
WHOLE = 2048
# rows of a mask start at multiples of this, or torch copies the mask at every call
ALIGNED = 8


@dataclass(frozen=True, slots=True)
class Branch:
    """Tokens that stand together in the sequence, and those before them that they may look at.

    `path` are the places in the sequence of their ancestors and of themselves, in reading order.
    """

    start: int
    length: int
    path: list[int]


@dataclass(frozen=True, slots=True)
class Level:
    """Branches of one depth, for one attention call. N branches, R the longest, K the longest path.

    `queries` (N, R) and `keys` (N, K) are places in the sequence, `distance` (N, R, K) is how many tokens a
    key lies before its query: negative where it comes later, or where either of them is only filling.
    `spoken` are the places of the real queries in the flattened (N * R). A level that is the whole sequence
    has None for all three: its N is 1, its R and K are T.
    """

    queries: Any
    keys: Any
    distance: Any
    spoken: Any
    _seen: dict[int | None, Any] = field(default_factory=dict)
    _added: dict[tuple[Any, int | None], Any] = field(default_factory=dict)

    def seen(self, window: int | None = None) -> Any:
        """(N, 1, R, K): whether a query may look at a key, where it sees `window` tokens of its past."""
        if window not in self._seen:
            seen = self.distance >= 0
            if window is not None:
                seen &= self.distance < window
            self._seen[window] = seen[:, None]
        return self._seen[window]

    def added(self, dtype: Any, window: int | None = None) -> Any:
        """`seen` as what is added to the scores, of `dtype`, aligned as torch's fused attention wants it."""
        import torch

        key = (dtype, window)
        if key not in self._added:
            seen = self.seen(window)
            *rest, last = seen.shape
            wide = -(-last // ALIGNED) * ALIGNED
            room = torch.full((*rest, wide), -math.inf, dtype=dtype, device=seen.device)
            self._added[key] = room[..., :last].masked_fill_(seen, 0.0)
        return self._added[key]


@dataclass(frozen=True, slots=True)
class TokenTree:
    """T tokens in one sequence. `input_ids` and `position_ids` have the shape (1, T).

    The logits at the places `predicting` (n,) are for `targets` (n,), the completion tokens of all rows in
    their order; `row` (n,) says whose each one is.
    """

    input_ids: Any
    position_ids: Any
    levels: tuple[Level, ...]
    predicting: Any
    targets: Any
    row: Any


def grow(rows: Sequence[Tokens], device: Any = "cpu", whole: bool = False) -> TokenTree:
    """The tree of `rows`, each of which needs a prompt of at least one token.

    With `whole` attention is one call over the sequence, as long as it has no more than WHOLE tokens.
    """
    import torch

    ids: list[int] = []
    positions: list[int] = []

    def branch(tokens: Sequence[int], parent: Branch | None) -> Branch:
        before = parent.path if parent else []
        start = len(ids)
        ids.extend(tokens)
        positions.extend(range(len(before), len(before) + len(tokens)))
        return Branch(start, len(tokens), [*before, *range(start, len(ids))])

    # The last token of a prompt predicts the first one of its reply, so each row has its own.
    shared = [tuple(row.prompt_ids[:-1]) for row in rows]
    first, last = min(shared), max(shared)
    opening = first[: common_prefix(first, last)] if len(rows) > 1 else ()
    root = branch(opening, None)
    several = [prompt for prompt, times in Counter(shared).items() if times > 1]
    stems = {prompt: branch(prompt[len(opening) :], root) for prompt in several if len(prompt) > len(opening)}
    leaves: list[Branch] = []
    for row, prompt in zip(rows, shared, strict=True):
        parent = stems.get(prompt, root)
        # nothing needs to come after the last token
        leaves.append(branch([*row.prompt_ids, *row.completion_ids][len(parent.path) : -1], parent))
    depths = [[one for one in branches if one.length] for branches in ([root], stems.values(), leaves)]
    if whole and len(ids) <= WHOLE:
        levels = [_whole([one for branches in depths for one in branches], positions, device)]
    else:
        levels = [_level(branches, positions, device) for branches in depths if branches]
    predicting = [
        place
        for leaf, row in zip(leaves, rows, strict=True)
        for place in leaf.path[len(leaf.path) - len(row.completion_ids) :]
    ]
    return TokenTree(
        input_ids=torch.tensor([ids], device=device),
        position_ids=torch.tensor([positions], device=device),
        levels=tuple(levels),
        predicting=torch.tensor(predicting, device=device),
        targets=torch.tensor([token for row in rows for token in row.completion_ids], device=device),
        row=torch.tensor([at for at, row in enumerate(rows) for _ in row.completion_ids], device=device),
    )


def _level(branches: Sequence[Branch], positions: Sequence[int], device: Any) -> Level:
    import torch

    wide, deep = max(one.length for one in branches), max(len(one.path) for one in branches)
    queries = [[*range(b.start, b.start + b.length), *[b.start] * (wide - b.length)] for b in branches]
    keys = [[*b.path, *[b.path[0]] * (deep - len(b.path))] for b in branches]
    # filling comes behind its branch, which it looks at: an empty row of the mask would spread NaN.
    # No query looks at filling.
    asked = [[positions[at] if n < b.length else len(b.path) for n, at in enumerate(q)]
             for b, q in zip(branches, queries, strict=True)]  # fmt: skip
    lies = [[positions[at] if n < len(b.path) else deep + 1 for n, at in enumerate(k)]
            for b, k in zip(branches, keys, strict=True)]  # fmt: skip
    distance = torch.tensor(asked)[:, :, None] - torch.tensor(lies)[:, None, :]
    spoken = [n * wide + at for n, b in enumerate(branches) for at in range(b.length)]
    return Level(
        queries=torch.tensor(queries, device=device),
        keys=torch.tensor(keys, device=device),
        distance=distance.to(device),
        spoken=torch.tensor(spoken, device=device),
    )


def _whole(branches: Sequence[Branch], positions: Sequence[int], device: Any) -> Level:
    """Made on the device: T * T values are little work there, and much for the cores that hold the line."""
    import torch

    # A path is made of whole branches. Of each token: the places where those of its own begin, -1 for fewer.
    starts = {one.start for one in branches}
    begins = [[at for at in one.path if at in starts] for one in branches]
    deep = max(map(len, begins))
    own = [0] * len(positions)
    of_token = [[-1] * deep for _ in positions]
    for one, found in zip(branches, begins, strict=True):
        for at in range(one.start, one.start + one.length):
            own[at], of_token[at] = one.start, [*found, *[-1] * (deep - len(found))]
    place, key, asked = (torch.tensor(each, device=device) for each in (positions, own, of_token))
    related = (asked[:, :, None] == key).any(1)
    distance = (place[:, None] - place).to(torch.int32)
    return Level(queries=None, keys=None, distance=distance.masked_fill_(~related, -1)[None], spoken=None)
