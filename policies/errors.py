"""Why an update ended without an adapter, in a sentence for the person."""

from __future__ import annotations

from memory.errors import AttuneError


class LearnError(AttuneError):
    """Training could not be done; the sentence says why."""


class Cancelled(AttuneError):
    """The person stopped the update."""

    def __init__(self) -> None:
        super().__init__("The update was stopped; nothing was changed.")
