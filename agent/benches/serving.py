"""`attune bench serving`: the running agent, with its model in the child process as in the chat."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent import prompt
from agent.config import Settings, defaults
from agent.events import ReplyDone, TextDelta, TurnFailed
from agent.runtime import Runtime
from agent.turn import SCHEMAS
from env.bench import serving as bench
from env.bench.errors import BenchError
from memory.errors import AttuneError

Progress = Callable[[float, str], None]
RATED = 16
PRESSES, QUICK_PRESSES = 200, 40
WAIT_SECONDS = 120.0
TICK = 0.02


class RunningAgent:
    """The Agent of `env.bench.serving` over a runtime as the terminal screen uses it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._conversation: str | None = None

    def prime(self, prompts: Sequence[str]) -> None:
        """Give the ledger something to train on: replies, rated in turn."""
        for number, text in enumerate(prompts):
            self.new_conversation()
            done = self._turn(text)[0]
            self.runtime.rate(done.message.id, 1 if number % 2 else -1, source="serving bench")

    def new_conversation(self) -> None:
        self._conversation = None

    def turn(self, text: str) -> bench.Turn:
        started = time.perf_counter()
        done, first = self._turn(text)
        ended = time.perf_counter()
        return bench.Turn((first - started) * 1000, self._tokens(done), (ended - started) * 1000)

    def _turn(self, text: str) -> tuple[ReplyDone, float]:
        first: float | None = None
        done: ReplyDone | None = None
        for event in self.runtime.loop.turn(text, self._conversation):
            if isinstance(event, TextDelta) and first is None:
                first = time.perf_counter()
            elif isinstance(event, TurnFailed):
                raise AttuneError(event.text)
            elif isinstance(event, ReplyDone):
                done = event
        if done is None:
            raise AttuneError("The turn ended without a reply.")
        self._conversation = done.message.conversation_id
        return done, first or time.perf_counter()

    def _tokens(self, done: ReplyDone) -> int:
        """Of all the generations of the turn: those before a tool's result count too."""
        journal, total = self.runtime.journal, 0
        for message in reversed(journal.path(done.message.id)):
            if message.role == "user":
                break
            if message.role == "assistant":
                total += len(journal.generation(message.id).completion_ids)
        return total

    def start_training(self) -> None:
        self.runtime.start_update("kto")

    def training_running(self) -> bool:
        self.runtime.poll_update()
        return self.runtime.clock.updating

    def stop_training(self) -> None:
        self.runtime.cancel_update()
        _until(lambda: not self.training_running(), "The update did not stop")


class BareModel:
    """A `model.generate` loop on the same prompts, as anyone would write it with transformers."""

    def __init__(self, model: str | None, settings: Settings) -> None:
        from policies.base_models import resolve
        from policies.language_policy import LanguagePolicy

        self._policy = LanguagePolicy(resolve(model), device=settings.device)
        self._settings = settings

    def tokens_per_s(self, prompts: Sequence[str]) -> float:
        import torch

        policy, settings = self._policy, self._settings
        made, started = 0, time.perf_counter()
        for text in prompts:
            messages = [
                {"role": "system", "content": prompt.PERSONA},
                {"role": "user", "content": text},
            ]
            rendered = policy.prompt_text(messages, SCHEMAS)
            inputs = policy.tokenizer(rendered, return_tensors="pt", add_special_tokens=False)
            inputs = {name: inputs[name].to(policy.device) for name in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                out = policy.model.generate(
                    **inputs,
                    do_sample=settings.temperature > 0,
                    temperature=settings.temperature or None,
                    top_p=settings.top_p,
                    max_new_tokens=settings.max_new_tokens,
                    eos_token_id=sorted(policy.stop_ids),
                    pad_token_id=policy.tokenizer.pad_token_id,
                )
            made += out.shape[1] - inputs["input_ids"].shape[1]
        return made / (time.perf_counter() - started)

    def close(self) -> None:
        self._policy.close()


class Typist:
    """The KeyPress of `env.bench.serving`: the real screen, headless, on the runtime it is given."""

    def __init__(self, runtime: Runtime, presses: int) -> None:
        self._runtime = runtime
        self._presses = presses

    def __call__(self, state: bench.State) -> Sequence[float]:
        return asyncio.run(self._type(state))

    async def _type(self, state: bench.State) -> list[float]:
        from agent.tui.app import AttuneApp
        from agent.tui.latency import keypress_latencies

        app = AttuneApp(self._runtime)
        async with app.run_test(size=(100, 30)):
            await _until_async(lambda: app.chat.warmed, "The screen's model did not load")
            keeping = asyncio.create_task(self._keep(app, state))
            try:
                if state == "streaming":
                    await _until_async(lambda: app.chat.speaking is not None, "No reply was spoken")
                elif state == "training":
                    await _until_async(lambda: self._runtime.clock.updating, "No update was training")
                return await keypress_latencies(app, self._presses)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
                await app.chat.action_escape()
                await _until_async(lambda: app.chat.speaking is None, "The reply did not stop")
                self._runtime.cancel_update()
                await asyncio.to_thread(
                    _until, lambda: not (self._runtime.poll_update() or self._runtime.clock.updating), "Stuck"
                )

    async def _keep(self, app: Any, state: bench.State) -> None:
        """Keep the screen in its state: another message, or another update, when one has ended."""
        while state != "idle":
            if state == "streaming" and app.chat.speaking is None:
                await app.chat.send("Tell me about trees.")
            elif state == "training" and not self._runtime.clock.updating:
                await asyncio.to_thread(self._runtime.start_update, "kto")
            await asyncio.sleep(TICK)


def run(
    model: str | None = None,
    quick: bool = False,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """The figures of `env.bench.serving` for this product, on a home that is deleted afterwards."""
    from env.skills.probes import everyday_prompts

    tell = progress or (lambda fraction, stage: None)
    home = Path(tempfile.mkdtemp(prefix="attune-bench-"))
    settings = defaults(model=model, updates=False, explore=False)
    runtime = Runtime(home, settings, in_process=False)
    bare: BareModel | None = None
    try:
        tell(0.0, "loading the models")
        runtime.warm()
        bare = BareModel(model, settings)
        agent = RunningAgent(runtime)
        agent.prime(everyday_prompts("train", RATED, 0))
        return bench.run(
            agent,
            everyday_prompts("held_out", 40, 0),
            raw_tokens_per_s=bare.tokens_per_s,
            keypress=Typist(runtime, QUICK_PRESSES if quick else PRESSES),
            plan=bench.QUICK if quick else bench.Plan(),
            progress=progress,
            cancelled=cancelled,
        )
    finally:
        if bare is not None:
            bare.close()
        runtime.close()
        shutil.rmtree(home, ignore_errors=True)


def _until(ready: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise BenchError(f"{complaint} within {WAIT_SECONDS:.0f} s; look into the log.")
        time.sleep(TICK)


async def _until_async(ready: Callable[[], bool], complaint: str) -> None:
    await asyncio.to_thread(_until, ready, complaint)
