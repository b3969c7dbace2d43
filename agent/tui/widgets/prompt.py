"""Where the person writes: several lines, history at the edges, slash commands completed in a list."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message as Event
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from agent.tui import keys
from agent.tui.plain import clean, editable
from agent.tui.widgets.selection import selected_on

LONGEST = 400_000  # characters; more than this stalls a terminal, and no model here reads a tenth of it
HINT = "Enter sends \u00b7 Ctrl+J new line \u00b7 / commands \u00b7 Tab replies \u00b7 F1 keys"
NARROW = "Enter sends \u00b7 / commands \u00b7 Tab replies \u00b7 F1 keys"  # where there is less room

Complete = Callable[[str], list[tuple[str, str]]]


class Prompt(TextArea):
    """The text area itself. It knows its history and nothing of conversations."""

    BINDINGS = keys.PROMPT

    class Sent(Event):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Event):
        """The person wants to go to the replies."""

    class Interrupted(Event):
        """Ctrl+C with nothing selected in the prompt."""

    class Refused(Event):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__(
            id="prompt",
            soft_wrap=True,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="Say something\u2026",
        )
        self.cursor_blink = False  # calm, and nothing to send over a slow line
        self.earlier: list[str] = []  # oldest first
        self._place: int | None = None  # index into `earlier` while browsing
        self._draft = ""

    @property
    def _list(self) -> Completions:
        return self.screen.query_one(Completions)

    def put(self, text: str) -> None:
        """Replace what is written, with the cursor at its end."""
        self.load_text(editable(text))
        self.move_cursor(self.document.end)

    def action_send(self) -> None:
        chosen = self._list.chosen(self.text)
        if chosen is not None and chosen != self.text.strip():
            self.put(chosen + " ")
            return
        # an Enter typed while the screen was not up yet comes as an empty line; a command is one below it too
        text = self.text.strip("\n")
        if not text.strip():
            return
        self.put("")
        self._place = None
        if not self.earlier or self.earlier[-1] != text:
            self.earlier.append(text)
        self.post_message(self.Sent(text))

    def action_newline(self) -> None:
        self.insert("\n")

    def action_complete(self) -> None:
        chosen = self._list.chosen(self.text)
        if chosen is not None:
            self.put(chosen + " ")
        else:
            self.post_message(self.Left())

    def action_up(self) -> None:
        if self._list.chosen(self.text) is not None:
            self._list.action_cursor_up()
        elif self._at_the_top and self.earlier and self._place != 0:
            if self._place is None:
                self._draft, self._place = self.text, len(self.earlier)
            self._place -= 1
            self.put(self.earlier[self._place])
        else:
            self.action_cursor_up()

    def action_down(self) -> None:
        if self._list.chosen(self.text) is not None:
            self._list.action_cursor_down()
        elif self._at_the_bottom and self._place is not None:
            self._place += 1
            if self._place < len(self.earlier):
                self.put(self.earlier[self._place])
            else:
                self._place = None
                self.put(self._draft)
        else:
            self.action_cursor_down()

    @property
    def _at_the_top(self) -> bool:
        """In the first row on the screen: a long line is wrapped into several."""
        return self.navigator.is_first_wrapped_line(self.cursor_location)

    @property
    def _at_the_bottom(self) -> bool:
        return self.navigator.is_last_wrapped_line(self.cursor_location)

    def action_copy_or_interrupt(self) -> None:
        # what is selected with the mouse in a reply was selected later than what is still marked in here
        if self.selected_text and not selected_on(self.screen):
            self.action_copy()
        else:
            self.post_message(self.Interrupted())

    async def _on_key(self, event: events.Key) -> None:
        """The prompt's own keys, in the order they were typed.

        A priority binding would be taken by the app while the letters before it still wait in this
        widget's queue: on a busy machine Enter then sent half of what was written.
        """
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if binding.id is not None and binding.id.startswith("prompt."):
                event.stop()
                event.prevent_default()
                await self.run_action(binding.action)
                return

    async def _on_paste(self, event: events.Paste) -> None:
        if len(event.text) + len(self.text) > LONGEST:
            event.stop()
            event.prevent_default()
            size = f"That paste has {len(event.text):,} characters; the prompt takes {LONGEST:,}."
            self.post_message(self.Refused(f"{size} Paste a part of it."))
            return
        await super()._on_paste(events.Paste(editable(event.text)))
        event.stop()
        event.prevent_default()


class Completions(OptionList, can_focus=False):
    """The commands that what is written may become; hidden when there are none."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(id="completions", markup=False)
        self._complete = complete
        self._written = ""
        self.display = False

    def offer(self, written: str) -> None:
        """Show what fits `written`: a slash and letters with nothing after them."""
        self._written = written
        written = written.lstrip("\n")
        found = (
            self._complete(written)
            if written.startswith("/") and not written.split("/", 1)[1].count(" ")
            else []
        )
        if "\n" in written or (len(found) == 1 and found[0][0] == written):
            found = []
        self.clear_options()
        width = max((len(name) for name, _ in found), default=0)
        self.add_options([Option(f"{name:<{width}}  {said}", id=name) for name, said in found])
        self.display = bool(found)
        if found:
            self.highlighted = 0

    def chosen(self, written: str) -> str | None:
        """The highlighted command that `written` may become, or None while the list is hidden.

        Keys that come in a burst are ahead of the list, which still offers what the first of them may become.
        """
        if written != self._written:
            self.offer(written)
        if not self.display or self.highlighted is None:
            return None
        return self.get_option_at_index(self.highlighted).id


class PromptBox(Vertical):
    """The prompt with its completion list above it."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(id="prompt-box")
        self._complete = complete

    def compose(self) -> ComposeResult:
        yield Completions(self._complete)
        yield Prompt()

    def on_resize(self) -> None:
        room = self.size.width - 6  # corners, a piece of the border on each side, spaces around the words
        self.query_one(Prompt).border_subtitle = HINT if len(HINT) <= room else NARROW

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self.query_one(Completions).offer(event.text_area.text)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        prompt = self.query_one(Prompt)
        prompt.put(f"{event.option.id} ")
        prompt.focus()

    def say(self, doing: str) -> None:
        """A word on the border about what is going on; empty for nothing."""
        # no markup: it may name a file
        self.query_one(Prompt).border_title = Content(clean(doing))
