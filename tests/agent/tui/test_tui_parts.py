"""The pure parts of the screen, by tables of examples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.learning_clock import LearningStatus
from agent.tui.branches import leaf, shown
from agent.tui.curve import curve, satisfaction
from agent.tui.learned import Snapshot, learned
from agent.tui.plain import bar, count, one_line, sentence
from agent.tui.report import report_text
from agent.tui.siblings import place
from agent.tui.widgets.markdown import split_open
from agent.tui.widgets.status import status_text
from memory.errors import AttuneError
from memory.records import Adapter, CardLine, Feedback, Memory, Message
from tests.agent.tui.fake_runtime import FakeRuntime
from tests.agent.tui.kept import make_adapter
from tests.agent.tui.waiting import talked


@pytest.mark.parametrize(
    ("text", "settled", "growing"),
    [
        ("", "", ""),
        ("plain", "plain", ""),
        ("a\n```py\nx = 1\n", "a\n", "```py\nx = 1\n"),
        ("a\n```py\nx = 1\n```\n", "a\n```py\nx = 1\n```\n", ""),
        ("a\n```\nx\n```\nb\n~~~\ny", "a\n```\nx\n```\nb\n", "~~~\ny"),
        ("````\n```\nx\n```\n", "", "````\n```\nx\n```\n"),
        ("a\n``", "a\n", "``"),
        ("inline ``` is none", "inline ``` is none", ""),
        ("```\nx\n```", "", "```\nx\n```"),
        ("a\n\n- b\n- c", "a\n\n", "- b\n- c"),
        ("- a\n\n- b\n  more\nlazy\n", "", "- a\n\n- b\n  more\nlazy\n"),
        ("- a\n\n  b\n\nc", "- a\n\n  b\n\nc", ""),
        ("1. a\n   ```py\n\nx\n   ```\n", "", "1. a\n   ```py\n\nx\n   ```\n"),
        ("- a\n```py\nx", "- a\n", "```py\nx"),
        ("| a |\n|---|\n| 1", "", "| a |\n|---|\n| 1"),
        ("a\n\n> b", "a\n\n", "> b"),
        ("**bold** and 3.5\n*it* -x", "**bold** and 3.5\n*it* -x", ""),
    ],
)
def test_an_open_block_is_held_back(text: str, settled: str, growing: str) -> None:
    assert split_open(text) == (settled, growing)


STATUS = LearningStatus("sprout", "v3", "promoted", 412, 1024, 3, None, "", True)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({}, ["sprout", "v3", "412/1,024 tokens", "3 ratings until the next update"]),
        ({"ratings_until_update": 1}, ["1 rating until the next update"]),
        ({"ratings_until_update": 0}, ["update due when idle"]),
        ({"updates": False}, ["updates off (/train)"]),
        ({"updates": False, "ratings_until_update": 0}, ["updates off (/train)"]),
        ({"updates": False, "progress": 0.4}, ["learning", "40%"]),
        ({"adapter": None}, ["base"]),
        ({"adapter_status": "provisional"}, ["v3 (provisional)"]),
        (
            {"progress": 0.4, "stage": "training"},
            ["learning \u2588\u2588\u2588\u2588\u2591", "40%", "training"],
        ),
        ({"model": "/models/Qwen3-0.6B/"}, ["Qwen3-0.6B"]),
    ],
)
def test_status_line(change: dict, parts: list[str]) -> None:
    line = status_text(replace(STATUS, **change), 78)
    assert len(line) <= 78
    for part in parts:
        assert part in line


@pytest.mark.parametrize("width", [20, 40, 60])
def test_the_status_line_fits_any_width(width: int) -> None:
    line = status_text(replace(STATUS, progress=0.5, stage="training on 12 of 40 rows"), width)
    assert len(line) <= width
    assert line.startswith("sprout")


def test_the_status_line_while_loading() -> None:
    assert "sprout wakes \u2588\u2588\u2588\u2588\u2588" in status_text(STATUS, 78, (0.5, "loading weights"))


BRIEF = CardLine("brief", "Keep replies brief.", 0.6, active=False)
UP = Feedback("f", 1, "r", "thumb", 1, 0.0)
FACT = Memory("m", "The dog is called Fitzo.", "fact", 0.0)


@pytest.mark.parametrize(
    ("before", "after", "event", "said"),
    [
        (
            [BRIEF],
            [replace(BRIEF, probability=0.9, active=True)],
            UP,
            "now on the card: Keep replies brief. (90% sure)",
        ),
        (
            [replace(BRIEF, active=True)],
            [replace(BRIEF, probability=0.4)],
            UP,
            "off the card: Keep replies brief.",
        ),
        ([BRIEF], [replace(BRIEF, probability=0.72)], UP, "Keep replies brief. 60% \u2192 72% sure"),
        ([BRIEF], [BRIEF], UP, "noted; the next update of the weights trains on it"),
        ([BRIEF], [BRIEF], replace(UP, value=0), "taken back"),
    ],
)
def test_learned_names_what_the_card_learned(before, after, event, said: str) -> None:
    assert learned(Snapshot(tuple(before), ()), Snapshot(tuple(after), ()), event) == said


def test_learned_names_the_memory_that_helped() -> None:
    said = learned(Snapshot((), (FACT,)), Snapshot((), (replace(FACT, helped=1.0),)), UP)
    assert said == "memory \u201cThe dog is called Fitzo.\u201d useful 50% \u2192 67%"


def test_learned_shows_the_rise_rather_than_the_fall() -> None:
    detailed = CardLine("detailed", "Give detailed replies.", 0.5, active=False)
    before = Snapshot((replace(BRIEF, probability=0.5), detailed), ())
    after = Snapshot((replace(BRIEF, probability=0.6), replace(detailed, probability=0.2)), ())
    assert learned(before, after, UP) == "Keep replies brief. 50% \u2192 60% sure"


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("Tea is nice! \u2728", 1, "noted; the next update of the weights trains on it"),
        ("Tea is nice! \u2728", -1, "Do not use emoji. 50% \u2192 61% sure"),
        ("Tea is a plant.", 1, "Do not use emoji. 50% \u2192 61% sure"),
    ],
)
def test_learned_names_no_belief_that_the_thumb_speaks_against(text: str, value: int, said: str) -> None:
    """Six friendly replies were liked, and one more, with an emoji: that none is wanted rose to 61 %."""
    line = CardLine("no_emoji", "Do not use emoji.", 0.5, active=False)
    reply = Message("r", "c", "q", "assistant", text, 0.0)
    before = Snapshot((line,), (), reply)
    after = Snapshot((replace(line, probability=0.61),), (), reply)
    assert learned(before, after, replace(UP, value=value)) == said


def test_curve_and_satisfaction_follow_the_replies(runtime: FakeRuntime) -> None:
    talked(runtime, "a", "b")
    runtime.use(make_adapter(runtime, "promoted", {}))
    talked(runtime, "c", "d")
    replies = [
        one
        for talk in reversed(runtime.journal.conversations())
        for one in runtime.journal.replies_of(talk.id)
    ]
    for reply, value in zip(reversed(replies), (1, 1, -1, -1), strict=True):  # rated in another order
        runtime.rate(reply.id, value)
    signals = runtime.journal.ledger()
    assert curve(signals, window=2).share == (0.0, 0.0, 50.0, 100.0)
    assert curve(signals).changes == ((2, "v1"),)
    assert satisfaction(signals) == {"base": (0, 2), "v1": (2, 2)}
    assert curve([]).share == ()


def test_report_of_a_version_with_and_without_figures() -> None:
    adapter = Adapter("v1", "sprout", "0" * 64, "kto", "rejected", "f" * 64, 0.0, "", 32, {})
    assert "v1: rejected" in report_text(adapter)
    report = {
        "reasons": ["It writes [/] dashes."],
        "held_out": {"accuracy": 0.75, "liked": 3, "disliked": 1},
        "words": {"candidate": 2, "base": 30},
        "kl": 9.1,
        "skills": {"recall": {"base": 9, "candidate": 1, "probes": 10}},
        "samples": [{"text": "-----"}],
    }
    text = report_text(replace(adapter, report=report))
    for part in ("[/] dashes", "75%", "2 words", "9.10 nats", "recall 1/10 (base 9)", "-----"):
        assert part in text


def test_branches_of_a_conversation(runtime: FakeRuntime) -> None:
    conversation = talked(runtime, "one", "two")
    first = runtime.journal.replies_of(conversation)[0]
    list(runtime.loop.regenerate(first.id))
    again = runtime.journal.replies_of(conversation)[-1]
    assert place(runtime.journal, first) == (1, 2)
    assert place(runtime.journal, again) == (2, 2)
    assert leaf(runtime.journal, first.id).id == runtime.journal.replies_of(conversation)[1].id
    views, hidden = shown(runtime.journal, leaf(runtime.journal, first.id).id, 2)
    assert views[0].message.content == "two"
    assert hidden == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (one_line("a\n b", 10), "a b"),
        (one_line("abcdef", 4), "abc\u2026"),
        (bar(2.0, 2), "\u2588\u2588"),
        (bar(-1, 2), "\u2591\u2591"),
        (count(1, "reply", "replies"), "1 reply"),
        (count(2, "reply", "replies"), "2 replies"),
    ],
)
def test_small_words(given: str, expected: str) -> None:
    assert given == expected


def test_our_own_errors_are_their_sentence() -> None:
    assert sentence(AttuneError("Do this.")) == "Do this."
    assert "KeyError" in sentence(KeyError("x"))
