"""Real forgetting, without a screen: what goes, which adapters still know it, and how they go too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from memory.errors import AttuneError
from memory.forgetting import erase, lineage

if TYPE_CHECKING:
    from agent.runtime import Runtime

Face = Literal["none", "new", "train"]
KINDS = ("rating", "conversation", "memory")
STEP_DOWN = "steps down until an adapter is trained without what was forgotten"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one act of forgetting took away, and what it marked.

    `counts` is how many of each there were ("replies", "ratings", "memories"), `memories_left` how many were
    learned in a forgotten conversation and stay. `marked` are the adapters that this act marked.
    """

    kind: str
    id: str
    counts: dict[str, int]
    marked: tuple[str, ...]
    memories_left: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "id": self.id,
            "forgotten": self.counts,
            "memories_left": self.memories_left,
            "marked": list(self.marked),
        }

    def text(self) -> str:
        parts = [_count(number, what) for what, number in self.counts.items() if number]
        said = f"Forgotten: {', '.join(parts) or f'that {self.kind}, which had no rating'}."
        if self.memories_left:
            left = _count(self.memories_left, "memories")
            said += f" {left} learned in it {_stays(self.memories_left)}: see `attune memory list`."
        return said


def question(runtime: Runtime, kind: str, what: str) -> str:
    """What is asked before it is done. NotFound when there is no such thing in this home."""
    if kind == "rating":
        given = [one for one in runtime.journal.feedback() if what in (one.reply_id, one.other_id)]
        runtime.journal.generation(what)
        return f"Forget for good what you thought of this reply ({_count(len(given), 'ratings')})?"
    if kind == "conversation":
        found = runtime.journal.conversation(what)
        replies = len(runtime.journal.replies_of(what))
        title = found.title or "untitled"
        return (
            f"Forget the conversation \u201c{title}\u201d for good, {_count(replies, 'replies')} and ratings?"
        )
    text = runtime.facts.get(what).text
    return f"Forget this for good, in conversations, backups and logs as well: \u201c{text}\u201d?"


def forget(runtime: Runtime, kind: str, what: str) -> Forgotten:
    """Forget a rating (by reply id), a conversation or a memory. NotFound when there is no such thing."""
    before = {adapter.version: adapter.forgotten for adapter in runtime.registry.marked()}
    left = 0
    if kind == "rating":
        counts = {"ratings": erase.forget_rating(runtime.journal, what)}
    elif kind == "conversation":
        gone = erase.forget_conversation(runtime.journal, what)
        counts, left = {"replies": gone.replies, "ratings": gone.ratings}, gone.memories_left
    elif kind == "memory":
        counts = {"memories": len(erase.forget_memory(runtime.recall, runtime.journal, what))}
    else:
        raise AttuneError(f"A {kind} cannot be forgotten; {', '.join(KINDS)} can.")
    marked = [
        adapter.version
        for adapter in runtime.registry.marked()
        if adapter.forgotten != before.get(adapter.version)
    ]
    return Forgotten(kind, what, counts, tuple(marked), left)


def standing(runtime: Runtime) -> list[str]:
    """What there is to know of marked adapters, a sentence each; first what to do about the active one."""
    active, marked = runtime.active_adapter(), runtime.registry.marked()
    lines = [lineage.what_to_do(active)] if active is not None and active.forgotten else []
    silent = [one for one in marked if active is None or one.version != active.version]
    lines += [f"{one.version} was {lineage.mark(one)}; it does not speak." for one in silent]
    if silent:
        lines.append("`attune forget --purge` deletes marked adapters that do not speak, files and all.")
    return lines


def step_down(runtime: Runtime) -> str | None:
    """Let the base speak if the active adapter is marked: the version that stepped down, else None.

    Done before a retraining and not after it, so that a process that dies in between, a verdict of the gate
    or a ledger with nothing left to learn from never leaves a marked adapter speaking.
    """
    active = runtime.active_adapter()
    if active is None or not active.forgotten:
        return None
    runtime.use(None, f"{active.version} {STEP_DOWN}")
    return active.version


def purge(runtime: Runtime) -> list[str]:
    """Delete the marked adapters for good. AttuneError when one of them speaks and nothing else is marked."""
    gone = runtime.registry.purge()
    active = runtime.active_adapter()
    if not gone and active is not None and active.forgotten:
        raise AttuneError(lineage.what_to_do(active))
    return gone


def follow(runtime: Runtime, rest: str, here: str | None, reply: Callable[[], str]) -> tuple[str, Face]:
    """The slash command: (what to say, "new" | "train" | "none" for the face).

    `here` is the open conversation, `reply` gives the reply in focus. Without "yes" at its end it only asks.
    """
    words = rest.split()
    sure = words[-1:] == ["yes"]
    verb, arguments = (words[0] if words else ""), words[1 : -1 if sure else None]
    if verb == "retrain":
        stepped = step_down(runtime)
        try:
            runtime.start_update("auto")
        except AttuneError as refused:
            if stepped is None:
                raise
            return f"{refused} The base speaks, in the place of {stepped}.", "none"
        until = f" The base speaks until then, in the place of {stepped}." if stepped else ""
        return f"The update has started without what was forgotten.{until}", "train"
    if verb == "purge":
        gone = purge(runtime)
        return (f"Deleted for good: {', '.join(gone)}." if gone else "No adapter is marked."), "none"
    if verb == "rating" and not arguments:
        what = reply()
    elif verb == "conversation" and not arguments and here is not None:
        what = here
    elif verb == "memory" and len(arguments) == 1:
        what = arguments[0]
    elif not words:
        return "\n".join(standing(runtime)) or "No adapter knows anything that you forgot.", "none"
    else:
        raise AttuneError(
            "Use /forget rating, /forget conversation, /forget memory ID, /forget retrain or /forget purge."
        )
    if not sure:
        named = f" {what}" if verb == "memory" else ""
        return f"{question(runtime, verb, what)} /forget {verb}{named} yes does it.", "none"
    text = forget(runtime, verb, what).text()
    return "\n".join([text, *standing(runtime)]), "new" if verb == "conversation" else "none"


def _count(number: int, many: str) -> str:
    one = {"replies": "reply", "ratings": "rating", "memories": "memory"}[many]
    return f"{number} {one if number == 1 else many}"


def _stays(number: int) -> str:
    return "stays" if number == 1 else "stay"
