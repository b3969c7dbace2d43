"""A picture of every screen, and of the chat in the smallest terminal. Update: pytest --snapshot-update."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from agent.tui.app import AttuneApp, settled
from agent.tui.screens.dialogs import Confirm, TextDialog
from agent.tui.widgets.status import StatusLine
from memory.records import Recalled
from tests.agent.tui.fake_runtime import Call, FakeRuntime
from tests.agent.tui.kept import REPORT, freeze_times, make_adapter
from tests.agent.tui.waiting import laid_out, say, talked, until, words

TEA = """Tea is made from the leaves of one plant. How you treat them makes the kind:

- **green**: steamed or pan-fired at once
- **black**: left to oxidise

```python
minutes = {"green": 2, "black": 4}
```
"""


@pytest.fixture
def lived_in(runtime: FakeRuntime) -> FakeRuntime:
    """A home with two conversations, memories, a card, ratings under three versions, and two adapters."""
    dog = runtime.facts.remember("The dog is called Fitzo.")
    runtime.facts.remember("Tea is had at four.")
    runtime.facts.remember("Prefers the window seat on trains.")
    runtime.replies = [
        [text] for text in ("Short.", "Brief words.", "A long one. It goes on. And on. And on still. " * 2)
    ] * 6
    talked(runtime, *[f"question {index}" for index in range(9)])
    for speaker in ("promoted", "provisional"):
        runtime.use(make_adapter(runtime, speaker, REPORT))
        talked(runtime, *[f"{speaker} {index}" for index in range(4)])
    for talk in reversed(runtime.journal.conversations()):
        for reply in runtime.journal.replies_of(talk.id):
            runtime.rate(reply.id, 1 if len(reply.content) < 20 else -1)
    runtime.card.pin("friendly")
    runtime.shown = [Recalled(dog.id, dog.text, 0.81, {"similarity": 0.74, "usefulness": 0.07})]
    runtime.replies = [
        [TEA],
        [Call("calculator", {"expression": "2 + 4"}, "6"), "Six minutes for both, one after the other."],
    ]
    freeze_times(runtime)
    return runtime


async def chat(pilot: Pilot[None]) -> AttuneApp:
    app: AttuneApp = pilot.app  # type: ignore[assignment]
    await settled(app, 60.0)
    await say(pilot, "How is tea made?")
    await say(pilot, "How long for both pots?")
    await pilot.press("escape", "+")
    await until(lambda: "rated good" in words(app.chat.transcript.newest))
    await until(lambda: app.status is not None and app.status.context_used)
    app.look_again()
    await until(lambda: not app._looking)
    freeze_times(app.runtime)  # type: ignore[arg-type]
    await pilot.pause()
    return app


@pytest.mark.parametrize("size", [(80, 24), (110, 34)], ids=["80x24", "110x34"])
def test_chat(lived_in: FakeRuntime, snap_compare, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await chat(pilot)

    assert snap_compare(AttuneApp(lived_in), terminal_size=size, run_before=before)


def test_welcome_while_loading(tmp_path: Path, snap_compare) -> None:
    runtime = FakeRuntime(tmp_path / "home", cold=True)

    async def before(pilot: Pilot[None]) -> None:
        app: AttuneApp = pilot.app  # type: ignore[assignment]
        await until(lambda: app.status is not None and app.loading_model == (0.4, "loading sprout"))
        await pilot.press(*"/re")

    try:
        assert snap_compare(AttuneApp(runtime), run_before=before)
    finally:
        runtime.may_warm.set()
        runtime.close()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("f1", "In the prompt"),
        ("f2", "3 memories"),
        ("f3", "Not enough evidence"),
        ("f4", "replies"),
        ("f5", "liked"),
        ("ctrl+o", "The exact prompt"),
    ],
    ids=["help", "memory", "policy", "sessions", "card", "why"],
)
@pytest.mark.parametrize("size", [(80, 24), (100, 30)], ids=["80x24", "100x30"])
def test_screen(lived_in: FakeRuntime, snap_compare, key: str, expected: str, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[None]) -> None:
        app = await chat(pilot)
        await pilot.press(key)

        def there() -> bool:
            titles = [str(fold.title) for fold in app.screen.query("Collapsible")]
            return app.screen is not app.chat and expected in words(app.screen) + "\n".join(titles)

        await until(lambda: there() and laid_out(app.screen))
        await pilot.pause()

    assert snap_compare(AttuneApp(lived_in), terminal_size=size, run_before=before)


@pytest.mark.parametrize(
    ("keys", "dialog"),
    [(("f2", "a", *"Tea"), TextDialog), (("f2", "f"), Confirm), (("escape", "e"), TextDialog)],
    ids=["short-text", "confirm", "text"],
)
def test_dialog(lived_in: FakeRuntime, snap_compare, keys: tuple[str, ...], dialog: type) -> None:
    async def before(pilot: Pilot[None]) -> None:
        app = await chat(pilot)
        app.chat.prompt.focus()
        await pilot.press(keys[0])
        await until(
            lambda: app.screen is app.chat or ("3 memories" in words(app.screen) and laid_out(app.screen))
        )
        await until(lambda: app.focused is app.chat.transcript.newest or app.screen.chosen)
        await pilot.press(keys[1])
        await until(lambda: isinstance(app.screen, dialog) and app.focused is not None)
        await pilot.press(*keys[2:])
        await pilot.pause()

    assert snap_compare(AttuneApp(lived_in), run_before=before)


def test_update_progress(lived_in: FakeRuntime, snap_compare) -> None:
    async def before(pilot: Pilot[None]) -> None:
        app = await chat(pilot)
        lived_in.progress = 0.4
        app.look_again()
        await until(lambda: "40%" in words(app.chat.query_one(StatusLine)))
        await pilot.pause()

    assert snap_compare(AttuneApp(lived_in), run_before=before)
