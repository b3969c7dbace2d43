"""Slash commands, without any screen in them.

`run(runtime, line, context)` does what can be done without a screen and returns what to show and what
the face should do next. `completions(prefix)` serves the completion list.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from memory.errors import AttuneError
from memory.text import BIDI

if TYPE_CHECKING:
    from agent.runtime import Runtime
    from memory.records import Message

CITED = 50  # characters of a reply that a sentence names

# What a face does after a command:
#   none       show `text` (it may be empty)
#   new        start an empty conversation           sessions   open the list of conversations
#   memory / policy / card / help                    open that screen (`text` holds the plain answer)
#   why        open Why for reply `argument`         model      load base `argument` ("" is sprout)
#   train      an update was started (poll it)       regenerate reply `argument` again (loop.regenerate)
#   copy       put `argument` on the clipboard       quit       leave
#   rated      reply `argument` has a new rating     picked     reply `argument` was picked
Action = Literal[
    "none", "new", "sessions", "memory", "policy", "card", "help", "why", "model", "train", "regenerate",
    "copy", "quit", "rated", "picked",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Where the person is: the conversation, and the reply in focus (else the newest one)."""

    conversation_id: str | None = None
    reply_id: str | None = None
    # For commands that take a while: progress(share, what), and whether to stop.
    progress: Callable[[float, str], None] | None = None
    cancelled: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """`text` for the person; `action` and `argument` for the face."""

    text: str
    action: Action = "none"
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """`usage` is what stands after the name; `act` gets the rest of the line."""

    name: str
    help: str
    act: Callable[[Runtime, str, CommandContext], CommandResult]
    usage: str = ""


def completions(prefix: str) -> list[tuple[str, str]]:
    """(command, one line of help) for every command that starts with `prefix` ("/" shows all)."""
    return [
        (command.name, command.help) for command in COMMANDS if command.name.startswith(prefix.casefold())
    ]


def usages() -> list[tuple[str, str, str]]:
    """(command, one line of help, what may stand after it) for every command."""
    return [(command.name, command.help, command.usage) for command in COMMANDS]


def run(runtime: Runtime, line: str, context: CommandContext) -> CommandResult:
    """Run one line that starts with "/". AttuneError holds the sentence for what cannot be done."""
    name, _, rest = line.strip().partition(" ")
    command = BY_NAME.get(name.casefold())
    if command is None:
        near = difflib.get_close_matches(name.casefold(), BY_NAME, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "/help lists the commands."
        raise AttuneError(f"There is no command {name[:40]}; {hint}")
    return command.act(runtime, rest.strip(), context)


def _reply(runtime: Runtime, context: CommandContext) -> str:
    """The reply in focus, else the newest one of the conversation's branch."""
    shown = _shown(runtime, context)
    if shown is None:
        raise AttuneError("There is no reply yet; say something first.")
    return shown


def _shown(runtime: Runtime, context: CommandContext) -> str | None:
    if context.reply_id is not None:
        return context.reply_id
    if context.conversation_id is not None:
        head = runtime.journal.conversation(context.conversation_id).head_id
        for message in reversed(runtime.journal.path(head) if head else []):
            if message.role == "assistant":
                return message.id
    return None


def _help(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    width = max(len(f"{command.name} {command.usage}") for command in COMMANDS)
    lines = [f"{f'{command.name} {command.usage}':<{width}}  {command.help}" for command in COMMANDS]
    return CommandResult("\n".join(lines), "help")


def _face(action: Action, text: str = "") -> Callable[[Runtime, str, CommandContext], CommandResult]:
    """A command that only tells the face what to open."""
    return lambda runtime, rest, context: CommandResult(text, action, rest)


def _model(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    if not rest:
        return CommandResult(
            f"{runtime.model_name} speaks. /model NAME takes a hub id or a folder; sprout is ours."
        )
    return CommandResult(f"Loading {rest}.", "model", "" if rest == "sprout" else rest)


def _train(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    if rest == "cancel":
        stopped = runtime.cancel_update()
        return CommandResult("The update is being stopped." if stopped else "No update is running.")
    if rest not in ("", "auto", "kto", "dpo", "ppo", "grpo", "sft"):
        raise AttuneError("Choose /train auto, /train kto, dpo, ppo, grpo or sft, or /train cancel.")
    runtime.start_update(rest or "auto")
    return CommandResult("The update has started; you can go on talking.", "train")


def _card(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    verb, _, what = rest.partition(" ")
    if verb == "pin" and what:
        return CommandResult(f"Pinned: {runtime.card.pin(what.strip()).text}", "card")
    if verb == "strike" and what:
        return CommandResult(f"Struck: {runtime.card.strike(what.strip()).text}", "card")
    if verb == "reset" and what:
        return CommandResult(reset_line(runtime, what.strip())[2], "card")
    if rest:
        raise AttuneError("Use /card, /card pin LINE, /card strike LINE or /card reset LINE.")
    return CommandResult(card_text(runtime), "card")


def reset_line(runtime: Runtime, what: str) -> tuple[str, str, str]:
    """Leave a card line to the ratings: (its feature, its state now, the sentence). A line of the owner's own
    has no ratings to follow, so it is deleted."""
    from memory.taste.preferences import OWN

    line = runtime.card.line(what)
    runtime.card.reset(line.feature)
    if line.feature.startswith(OWN):
        return line.feature, "deleted", f"Your line is deleted: {line.text}"
    return line.feature, "auto", "That line follows your ratings again."


def card_text(runtime: Runtime) -> str:
    """The card in plain text: what is on it, and why."""
    lines = [line for line in runtime.card.lines() if line.active or line.state != "auto"]
    if not lines:
        return "The card is empty; rate replies and it fills."
    return "\n".join(
        f"{'+' if line.active else '-'} {line.text}  ({line.state}; {line.summary})" for line in lines
    )


def _policy(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    verb, _, version = rest.partition(" ")
    if verb == "use" and version:
        now = runtime.use(None if version.strip() == "base" else version.strip())
    elif verb == "rollback":
        now = runtime.rollback()
    elif rest:
        raise AttuneError("Use /policy, /policy use VERSION (or base) or /policy rollback.")
    else:
        made = runtime.registry.list(runtime.base_sha256)
        if not made:
            return CommandResult("There is no adapter yet; the base speaks.", "policy")
        lines = [
            f"{'*' if one.active else ' '} {one.version} {one.status}, {one.signals} signals" for one in made
        ]
        return CommandResult("\n".join(lines), "policy")
    return CommandResult(f"{now or 'The base'} speaks from the next reply on.")


def _memory(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    if not rest:
        return CommandResult("", "memory")
    if rest.casefold() in ("yes", "no"):
        asked = runtime.facts.asked()
        if asked is None:
            raise AttuneError("There is no open question about a memory.")
        if rest.casefold() == "yes":
            return CommandResult(f"Kept: {runtime.facts.confirm(asked.id).text}", "none", asked.id)
        return CommandResult(f"Taken back: {runtime.facts.retract(asked.id).text}", "none", asked.id)
    found = runtime.recall.search(rest, k=runtime.settings.recall_k)
    return CommandResult("\n".join(f"- {one.text}" for one in found) or "Nothing found.", "none", rest)


def _learn(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    from agent.documents import follow

    return CommandResult(follow(runtime, rest, context.progress, context.cancelled))


def _forget(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    from agent.forget import follow

    text, action = follow(runtime, rest, context.conversation_id, lambda: _reply(runtime, context))
    return CommandResult(text, action)


def _rate(value: int) -> Callable[[Runtime, str, CommandContext], CommandResult]:
    def act(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
        reply_id = _reply(runtime, context)
        before = runtime.journal.effective(reply_id)
        # the same thumb once more takes back no reason that was given with the first
        if rest or before is None or before.value != value:
            runtime.rate(reply_id, value, why=rest or None)
        said = {1: "Rated good.", -1: "Rated bad.", 0: "The rating is taken back."}[value]
        return CommandResult(said, "rated", reply_id)

    return act


def _undo(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    """The newest thumb of this conversation, whichever reply is in focus, if nothing newer is an edit or a
    pick: those are only ever forgotten, and whoever means one is not to lose another rating instead."""
    journal, here = runtime.journal, context.conversation_id
    if here is None and context.reply_id is not None:
        here = journal.message(context.reply_id).conversation_id
    if here is None:
        raise AttuneError("Open the conversation first (/sessions lists them); /undo touches no other one.")
    newest = [(event, reply) for event, reply in journal.signals() if reply.conversation_id == here][-1:]
    if not newest:
        raise AttuneError("There is no rating to take back.")
    [(event, reply)] = newest
    if event.kind != "thumb":
        # a pick may be about an earlier part of an answer than the one that /forget rating is about
        reached = _shown(runtime, context) == reply.id
        how = "/forget rating" if reached else f"`attune forget rating {reply.id}`"
        what = "your edit of" if event.kind == "edit" else "the pick of"
        raise AttuneError(
            f"The newest rating here is {what} {_cited(reply)}, which /undo does not take back; {how} "
            "forgets it, with all else that you thought of that reply."
        )
    runtime.rate(reply.id, 0)
    thumb = "up" if event.value > 0 else "down"
    return CommandResult(f"Taken back: the thumb {thumb} on {_cited(reply)}", "rated", reply.id)


def _cited(reply: Message) -> str:
    """The beginning of a reply, in quotes and on one line."""
    text = BIDI.sub("", " ".join(reply.content.split()))
    if not text:  # such as the part of an answer that only asks for a tool
        return "a reply without words"
    if len(text) > CITED:
        text = f"{text[: CITED - 1]}\u2026"
    return f"\u201c{text}\u201d"


def _pick(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    reply_id = _reply(runtime, context)
    chosen, others = _fork(runtime, reply_id)
    if not others:
        raise AttuneError("There is only one reply to this message; /regenerate makes another to pick from.")
    for other in others:
        runtime.pick(chosen, other)
    return CommandResult("Picked: this reply is better than its siblings.", "picked", reply_id)


def _fork(runtime: Runtime, reply_id: str) -> tuple[str, list[str]]:
    """(the part of this answer that has siblings, those siblings).

    An answer that used tools is several messages: the siblings of the whole answer may stand beside an
    earlier one of them than the reply at its end.
    """
    node = runtime.journal.message(reply_id)
    while True:
        others = [one.id for one in runtime.journal.siblings(node.id) if one.id != node.id]
        if (others and node.role == "assistant") or node.role == "user" or node.parent_id is None:
            return node.id, others if node.role == "assistant" else []
        node = runtime.journal.message(node.parent_id)


def _edit(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    if not rest:
        raise AttuneError("Write the better reply after /edit.")
    reply_id = _reply(runtime, context)
    runtime.edit_reply(reply_id, rest)
    return CommandResult("Saved: your version teaches the next update.", "rated", reply_id)


def _copy(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    text = runtime.journal.message(_reply(runtime, context)).content
    return CommandResult("The reply is copied.", "copy", text)


def _export(runtime: Runtime, rest: str, context: CommandContext) -> CommandResult:
    from agent.export import amounts, export

    if not rest:
        raise AttuneError("Name a file: /export talk.md or /export all.jsonl.")
    counts = export(runtime.journal, Path(rest).expanduser())
    return CommandResult(f"Written to {rest}: {amounts(counts)}.")


def _on_reply(action: Action) -> Callable[[Runtime, str, CommandContext], CommandResult]:
    return lambda runtime, rest, context: CommandResult("", action, _reply(runtime, context))


COMMANDS = (
    Command("/help", "what can be done here", _help),
    Command("/new", "start a new conversation", _face("new")),
    Command("/sessions", "earlier conversations", _face("sessions")),
    Command("/model", "show or change the base model", _model, "[NAME]"),
    Command("/train", "learn from the ratings now, or stop", _train, "[auto|kto|dpo|ppo|grpo|sft|cancel]"),
    Command("/card", "the preference card", _card, "[pin|strike|reset LINE]"),
    Command("/memory", "search, edit and forget memories", _memory, "[QUERY|yes|no]"),
    Command(
        "/learn", "read files and folders, list them, forget them", _learn, "[PATH\u2026|list|forget PATH]"
    ),
    Command(
        "/forget", "take something out for good", _forget, "[rating|conversation|memory ID|retrain|purge]"
    ),
    Command("/policy", "adapter versions, use and roll back", _policy, "[use V|rollback]"),
    Command("/why", "what this reply was made of", _on_reply("why")),
    Command("/good", "rate the reply up", _rate(1), "[why]"),
    Command("/bad", "rate the reply down", _rate(-1), "[why]"),
    Command("/undo", "take the newest thumb back", _undo),
    Command("/edit", "give a better version of the reply", _edit, "TEXT"),
    Command("/regenerate", "another reply to the same message", _on_reply("regenerate")),
    Command("/pick", "this reply is the best of its siblings", _pick),
    Command("/copy", "copy the reply", _copy),
    Command("/export", "write all that is yours here to a file, to read (.md) or to import", _export, "FILE"),
    Command("/quit", "leave", _face("quit")),
)
BY_NAME = {command.name: command for command in COMMANDS} | {"/exit": COMMANDS[-1]}
