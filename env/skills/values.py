"""Values that only a prompt can tell: names, places, things, dates, numbers, codes.

Training values are drawn from wide letter distributions, so that a model must copy and cannot guess;
HELD_OUT values are real-looking ones that the training draws never return. Days of the week are not among them:
there are seven, each one token, and a day that is never copied in training is never copied at all.
"""

from __future__ import annotations

import random
import string

HELD_OUT = {
    "name": (
        "Fitzo", "Beatriz", "Quentin", "Saoirse", "Bartholomew", "Xiomara", "Yusuf", "Ingeborg", "Wojtek", "Anneliese",
        "Tadhg", "Priyanka", "Mateus", "Hyun", "Ngozi", "Leocadia", "Dmitri", "Kasimir", "Philippa", "Rosalind",
        "Zbigniew", "Marguerite", "Oluwaseun", "Thorvald", "Bijou", "Snuffles", "Pickwick", "Mitzi", "Gandolf",
        "Bramble", "Calpurnia", "Dorinda", "Wilhelmina", "Casper", "Nikolai", "Esperanza", "Jolanta", "Kwame", "Lorenzo",
        "Marisol", "Odette", "Petronella", "Rufus", "Sigrid", "Tobias", "Ulrike", "Vashti", "Winifred", "Yolanda", "Zubeida",
    ),
    "place": (
        "Porto", "Ljubljana", "Akureyri", "Osaka", "Valparaiso", "Nakuru", "Tbilisi", "Cork", "Gdansk", "Winnipeg",
        "Bergen", "Sarajevo", "Hobart", "Cusco", "Antwerp", "Zagreb", "Malmo", "Durban", "Kyoto", "Geelong", "Leipzig",
        "Toulouse", "Bilbao", "Vilnius", "Tampere", "Lusaka",
    ),
    "thing": (
        "turquoise", "lasagna", "accordion", "ukulele", "marzipan", "crimson", "gnocchi", "falconry", "bagpipes", "okra",
        "umeboshi", "magenta", "origami", "kendo", "saxophone", "tiramisu", "quinoa", "archery", "calligraphy", "sorbet",
        "curling", "pottery", "falafel", "indigo", "parkour",
    ),
    "date": ("17 May", "3 October", "29 August", "11 January", "21 June", "8 February", "14 December", "30 November", "6 April"),
    "number": ("47", "9316", "38", "205", "7742", "61", "1584", "93", "4407", "26", "870", "5139"),
    "word": ("bluefinch", "krait77", "wombat9", "orchidee", "zephyrine", "M4rble", "tinderbox", "quokka", "hex204"),
}  # fmt: skip

_NEVER = {v.lower() for values in HELD_OUT.values() for v in values}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_ONSETS = ("", "b", "br", "c", "ch", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p",
           "ph", "pr", "qu", "r", "s", "sch", "sh", "sl", "st", "t", "th", "tr", "v", "w", "wh", "x", "y", "z", "zb")  # fmt: skip
_VOWELS = ("a", "e", "i", "o", "u", "y", "aa", "ae", "ai", "ee", "ei", "ia", "ie", "io", "oa", "oi", "oo", "ou",
           "ua")  # fmt: skip
_CODAS = ("", "", "", "b", "ck", "d", "ff", "g", "k", "l", "ll", "lt", "m", "n", "nd", "ng", "nn", "p", "r", "rd", "rk",
          "rt", "s", "sk", "ss", "st", "t", "tt", "tz", "v", "w", "x", "z", "zz")  # fmt: skip


def _syllables(rng: random.Random) -> str:
    count = rng.choice((1, 2, 2, 2, 3))
    text = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(count))
    return text[: rng.randint(3, 10)]


def _letters(rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 9)))


def _mutated(rng: random.Random, words: tuple[str, ...]) -> str:
    """A known word with one or two letters changed: looks like English, is not in the vocabulary."""
    letters = list(rng.choice(words).lower())
    for _ in range(rng.choice((1, 1, 2))):
        spot = rng.randrange(len(letters))
        letters[spot] = rng.choice(string.ascii_lowercase)
    if rng.random() < 0.4:
        letters.append(rng.choice("aeioysx"))
    return "".join(letters)


def word(rng: random.Random, words: tuple[str, ...] = ()) -> str:
    """A lower-case made-up word (sometimes a real one of `words`)."""
    draw = rng.random()
    if words and draw < 0.35:
        return _mutated(rng, words)
    if words and draw < 0.45:
        return rng.choice(words).lower()
    return _syllables(rng) if draw < 0.85 else _letters(rng)


def training_value(kind: str, rng: random.Random, words: tuple[str, ...] = ()) -> str:
    """A value of `kind` for training; never one of HELD_OUT."""
    while True:
        value = _draw(kind, rng, words)
        if value and value.lower() not in _NEVER and not any(p.lower() in _NEVER for p in value.split()):
            return value


def _draw(kind: str, rng: random.Random, words: tuple[str, ...]) -> str:
    if kind == "number":
        return str(rng.randrange(10 ** rng.randint(1, 5)))
    if kind == "date":
        if rng.random() < 0.3:
            return rng.choice(_DAYS)
        return f"{rng.randint(1, 31)} {rng.choice(_MONTHS)}"
    base = word(rng, words)
    if kind == "word":
        extra = rng.random()
        if extra < 0.3:
            return base + str(rng.randrange(100))
        if extra < 0.4:
            return base + "-" + _letters(rng)[:4]
        if extra < 0.5:  # "Gr4ntel": digits and capitals inside a word
            spot = rng.randrange(len(base))
            mixed = base[:spot] + rng.choice("0134579") + base[spot + 1 :]
            return mixed.capitalize() if rng.random() < 0.6 else mixed
        return base.capitalize() if extra < 0.65 else base
    if kind == "thing":
        return f"{base} {word(rng, words)}" if rng.random() < 0.15 else base
    name = base.capitalize()
    extra = rng.random()
    if extra < 0.08:
        return f"{name} {word(rng, words).capitalize()}"
    if extra < 0.12:
        return f"{name}-{word(rng).capitalize()}"
    if extra < 0.15:
        return name + str(rng.randrange(10))
    return name


def held_out_value(kind: str, rng: random.Random) -> str:
    return rng.choice(HELD_OUT[kind])
