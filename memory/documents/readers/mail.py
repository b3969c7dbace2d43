"""E-mail: one message (.eml) or a whole box (.mbox). Places are messages; the subject is their heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

from memory.documents.readers import html
from memory.documents.readers.plain import decode
from memory.documents.records import Parsed, Unreadable
from memory.text import as_written

FROM = re.compile(rb"^From \S.*\d{4}.*$", re.MULTILINE)
# What was quoted is in the message that it answers.
QUOTED = re.compile(r"^>.*\n?", re.MULTILINE)


def read_eml(data: bytes) -> Parsed:
    return _joined([_message(data)])


def read_mbox(data: bytes) -> Parsed:
    """One message that cannot be read is left out, and the others are not."""
    found = []
    for raw in _split(data):
        try:
            found.append(_message(raw))
        except Exception:  # a parser of foreign mail raises whatever its layers raise
            found.append("")
    if not any(found):
        raise Unreadable("there is no readable message in it")
    return _joined(found)


def _split(data: bytes) -> Iterator[bytes]:
    """The messages of an mbox: each begins with a line "From sender date" after an empty line."""
    starts = [
        mark.start()
        for mark in FROM.finditer(data)
        if not mark.start() or data[max(0, mark.start() - 3) : mark.start()].endswith((b"\n\n", b"\n\r\n"))
    ]
    for begin, end in zip(starts, [*starts[1:], len(data)], strict=True):
        yield data[begin:end].partition(b"\n")[2]


def _message(raw: bytes) -> str:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    if not message.keys():
        raise Unreadable("it is no e-mail")
    subject = " ".join(_header(message, "Subject").split()) or "(no subject)"
    heads = [f"{name}: {value}" for name in ("From", "To", "Date") if (value := _header(message, name))]
    return f"# {subject}\n\n" + "\n".join(heads) + f"\n\n{_body(message).strip()}\n\n"


def _header(message: EmailMessage, name: str) -> str:
    try:
        return as_written(str(message.get(name, "")))[:500]
    except Exception:  # the parser of headers is lazy, and stumbles over some
        return ""


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    data = part.get_payload(decode=True)
    text = decode(data, part.get_content_charset()) if isinstance(data, bytes) else ""
    if part.get_content_subtype() == "html":
        # Its headings are below the subject.
        return re.sub(r"^#", "##", html.read_text(text).text, flags=re.MULTILINE)
    return QUOTED.sub("", text)


def _joined(messages: list[str]) -> Parsed:
    marks, at = [], 0
    for number, text in enumerate(messages, 1):
        if text:
            marks.append((at, number))
            at += len(text)
    return Parsed("".join(messages), "message", tuple(marks))
