"""Every format as it is read: its text, its headings, its places, and what happens to a broken file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.documents.readers import read
from memory.documents.records import Parsed, Unreadable
from memory.documents.store import cut
from tests.memory.documents import files


def places(parsed: Parsed) -> list[tuple[str, str, int, int]]:
    """(heading, text, first, last) of every passage."""
    return [(row.heading, row.text, row.from_unit, row.to_unit) for row in cut(parsed)]


def test_markdown_keeps_headings_and_lines() -> None:
    kind, parsed = read(
        "notes.md", b"# Garden\n\n## Trees\n\nThe old pear tree gives fruit in late September.\n"
    )
    assert (kind, parsed.unit) == ("text", "line")
    assert places(parsed) == [("Garden > Trees", "The old pear tree gives fruit in late September.", 5, 5)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_in_any_usual_encoding(encoding: str) -> None:
    _, parsed = read("notes.txt", "Das Café öffnet um neun.\r\nSonntags nie.".encode(encoding))
    assert parsed.text == "Das Café öffnet um neun.\nSonntags nie."


def test_html_is_text_with_the_lines_of_its_source() -> None:
    page = b"""<html><head><title>Prices</title><style>p {color: red}</style></head><body>
<h2>Tickets</h2>
<p>A day ticket for the whole zone costs <b>seven</b> euros
and twenty cents.</p>
<script>var hidden = 1;</script>
<ul><li>Children under six years travel without a ticket.</li></ul>
<pre>a = 1
b = 2</pre></body></html>"""
    kind, parsed = read("page.html", page)
    found = places(parsed)
    assert kind == "html"
    assert found[0] == (
        "Prices > Tickets", "A day ticket for the whole zone costs seven euros and twenty cents.", 3, 3
    )  # fmt: skip
    assert found[1][1:] == ("- Children under six years travel without a ticket.", 6, 6)
    assert "a = 1\nb = 2" in found[2][1]
    assert "hidden" not in parsed.text
    assert "red" not in parsed.text


def test_html_that_is_never_closed_is_read_as_far_as_it_goes() -> None:
    _, parsed = read("page.htm", b"<p>One paragraph that ends nowhere<div><b>and another & more")
    assert "One paragraph that ends nowhere" in parsed.text
    assert "and another & more" in parsed.text


def test_pdf_has_pages() -> None:
    kind, parsed = read(
        "report.pdf", files.pdf(["The first page is about rivers and lakes.", "", "Page three."])
    )
    assert (kind, parsed.unit) == ("pdf", "page")
    assert [(text, first) for _, text, first, _ in places(parsed)] == [
        ("The first page is about rivers and lakes.", 1),
        ("Page three.", 3),
    ]


def test_an_encrypted_pdf_is_named_as_such() -> None:
    with pytest.raises(Unreadable, match="encrypted"):
        read("secret.pdf", files.pdf(["Nobody shall read this."], password="x"))


def test_a_pdf_that_only_forbids_printing_is_read() -> None:
    _, parsed = read("open.pdf", files.pdf(["Everybody may read this."], password=""))
    assert "Everybody may read this." in parsed.text


def test_a_pdf_of_pictures_says_what_to_do() -> None:
    with pytest.raises(Unreadable, match="text recognition"):
        read("scan.pdf", files.pdf(["", ""]))


def test_docx_has_headings_and_paragraphs() -> None:
    data = files.docx(
        [("Title", "Plan"), ("", ""), ("Heading2", "Costs"), ("", "The roof costs 4 < 5 thousand.")]
    )
    kind, parsed = read("plan.docx", data)
    assert (kind, parsed.unit) == ("docx", "paragraph")
    assert places(parsed) == [("Plan > Costs", "The roof costs 4 < 5 thousand.", 4, 4)]


def test_a_docx_without_its_suffix_is_known_by_its_content() -> None:
    assert read("plan", files.docx([("", "Some text.")]))[0] == "docx"


def test_source_code_is_cut_at_definitions() -> None:
    source = (
        b'"""A module."""\n\nimport os\n\n\ndef first() -> int:\n    return 1\n\n\nclass Second:\n    x = 2\n'
    )
    kind, parsed = read("module.py", source)
    found = places(parsed)
    assert kind == "code"
    assert [(heading, first) for heading, _, first, _ in found] == [
        ("", 1),
        ("def first", 6),
        ("class Second", 10),
    ]
    assert found[1][1] == "def first() -> int:\n    return 1"


def test_mail_has_its_subject_as_heading() -> None:
    kind, parsed = read("one.eml", files.mail("Lunch", "We meet at noon in the small park.\n> quoted before"))
    assert (kind, parsed.unit) == ("eml", "message")
    assert {heading for heading, *_ in places(parsed)} == {"Lunch"}
    assert "We meet at noon in the small park." in parsed.text
    assert "quoted before" not in parsed.text


def test_a_box_of_mails_counts_messages() -> None:
    first, second = (
        files.mail("One", "The first letter is short.\n\nFrom here on it is plain."),
        b"\xff\xfe broken",
    )
    third = files.mail("Three", "The third letter is about the boat.")
    kind, parsed = read("mail.mbox", files.mbox([first, second, third]))
    numbers = {heading: last for heading, _, _, last in places(parsed)}
    assert kind == "mbox"
    assert numbers["One"] == 1
    assert numbers["Three"] == 3


def test_a_mail_in_html_is_read_as_text() -> None:
    page = b"<h1>Big</h1><p>The <i>boat</i> leaves at six.</p>"
    raw = b"From: a@b.c\nSubject: Hi\nContent-Type: text/html\n\n" + page
    _, parsed = read("x.eml", raw)
    assert ("Hi > Big", "The boat leaves at six.") in [(one, two) for one, two, *_ in places(parsed)]


@pytest.mark.parametrize("make", [files.chatgpt, files.claude])
def test_chat_exports_keep_who_said_what(make: object) -> None:
    user = "user" if make is files.chatgpt else "human"
    turns = [
        (user, "Which tea is best in the evening?"),
        ("assistant", "# Tea\nRooibos, for it has no caffeine."),
    ]
    kind, parsed = read("conversations.json", make("Evening tea", turns))  # type: ignore[operator]
    assert (kind, parsed.unit) == ("chats", "message")
    assert "**User:** Which tea is best in the evening?" in parsed.text
    assert "Edited away." not in parsed.text
    [asked, *answered] = places(parsed)
    assert (asked[0], asked[2]) == ("Evening tea", 1)
    assert {one[2] for one in answered} == {2}
    assert all(one[0].startswith("Evening tea") for one in answered)


def test_other_json_is_read_as_it_is() -> None:
    assert read("settings.json", json.dumps({"colour": "green"}).encode())[0] == "code"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.md", b"", "empty"),
        ("a.md", b" \n\n ", "empty"),
        ("a.pdf", b"%PDF-1.7\nnot really", "broken"),
        ("a.docx", b"PK\x03\x04 and then nothing", "archive|broken"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "encrypted"),
        ("a.bin2", bytes(range(256)) * 40, "no format"),
        ("a.txt", bytes(range(256)) * 40, "no text"),
        ("a.html", b"<html><script>1</script></html>", "no text"),
        ("conversations.json", b'[{"mapping": {"author": 1', "broken JSON"),
        ("photos.zip", b"PK\x03\x04zip", "archive"),
        ("a.eml", b"\n\njust some words", "no e-mail"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(name, data)


def test_a_docx_that_declares_entities_is_refused() -> None:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", '<!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>')
    with pytest.raises(Unreadable, match="entities"):
        read("a.docx", out.getvalue())


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["a.md", "a.html", "a.pdf", "a.docx", "a.eml", "a.mbox", "a.json", "a.py", "a.ipynb", "a"]
    ),
    st.sampled_from(
        [
            *(b"", b"%PDF-1.4\n", b"PK\x03\x04", b"From a 2026\nFrom: x\n\n", b'[{"mapping": ', b"<html>"),
            *(b"From \nFrom: x\nContent-Type: multipart/mixed; boundary=0\n\n", b'{"cells": [', b"{\\rtf"),
        ]
    ),
    st.binary(max_size=300),
)
def test_no_bytes_break_anything(name: str, begin: bytes, rest: bytes) -> None:
    """Whatever a file holds, it is read or refused with a reason."""
    try:
        _, parsed = read(name, begin + rest)
    except Unreadable:
        return
    cut(parsed)
