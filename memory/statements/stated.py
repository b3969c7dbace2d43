"""What an owner's message states that is worth keeping: explicit statements, and nothing between the lines.

A sentence is kept when it asks to be ("Remember that ..."), or when the patterns of relations.py read it as
one of the lasting relations below and its value stands alone: "I love that!" or "my dog is so excited" say
nothing to whoever reads them next month. Questions, wishes and guesses are no statements.
"""

from __future__ import annotations

import re

from memory.statements import attributes as words
from memory.statements.relations import LEAD, first_person, read
from memory.statements.wording import SENTENCE, nearest

_ASKED = re.compile(
    r"^(?:(?:hi|hey|hello|ok|okay|oh|and|so|also|btw|by the way|attune)\b[,:!]? +)*"
    r"(?:please,? +|kindly +|can you +|could you +)?"
    r"(?:(?:always +)?remember(?: that\b|:| this:|,(?= (?:I|I['’]m|my|we|our)\b))|"
    r"(?:do not|don['’]t) forget(?: that\b|:|,)|note(?: that\b|:)|"
    r"make a note(?: that\b|:)|keep in mind(?: that\b|:)|bear in mind(?: that\b|:)|for the record[,:]|"
    r"remember(?= (?:I|I['’]m|my|we|our|the)\b)) *(?P<what>.+)$",
    re.IGNORECASE,
)
# Where a sentence goes on after it has stated something: "I live in Ghent, and it rains."
_CLAUSE = re.compile(
    r"\s+[-–—]+\s*|[—–;]|, (?=(?:and|but|so|which|it|I|he|she|they|we|especially|like|as)\b)|"
    r" (?=(?:but|because|so|which|since I) )"
)
# "My dog is not called Fits but Fitzo", "..., it's Fitzo"
_MENDED = re.compile(
    r"^(?:(?:no|sorry|actually|wait)[,!]? +)*(?P<x>my [\w' -]+?) (?:is not|isn['’]t) "
    r"(?P<called>called |named )?(?P<old>[^,;.]+?)"
    r"(?:,? but|[,;.] *(?:it|he|she)(?: is|['’]s))(?: called| named)? (?P<new>[^,;.]+)[.!]*$",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:if|maybe|perhaps|might|would|could|should|wish|hope|guess|imagine|suppose|pretend|probably|"
    r"think|thought|wonder|unless|whether|almost|kidding|joking|someday|one day|will|going to|gonna)\b|"
    r"['’]d\b",
    re.IGNORECASE,
)
# Points at something outside of the sentence, or only weighs it.
_OUTSIDE = re.compile(
    r"\b(?:it|that|this|these|those|them|they|he|she|him|her|his|hers|you|your|yours|there|here|one|ones|"
    r"same|such|both|too|today|tonight|tomorrow|yesterday|right now|being able|everything|something|anything|"
    r"so|the most|the best|how|what|when|where|why|who)\b",
    re.IGNORECASE,
)
_TASTE = re.compile(r"^(?:to [a-z]+ )?[\w'&-]+(?: (?:and|in|on|with|of|for|or|to) [\w'&-]+| [\w'&-]+){0,4}$")
_NO_TASTE = words.ARTICLES | words.listed(
    "the my our your to seeing getting being having all any every me us when"
)
_HELD = re.compile(
    r"^(?:an?|one|two|three|four|five|six|\d+) (?:[\w-]+ ){0,2}"
    r"(?:dogs?|cats?|pupp(?:y|ies)|kittens?|kids?|child(?:ren)?|sons?|daughters?|brothers?|sisters?|siblings?|"
    r"horses?|rabbits?|parrots?|turtles?|snakes?|hamsters?|guinea pigs?|friends?|husband|wife|partner|"
    r"girlfriend|boyfriend|allerg(?:y|ies)|car|bike|boat|motorbike|house|flat|garden|twins?|degree|phd)\b"
    r"(?: (?:called|named|in|to|from|who|since)\b.*)?(?:,.*)?$",
    re.IGNORECASE,
)
LASTING = frozenset(
    ("is called", "lives in", "works at", "works as", "studies at", "comes from", "was born in", "birthday",
     "age", "diet", "bond", "married to", "allergic to", "favourite", "attribute")
)  # fmt: skip
FEWEST, MOST = 3, 20  # words
_SAVE = re.compile(
    r"\b(?:remember|save|keep|store|note|write down)\b.{0,20}\b(?:this|that|it|for me|for later)\b",
    re.IGNORECASE,
)
# A statement about the owner, what is theirs, a thing or a name, in the present or of a lasting past.
_SUBJECT = re.compile(
    r"^(?:I (?:am|have|own|need|use|take|eat|drink|drive|run|go|keep|prefer|want|teach|study|play|speak|"
    r"collect|sleep|wake|park|pay|wear|read|cycle|swim|cook|bake|walk|meet|can|do|always|never|usually|grew|graduated|"
    r"married|studied)|"
    r"(?:[Mm]y|[Oo]ur|[Tt]he) [\w' -]{1,60}? (?:is|are|has|have|[a-z]+s)|"
    r"[A-Z][\w'-]+(?: [A-Z][\w'-]+)* (?:is|are|has|[a-z]+s))\b \S"
)


def statements(message: str) -> list[str]:
    """The sentences of `message` that are to be remembered, as they were written, without their lead-in."""
    found: list[str] = []
    for sentence in (one.strip() for one in SENTENCE.split(message)):
        if (mended := _MENDED.match(sentence)) is not None:
            sentence = f"{mended['x']} is {mended['called'] or ''}{mended['new']}"
        kept = _asked(sentence)
        if kept is None and not sentence.endswith("?"):
            first = _CLAUSE.split(LEAD.sub("", sentence))[0]
            kept = next((one for one in (sentence, first) if _lasting(one)), None)
        if kept is not None and (whole := _whole(kept)) not in found:
            found.append(whole)
    return found


def worth(fact: str) -> bool:
    """Whether a model's choice of what to save may stand: a whole statement that is understood by itself.

    A small model calls `remember` for greetings and cheers as well.
    """
    said = first_person(fact)
    if not FEWEST <= len(said.split()) <= MOST or "?" in fact or fact.rstrip().endswith("!"):
        return False
    if _UNSURE.search(said) or _OUTSIDE.search(said):
        return False
    found = read(fact)
    if found.relation:
        return found.relation not in ("is", "likes", "has") or _lasting(fact) or bool(found.slot)
    return _SUBJECT.match(said) is not None


def asks(message: str) -> bool:
    """Whether the owner asks in so many words that something be remembered."""
    return any(_asked(one.strip()) for one in SENTENCE.split(message)) or bool(_SAVE.search(message))


def _asked(sentence: str) -> str | None:
    found = _ASKED.match(sentence)
    if found is None or sentence.rstrip().endswith("?"):
        return None
    if re.search(r"\bremember, .*\byou", sentence, re.IGNORECASE):
        return None  # "Remember, I'm here if you need to chat" is said to the other one
    what = found["what"].strip(' .!"')
    # "Remember to ..." and "remember the ..." without a verb ask for something else
    elsewhere = re.match(
        r"(?:to|when|how|you|your|you['’]re|it['’]?s?|this|these|those)\b", what, re.IGNORECASE
    )
    return what if len(what.split()) >= 2 and not elsewhere else None


def _lasting(sentence: str) -> bool:
    said = first_person(sentence)
    count = len(said.split())
    if not FEWEST <= count <= MOST or "?" in sentence or _UNSURE.search(said) or sentence[:1] in "\"'>“":
        return False
    read_as = read(sentence)
    who = read_as.claim.removeprefix("was ").partition("/")[0]
    if not (who == "I" or who.startswith("my ")) or not read_as.relation:
        return False
    value = said_value(said, read_as.value)
    if _OUTSIDE.search(value):
        return False
    if read_as.relation in ("likes", "plays", "speaks", "learns"):
        first = value.split()[0].casefold() if value else ""
        return who == "I" and bool(_TASTE.match(value)) and first not in _NO_TASTE and not read_as.past
    if read_as.relation == "has":
        return bool(_HELD.match(value))
    if read_as.denies or read_as.past:
        return read_as.relation in ("lives in", "works at", "is called", "diet", "bond", "allergic to")
    if read_as.relation in ("lives in", "works at", "studies at", "comes from", "was born in", "is called"):
        return bool(read_as.slot) or (who.split()[-1] in words.MANY and value[:1].isupper())
    return read_as.relation in LASTING and len(value.split()) <= 8


def said_value(said: str, folded: str) -> str:
    """The end of the sentence that holds the value, to the letter; all of it when it cannot be found."""
    first = folded.split()[0] if folded else ""
    at = said.casefold().rfind(f" {first}") if first else -1
    # the value may hold its first word twice: take the earliest place from which all of it is there
    while (
        at > 0
        and (before := said.casefold().rfind(f" {first}", 0, at)) > 0
        and folded in said[before:].casefold()
    ):
        if folded in said[at:].casefold():
            break
        at = before
    return said[at + 1 :] if at >= 0 else said


def _whole(text: str) -> str:
    said = LEAD.sub("", text)
    said = said.strip().rstrip(" .!")
    return f"{said[:1].upper()}{said[1:]}."


def meant(message: str, fact: str) -> str | None:
    """The owner's sentence that a small model meant and garbled, without its lead-in."""
    found = nearest(message, fact)
    return None if found is None else _whole(_asked(found) or found)
