"""What a short statement says, so that a new one can take the place of the one that it contradicts.

The rule, from top to bottom:

1. A statement is read by fixed patterns: *who* (the owner, "my dog", "Anna"), a *relation* (is called,
   lives in, works at, favourite ..., likes) and a *value*. What no pattern reads contradicts nothing.
2. Some relations hold one value at a time: a name, where one lives, who one works for, an age, "my
   favourite X is", and "my X is" for what there is one of (attributes.py). They have a `slot`. Of two
   statements with one slot the newer one holds, unless its value is only a part of the older one's.
3. All others hold many ("I like tea", "I have a friend called Ann"). They have no slot. So have single ones
   wherever it is not sure: of friends and sisters there may be several, "also" adds, a colour does not
   contradict a make, and Ghent does not contradict Belgium. When it is not sure both stay.
4. A denial ("I no longer live in Ghent", "I do not like tea") contradicts the statement of the same `claim`.
5. A past ("I worked at Acme until May") ends the present of the same claim and contradicts nothing else.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

from memory.statements import attributes as words
from memory.statements.patterns import MANY_VALUED, PATTERNS, WHO
from memory.statements.since import BEGAN, SINCE, SPAN, UNTIL, moment

LONGEST = 24  # words of a statement that is read
LEAD = re.compile(
    r"^(?:(?:and|but|so|oh|ah|well|yes|yeah|no|ok|okay|hi|hey|hello|actually|btw|by the way|fyi|in fact|"
    r"for the record|to be (?:clear|exact|precise)|correction|sorry|remember|please|note|also|now|"
    r"currently)\b[,:!]? +)+",
    re.IGNORECASE,
)
_SHORT = (
    (r"\bcan(?:['’]?t| ?not) stand\b", "hate"), (r"\bI['’]?m\b", "I am"), (r"\bI['’]ve\b", "I have"),
    (r"\bcan['’]?t\b|\bcannot\b", "can not"), (r"\bwon['’]t\b", "will not"), (r"n['’]t\b", " not"),
    (r"\b(he|she|it|that|there|name|what)['’]s\b", r"\1 is"), (r"^i\b", "I"),
    (r"\bfavorite\b", "favourite"), (r"\bcolor\b", "colour"),
)  # fmt: skip
_OWNER = re.compile(r"^(?:the |this )?(?:owner|user)(?P<s>['’]s)? ", re.IGNORECASE)
_NOT = re.compile(r"\b(?:do|does|did) not |\b(?:no longer|not|never) ", re.IGNORECASE)
_TAIL = re.compile(
    r",? (?:any ?more|any longer|now|currently|at the moment|these days|nowadays|again|instead)$", re.I
)
_PAST = {"lived": "live", "worked": "work", "studied": "study"}


@dataclass(frozen=True, slots=True)
class Statement:
    """`claim` is the same for two ways to say one thing ("my dog's name is", "my dog is called").

    `slot` names what holds one `value` at a time, or is "". `denies`: it says that the claim does not hold.
    `past`: it held, and no longer does. `since` and `until` are Unix seconds where they were said.
    """

    claim: str
    slot: str = ""
    value: str = ""
    relation: str = ""
    denies: bool = False
    past: bool = False
    since: float | None = None
    until: float | None = None


def read(text: str, now: float | None = None) -> Statement:
    """What `text` says. `claim` alone (the words, folded) when no pattern reads it. Never raises."""
    said = first_person(text)
    bare = Statement(fold(said))
    if len(said.split()) > LONGEST or "?" in said or re.search(r"[.!;:] ", said):
        return bare
    adds = not words.ADDS.isdisjoint(re.findall(r"[\w-]+", said.casefold())) or "as well" in said.casefold()
    rest, since, until = _times(said, time.time() if now is None else now)
    rest = _trimmed(rest)
    denies = _NOT.search(rest) is not None
    rest = _trimmed(_NOT.sub("", rest)) if denies else rest
    rest = (
        re.sub(r"\b(?:have|has) (?:been )?(lived|worked|living|working) ", _lasting, rest) if since else rest
    )
    past = re.search(r"\bused to \w", rest) is not None
    rest = re.sub(r"\bused to ", "", rest)
    if (verb := re.match(rf"{WHO} (lived|worked|studied) ", rest)) is not None:
        rest, past = rest[: verb.start(2)] + _PAST[verb[2]] + rest[verb.end(2) :], True
    found = _relation(rest)
    if found is None:
        return replace(bare, since=since, until=until)
    if found.denies:  # "I hate tea" denies what "I do not hate tea" does not
        denies = not denies
    slot = "" if adds or denies or past else found.slot
    claim = f"was {found.claim}" if past else found.claim
    return replace(found, claim=claim, slot=slot, denies=denies, past=past, since=since, until=until)


def contradict(old: Statement, new: Statement) -> bool:
    """Whether `new`, which was said later, takes the place of `old`."""
    if new.past or old.past:
        return new.past and not old.past and not old.denies and new.claim == f"was {old.claim}"
    if new.claim == old.claim:
        return new.denies != old.denies
    if not new.slot or new.slot != old.slot:
        return False
    before, after = set(old.value.split()), set(new.value.split())
    # the same and more is a better version; the same and less is not sure to be one
    return not after <= before


def first_person(text: str) -> str:
    """`text` as the owner would say it: "The owner's dog ..." is "My dog ...", "I'm" is "I am"."""
    said = " ".join(text.replace("’", "'").split()).strip(' .!"')
    said = LEAD.sub("", said)
    said = re.sub(r"^that (?=(?:I|my|the)\b)", "", said, flags=re.IGNORECASE)
    if (owner := _OWNER.match(said)) is not None:
        rest = said[owner.end() :]
        said = f"My {rest}" if owner["s"] else f"I {_verb(rest)}"
        said = re.sub(r"\b(?:their|his|her) ", "my ", said)
    for pattern, full in _SHORT:
        said = re.sub(pattern, full, said)
    return said


def fold(text: str) -> str:
    """What two texts share when they say the same in the same words."""
    said = re.sub(r"[^\w\s'+#@%&/.:-]|[.:](?=\s|$)", " ", text.casefold())
    return " ".join(said.split())


def _lasting(found: re.Match[str]) -> str:
    """ "I have lived in Ghent since 2010" is about today."""
    return f"{found[1].removesuffix('ed').removesuffix('ing').replace('liv', 'live')} "


def _verb(rest: str) -> str:
    verb, _, more = rest.partition(" ")
    known = {"is": "am", "has": "have", "does": "do", "was": "was", "goes": "go"}
    bare = known.get(verb) or (verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb)
    return f"{bare} {more}"


def _trimmed(said: str) -> str:
    return _TAIL.sub("", re.sub(r"\b(I|is|am) (?:now|currently|still|really|recently|just) ", r"\1 ", said))


def _times(said: str, now: float) -> tuple[str, float | None, float | None]:
    """`said` without what says when, and the beginning and end that it names."""
    said = _TAIL.sub("", said)
    if found := SPAN.search(said):
        return said[: found.start()], moment(found[1], now), moment(found[2], now)
    if (found := SINCE.search(said)) and not re.search(r"\b(?:am|is|come|comes) *$", said[: found.start()]):
        return said[: found.start()], moment(found[1], now), None
    if found := UNTIL.search(said):
        return said[: found.start()], None, moment(found[1], now)
    if re.search(r"\b(?:moved|started)\b", said) and (found := BEGAN.search(said)):
        return said[: found.start()], moment(found[1], now), None
    return said, None, None


def _relation(said: str) -> Statement | None:
    for pattern, relation in PATTERNS:
        if (found := pattern.match(said)) is not None:
            who, value = _who(found["who"]) if "who" in pattern.groupindex else "I", found["v"]
            return _statement(relation, who, value, said)
    return _is(said)


def _statement(relation: str, who: str, value: str, said: str) -> Statement | None:
    head = _head(value)
    if not head:
        return None
    low, claim = fold(head), f"{who}/{relation}/{_value(value)}"
    made = Statement(claim, f"{who}/{relation}", low, relation)
    if relation in MANY_VALUED:
        return replace(made, slot="")
    if relation == "dislikes":
        return replace(made, claim=f"{who}/likes/{_value(value)}", slot="", relation="likes", denies=True)
    if not _one(who):
        made = replace(made, slot="")
    if relation in ("lives in", "works at", "comes from", "was born in", "studies at"):
        named = _named(head, said)
        level = " country" if low in words.COUNTRIES else ""
        return replace(made, slot=f"{made.slot}{level}" if named and made.slot else "")
    if relation == "is called" and not _named(head, said):
        return replace(made, slot="")
    return made


def _is(said: str) -> Statement | None:
    """ "My X is V": a slot for each shape of value, since a colour does not contradict a make."""
    found = re.match(r"(?P<x>[Mm]y (?:[\w'-]+ ){0,4}?[\w'-]+) (?P<be>is|are) (?P<v>.+)$", said)
    if found is None:
        return None
    who, value = _who(found["x"]), found["v"]
    noun, head = who.split()[-1], _head(value)
    if not head:
        return None
    relation = "is"
    if who.startswith("my favourite "):
        relation = "favourite"
        shape = "" if found["be"] == "is" and not _plural(noun) else None
    elif found["be"] == "are" or _plural(noun):
        shape = None
    elif noun in words.ONE:
        relation, shape = "attribute", ""
    else:
        relation, shape = _shape(head, said)
    slot = "" if shape is None or not _one(who) else f"{who}/{relation}{shape}"
    low = fold(re.sub(r"^(?:at|on|in|a|an|the) ", "", head, flags=re.IGNORECASE))
    return Statement(f"{who}/{relation}/{_value(value)}", slot, low, relation)


def _shape(head: str, said: str) -> tuple[str, str | None]:
    """(relation, what tells this kind of value from others); None when a second value may hold as well."""
    first, _, rest = head.partition(" ")
    low = first.casefold()
    if low in words.COLOURS and not rest:
        return "is", " coloured"
    if (
        low in ("at", "on", "in")
        and rest
        and (_named(rest, said, strict=True) or re.search(r"\d|noon", rest))
    ):
        return "is", f" {low}"
    if re.search(r"\byears? old$", head):
        return "is", " aged"
    if low in ("a", "an") and rest and _named(rest, said, strict=True):
        return "is", " made"
    if re.match(r"\d", head):
        return "is", " number"
    return ("is called", "") if _named(head, said, strict=True) else ("is", None)


def _who(given: str) -> str:
    who = given.casefold().removesuffix("'s")
    return "I" if who in ("i", "my") else who


def _one(who: str) -> bool:
    """Whether `who` can only be one: the owner, a name, "my dog"; not "my friend", and not "my dogs"."""
    if who == "I" or not who.startswith("my "):
        return True
    last = who.split()[-1]
    # "my sister Ann" names which one
    return not (last in words.MANY or _plural(last))


def _plural(noun: str) -> bool:
    return noun in ("children", "people", "pets") or (
        noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
    )


def _named(value: str, said: str, strict: bool = False) -> bool:
    """Whether a value is written like a name; in a text all in lower case, what may be one (not `strict`)."""
    first = value.split()[0]
    if first.casefold() in words.NO_NAME - {"the", "one"}:
        return False
    bare = re.sub(r"^[Tt]he ", "", value)
    if re.match(r"[A-Z0-9]", bare) or (bare[:1].isalpha() and bare[:1] != bare[:1].lower()):
        return True
    lower = said[1:] == said[1:].casefold()
    return lower and not strict and first.casefold() not in words.NO_NAME and len(value.split()) <= 3


def _head(value: str) -> str:
    """`value` up to where more is said about it; "" when there is nothing before that."""
    kept: list[str] = []
    for word in re.split(r"[,;(]| - | – |—", value)[0].split():
        if word.casefold() in words.MORE:
            break
        kept.append(word)
    return " ".join(kept[:8]) if len(kept) <= 8 else ""


def _value(value: str) -> str:
    return fold(re.sub(r"^(?:a|an|the) ", "", value, flags=re.IGNORECASE))
