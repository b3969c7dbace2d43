"""`attune ask`: one reply, or one for each line of stdin, in one process."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Home, Json, Model, ProgressLine, interruptible, note, opened, print_json
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime
    from policies.policy import SamplingParams


def ask(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="What to say.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="A prompt a line from stdin.")] = False,
    as_json: Json = False,
    no_memory: Annotated[
        bool, typer.Option("--no-memory", help="Recall and remember nothing; the talk is kept.")
    ] = False,
    no_card: Annotated[bool, typer.Option("--no-card", help="Do not show the preference card.")] = False,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy; up to 2.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="The longest reply.")] = None,
    seed: Annotated[int | None, typer.Option(help="Draw the same reply again.")] = None,
    home: Home = None,
    model: Model = None,
) -> None:
    """Ask once and print the reply."""
    if (text is None) == (not stdin):
        raise typer.BadParameter("Give a TEXT, or --stdin with a prompt a line, and not both.")
    state = opened(context, home, model)
    progress = ProgressLine()
    with state.runtime(memory=False if no_memory else None, card=False if no_card else None) as runtime:
        sampling = runtime.settings.sampling(
            temperature=temperature, max_new_tokens=max_new_tokens, seed=seed
        )
        runtime.warm(progress)
        progress.done()
        for sentence in runtime.take_notices():
            note(sentence)
        if stdin:
            _many(runtime, sampling, as_json)
        else:
            assert text is not None
            result = answer(runtime, text, sampling, show=not as_json)
            if as_json:
                print_json(result)


def _many(runtime: Runtime, sampling: SamplingParams, as_json: bool) -> None:
    """Every line of stdin gets exactly one line (JSON) or one paragraph; a bad one does not stop the rest."""
    failed = count = 0
    for line in sys.stdin:
        count += 1
        try:
            result = answer(runtime, line.rstrip("\n"), sampling, show=not as_json)
        except AttuneError as wrong:
            failed += 1
            if as_json:
                print_json({"error": str(wrong)})
            else:
                note(f"line {count}: {wrong}")
            continue
        if as_json:
            print_json(result)
    if failed:
        raise AttuneError(f"{failed} of {count} prompts got no reply; the line of each says why.")


def answer(runtime: Runtime, text: str, sampling: SamplingParams, show: bool = False) -> dict[str, Any]:
    """One turn as the JSON object that `ask` prints; `show` writes the reply to stdout as it comes.

    A terminal gets no control and direction characters, which a model may write as well as anybody; a
    pipe gets the reply to the letter.

    Raises AttuneError with the sentence of a turn that failed, KeyboardInterrupt after a cancelled one.
    """
    from agent.documents import sources, sources_line
    from agent.events import Notice, ReplyDone, TextDelta, ToolFinished, TurnFailed
    from agent.tui.plain import clean

    cancel = threading.Event()
    started = time.perf_counter()
    first: float | None = None
    tools: list[dict[str, Any]] = []
    done: ReplyDone | None = None
    failed: str | None = None
    wrote = ""
    shown: Callable[[str], str] = clean if sys.stdout.isatty() else str
    with interruptible(cancel):
        for event in runtime.loop.turn(text, cancel=cancel, sampling=sampling):
            if isinstance(event, TextDelta):
                first = time.perf_counter() if first is None else first
                if show:
                    sys.stdout.write(shown(event.text))
                    sys.stdout.flush()
                wrote = event.text or wrote
            elif isinstance(event, ToolFinished):
                tools.append(
                    {
                        "name": event.name,
                        "arguments": event.arguments,
                        "result": event.result,
                        "ok": event.ok,
                    }
                )
            elif isinstance(event, Notice):
                note(event.text)
            elif isinstance(event, ReplyDone):
                done = event
            elif isinstance(event, TurnFailed):
                failed = event.text
    ended = time.perf_counter()
    if show and wrote and not wrote.endswith("\n"):
        print(flush=True)
    if failed is not None:
        raise AttuneError(failed)
    if done is None or cancel.is_set():
        raise KeyboardInterrupt
    generation = done.generation
    if show and generation.passages:
        note(shown(sources_line(generation.passages)))
    return {
        "reply_id": done.message.id,
        "text": done.message.content,
        "policy": {"base": generation.base, "adapter": generation.adapter},
        "recalled": [
            {"memory_id": memory.memory_id, "text": memory.text, "score": round(memory.score, 4)}
            for memory in generation.recalled
        ],
        "sources": [asdict(source) for source in sources(generation.passages)],
        "tools": tools,
        "usage": {
            "prompt_tokens": len(generation.prompt_ids),
            "completion_tokens": len(generation.completion_ids),
        },
        "timing": {
            "first_token_ms": round(((first or ended) - started) * 1000, 2),
            "total_ms": round((ended - started) * 1000, 2),
        },
        "conversation_id": done.message.conversation_id,
        "finish_reason": generation.finish_reason,
    }
