"""Words that the rule for contradictions (relations.py) leans on: of what there is one, and of what many."""

from __future__ import annotations


def listed(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


# Whoever says "my friend" or "my sister" may have others: what is said of one says nothing of another.
MANY = listed(
    """
    friend brother sister sibling cousin son daughter kid child baby uncle aunt niece nephew grandson
    granddaughter grandchild colleague coworker co-worker workmate teammate classmate schoolmate roommate
    flatmate housemate neighbour neighbor teacher student pupil client customer patient mate buddy pal
    teacher mentor hobby interest goal dream plan wish skill habit book film movie song game idea project
    passion thing photo picture painting plant fish chicken part reason problem memory trip
    """
)
# What has one value at a time, whatever the value looks like ("my job is teaching").
ONE = listed(
    """
    name surname nickname number address email e-mail mail birthday birthdate anniversary password passcode
    passphrase code pin username handle login size height weight age colour color nationality citizenship
    hometown language job profession occupation employer company timezone title role salary rent budget
    deadline diet religion major school university college bank type sign
    """
)
COLOURS = listed(
    """
    red green blue yellow orange purple violet pink brown black white grey gray teal turquoise beige
    silver gold golden navy maroon indigo magenta cyan lilac crimson
    """
)
# With one of these in it a statement adds to what holds, rather than to take its place.
ADDS = listed(
    """
    also too another second third other others part-time sometimes partly partially both either mostly
    half often usually else additionally besides or
    """
)
DIETS = listed("vegetarian vegan pescatarian omnivore carnivore flexitarian")
BONDS = listed("single married divorced engaged widowed separated")
# Where a value ends: what follows says more about it.
MORE = listed(
    """
    and but because which who that so when where with while although though as for near by although if
    since until till
    """
)
ARTICLES = listed("a an the some any")
# Begins what is no name of a place or a thing, also in a text that is all in lower case.
NO_NAME = ARTICLES | listed(
    """
    my your his her its our their this that these those it here there home one two three very so too just
    not no fear peace hope
    """
)
COUNTRIES = listed(
    """
    afghanistan albania algeria andorra angola argentina armenia australia austria azerbaijan
    bahrain bangladesh belarus belgium belize benin bhutan bolivia bosnia botswana brazil brunei
    bulgaria burundi cambodia cameroon canada chad chile china colombia congo croatia cuba cyprus
    czechia denmark ecuador egypt england eritrea estonia eswatini ethiopia fiji finland france
    gabon gambia germany ghana greece grenada guatemala guinea guyana haiti honduras hungary iceland
    india indonesia iran iraq ireland israel italy jamaica japan jordan kazakhstan kenya kosovo
    kuwait kyrgyzstan laos latvia lebanon lesotho liberia libya liechtenstein lithuania luxembourg
    madagascar malawi malaysia maldives mali malta mauritania mauritius mexico moldova mongolia
    montenegro morocco mozambique myanmar namibia nepal netherlands nicaragua niger nigeria norway
    oman pakistan palestine panama paraguay peru philippines poland portugal qatar romania russia
    rwanda samoa scotland senegal serbia singapore slovakia slovenia somalia spain sudan suriname
    sweden switzerland syria taiwan tajikistan tanzania thailand togo tonga tunisia turkey
    turkmenistan uganda ukraine uruguay uzbekistan vanuatu venezuela vietnam wales yemen zambia
    zimbabwe uk usa us u.s. u.s.a. america britain europe asia africa holland flanders wallonia
    bavaria catalonia scandinavia texas california florida ohio oregon nevada alaska hawaii utah
    idaho montana wyoming colorado arizona kansas oklahoma minnesota wisconsin illinois michigan
    indiana kentucky tennessee alabama mississippi louisiana arkansas missouri iowa nebraska maine
    vermont massachusetts connecticut delaware maryland virginia pennsylvania ontario quebec
    queensland victoria tasmania
    """
) | frozenset(
    (
        "united kingdom", "united states", "great britain", "new zealand", "south africa",
        "south korea", "north korea", "saudi arabia", "costa rica", "sri lanka", "czech republic",
        "dominican republic", "el salvador", "puerto rico", "sierra leone", "ivory coast",
        "north carolina", "south carolina", "north dakota", "south dakota", "new jersey",
        "new mexico", "new hampshire", "rhode island", "west virginia", "british columbia",
        "new south wales",
    )
)  # fmt: skip
