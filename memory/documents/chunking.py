"""A text as passages: one to a few sentences each, cut by structure, each under its headings.

Small passages find exactly; the search (search.py) joins neighbours again. What is read as structure:
Markdown and MediaWiki headings, lists, tables, fenced code, paragraphs, and blank lines in source code.
Every passage is a span of the text, and no two overlap.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from memory.documents.sentences import LONGEST, Span, sentences, stripped

# What closes a title is taken off in code: a pattern for it would try every part of a run of white space.
HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*)$")
WIKI_HEADING = re.compile(r"^\s{0,3}(=(?: ?=){0,5})\s*([^=\s][^=]*)\1\s*$")
UNDERLINE = re.compile(r"^ {0,3}(=+|-{3,})\s*$")
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
ITEM = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,3}[.)])\s+\S")
ROW = re.compile(r"^\s*\||\s\|\s")
# A line of at most this many characters may be a wrapped one, so its end says nothing.
WRAPPED = 120
ENDED = re.compile(r"[.!?:;\u2026][\"'\u201d\u2019)\]]*\s*$")
# What opens a part of a program, in most languages: it stands as the heading over what follows.
DEFINES = re.compile(
    r"^\s*(?:@\w+\s+)?(?:(?:export|default|public|private|protected|static|async|pub|abstract|final)\s+)*"
    r"(?:def|class|function|func|fn|struct|enum|interface|trait|impl|module|namespace|type)\s+\w+"
)
HEADING_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Chunk:
    """text[start:end], and the headings above it, outermost first."""

    start: int
    end: int
    heading: str = ""


def chunks(text: str, code: bool = False, begins: Collection[int] = ()) -> list[Chunk]:
    """All passages of `text`, in order; `code` for a source file.

    `begins` are the offsets at which a message or a mail begins: code that is still open there ends there.
    """
    return list(_code(text, 0, len(text), "") if code else _prose(text, frozenset(begins)))


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop + 1
        yield start, stop
        start = stop


def _prose(text: str, begins: Collection[int]) -> Iterator[Chunk]:
    above: list[tuple[int, str]] = []
    block: list[Span] = []
    fence: str | None = None
    opened = 0
    bare: Span | None = None  # the line of the newest heading, while nothing stands below it

    def path(depth: int | None = None) -> str:
        return " > ".join(title for _, title in above[:depth])

    def flush() -> Iterator[Chunk]:
        nonlocal bare
        for start, end in _paragraph(text, block):
            bare = None
            yield Chunk(start, end, path())
        block.clear()

    def close(end: int) -> Iterator[Chunk]:
        nonlocal fence, bare
        fence = bare = None
        yield from _code(text, opened, end, path())

    def enter(level: int, title: str, line: Span) -> Iterator[Chunk]:
        nonlocal bare
        if above and above[-1][0] >= level:
            yield from own_line()
        while above and above[-1][0] >= level:
            above.pop()
        if title:
            above.append((level, title[:HEADING_LENGTH]))
            bare = line
        if len(title) > HEADING_LENGTH:
            yield from own_line()

    def own_line() -> Iterator[Chunk]:
        """A heading that stands over nothing, or not whole, is a passage: else what it says is lost."""
        nonlocal bare
        if bare is not None:
            yield from (Chunk(start, end, path(-1)) for start, end in sentences(text, *bare))
        bare = None

    for start, end in _lines(text, 0, len(text)):
        line = text[start:end]
        marks = FENCE.match(line)
        if fence is not None and start in begins:
            yield from close(start)
        if fence is not None:
            if marks and marks.group(1).startswith(fence):
                yield from close(end)
            continue
        if marks:
            yield from flush()
            fence, opened = marks.group(1), start
        elif found := HEADING.match(line):
            yield from flush()
            title = found.group(2).rstrip().rstrip("#").rstrip()
            yield from enter(len(found.group(1)), title, (start, end))
        elif found := WIKI_HEADING.match(line):
            yield from flush()
            yield from enter(len(found.group(1).replace(" ", "")), found.group(2).rstrip(), (start, end))
        elif len(block) == 1 and (under := UNDERLINE.match(line)):
            title = text[block[0][0] : block[0][1]].strip()
            if len(title) > HEADING_LENGTH or ITEM.match(title):
                yield from flush()  # a rule below a paragraph
            else:
                level = 1 if under.group(1).startswith("=") else 2
                yield from enter(level, title, block.pop())
        elif not line.strip():
            yield from flush()
        else:
            block.append((start, end))
    if fence is not None:
        yield from close(len(text))
    yield from flush()
    yield from own_line()


def _paragraph(text: str, lines: list[Span]) -> Iterator[Span]:
    """The passages of one block of lines without a blank one between them."""
    part: list[Span] = []
    for start, end in lines:
        if part and _begins(text[part[-1][0] : part[-1][1]], text[start:end]):
            yield from _part(text, part)
            part = []
        part.append((start, end))
    if part:
        yield from _part(text, part)


def _begins(before: str, line: str) -> bool:
    """Whether something new begins with this line, and it does not only go on in a wrapped paragraph."""
    if ROW.search(before) and ROW.search(line):
        return False  # rows of a table stay together
    return bool(ITEM.match(line) or len(before) > WRAPPED or ENDED.search(before))


def _part(text: str, lines: list[Span]) -> Iterator[Span]:
    if len(lines) > 1 and ROW.search(text[lines[0][0] : lines[0][1]]):
        yield from _packed(text, lines)
    else:
        yield from sentences(text, lines[0][0], lines[-1][1])


def _packed(text: str, lines: list[Span]) -> Iterator[Span]:
    """Whole lines together, up to LONGEST characters."""
    begin, last = lines[0][0], lines[0][0]
    for start, end in lines:
        if end - begin > LONGEST and last > begin:
            yield from _whole(text, begin, last)
            begin = start
        last = end
    yield from _whole(text, begin, last)


def _whole(text: str, start: int, end: int) -> Iterator[Span]:
    start, end = stripped(text, start, end)
    while end - start > 2 * LONGEST:  # one endless line
        yield start, start + LONGEST
        start += LONGEST
    if start < end:
        yield start, end


def _code(text: str, start: int, end: int, heading: str) -> Iterator[Chunk]:
    """Groups of lines between blank ones, small neighbours together, under what they are defined in."""
    group: list[Span] = []
    inside = name = ""

    def flush() -> Iterator[Chunk]:
        nonlocal group
        title = " > ".join(part for part in (heading, name) if part)
        if group:
            yield from (Chunk(one, two, title) for one, two in _packed(text, group))
        group = []

    for one, two in _lines(text, start, end):
        line = text[one:two]
        if defined := DEFINES.match(line):
            yield from flush()
            inside = defined.group().strip()[:HEADING_LENGTH]
        if not group:
            if not line.strip():
                continue
            name = inside
        if not line.strip() and group[-1][1] - group[0][0] > LONGEST // 2:
            yield from flush()
            continue
        group.append((one, two))
    yield from flush()
