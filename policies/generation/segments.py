"""Text to token ids, a segment at a time, so that a long conversation is not tokenised anew every turn.

A tokenizer takes a text apart at its special tokens before it does anything else; what stands between
two of them is encoded by itself. So a prompt can be cut in front of every special token, and the pieces
that were seen before (all but the newest turn) come from a table. Tokenizers for which that does not
hold are found by a trial, and encode every text whole.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

# what is remembered: pieces, none of them longer than so many characters, and whole texts
PIECES, PIECE_CHARACTERS, TEXTS = 4096, 16_384, 16
# blanks, digits and letters beside the borders, where a tokenizer could join or strip
TRIAL = ("Hi", " a", "\n\nb \n", "caf\u00e9 \u65e5\u672c 12", "  x7", "'s\t", "")


class Encoder:
    """Encodes rendered prompts for one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._texts: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._pieces: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        marks = sorted(
            {one.content for one in added if one.special and len(one.content) > 2 and not one.lstrip},
            key=len,
            reverse=True,
        )
        self._border = re.compile(f"(?={'|'.join(map(re.escape, marks))})") if marks else None
        if marks and not all(self._holds(marks, text) for text in TRIAL):
            self._border = None

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of `text`, in which special tokens are tokens."""
        found = self._texts.get(text)
        if found is None:
            found = self._whole(text) if self._border is None else self._in_pieces(text)
            _remember(self._texts, text, found, TEXTS)
        return found

    def _in_pieces(self, text: str) -> tuple[int, ...]:
        assert self._border is not None
        ids: list[int] = []
        for piece in self._border.split(text):
            known = self._pieces.get(piece)
            if known is None:
                known = self._whole(piece) if piece else ()
                if len(piece) <= PIECE_CHARACTERS:
                    _remember(self._pieces, piece, known, PIECES)
            else:
                self._pieces.move_to_end(piece)
            ids += known
        return tuple(ids)

    def _holds(self, marks: list[str], text: str) -> bool:
        """True if the pieces of a text that has `text` on both sides of every mark are its encoding."""
        trial = text + text.join([*marks, *marks]) + text
        return self._in_pieces(trial) == self._whole(trial)

    def _whole(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _remember(table: OrderedDict[str, tuple[int, ...]], key: str, value: tuple[int, ...], most: int) -> None:
    table[key] = value
    if len(table) > most:
        table.popitem(last=False)
