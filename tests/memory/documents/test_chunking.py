from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from memory.documents.chunking import chunks
from memory.documents.sentences import LONGEST, sentences


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


@given(st.text(alphabet=st.sampled_from("ab. !?\n#=-|`*1\t\u3002\U0001f600"), max_size=400), st.booleans())
def test_passages_are_spans_in_order_that_lose_no_word(text: str, code: bool) -> None:
    found = chunks(text, code)
    assert all(one.start < one.end <= len(text) for one in found)
    assert all(one.end <= two.start for one, two in pairwise(found))
    assert all(text[one.start : one.end].strip() for one in found)
    if code:
        kept = "".join(text[one.start : one.end] for one in found)
        assert "".join(kept.split()) == "".join(text.split())
