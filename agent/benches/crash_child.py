"""The child that `attune bench crash` kills: it chats, rates, trains, promotes, and says what is durable."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from agent.events import ReplyDone, TurnFailed, TurnStarted
from agent.runtime import Runtime
from memory.errors import AttuneError

PROMPTS = ("Tell me about trees.", "What is bread?", "How do bees live?", "Tell me about rivers.")


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def live(home: Path, model: str | None) -> None:
    """One life: ends by itself after an update, if nobody kills it."""
    from policies.update import run_update

    with_model = Runtime.open(home, model=model, memory=False, updates=False)
    try:
        with_model.warm()
        replies = []
        say(phase="chat")
        for text in PROMPTS:
            for event in with_model.loop.turn(text, sampling=with_model.settings.sampling(max_new_tokens=40)):
                if isinstance(event, TurnStarted | ReplyDone):
                    message = event.message
                    say(ack="message", id=message.id, content=message.content)
                if isinstance(event, ReplyDone):
                    replies.append(event.message.id)
                if isinstance(event, TurnFailed):
                    raise AttuneError(event.text)
        say(phase="rating")
        for number, reply_id in enumerate(replies * 3):
            rating = with_model.rate(reply_id, 1 if number % 2 else -1, why="because")
            say(ack="rating", id=rating.id, reply_id=rating.reply_id, value=rating.value)
        say(phase="training")
        say(about="active")
        run_update(home, model)
        active = with_model.active_adapter()
        say(ack="active", version=active.version if active else None)
        say(phase="promotion")
        versions = [adapter.version for adapter in with_model.registry.list()]
        for version in versions[-3:]:
            say(about="active", version=version)
            with_model.use(version)
            say(ack="active", version=version)
        say(about="active")
        say(ack="active", version=with_model.rollback())
    finally:
        with_model.close()


if __name__ == "__main__":
    live(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
