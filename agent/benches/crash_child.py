"""The child that `attune bench crash` kills: it chats, rates, trains, promotes, and says what is durable."""

from __future__ import annotations

from pathlib import Path

from agent.events import ReplyDone, TurnFailed, TurnStarted
from agent.runtime import Runtime
from env.bench.crash_store import say
from memory.errors import AttuneError

PROMPTS = ("Tell me about trees.", "What is bread?", "How do bees live?", "Tell me about rivers.")


def live(home: Path, only: str | None = None, model: str | None = None) -> None:
    """One life, of all phases or of one; ends by itself if nobody kills it."""
    runtime = Runtime.open(home, model=model, memory=False, updates=False)
    try:
        # an update loads the model for itself, and a thumb needs none
        if only not in ("rating", "training"):
            runtime.warm()
        for name, work in PHASES.items():
            if only in (None, name):
                say(phase=name)
                work(runtime)
    finally:
        runtime.close()


def chat(runtime: Runtime) -> None:
    for text in PROMPTS:
        for event in runtime.loop.turn(text, sampling=runtime.settings.sampling(max_new_tokens=40)):
            if isinstance(event, TurnStarted | ReplyDone):
                say(ack="message", id=event.message.id, content=event.message.content)
            if isinstance(event, TurnFailed):
                raise AttuneError(event.text)


def rate(runtime: Runtime) -> None:
    replies = [
        one.id for talk in runtime.journal.conversations() for one in runtime.journal.replies_of(talk.id)
    ]
    for number, reply_id in enumerate(replies[:4] * 3):
        rating = runtime.rate(reply_id, 1 if number % 2 else -1, why="because")
        say(ack="rating", id=rating.id, reply_id=rating.reply_id, value=rating.value)


def train(runtime: Runtime) -> None:
    from policies.update.job import run_update

    say(about="active")
    run_update(runtime.home, runtime.settings.model)
    active = runtime.active_adapter()
    say(ack="active", version=active.version if active else None)


def promote(runtime: Runtime) -> None:
    for adapter in runtime.registry.list()[-3:]:
        say(about="active", version=adapter.version)
        runtime.use(adapter.version)
        say(ack="active", version=adapter.version)
    say(about="active")
    say(ack="active", version=runtime.rollback())


PHASES = {"chat": chat, "rating": rate, "training": train, "promotion": promote}
