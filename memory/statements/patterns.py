"""The sentence patterns that relations.py reads: who, relation, value. The first that fits counts."""

from __future__ import annotations

import re

from memory.statements import attributes as words

WHO = r"(?P<who>I|[Mm]y (?:[\w'-]+ ){0,3}?[\w'-]+|[A-Z][\w'-]+(?: [A-Z][\w'-]+){0,2})"
MANY_VALUED = frozenset(("likes", "allergic to", "has", "plays", "speaks", "learns"))
_DOES = rf"^{WHO} (?:am |is )?"
PATTERNS = tuple(
    (re.compile(pattern), relation)
    for pattern, relation in (
        (rf"^{WHO}(?:'s)? name is (?P<v>.+)$", "is called"),
        (r"^[Tt]he name of (?P<who>my (?:[\w'-]+ ){0,3}?[\w'-]+) is (?P<v>.+)$", "is called"),
        (rf"^{WHO} (?:am|is|are) (?:called|named) (?P<v>.+)$", "is called"),
        (rf"{_DOES}(?:lives?|living|resides?|based) (?:in|at) (?P<v>.+)$", "lives in"),
        (rf"^{WHO} (?:have |has )?moved (?:back )?to (?P<v>.+)$", "lives in"),
        (rf"{_DOES}(?:works?|working|employed|started(?: working)?) (?:at|for|by) (?P<v>.+)$", "works at"),
        (rf"{_DOES}(?:works?|working|employed) as (?P<v>an? .+)$", "works as"),
        (rf"{_DOES}(?:study|studies|studying) at (?P<v>.+)$", "studies at"),
        (rf"^{WHO} (?:am|is) originally from (?P<v>.+)$", "comes from"),
        (rf"^{WHO} (?:am|is|come|comes) from (?P<v>.+)$", "comes from"),
        (rf"^{WHO} (?:was|were) born in (?P<v>[^\d]+)$", "was born in"),
        (rf"^{WHO} (?:was|were) born (?:on|in) (?P<v>.*\d.*)$", "birthday"),
        (rf"^{WHO}(?:'s)? birthday is (?:on )?(?P<v>.+)$", "birthday"),
        (rf"^{WHO} (?:am|is) (?P<v>[\w-]+)(?: years? old)$", "age"),
        (rf"^{WHO} (?:am|is) (?:a |an )?(?P<v>{'|'.join(sorted(words.DIETS))})$", "diet"),
        (rf"^{WHO} (?:am|is) (?P<v>{'|'.join(sorted(words.BONDS))})$", "bond"),
        (rf"^{WHO} (?:am|is) (?:married|engaged) to (?P<v>.+)$", "married to"),
        (rf"^{WHO} (?:am|is) allergic to (?P<v>.+)$", "allergic to"),
        (rf"^{WHO} (?:also |really |absolutely )?(?:likes?|loves?|enjoys?|adores?) (?P<v>.+)$", "likes"),
        (rf"^{WHO} (?:really |absolutely )?(?:hates?|dislikes?) (?P<v>.+)$", "dislikes"),
        (rf"^{WHO} (?:am|is) (?:into|fond of|a (?:big |huge |great )?fan of) (?P<v>.+)$", "likes"),
        (rf"^{WHO} (?:plays?) (?:the )?(?P<v>.+)$", "plays"),
        (rf"^{WHO} (?:speaks?) (?P<v>.+)$", "speaks"),
        (rf"^{WHO} (?:am|is) (?:learning|studying) (?:how to |to )?(?P<v>.+)$", "learns"),
        (rf"^{WHO} (?:have|has|own|owns) (?P<v>(?:an?|one|two|three|four|five|six|\d+) .+)$", "has"),
    )
)  # fmt: skip
