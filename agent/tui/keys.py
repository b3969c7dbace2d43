"""Every key in one place: what it does, where it holds, and under which id `App.set_keymap` may move it.

No bare letter, digit or sign rates anything while the person types: those hold only on a focused reply.
In the prompt, Ctrl+G and Ctrl+B (plain control codes, which every terminal delivers over SSH) rate the
newest reply; Alt+Up and Alt+Down are the same for people whose Ctrl+B belongs to tmux.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType


def key(keys: str, action: str, said: str, name: str, *, priority: bool = False) -> Binding:
    return Binding(keys, action, said, show=False, id=name, priority=priority)


APP: list[BindingType] = [
    key("f1", "show_help", "keys and commands", "app.help"),
    key("f2", "show_memory", "memory", "app.memory"),
    key("f3", "show_policy", "policy: versions and learning", "app.policy"),
    key("f4", "show_sessions", "conversations", "app.sessions"),
    key("f5", "show_card", "card: what it believes about your taste", "app.card"),
    key("ctrl+q", "quit", "quit", "app.quit", priority=True),
]

CHAT: list[BindingType] = [
    key("escape", "escape", "stop the reply; else go to the replies and back", "chat.escape"),
    key("ctrl+n", "new", "new conversation", "chat.new"),
    key("ctrl+g,alt+up", "rate_newest(1)", "newest reply is good", "chat.good"),
    key("ctrl+b,alt+down", "rate_newest(-1)", "newest reply is bad", "chat.bad"),
    key("ctrl+r", "regenerate_newest", "newest reply once more", "chat.regenerate"),
    key("ctrl+o", "why_newest", "why the newest reply is as it is", "chat.why"),
    key("pageup", "page(-1)", "scroll up", "chat.page_up", priority=True),
    key("pagedown", "page(1)", "scroll down", "chat.page_down", priority=True),
    key("ctrl+c", "interrupt", "copy, stop, clear, or (twice) quit", "chat.interrupt"),
]

PROMPT: list[BindingType] = [
    key("enter", "send", "send", "prompt.send"),
    key("shift+enter,ctrl+j,alt+enter", "newline", "new line", "prompt.newline"),
    key("up", "up", "earlier prompt, from the first line", "prompt.up"),
    key("down", "down", "later prompt, from the last line", "prompt.down"),
    key("tab", "complete", "complete a command, else go to the replies", "prompt.complete"),
    key("ctrl+c", "copy_or_interrupt", "copy what is selected, else stop", "prompt.interrupt"),
]

REPLY: list[BindingType] = [
    key("plus,equals_sign", "rate(1)", "good", "reply.good"),
    key("minus", "rate(-1)", "bad", "reply.bad"),
    key("u", "rate(0)", "undo the rating", "reply.undo"),
    key("b", "bad_why", "bad, and say why", "reply.bad_why"),
    key("r", "ask('regenerate')", "once more", "reply.regenerate"),
    key("p", "ask('pick')", "pick this one over its siblings", "reply.pick"),
    key("left,h", "step(-1)", "the sibling before", "reply.previous_sibling"),
    key("right,l", "step(1)", "the sibling after", "reply.next_sibling"),
    key("c", "ask('copy')", "copy", "reply.copy"),
    key("e", "ask('edit')", "write it better", "reply.edit"),
    key("w,question_mark", "ask('why')", "why", "reply.why"),
    key("up,k", "move(-1)", "the message above", "reply.up"),
    key("down,j", "move(1)", "the message below", "reply.down"),
    key("enter,i", "ask('leave')", "back to the prompt", "reply.leave"),
]

TURN: list[BindingType] = [
    key("e", "ask('edit')", "change it and ask again", "turn.edit"),
    key("c", "ask('copy')", "copy", "turn.copy"),
    key("left,h", "step(-1)", "the branch before", "turn.previous_sibling"),
    key("right,l", "step(1)", "the branch after", "turn.next_sibling"),
    key("up,k", "move(-1)", "the message above", "turn.up"),
    key("down,j", "move(1)", "the message below", "turn.down"),
    key("enter,i", "ask('leave')", "back to the prompt", "turn.leave"),
]

PAIR: list[BindingType] = [
    key("1", "choose('first')", "the first is better", "pair.first"),
    key("2", "choose('second')", "the second is better", "pair.second"),
    key("equals_sign", "choose('alike')", "they are alike", "pair.alike"),
    key("x", "choose('both bad')", "both are bad", "pair.both_bad"),
    key("s", "choose('')", "leave it open", "pair.skip"),
    key("up,k", "move(-1)", "the message above", "pair.up"),
    key("down,j", "move(1)", "the message below", "pair.down"),
    key("enter,i", "ask('leave')", "back to the prompt", "pair.leave"),
]

BACK = key("escape,q", "back", "back", "screen.back")

MEMORY: list[BindingType] = [
    key("slash", "search", "search", "memory.search"),
    key("a", "add", "add", "memory.add"),
    key("e,enter", "edit", "edit", "memory.edit"),
    key("x", "retract", "not true", "memory.retract"),
    key("y", "confirm", "what was inferred is so", "memory.confirm"),
    key("f,delete", "forget", "forget", "memory.forget"),
    key("escape", "leave", "back", "memory.back"),
]

POLICY: list[BindingType] = [
    key("u,enter", "use", "use this version", "policy.use"),
    key("r", "rollback", "roll back to the one before", "policy.rollback"),
    key("b", "base", "use the base model alone", "policy.base"),
    key("t", "train", "train now", "policy.train"),
    key("x", "cancel_update", "stop the update", "policy.cancel"),
    key("tab", "app.focus_next", "to the report and back", "policy.report"),
    BACK,
]

CARD: list[BindingType] = [
    key("p,enter", "pin", "pin to the card", "card.pin"),
    key("s", "strike", "strike from the card", "card.strike"),
    key("x", "reset", "leave it to the ratings; delete a line of your own", "card.reset"),
    key("a", "add", "add a line of your own", "card.add"),
    key("e", "edit", "say it in your words", "card.edit"),
    BACK,
]

SESSIONS: list[BindingType] = [
    key("slash", "search", "search", "sessions.search"),
    key("n", "new", "new", "sessions.new"),
    key("r", "rename", "rename", "sessions.rename"),
    key("d,delete", "delete", "delete", "sessions.delete"),
    key("escape", "leave", "back", "sessions.back"),
]

DIALOG: list[BindingType] = [
    key("escape", "cancel", "leave it", "dialog.cancel"),
    key("ctrl+s", "save", "save", "dialog.save"),
]

CONFIRM: list[BindingType] = [
    key("y", "answer(True)", "yes", "confirm.yes"),
    key("n,escape", "answer(False)", "no", "confirm.no"),
    key("left,right", "other", "the other button", "confirm.other"),
]

EARLIER: list[BindingType] = [key("enter", "more", "show earlier messages", "transcript.earlier")]

WHY: list[BindingType] = [BACK]

HELP: list[BindingType] = [BACK]

TABLES: dict[str, list[BindingType]] = {
    "In the prompt": PROMPT,
    "Anywhere in the chat": CHAT,
    "On a reply (Esc or Tab goes there)": REPLY,
    "On two replies (Esc or Tab goes there)": PAIR,
    "On your own message": TURN,
    "Screens": APP,
    "Memory": MEMORY,
    "Policy": POLICY,
    "Card": CARD,
    "Conversations": SESSIONS,
}

SIGNS = {
    "plus": "+",
    "equals_sign": "=",
    "minus": "-",
    "question_mark": "?",
    "slash": "/",
    "escape": "Esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "delete": "Del",
    "left": "\u2190",
    "right": "\u2192",
    "up": "\u2191",
    "down": "\u2193",
}


def table(title: str) -> list[Binding]:
    """The keys of one of TABLES, but for the one that leads back."""
    return [one for one in TABLES[title] if isinstance(one, Binding) and one is not BACK]


def written(keys: str) -> str:
    """`ctrl+g,alt+up` as a person reads it: `Ctrl+G Alt+\u2191`."""
    return " ".join(
        "+".join(
            SIGNS.get(part, part.title() if len(part) > 1 or "+" in one else part) for part in one.split("+")
        )
        for one in keys.split(",")
    )
