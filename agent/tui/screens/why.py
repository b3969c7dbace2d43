"""Why a reply is as it is: its memories, its card, its adapter, its exact prompt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Collapsible, Static

from agent.tui import keys
from agent.tui.edge import told
from agent.tui.plain import bar, clean, count, one_line, when
from agent.why import TRIED
from memory.errors import NotFound
from memory.recall.explained import explained
from memory.records import Adapter, CardLine, Generation

if TYPE_CHECKING:
    from agent.runtime import Runtime, Why

TRAINED_ON_SHOWN = 40


class WhyScreen(Screen[None]):
    BINDINGS = keys.WHY
    AUTO_FOCUS = "#why"

    def __init__(self, runtime: Runtime, reply_id: str) -> None:
        super().__init__()
        self.runtime = runtime
        self.reply_id = reply_id

    def compose(self) -> ComposeResult:
        yield Static("Why", markup=False, classes="heading")
        yield VerticalScroll(id="why")
        yield Static(
            "\u2191\u2193 scroll \u00b7 Tab and Enter open a fold \u00b7 Esc back",
            markup=False,
            classes="hint",
        )

    async def on_mount(self) -> None:
        try:
            parts = await asyncio.to_thread(self._explain)
        except NotFound:
            parts = [("", "No reply is here any more: it was forgotten meanwhile.", False)]
        except Exception as error:
            parts = [("", told(error, "why"), False)]
        if not self.is_attached:  # the person has left meanwhile
            return
        widgets: list[Widget] = []
        for title, text, folded in parts:
            body = Static(text, markup=False, classes="rows")
            if folded:
                widgets.append(Collapsible(body, title=title))
            else:
                if title:
                    widgets.append(Static(title, markup=False, classes="section"))
                widgets.append(body)
        await self.query_one(VerticalScroll).mount_all(widgets)

    def action_back(self) -> None:
        self.dismiss(None)

    def _explain(self) -> list[tuple[str, str, bool]]:
        """(title, text, folded) of each part."""
        why = self.runtime.why(self.reply_id)
        made = why.generation
        parts = [("The reply", _reply(why), False)]
        parts.append(("Memories it was shown", _memories(made), False))
        if made.passages:
            parts.append(("Passages of documents it was shown", _passages(made), False))
        parts.append(("Card lines it was shown, with today's evidence", _card(made, why.card), False))
        adapter = self._adapter(made.adapter)
        parts.append(("Adapter", _adapter_text(made, adapter), False))
        if adapter is not None:
            parts.append((f"The ratings {adapter.version} was trained on", self._trained_on(adapter), True))
        parts.append(("Sampling and time", _made(made), False))
        parts.append((f"The exact prompt ({len(made.prompt_ids):,} tokens)", clean(made.prompt_text), True))
        return parts

    def _adapter(self, version: str | None) -> Adapter | None:
        return next((one for one in self.runtime.registry.list() if one.version == version), None)

    def _trained_on(self, adapter: Adapter) -> str:
        """The signals that the adapter's report names; those taken back or erased since are counted."""
        named = (adapter.report.get("trained_on") or {}).get("feedback")
        if named is None:
            return "Its report does not say."
        ids = set(named)
        stand = [entry for entry in self.runtime.journal.signals() if entry[0].id in ids]
        sign = {1: "good", -1: "bad ", 0: "    "}
        lines = []
        for feedback, reply in reversed(stand[-TRAINED_ON_SHOWN:]):
            verdict = sign[feedback.value] if feedback.kind == "thumb" else feedback.kind
            why = f"  ({one_line(feedback.why, 40)})" if feedback.why else ""
            lines.append(f"{verdict}  {one_line(reply.content, 80)}{why}")
        if len(stand) > TRAINED_ON_SHOWN:
            lines.append(f"\u2026 and {len(stand) - TRAINED_ON_SHOWN} older ones")
        if len(ids) > len(stand):
            lines.append(f"{count(len(ids) - len(stand), 'signal')} taken back or erased since")
        return "\n".join(lines) or "On none."


def _reply(why: Why) -> str:
    rating = {1: "rated good", -1: "rated bad"}.get(why.rating.value, "") if why.rating else "not rated"
    reason = f": {clean(why.rating.why)}" if why.rating and why.rating.why else ""
    spoken = when(why.message.created_at)
    return f"\u201c{one_line(why.message.content, 300)}\u201d\n{spoken} \u00b7 {rating}{reason}"


def _memories(made: Generation) -> str:
    lines = []
    for one in made.recalled:
        lines.append(f"{one.score:5.2f} {bar(one.score, 8)}  {one_line(one.text, 200)}")
        if said := explained(one):
            lines.append(f"                {said}")
    return "\n".join(lines) or "None: nothing that it remembers seemed to matter."


def _passages(made: Generation) -> str:
    lines = []
    for number, one in enumerate(made.passages, 1):
        parts = ", ".join(f"{name} {value:.2f}" for name, value in one.parts.items())
        lines.append(f"[{number}] {clean(one.path)}, {one.place}")
        lines.append(f"{one.score:5.2f} {bar(one.score, 8)}  {one_line(one.text, 200)}")
        if parts:
            lines.append(f"                {parts}")
    return "\n".join(lines)


def _card(made: Generation, today: tuple[CardLine, ...]) -> str:
    known = {line.text: line for line in today}
    lines = []
    for text in made.card_lines:
        line = known.get(text)
        lines.append(f"\u25cf {clean(text)}")
        if line is not None:
            state = f"{line.state}, " if line.state != "auto" else ""
            summary = f" \u00b7 {clean(line.summary)}" if line.summary else ""
            lines.append(f"  {state}{line.probability:.0%} sure{summary}")
    if made.trial:  # then there are no other lines
        lines.append(f"  {TRIED}")
    return "\n".join(lines) or "None: the card was empty."


def _adapter_text(made: Generation, adapter: Adapter | None) -> str:
    if made.adapter is None:
        return f"None: {clean(made.base)} as it came."
    if adapter is None:
        return f"{made.adapter}, which is no longer in the registry."
    reasons = "".join(f"\n\u2022 {clean(str(reason))}" for reason in adapter.report.get("reasons", ()))
    return (
        f"{adapter.version} ({adapter.status}), {adapter.algorithm} on {count(adapter.signals, 'signal')}, "
        f"over {clean(made.base)}{reasons}"
    )


def _made(made: Generation) -> str:
    sampling = ", ".join(f"{name} {value}" for name, value in made.sampling.items() if value is not None)
    seconds = made.total_ms / 1000
    speed = f", {len(made.completion_ids) / seconds:.0f} tokens/s" if seconds > 0 else ""
    return (
        f"{sampling}\n"
        f"{count(len(made.prompt_ids), 'prompt token')} ({made.reused_tokens:,} from the cache), "
        f"{count(len(made.completion_ids), 'token')} written, ended by {made.finish_reason}\n"
        f"first token after {made.first_token_ms:.0f} ms, all after {made.total_ms:.0f} ms{speed}"
    )
