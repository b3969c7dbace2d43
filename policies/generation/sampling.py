"""Drawing the next token: greedy, or temperature and nucleus (Holtzman et al. 2020, arXiv 1904.09751)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.policy import SamplingParams

if TYPE_CHECKING:
    import torch

# the nucleus nearly always lies within so many tokens; sorting a vocabulary of 150,000 costs milliseconds
NUCLEUS_GUESS = 128


class Sampler:
    """Draws one token a row under `params`; owns its random generator, so a seed repeats a reply."""

    def __init__(self, params: SamplingParams, device: torch.device) -> None:
        import torch

        self._temperature = params.temperature
        self._top_p = params.top_p
        self._generator: torch.Generator | None = None
        if params.temperature > 0:
            self._generator = torch.Generator(device)
            if params.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed(params.seed)

    def pick(self, logits: torch.Tensor) -> torch.Tensor:
        """(rows, vocabulary) logits -> (rows, 1) token ids."""
        import torch

        if self._temperature <= 0:
            return logits.argmax(-1, keepdim=True)
        probabilities = torch.softmax(logits.float() / self._temperature, -1)
        if self._top_p >= 1:
            return torch.multinomial(probabilities, 1, generator=self._generator)
        size = probabilities.shape[-1]
        top, ids = probabilities.topk(min(size, NUCLEUS_GUESS))
        before = top.cumsum(-1) - top
        if size > NUCLEUS_GUESS and bool((before[:, -1] < self._top_p).any()):
            top, ids = probabilities.sort(-1, descending=True)
            before = top.cumsum(-1) - top
        # a token stays while the mass in front of it is short of top_p: the first one always does
        top = top.masked_fill(before >= self._top_p, 0.0)
        if self._top_p <= 0:
            return ids[:, :1]
        return ids.gather(-1, torch.multinomial(top, 1, generator=self._generator))
