"""One reader a format: bytes in, text with its places out (records.Parsed). Which one is chosen by the name
of the file and, where that says little, by what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from memory.documents.readers import chats, docx, html, mail, notebook, pdf, plain
from memory.documents.records import Parsed, Unreadable

Reader = Callable[[bytes], Parsed]
READERS: dict[str, Reader] = {
    "text": plain.read,
    "code": plain.read_code,
    "html": html.read,
    "pdf": pdf.read,
    "docx": docx.read,
    "eml": mail.read_eml,
    "mbox": mail.read_mbox,
    "chats": chats.read,
    "notebook": notebook.read,
}
PROGRAMS = """
    py pyi js mjs cjs ts tsx jsx java kt kts scala groovy c h cc cpp cxx hpp hh cs go rs rb php pl pm
    lua r jl swift m mm dart ex exs erl hs ml mli clj lisp el vim sh bash zsh fish ps1 bat sql proto
    thrift graphql tf css scss less vue svelte yaml yml toml ini cfg conf xml gradle cmake mk dockerfile
    makefile nix zig
"""
SUFFIXES = {
    **dict.fromkeys(("html", "htm", "xhtml"), "html"),
    **dict.fromkeys(
        ("md", "markdown", "mdx", "txt", "text", "rst", "org", "adoc", "tex", "csv", "tsv"), "text"
    ),
    **dict.fromkeys(PROGRAMS.split(), "code"),
    "pdf": "pdf",
    "docx": "docx",
    "eml": "eml",
    **dict.fromkeys(("mbox", "mbx"), "mbox"),
    "ipynb": "notebook",
}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def format_of(name: str, data: bytes) -> str:
    """A key of READERS. Raises Unreadable when it is none of them."""
    suffix = PurePath(name).suffix.lstrip(".").casefold() or PurePath(name).name.casefold()
    head = data[:1024].lstrip()
    if head.startswith(b"%PDF-"):
        return "pdf"
    if data.startswith(OLE):
        raise Unreadable("it is encrypted or in the old Word format; save it as .docx without a password")
    if data.startswith(b"PK\x03\x04"):
        if suffix == "docx" or docx.is_docx(data):
            return "docx"
        raise Unreadable("it is an archive; unpack it first")
    if head.startswith(b"{\\rtf"):
        raise Unreadable("it is in Rich Text Format; save it as .docx or as plain text")
    if suffix == "json" or (suffix not in SUFFIXES and head[:1] in (b"[", b"{")):
        return "chats" if chats.is_export(data) else "code"
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if data.startswith((b"From ", b"From\n", b"From\r\n")) and b"\nFrom: " in data[:20_000].replace(
        b"\r", b""
    ):
        return "mbox"
    if b"\0" in data[:8192] and not plain.has_mark(data):
        raise Unreadable("it is of no format that can be learned")
    return "html" if head[:15].lower().startswith((b"<!doctype html", b"<html")) else "text"


def read(name: str, data: bytes) -> tuple[str, Parsed]:
    """(format, what is in it). Raises Unreadable with the reason, as the end of a sentence."""
    if not data.strip():
        raise Unreadable("it is empty")
    kind = format_of(name, data)
    try:
        parsed = READERS[kind](data)
    except Unreadable:
        raise
    except (RecursionError, MemoryError, Exception) as broken:
        # A parser of a broken file raises whatever its layers raise; the other files are to be learned.
        raise Unreadable(f"it is broken ({type(broken).__name__})") from broken
    if not parsed.text.strip():
        raise Unreadable("there is no text in it")
    return kind, parsed
