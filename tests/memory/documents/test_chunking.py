from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from memory.documents.chunking import HEADING_LENGTH, chunks
from memory.documents.readers import read
from memory.documents.sentences import LONGEST, sentences
from memory.documents.store import cut as rows
from tests.memory.documents import files


def said(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text, 0, len(text))]


def cut(text: str, code: bool = False) -> list[tuple[str, str]]:
    return [(one.heading, text[one.start : one.end]) for one in chunks(text, code)]


def test_sentences_end_where_they_end() -> None:
    assert said(
        "Dr. Ruiz et al. found it in 1991, e.g. in Fig. 2 of the paper. The J. Smith river is 3.5 km long! "
        "Is it known who measured it? "
        "\u201cNobody asked about that before.\u201d So the question stays open today."
    ) == [
        "Dr. Ruiz et al. found it in 1991, e.g. in Fig. 2 of the paper.",
        "The J. Smith river is 3.5 km long! Is it known who measured it?",
        "\u201cNobody asked about that before.\u201d So the question stays open today.",
    ]


def test_short_sentences_join_their_neighbours() -> None:
    assert said("Yes. It was on the table in the kitchen yesterday. Oh.") == [
        "Yes. It was on the table in the kitchen yesterday. Oh."
    ]


def test_a_sentence_without_end_is_cut_at_pauses() -> None:
    text = "one two three four, " * 60
    parts = said(text)
    assert len(parts) > 2
    assert max(map(len, parts)) <= LONGEST
    assert all(part.endswith(",") for part in parts)
    assert " ".join(parts) == text.strip()


def test_headings_stand_over_what_is_below_them() -> None:
    text = (
        "# A\n\nFirst thing that is said below A.\n\n## B\n\nSecond thing that is said below B.\n\n# C\n\n"
        "Third\n-----\n\nFourth thing, below an underlined heading.\n"
    )
    assert cut(text) == [
        ("A", "First thing that is said below A."),
        ("A > B", "Second thing that is said below B."),
        ("C > Third", "Fourth thing, below an underlined heading."),
    ]


def test_wiki_headings_are_read_too() -> None:
    text = (
        "== History ==\nThe bridge was built in the year 1820.\n=== Repairs ===\nIt was repaired in 1901.\n"
    )
    assert [heading for heading, _ in cut(text)] == ["History", "History > Repairs"]


def test_a_heading_with_nothing_below_it_is_a_passage() -> None:
    text = "# Ideas\n## Call Bob about the roof\n## Renew passport in June\n\n# Other\nSome text.\n\n= Last ="
    assert cut(text) == [
        ("Ideas", "## Call Bob about the roof"),
        ("Ideas", "## Renew passport in June"),
        ("Other", "Some text."),
        ("", "= Last ="),
    ]
    assert cut("Buy a ladder\n============\n\nPaint the fence\n---\n") == [
        ("Buy a ladder", "Paint the fence"),
    ]
    assert cut("# Only this\n###\n") == [("", "# Only this")]


def test_a_heading_that_is_too_long_keeps_its_words() -> None:
    title = "A heading that goes on and on, " * 5 + "up to the word zebra."
    [(above, whole), (heading, below)] = cut(f"# {title}\n\nWhat stands below it is short.\n")
    assert (above, whole) == ("", f"# {title}")
    assert (heading, below) == (title[:HEADING_LENGTH], "What stands below it is short.")


def test_a_rule_below_a_paragraph_or_an_item_makes_no_heading_of_it() -> None:
    paragraph = "The first words of a long paragraph on one line, " * 3 + "and the last word is zebra."
    assert cut(f"{paragraph}\n---\nAnother paragraph stands below the rule.\n") == [
        ("", paragraph),
        ("", "Another paragraph stands below the rule."),
    ]
    assert cut("- Buy milk and bread.\n---\nAnother paragraph stands below the rule.\n") == [
        ("", "- Buy milk and bread."),
        ("", "Another paragraph stands below the rule."),
    ]


def test_list_items_and_wrapped_lines() -> None:
    text = (
        "A paragraph that a mail program has\nwrapped in the midst of its only sentence.\n\n"
        "- The first item is about apples from the garden.\n"
        "- The second item is about pears from the market.\n"
    )
    assert [part for _, part in cut(text)] == [
        "A paragraph that a mail program has\nwrapped in the midst of its only sentence.",
        "- The first item is about apples from the garden.",
        "- The second item is about pears from the market.",
    ]


def test_rows_of_a_table_stay_together() -> None:
    text = "| name | price |\n| --- | --- |\n| tea | 3 |\n| milk | 1 |\n"
    assert [part for _, part in cut(text)] == [text.strip()]


def test_fenced_code_is_no_heading() -> None:
    text = "# Setup\n\n```sh\n# not a heading\nmake install\n```\n\nThen start it with the usual command.\n"
    found = cut(text)
    assert {heading for heading, _ in found} == {"Setup"}
    assert "# not a heading\nmake install" in found[0][1]


def test_code_that_is_left_open_ends_with_its_message() -> None:
    """In an export of chats as in a box of mails; what follows is prose, under its own headings."""
    answered = "It is this:\n\n# Cause\n\nA leak in the gutter."
    chat = files.chatgpt("Roof", [("user", "Look:\n```\nmake all\n\nIt fails."), ("assistant", answered)])
    box = files.mbox([files.mail("Build", "~~~\nmake all\n"), files.mail("Roof", "There is a leak.")])
    [*_, answer] = rows(read("conversations.json", chat)[1])
    assert (answer.heading, answer.text) == ("Roof > Cause", "A leak in the gutter.")
    [*_, mail] = rows(read("box.mbox", box)[1])
    assert (mail.heading, mail.text) == ("Roof", "There is a leak.")
    assert mail.from_unit == 2


def test_long_runs_of_white_space_and_stops_take_no_time() -> None:
    """Each of these took minutes or hours."""
    for text in (
        "." * 200_000 + "x",
        "#" + " " * 100_000 + "x" + " " * 100_000 + "y",
        "= a" + " " * 200_000 + "x=",
    ):
        assert "".join("".join(part.split()) for _, part in cut(text)) == "".join(text.split())


@given(st.text(alphabet=st.sampled_from("ab. !?\n#=-|`*1\t\u3002\U0001f600"), max_size=400), st.booleans())
def test_passages_are_spans_in_order_that_lose_no_word(text: str, code: bool) -> None:
    found = chunks(text, code)
    assert all(one.start < one.end <= len(text) for one in found)
    assert all(one.end <= two.start for one, two in pairwise(found))
    assert all(text[one.start : one.end].strip() for one in found)
    if code:
        kept = "".join(text[one.start : one.end] for one in found)
        assert "".join(kept.split()) == "".join(text.split())
    else:
        kept = " ".join(f"{one.heading} {text[one.start : one.end]}" for one in found)
        assert set(re.findall(r"\w+", text)) <= set(re.findall(r"\w+", kept))
