"""What small heads over the frozen base look at, and the base as PPO wants its backbones.

One copy of the weights serves everybody: the policy is the base with its LoRA switched on, the reference
the same with it switched off, and the reward and value models are a few numbers over what the base,
switched off, thinks of a reply. Features of a reply are three blocks: the mean of its last hidden
states, the last of them, and the logarithm of its length, which has a place of its own so that a matter
of length need not hide in the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from policies.rows import Tokens, pad_batch

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """`model` is the base inside, whatever LoRA layers have been put into it; afterwards all is as before."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [
        m for m in model.modules() if isinstance(m, BaseTunerLayer) and not m.disable_adapters
    ]
    flags = [(values, values.requires_grad) for layer in layers for values in layer.parameters()]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for values, flag in flags:
            values.requires_grad_(flag)


def reply_features(model: Any, rows: Sequence[Tokens], pad_id: int, batch_size: int = 16) -> Tensor:
    """(rows, 2 hidden + 1) in float32 on the CPU: what the base thinks of each whole reply."""
    import torch

    found = []
    for start in range(0, len(rows), batch_size):
        batch = pad_batch(rows[start : start + batch_size], pad_id, model.device)
        states = _states(model, batch["input_ids"], batch["attention_mask"])
        said = batch["completion_mask"].unsqueeze(-1)
        count = said.sum(1)
        last = states[torch.arange(len(states)), batch["attention_mask"].sum(1) - 1]
        mean = (states * said).sum(1) / count.clamp(min=1)
        found.append(torch.cat([mean, last, count.float().log1p()], -1).cpu())
    return torch.cat(found)


def running_features(model: Any, ids: Tensor, mask: Tensor, begin: int) -> Tensor:
    """(rows, length, 2 hidden + 1): at each place, `reply_features` of the reply up to there.

    Replies begin at place `begin` of every row; before that there is no reply, and no length. `mask` is
    (rows, length), 0 for padding on either side.
    """
    import torch

    states = _states(model, ids, mask)
    said = mask.clone()
    said[:, :begin] = 0
    count = said.cumsum(1).unsqueeze(-1)
    mean = (states * said.unsqueeze(-1)).cumsum(1) / count.clamp(min=1)
    return torch.cat([mean, states, count.float().log1p()], -1)


def _states(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Last hidden states of the base, (rows, length, hidden) in float32, without gradients."""
    import torch

    places = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad(), adapters_off(model):
        decoder = model.get_decoder()
        return decoder(
            input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False
        ).last_hidden_state.float()


def head(model: Any, begin: int, score: Any, said: Callable[[list[int]], float] | None = None) -> Any:
    """`score`, a module from `running_features` to (rows, length, 1), as TRL's PPO wants a reward or value
    model: a module with a backbone, whose name is `base_model_prefix`, and `.score`.

    With `said`, what it makes of the ids of each whole reply is one feature more, the same at all places.
    """
    import torch

    class Frozen(torch.nn.Module):
        """The base without its adapter; holds no weights, so nothing is copied, trained or saved."""

        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
            features = running_features(model, input_ids, attention_mask.long(), begin)
            if said is not None:
                replies = zip(input_ids[:, begin:], attention_mask[:, begin:].bool(), strict=True)
                whole = features.new_tensor([said(ids[kept].tolist()) for ids, kept in replies])
                more = whole[:, None, None].expand(*features.shape[:2], 1)
                features = torch.cat([features, more], -1)
            return SimpleNamespace(hidden_states=(features,))

    class Head(torch.nn.Module):
        base_model_prefix = "frozen"

        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.score = Frozen(), score

    return Head()
