"""Models, adapters and contexts that do not do: one sentence each, and the agent speaks on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agent.events import Event, Notice, ReplyDone, TurnFailed
from agent.runtime import Runtime
from memory.database import open_home
from memory.errors import AttuneError
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from tests.policies.tiny_models import make_adapter, make_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=4096)


def ended(events: list[Event]) -> ReplyDone:
    assert not [event.text for event in events if isinstance(event, TurnFailed)]
    return next(event for event in events if isinstance(event, ReplyDone))


@pytest.mark.parametrize("damage", ["cut", "gone", "of another base"])
def test_an_adapter_that_cannot_speak_leaves_the_base_and_one_sentence(
    home: Path, tiny: Path, tmp_path: Path, damage: str
) -> None:
    other = make_model(tmp_path / "other", hidden_size=48) if damage == "of another base" else tiny
    spec = resolve(str(tiny))
    with closing(open_home(home)) as db:
        registry = AdapterRegistry(db, home)
        # its papers are in order, so only putting it on can tell
        meta = {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto", "status": "promoted"}
        registry.activate(registry.add(make_adapter(tmp_path / "lora", other), meta).version, "test")
    weights = home / "adapters" / "v1" / "adapter_model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-7])
    elif damage == "gone":
        shutil.rmtree(weights.parent)
    runtime = Runtime.open(home, model=str(tiny), memory=False, max_new_tokens=8)
    try:
        runtime.warm()
        [notice] = runtime.take_notices()
        assert "v1" in notice
        assert "base" in notice
        events = list(runtime.loop.turn("Hello."))
        assert ended(events).generation.adapter is None
        assert not [event for event in events if isinstance(event, Notice) and "v1" in event.text]
        assert runtime.rollback() is None
        assert ended(list(runtime.loop.turn("Hello."))).generation.adapter is None
    finally:
        runtime.close()


def test_an_adapter_of_another_base_is_not_chosen(home: Path, tiny: Path, tmp_path: Path) -> None:
    other = make_model(tmp_path / "other", seed=5)
    spec = resolve(str(other))
    runtime = Runtime.open(home, model=str(tiny), memory=False, max_new_tokens=8)
    try:
        runtime.warm()
        meta = {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto", "status": "promoted"}
        version = runtime.registry.add(make_adapter(tmp_path / "lora", other), meta).version
        with pytest.raises(AttuneError, match=r"was trained on another base \(other\): choose that model"):
            runtime.use(version)
        assert ended(list(runtime.loop.turn("Hello."))).generation.adapter is None
    finally:
        runtime.close()


def test_a_model_that_cannot_be_loaded_leaves_the_old_one_speaking(
    make_runtime: Callable[..., Runtime], tiny: Path, tmp_path: Path
) -> None:
    runtime = make_runtime("Still here.", memory=False)
    half = Path(shutil.copytree(tiny, tmp_path / "half"))
    (half / "tokenizer.json").unlink()
    mute = Path(shutil.copytree(tiny, tmp_path / "mute"))
    (mute / "chat_template.jinja").unlink()
    for folder, said in ((half, "lacks tokenizer.json"), (mute, "no chat template")):
        with pytest.raises(AttuneError, match=said):
            runtime.use_model(str(folder))
        assert runtime.model_name == "scripted"
        assert ended(list(runtime.loop.turn("Are you there?"))).message.content == "Still here."


def test_a_conversation_longer_than_a_real_context_loses_its_oldest_turns_with_a_notice(
    home: Path, tmp_path: Path
) -> None:
    model = make_model(tmp_path / "short", max_position_embeddings=1536)
    runtime = Runtime.open(home, model=str(model), memory=False, max_new_tokens=8)
    conversation: str | None = None
    notices: list[str] = []
    try:
        for number in range(8):
            events = list(runtime.loop.turn(f"Turn {number}: " + "rain and wind " * 60, conversation))
            done = ended(events)
            conversation = done.message.conversation_id
            used = len(done.generation.prompt_ids) + len(done.generation.completion_ids)
            assert used == runtime.context_used <= 1536
            assert f"Turn {number}: " in done.generation.prompt_text
            notices += [
                event.text for event in events if isinstance(event, Notice) and "left out" in event.text
            ]
        assert notices
        assert "conversation is longer than the context" in notices[0]
        assert "Turn 0: " not in done.generation.prompt_text
        assert "Turn 6: " in done.generation.prompt_text
        path = runtime.journal.path(done.message.id)
        assert [message.content[:7] for message in path if message.role == "user"] == [
            f"Turn {number}:" for number in range(8)
        ]
    finally:
        runtime.close()
