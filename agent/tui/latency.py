"""How long a key takes to be on the screen, as the bench measures it."""

from __future__ import annotations

import asyncio
import itertools
import time

from textual import events

from agent.tui.app import AttuneApp
from agent.tui.widgets.prompt import Prompt

LETTERS = "the quick brown fox jumps over the lazy dog "
PER_LINE = 60  # then the prompt is emptied, so that it stays as short as prompts are


async def keypress_latencies(
    app: AttuneApp, n: int, pause: float = 0.02, timeout: float = 5.0
) -> list[float]:
    """Milliseconds from each of `n` key presses to the refreshed screen that shows it.

    `app` runs (under `run_test` or in a terminal) with the chat in front. A key takes the way that the
    driver's keys take; it counts as shown when the prompt holds it and the screen was refreshed after.
    `pause` seconds lie between two keys, as between those of a fast typist. TimeoutError when a key
    never arrives. The prompt's own text is put back afterwards.
    """
    prompt = app.chat.query_one(Prompt)
    kept, measured = prompt.text, []
    prompt.put("")
    prompt.focus()
    await _refreshed(prompt, timeout)
    try:
        for letter in itertools.islice(itertools.cycle(LETTERS), n):
            if len(prompt.text) >= PER_LINE:
                prompt.put("")
                await _refreshed(prompt, timeout)
            before = prompt.text
            started = time.perf_counter()
            key = "space" if letter == " " else letter
            app.post_message(events.Key(key, letter))
            while prompt.text == before:
                if time.perf_counter() - started > timeout:
                    raise TimeoutError(f"a key was not on the screen after {timeout:g} s")
                await asyncio.sleep(0.0005)
            await _refreshed(prompt, timeout)
            measured.append(1000 * (time.perf_counter() - started))
            await asyncio.sleep(pause)
    finally:
        prompt.put(kept)
    return measured


async def _refreshed(prompt: Prompt, timeout: float) -> None:
    """Wait until all that the prompt has to do is done and drawn."""
    drawn = asyncio.Event()
    prompt.call_after_refresh(drawn.set)
    await asyncio.wait_for(drawn.wait(), timeout)
