"""Files as they are found: one odd piece loses only itself, and places are those that others name."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from memory.documents.readers import read
from memory.documents.records import Parsed, Unreadable, place
from memory.documents.store import cut
from tests.memory.documents import files

BOX = """<w:p><w:r><w:t>Around it.</w:t></w:r><w:r><mc:AlternateContent
 xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">
<mc:Choice><w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent></mc:Choice>
<mc:Fallback><w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent></mc:Fallback>
</mc:AlternateContent></w:r></w:p><w:p><w:r><w:t>Below it.</w:t></w:r></w:p>"""


def places(parsed: Parsed) -> list[tuple[str, int]]:
    return [(row.text, row.from_unit) for row in cut(parsed)]


def notebook(*cells: tuple[str, Any]) -> bytes:
    written = [{"cell_type": kind, "source": source, "outputs": ["shown"]} for kind, source in cells]
    return json.dumps({"cells": written, "nbformat": 4}).encode()


def test_a_page_that_cannot_be_read_loses_only_itself() -> None:
    _, parsed = read("a.pdf", files.pdf(["The first page.", "The second.", "The third page."], odd=2))
    assert places(parsed) == [("The first page.", 1), ("The third page.", 3)]


def test_a_pdf_without_any_readable_page_says_what_to_do() -> None:
    with pytest.raises(Unreadable, match="into a new PDF"):
        read("a.pdf", files.pdf(["The only page."], odd=1))


@pytest.mark.parametrize("algorithm", ["AES-128", "AES-256"])
def test_a_pdf_that_only_forbids_printing_is_read_however_it_is_encrypted(algorithm: str) -> None:
    _, parsed = read("a.pdf", files.pdf(["Everybody may read this."], "", algorithm))
    assert "Everybody may read this." in parsed.text
    with pytest.raises(Unreadable, match="encrypted"):
        read("a.pdf", files.pdf(["Nobody shall read this."], "x", algorithm))


def test_a_text_box_is_read_once() -> None:
    _, parsed = read("a.docx", files.docx_of(BOX))
    assert places(parsed) == [("Around it.", 1), ("In the box.", 2), ("Below it.", 3)]


def test_a_form_feed_is_no_line() -> None:
    _, parsed = read("rfc.txt", b"The first line.\n\n\f\nThe fourth line.\n\n\fThe sixth line.\n")
    assert places(parsed) == [("The first line.", 1), ("The fourth line.", 4), ("The sixth line.", 6)]


@pytest.mark.parametrize("charset", ["iso-8859-1", "latin1", "ISO_8859-1"])
def test_latin_1_means_the_letters_of_windows(charset: str) -> None:
    page = b"<meta charset=%s><p>It\x92s 5 \x80, and \x81 is nothing; so much for the price of tea and cake."
    text = read("a.html", page % charset.encode())[1].text
    assert text.startswith("It\u2019s 5 \u20ac, and \ufffd is nothing")


@pytest.mark.parametrize("tag", ["<a ", "</a ", "<!--x> ", '<a x=">" ', "<![CDATA[ > "])
def test_tags_that_never_end_take_no_minutes(tag: str) -> None:
    began = time.process_time()
    _, parsed = read("a.html", b"<h1>Boats</h1><p>Before them.</p>" + tag.encode() * 20_000)
    assert places(parsed)[0] == ("Before them.", 1)
    assert time.process_time() - began < 5


def test_a_tag_that_never_ends_leaves_the_others_as_they_are() -> None:
    _, parsed = read("a.html", b"<!-- a note\n<h2>Boats</h2>\n<p>The blue one.</p>\n<p>The red <a href=")
    found = [(row.heading, row.text, row.from_unit) for row in cut(parsed)]
    assert ("Boats", "The blue one.", 3) in found
    assert found[-1] == ("Boats", "The red <a href=", 4)


def test_a_notebook_is_what_was_written_into_its_cells() -> None:
    data = notebook(
        ("markdown", ["# Boats\n", "\n", "How fast they are."]),
        ("raw", "Left out."),
        ("code", "speed = 5\nprint(speed)"),
        ("code", []),
    )
    kind, parsed = read("boats.ipynb", data)
    assert kind == "notebook"
    assert places(parsed) == [("How fast they are.", 1), ("```\nspeed = 5\nprint(speed)\n```", 3)]
    assert place(parsed.unit, 1, 3) == "cells 1\u20133"
    assert "shown" not in parsed.text


def test_code_that_holds_a_fence_stays_one_cell() -> None:
    _, parsed = read(
        "a.ipynb", notebook(("code", 'text = """\n```\n# no heading\n"""'), ("markdown", "Below."))
    )
    assert [(row.heading, row.from_unit) for row in cut(parsed)] == [("", 1), ("", 2)]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.rtf", rb"{\rtf1\ansi Hello}", "save it as .docx"),
        ("a.doc", rb"{\rtf1\ansi Hello}", "save it as .docx"),
        ("a.ipynb", b"{", "broken JSON"),
        ("a.ipynb", b"[]", "no notebook"),
        ("a.ipynb", notebook(("code", 5), ("markdown", [None])), "no text"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read(name, data)
