"""E-mail: one message (.eml) or a whole box (.mbox). Places are messages; the subject is their heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

from memory.documents.readers import html
from memory.documents.readers.plain import decode, lowered
from memory.documents.records import Parsed, Unreadable
from memory.text import as_written, is_blank

# Thunderbird leaves out sender and date, so that only the header below shows that a message begins.
FROM = re.compile(rb"^From(?: \S.*\d{4}.*$| ?\r?\n(?=[!-9;-~]+:))", re.MULTILINE)
# Where a line of a message looks like a separator, a box keeps it with a ">" before it.
ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
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
    """The messages of an mbox: each begins with a line "From sender date", or a bare "From", after an empty
    line. Without any such line the file is one message."""
    starts = [
        mark.start()
        for mark in FROM.finditer(data)
        if not mark.start() or data[max(0, mark.start() - 3) : mark.start()].endswith((b"\n\n", b"\n\r\n"))
    ]
    if not starts:
        yield data
        return
    for begin, end in zip(starts, [*starts[1:], len(data)], strict=True):
        yield ESCAPED.sub(rb"\1", data[begin:end].partition(b"\n")[2])


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
    # Its headings are below the subject.
    return lowered("\n\n".join(text.strip() for text in _texts(message)))


def _texts(part: EmailMessage) -> Iterator[str]:
    """Everything that a mail program would show, in order: no attachments, and one of alternatives."""
    if part.is_attachment():
        return
    inner = [one for one in part.iter_parts() if isinstance(one, EmailMessage)]
    if part.get_content_type() == "multipart/alternative" and inner:
        # HTML is read where the plain text beside it is blank.
        inner.sort(key=lambda one: one.get_content_type() != "text/plain")
        yield from next(filter(None, (list(_texts(one)) for one in inner)), [])
    elif inner:
        for one in inner:
            yield from _texts(one)
    # Of a message whose parts cannot be told apart the whole is its text.
    elif part.get_content_type() in ("text/plain", "text/html") or part.get_content_maintype() == "multipart":
        data = part.get_payload(decode=True)
        try:
            text = decode(data, part.get_content_charset()) if isinstance(data, bytes) else ""
        except Unreadable:
            return  # a picture that is called text
        if not is_blank(text):
            yield html.read_text(text).text if part.get_content_subtype() == "html" else QUOTED.sub("", text)


def _joined(messages: list[str]) -> Parsed:
    marks, at = [], 0
    for number, text in enumerate(messages, 1):
        if text:
            marks.append((at, number))
            at += len(text)
    return Parsed("".join(messages), "message", tuple(marks))
