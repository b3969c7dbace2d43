"""Small real files of every format, made by the tests themselves."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def pdf(
    pages: Sequence[str], password: str | None = None, algorithm: str = "RC4-128", odd: int | None = None
) -> bytes:
    """A PDF with a line of text on each page, as any program would write it.

    The page numbered `odd` is packed in a way that nobody knows.
    """
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    reference = writer._add_object(font)
    for number, text in enumerate(pages, 1):
        page = writer.add_blank_page(612, 792)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): reference})}
        )
        stream = DecodedStreamObject()
        shown = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        stream.set_data(f"BT /F1 12 Tf 72 700 Td ({shown}) Tj ET".encode("latin-1") if text else b"")
        if number == odd:
            stream[NameObject("/Filter")] = NameObject("/Nobody")
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password is not None:
        writer.encrypt(password, algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def docx(paragraphs: Sequence[tuple[str, str]]) -> bytes:
    """A DOCX of (style, text) paragraphs; the style "" is body text."""
    return docx_of(
        "".join(
            "<w:p>"
            + (f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else "")
            + f"<w:r><w:t xml:space='preserve'>{escape(text)}</w:t></w:r></w:p>"
            for style, text in paragraphs
        )
    )


def docx_of(body: str) -> bytes:
    """A DOCX whose body is this XML."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "word/document.xml",
            f'<?xml version="1.0"?><w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>',
        )
    return out.getvalue()


def mail(subject: str, text: str, sender: str = "Mira <mira@example.org>") -> bytes:
    return (
        f"From: {sender}\nTo: me@example.org\nDate: Tue, 3 Mar 2026 10:00:00 +0000\nSubject: {subject}\n"
        f"Content-Type: text/plain; charset=utf-8\n\n{text}\n"
    ).encode()


def mbox(messages: Sequence[bytes]) -> bytes:
    return b"".join(b"From mira@example.org Tue Mar  3 10:00:00 2026\n" + one + b"\n\n" for one in messages)


def chatgpt(title: str, turns: Sequence[tuple[str, str]]) -> bytes:
    """One conversation with a branch that was edited away beside the one that was kept."""
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": []}}
    parent = "root"
    for number, (role, text) in enumerate(turns):
        message = {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}}
        mapping[str(number)] = {"id": str(number), "message": message, "parent": parent, "children": []}
        parent = str(number)
    away = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Edited away."]}}
    mapping["away"] = {"id": "away", "message": away, "parent": "root", "children": []}
    return json.dumps([{"title": title, "mapping": mapping, "current_node": parent}]).encode()


def claude(name: str, turns: Sequence[tuple[str, str]]) -> bytes:
    said = [
        {"sender": role, "text": text, "content": [{"type": "text", "text": text}]} for role, text in turns
    ]
    return json.dumps([{"uuid": "1", "name": name, "chat_messages": said}]).encode()
