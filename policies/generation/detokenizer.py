"""Token ids to text as they come, in constant time a token and never half a character."""

from __future__ import annotations

from collections.abc import Callable, Sequence

WINDOW = 24
OVERLAP = 6
REPLACEMENT = "\ufffd"


class Detokenizer:
    """Decodes a short window that slides over the ids; `decode` maps ids to text.

    Some of the window's ids were shown before: tokenizers write a word differently at the start of
    a text (a missing space), so new ids are always decoded behind a few old ones. Replacement
    characters at the end mean bytes of a character that is not whole yet: they wait.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []
        self._shown = 0

    def feed(self, token: int) -> str:
        """The text that `token` completes; may be empty."""
        window = self._window
        window.append(token)
        text = self._decode(window)
        ready = len(text)
        while ready and text[ready - 1] == REPLACEMENT:
            ready -= 1
        new = text[self._shown : ready]
        self._shown = max(self._shown, ready)
        if len(window) >= WINDOW and ready == len(text):
            tail = window[-OVERLAP:]
            before = self._decode(tail)
            # a tail that starts inside a character would read differently later on
            if REPLACEMENT not in before and text.endswith(before):
                self._window, self._shown = tail, len(before)
        return new

    def finish(self) -> str:
        """What was held back: replacement characters where the reply ended inside a character."""
        return self._decode(self._window)[self._shown :] if self._window else ""
