"""Mail as Thunderbird, Apple Mail and old archives keep it: every message is found, and all that it says."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from memory.documents.readers import read
from memory.documents.records import Unreadable
from memory.documents.store import cut
from tests.memory.documents import files


def subjects(data: bytes, name: str = "Inbox.mbox") -> dict[str, int]:
    """The number of the message under each heading."""
    return {row.heading: row.to_unit for row in cut(read(name, data)[1])}


def text_of(message: EmailMessage) -> str:
    message["Subject"] = "Boat"
    return read("one.eml", message.as_bytes())[1].text


def parts(kind: str, *inner: EmailMessage) -> EmailMessage:
    message = EmailMessage()
    message["Content-Type"] = f"multipart/{kind}"
    for one in inner:
        message.attach(one)
    return message


def part(text: str, kind: str = "plain") -> EmailMessage:
    message = EmailMessage()
    message.set_content(text, subtype=kind)
    return message


@pytest.mark.parametrize("line", [b"From \r\n", b"From \n", b"From\n"])
def test_a_box_with_bare_separators_is_read_message_by_message(line: bytes) -> None:
    first, second = files.mail("One", "The first letter."), files.mail("Two", "The second letter.")
    end = b"\r\n" if b"\r" in line else b"\n"
    box = (line + first + b"\n" + line + second).replace(b"\r\n", b"\n").replace(b"\n", end)
    assert subjects(box) == {"One": 1, "Two": 2}


def test_old_and_bare_separators_stand_in_one_box() -> None:
    old = files.mbox([files.mail("Old", "From an older program.")])
    new = b"From \n" + files.mail("New", "From a newer one.")
    assert subjects(old + new) == {"Old": 1, "New": 2}


def test_a_line_that_only_says_from_separates_nothing() -> None:
    assert subjects(files.mbox([files.mail("One", "Where is it from?\n\nFrom\nhome.")])) == {"One": 1}


def test_a_box_of_thunderbird_needs_no_suffix() -> None:
    assert read("Inbox", b"From \r\n" + files.mail("One", "The first letter."))[0] == "mbox"


def test_a_box_without_any_separator_is_one_message() -> None:
    assert subjects(files.mail("Alone", "The only letter.")) == {"Alone": 1}
    with pytest.raises(Unreadable, match="no readable message"):
        read("a.mbox", b"\n\njust some words")


def test_a_sentence_that_a_box_escaped_is_no_quotation() -> None:
    letter = files.mail("Move", ">From next month on I live in Lindau.\n> quoted before")
    text = read("a.mbox", files.mbox([letter]))[1].text
    assert "\nFrom next month on I live in Lindau." in text
    assert "quoted before" not in text


@pytest.mark.parametrize("plain", ["", " \n\n", "\u00a0\u200b"])
def test_html_is_read_where_the_plain_text_beside_it_is_blank(plain: str) -> None:
    message = parts("alternative", part(plain), part("<p>It leaves at six.</p>", "html"))
    assert "It leaves at six." in text_of(message)


def test_of_two_alternatives_only_the_plain_one_is_read() -> None:
    page = parts("related", part("<p>It leaves at <b>six</b>, in colour.</p>", "html"))
    text = text_of(parts("alternative", page, part("It leaves at six.")))
    assert "It leaves at six." in text
    assert "colour" not in text


def test_text_after_a_picture_is_read_too() -> None:
    picture = EmailMessage()
    picture.set_content(b"\x89PNG", maintype="image", subtype="png", disposition="inline")
    text = text_of(parts("mixed", part("Before it."), picture, part("After it.")))
    assert text.index("Before it.") < text.index("After it.")


def test_what_is_attached_is_not_the_mail() -> None:
    attached = part("Line of a long list.")
    attached["Content-Disposition"] = "attachment; filename=list.txt"
    text = text_of(parts("mixed", part("See the list."), attached))
    assert "See the list." in text
    assert "long list" not in text


def test_a_part_that_is_no_text_loses_only_itself() -> None:
    odd = EmailMessage()
    odd.set_content(bytes(range(256)) * 4, maintype="text", subtype="plain", disposition="inline")
    assert "See the list." in text_of(parts("mixed", part("See the list."), odd))


def test_a_mail_whose_parts_cannot_be_told_apart_is_read_as_text() -> None:
    raw = b"From: a@b.c\nSubject: Boat\nContent-Type: multipart/mixed; boundary=x\n\nIt leaves at six.\n"
    assert "It leaves at six." in read("a.eml", raw)[1].text


def test_code_in_a_mail_keeps_its_signs() -> None:
    raw = b"From: a@b.c\nSubject: Boat\nContent-Type: text/html\n\n<h1>Run</h1><pre># it\n#!/bin/sh</pre>"
    row = cut(read("a.eml", raw)[1])[-1]
    assert row.heading == "Boat > Run"
    assert "\n# it\n#!/bin/sh\n" in row.text


def test_latin_1_in_a_mail_means_the_letters_of_windows() -> None:
    raw = b"From: a@b.c\nSubject: Boat\nContent-Type: text/plain; charset=iso-8859-1\n\nIt\x92s 5 \x80\n"
    assert "It\u2019s 5 \u20ac" in read("a.eml", raw)[1].text
