"""What can go wrong with an experiment, as a sentence for the person who started it."""

from __future__ import annotations

from memory.errors import AttuneError


class BenchError(AttuneError):
    """The experiment cannot be carried out as asked."""


class BenchCancelled(BenchError):
    """The person stopped the experiment."""

    # the text is an argument, since an exception comes out of another process by its arguments
    def __init__(self, text: str = "The bench was stopped before its end, so it has no result.") -> None:
        super().__init__(text)
