"""The screen on the real runtime: a tiny random model in this process, the real database and index."""

from __future__ import annotations

from pathlib import Path

from agent.config import Settings
from agent.runtime import Runtime
from agent.tui.app import AttuneApp, settled
from agent.tui.screens.policy import PolicyScreen
from agent.tui.screens.why import WhyScreen
from tests.agent.tui.waiting import say, until, words
from tests.policies.tiny_models import shared_model
from tests.support import HashEmbedder


async def test_chat_rate_why_and_roll_back(tmp_path: Path) -> None:
    settings = Settings(model=str(shared_model()), max_new_tokens=12, temperature=0, device="cpu")
    runtime = Runtime(tmp_path / "home", settings, embedder=HashEmbedder())
    runtime.facts.remember("My dog is called Fitzo.")
    app = AttuneApp(runtime)
    try:
        async with app.run_test() as pilot:
            await settled(app, 60.0)
            await say(pilot, "What is my dog called?")
            [conversation] = runtime.journal.conversations()
            view = app.chat.transcript.newest
            assert view is not None
            [reply] = runtime.journal.replies_of(conversation.id)
            assert view.text.strip() == reply.content.strip() != ""
            made = runtime.journal.generation(reply.id)
            tokens = len(made.prompt_ids) + len(made.completion_ids)
            await until(lambda: f"{tokens}/512 tokens" in words(app.chat.query_one("#status")))

            await pilot.press("escape", "+")
            await until(lambda: "rated good" in words(view))
            rating = runtime.journal.effective(reply.id)
            assert rating is not None
            assert rating.value == 1
            assert "useful 50% \u2192" in words(view.query_one(".learned"))

            await pilot.press("w")
            await until(lambda: isinstance(app.screen, WhyScreen) and "rated good" in words(app.screen))
            assert "Fitzo" in words(app.screen)
            assert f"{len(made.completion_ids)} tokens written" in words(app.screen)

            await pilot.press("f3")
            await until(lambda: isinstance(app.screen, PolicyScreen))
            await pilot.press("r")
            await until(lambda: any("nothing to roll back to" in one.message for one in app._notifications))
            assert runtime.active_adapter() is None
    finally:
        runtime.close()
