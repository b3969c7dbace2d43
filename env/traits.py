"""Text traits of a reply beyond `memory.taste.features`: what simulated people notice and the card does not.

`Traits` is a `Features` with more fields, so a predicate on features judges it too. No model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from memory.taste.features import Features, features

NUMBERED = re.compile(r"^[^\S\n]*\d+[.)]\s+\S", re.MULTILINE)
GOOD = "great|good|excellent|lovely|nice|wonderful|brilliant|smart|clever|interesting|perfect|thoughtful"
PRAISE = re.compile(
    rf"\b(?:{GOOD}) (?:question|topic|choice|idea|point|thought|thinking)\b|\bglad you asked\b"
    r"|\blove (?:this|that|your) (?:one|question|topic|idea)\b|\bwell (?:said|asked|put)\b"
    r"|\byou(?:['\u2019]re| are) (?:(?:so|very|really|quite|truly) )?"
    r"(?:smart|clever|brilliant|amazing|wise)\b",
    re.IGNORECASE,
)
# "that is not right" disagrees; "certainly" and "of course" are manners and agree with nothing
AGREES = re.compile(
    r"^\W*(?:yes|yep|yeah|exactly|absolutely|agreed|definitely|totally|true|right|correct)[,.!]"
    r"|\bI (?:(?:fully|completely|totally) )?agree\b|\bas you (?:say|said)\b"
    r"|\b(?:you(?:['\u2019]re| are)|that(?:['\u2019]s| is)) (?:(?!not\b)\w+ )?(?:right|correct|true)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Traits(Features):
    """`text` is the reply itself, for tastes about words; `named` says that it calls the person by name."""

    text: str
    numbered: bool
    named: bool
    praise: bool
    agrees: bool

    @property
    def one_line(self) -> bool:
        return self.brief and self.sentences == 1 and "\n" not in self.text.strip()

    @property
    def medium(self) -> bool:
        return self.sentences in (2, 3) and not self.brief and not self.detailed

    @property
    def flattering(self) -> bool:
        return self.praise or self.agrees


def traits(text: str, name: str = "") -> Traits:
    """Measure `text`, a reply to someone who is called `name`."""
    seen = features(text)
    return Traits(
        **{field.name: getattr(seen, field.name) for field in fields(Features)},
        text=text,
        numbered=len(NUMBERED.findall(text)) >= 2,
        named=bool(name and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE)),
        praise=bool(PRAISE.search(text)),
        agrees=bool(AGREES.search(text)),
    )
