"""A life of an agent for the kill -9 test: real journal, ledger and registry; the model is a script.

The adapter that training would have made is given; putting it into the registry and making it speak is real.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from agent.events import ReplyDone, TurnStarted
from tests.agent.scripted import ScriptedPolicy, call, scripted_runtime


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def live(home: Path, adapter: Path, meta: dict[str, Any]) -> None:
    policy = ScriptedPolicy(call("calculator", expression="1+1"), "It is two.", "Trees have leaves. " * 20)
    runtime = scripted_runtime(home, policy, memory=False)
    replies = []
    say(phase="chat")
    for number in range(12):
        for event in runtime.loop.turn(f"Question {number}."):
            if isinstance(event, TurnStarted | ReplyDone):
                say(ack="message", id=event.message.id, content=event.message.content)
            if isinstance(event, ReplyDone):
                replies.append(event.message.id)
    say(phase="rating")
    for number in range(40):
        rating = runtime.rate(replies[number % len(replies)], 1 if number % 3 else -1, "because")
        say(ack="rating", id=rating.id, reply_id=rating.reply_id, value=rating.value)
    say(phase="training")
    made = [runtime.registry.add(adapter, meta).version for _ in range(4)]
    say(phase="promotion")
    for version in made * 3:
        say(about="active", version=version)
        runtime.registry.set_status(version, "promoted")
        runtime.use(version)
        say(ack="active", version=version)
    say(about="active", version=made[-2])
    say(ack="active", version=runtime.rollback())
    runtime.close()


if __name__ == "__main__":
    live(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
