"""DOCX: a zip archive with one XML file that holds the text. Places are paragraphs."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from xml.etree import ElementTree

from memory.documents.records import Parsed, Unreadable
from memory.text import as_written

BODY = "word/document.xml"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# Of the text unpacked: an archive of some kilobytes can hold gigabytes of nothing.
MOST_BYTES = 256 << 20
LEVEL = re.compile(r"^(?:heading|berschrift|titre|\u00fcberschrift)?\s*(\d)$", re.IGNORECASE)


def is_docx(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return BODY in archive.namelist()
    except zipfile.BadZipFile:
        return False


def read(data: bytes) -> Parsed:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if archive.getinfo(BODY).file_size > MOST_BYTES:
                raise Unreadable("it unpacks to more than 256 MiB")
            xml = archive.read(BODY)
    except (zipfile.BadZipFile, KeyError, RuntimeError, EOFError) as broken:
        raise Unreadable("it is a broken or encrypted DOCX") from broken
    if b"<!DOCTYPE" in xml[:1024] or b"<!ENTITY" in xml[:1024]:
        raise Unreadable("it declares entities of its own, which a DOCX never does")
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as broken:
        raise Unreadable("it is a broken DOCX") from broken
    for choice in list(root.iter(f"{MC}AlternateContent")):
        for old in choice.findall(f"{MC}Fallback"):
            choice.remove(old)  # the same once more, for programs of before 2010
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    at = 0
    for number, paragraph in enumerate(root.iter(f"{W}p"), 1):
        text = _text(paragraph)
        if text.strip():
            marks.append((at, number))
            parts.append(_prefix(paragraph) + text.strip() + "\n\n")
            at += len(parts[-1])
    return Parsed("".join(parts), "paragraph", tuple(marks))


def _text(paragraph: ElementTree.Element) -> str:
    pieces = []
    waiting = paragraph[::-1]
    while waiting:
        node = waiting.pop()
        if node.tag == f"{W}t":
            pieces.append(node.text or "")
        elif node.tag in (f"{W}tab", f"{W}br", f"{W}cr"):
            pieces.append(" ")
        elif node.tag != f"{W}p":  # the paragraphs of a text box are read by themselves
            waiting.extend(node[::-1])
    return as_written("".join(pieces))


def _prefix(paragraph: ElementTree.Element) -> str:
    """The mark of a Markdown heading or list item before the paragraph."""
    style = paragraph.find(f"{W}pPr/{W}pStyle")
    name = (style.get(f"{W}val") or "") if style is not None else ""
    if name.casefold() == "title":
        return "# "
    if found := LEVEL.match(name):
        return "#" * min(int(found.group(1)) or 1, 6) + " "
    return "- " if paragraph.find(f"{W}pPr/{W}numPr") is not None else ""
