"""Ratings, the learning clock and adapters, through the runtime; no model is needed for them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent import commands
from agent.commands import CommandContext
from agent.events import Notice, ReplyDone
from agent.model_host import HostError
from agent.runtime import Runtime
from memory.errors import AttuneError
from policies.adapters.registry import AdapterError
from policies.base_models import resolve
from policies.update.job import update_lock
from tests.policies.tiny_models import make_adapter, make_model

Make = Callable[..., Runtime]


def speak(runtime: Runtime, text: str = "Hello.") -> ReplyDone:
    return next(event for event in runtime.loop.turn(text) if isinstance(event, ReplyDone))


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("lora")
    spec = resolve(str(make_model(folder / "tiny")))
    meta = {"base": "scripted", "base_sha256": spec.sha256, "algorithm": "kto", "signals": 0}
    return make_adapter(folder / "adapter", folder / "tiny"), meta


def test_a_thumb_moves_card_and_usefulness_at_once(make_runtime: Make) -> None:
    runtime = make_runtime("A dog is a good friend.")
    memory = runtime.recall.remember("The dog is called Fitzo.")
    reply = speak(runtime, "Is the dog called well?").message.id
    runtime.rate(reply, 1)
    assert runtime.facts.get(memory.id).usefulness > 0.5
    assert any(line.evidence for line in runtime.card.lines())
    runtime.rate(reply, 0)
    assert runtime.facts.get(memory.id).usefulness == 0.5
    assert not any(line.evidence for line in runtime.card.lines())


def test_why_explains_a_reply(make_runtime: Make) -> None:
    runtime = make_runtime("Fitzo.")
    memory = runtime.recall.remember("The dog is called Fitzo.")
    runtime.card.pin("brief")
    reply = speak(runtime, "What is the dog called?").message.id
    runtime.rate(reply, 1, "right")
    why = runtime.why(reply)
    assert [one.memory_id for one in why.generation.recalled] == [memory.id]
    assert [line.feature for line in why.card] == ["brief"]
    assert why.adapter is None
    assert why.rating is not None
    assert (why.rating.value, why.rating.why) == (1, "right")
    with pytest.raises(AttuneError, match="No reply"):
        runtime.why("foreign")


def test_the_clock_counts_and_waits_for_idleness(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.", update_after=2, idle_seconds=20)
    assert runtime.learning_status().ratings_until_update == 2
    first, second = speak(runtime).message.id, speak(runtime).message.id
    runtime.rate(first, 1)
    runtime.rate(first, -1)
    assert runtime.learning_status().ratings_until_update == 1
    assert not runtime.maybe_update(idle_seconds=1000)
    runtime.rate(second, 1)
    assert runtime.learning_status().ratings_until_update == 0
    assert not runtime.maybe_update(idle_seconds=19)


def test_an_update_in_another_process_is_a_sentence_and_not_tried_again(make_runtime: Make) -> None:
    runtime = make_runtime("Hello.", update_after=1, idle_seconds=0)
    runtime.rate(speak(runtime).message.id, 1)
    with update_lock(runtime.home):
        with pytest.raises(AttuneError, match="Another process is training"):
            runtime.maybe_update(idle_seconds=1)
        assert not runtime.maybe_update(idle_seconds=1)
    assert not runtime.clock.updating


def test_an_update_that_fails_is_told_once_and_can_be_cancelled(make_runtime: Make, tmp_path: Path) -> None:
    runtime = make_runtime("Hello.", model=str(tmp_path / "nowhere"))
    for number in range(8):
        runtime.rate(speak(runtime).message.id, 1 if number % 2 else -1)
    runtime.start_update()
    assert runtime.clock.updating
    with pytest.raises(AttuneError, match="training already"):
        runtime.start_update()
    news: list[Any] = []
    deadline = time.monotonic() + 120
    while runtime.clock.updating:
        assert time.monotonic() < deadline
        news += runtime.poll_update()
        time.sleep(0.02)
    assert [one.kind for one in news if one.kind != "progress"] == ["failed"]
    assert "no folder" in news[-1].text
    assert runtime.poll_update() == []
    assert not runtime.cancel_update()
    assert not runtime.maybe_update(idle_seconds=1000)


def test_a_swap_falls_between_two_replies(make_runtime: Make, lora: tuple[Path, dict[str, Any]]) -> None:
    folder, meta = lora
    runtime = make_runtime("One two three.")
    version = runtime.registry.add(folder, {**meta, "status": "promoted"}).version
    events = runtime.loop.turn("Hello.")
    next(events)
    next(events)
    assert runtime.use(version) == version
    assert runtime.policy.swaps == []  # type: ignore[attr-defined]
    done = next(event for event in events if isinstance(event, ReplyDone))
    list(events)
    assert done.generation.adapter is None
    assert speak(runtime).generation.adapter == version
    assert runtime.rollback() is None
    assert runtime.policy.adapter is None


def test_a_provisional_adapter_that_is_clearly_worse_goes_by_itself(
    make_runtime: Make, lora: tuple[Path, dict[str, Any]]
) -> None:
    folder, meta = lora
    runtime = make_runtime("Hello.")
    for _ in range(6):
        runtime.rate(speak(runtime).message.id, 1)
    version = runtime.registry.add(folder, {**meta, "status": "provisional"}).version
    runtime.use(version)
    for number in range(4):
        assert runtime.active_adapter() is not None, f"gone after {number}"
        runtime.rate(speak(runtime).message.id, -1)
    assert runtime.active_adapter() is None
    [news] = [one for one in runtime.poll_update() if one.kind == "rolled_back"]
    assert f"{version} was rolled back by itself: 0 of 4" in news.text
    assert speak(runtime).generation.adapter is None
    rejected = runtime.registry.get(version)
    assert (rejected.status, rejected.report["trial"]["decided"]) == ("rejected", "worse")
    assert news.text == rejected.report["trial"]["text"]


def test_a_provisional_adapter_that_is_clearly_better_is_promoted_by_itself(
    make_runtime: Make, lora: tuple[Path, dict[str, Any]]
) -> None:
    folder, meta = lora
    runtime = make_runtime("Hello.", explore=False)
    for number in range(8):
        runtime.rate(speak(runtime).message.id, 1 if number == 0 else -1)
    version = runtime.registry.add(folder, {**meta, "status": "provisional", "report": {"kl": 0.3}}).version
    runtime.use(version)
    given = 0
    while runtime.registry.get(version).status == "provisional":
        assert given < 12
        runtime.rate(speak(runtime).message.id, 1)
        given += 1
    assert given >= 4
    promoted = runtime.registry.get(version)
    assert (promoted.status, promoted.report["kl"]) == ("promoted", 0.3)
    [news] = [one for one in runtime.poll_update() if one.kind == "promoted"]
    assert f"{given} of {given} replies under it were liked, 1 of 8 before" in news.text
    for _ in range(6):
        runtime.rate(speak(runtime).message.id, -1)
    assert runtime.active_adapter() is not None, "a trial that has ended is not held again"


def test_a_bad_adapter_in_the_style_of_a_good_one_gives_way_to_that_one(
    make_runtime: Make, lora: tuple[Path, dict[str, Any]]
) -> None:
    """Its thumbs down look like a change of taste as well, and then the base would speak."""
    folder, meta = lora
    runtime = make_runtime("Hello.")
    learned = [speak(runtime).message.id for _ in range(8)]
    for number, reply in enumerate(learned):
        runtime.rate(reply, 1 if number % 2 else -1)
    report = {"trained_on": {"feedback": [], "replies": learned}}
    good = runtime.registry.add(folder, {**meta, "status": "promoted", "report": report}).version
    runtime.use(good)
    for _ in range(16):
        learned.append(speak(runtime).message.id)
        runtime.rate(learned[-1], 1)
    report = {"trained_on": {"feedback": [], "replies": learned}}
    bad = runtime.registry.add(folder, {**meta, "status": "provisional", "report": report}).version
    runtime.use(bad)
    given = 0
    while runtime.active_adapter().version == bad:  # type: ignore[union-attr]
        assert given < 8
        runtime.rate(speak(runtime).message.id, -1)
        given += 1
    assert runtime.active_adapter().version == good  # type: ignore[union-attr]
    assert runtime.registry.get(bad).status == "rejected"
    runtime.rate(speak(runtime).message.id, 1)
    assert runtime.active_adapter().version == good  # type: ignore[union-attr]
    [news] = [one for one in runtime.poll_update() if one.kind == "rolled_back"]
    assert f"0 of {given} replies under it were liked, 16 of 16 before" in news.text


def test_an_adapter_whose_taste_is_gone_is_set_aside_once(
    make_runtime: Make, lora: tuple[Path, dict[str, Any]]
) -> None:
    folder, meta = lora
    runtime = make_runtime("Hello.")
    learned = [speak(runtime).message.id for _ in range(16)]
    for reply in learned:
        runtime.rate(reply, 1)
    trained_on = {"feedback": [], "replies": learned}
    version = runtime.registry.add(
        folder, {**meta, "status": "promoted", "report": {"kl": 0.3, "trained_on": trained_on}}
    ).version
    runtime.use(version)
    given = 0
    while runtime.active_adapter() is not None:
        assert given < 8, "every reply of the kind that it learned is disliked now"
        runtime.rate(speak(runtime).message.id, -1)
        given += 1
    assert given >= 3, "a bad minute is no change of taste"
    [news] = [one for one in runtime.poll_update() if one.kind == "rolled_back"]
    assert f"{version} was set aside: your taste has changed" in news.text
    assert speak(runtime).generation.adapter is None
    kept = runtime.registry.get(version)
    assert (kept.status, kept.report["kl"]) == ("promoted", 0.3)
    assert kept.report["set_aside"] == news.text
    runtime.use(version)
    runtime.rate(speak(runtime).message.id, -1)
    assert runtime.active_adapter() is not None, "the owner has the last word"


def test_thumbs_on_another_base_decide_nothing(make_runtime: Make, lora: tuple[Path, dict[str, Any]]) -> None:
    folder, meta = lora
    runtime = make_runtime("Hello.")
    before = [speak(runtime).message.id for _ in range(6)]
    with runtime.db.transaction() as connection:
        connection.execute("UPDATE generation SET base = 'another'")
    for reply in before:
        runtime.rate(reply, 1)
    version = runtime.registry.add(folder, {**meta, "status": "provisional"}).version
    runtime.use(version)
    for _ in range(6):
        runtime.rate(speak(runtime).message.id, -1)
    assert runtime.learning_status().adapter == version


def test_a_promoted_adapter_and_a_good_one_stay(
    make_runtime: Make, lora: tuple[Path, dict[str, Any]]
) -> None:
    folder, meta = lora
    runtime = make_runtime("Hello.")
    for _ in range(6):
        runtime.rate(speak(runtime).message.id, 1)
    version = runtime.registry.add(folder, {**meta, "status": "provisional"}).version
    runtime.use(version)
    for number in range(6):
        runtime.rate(speak(runtime).message.id, 1 if number else -1)
    assert runtime.learning_status().adapter == version
    assert runtime.learning_status().adapter_status == "provisional"


def test_a_damaged_adapter_is_left_out_with_a_notice(
    make_runtime: Make, lora: tuple[Path, dict[str, Any]]
) -> None:
    folder, meta = lora
    runtime = make_runtime("Hello.")
    version = runtime.registry.add(folder, {**meta, "status": "promoted"}).version
    runtime.use(version)
    (runtime.home / "adapters" / version / "adapter_model.safetensors").unlink()
    events = list(runtime.loop.turn("Hello."))
    assert any(isinstance(event, Notice) and version in event.text for event in events)
    assert next(event for event in events if isinstance(event, ReplyDone)).generation.adapter is None


@pytest.mark.parametrize("in_process", [True, False])
def test_weights_that_are_not_the_trained_ones_do_not_speak(
    tmp_path: Path, tiny: Path, in_process: bool
) -> None:
    """The files look as they did when their digest was taken, and are sound, but others."""
    spec = resolve(str(tiny))
    meta = {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto", "status": "promoted"}
    runtime = Runtime.open(
        tmp_path / "home",
        in_process=in_process,
        model=str(tiny),
        memory=False,
        explore=False,
        max_new_tokens=4,
    )
    try:
        adapter = runtime.registry.add(make_adapter(tmp_path / "trained", tiny, seed=1), meta)
        runtime.use(adapter.version)
        weights = Path(adapter.path) / "adapter_model.safetensors"
        kept, before = weights.read_bytes(), weights.stat()

        def put(content: bytes, about: str) -> None:
            weights.write_bytes(content)
            os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
            weights.with_name("attune.json").write_text(about)

        about = weights.with_name("attune.json").read_text()
        put((make_adapter(tmp_path / "other", tiny, seed=2) / weights.name).read_bytes(), "{}")
        events = list(runtime.loop.turn("Hello."))
        [said] = [event.text for event in events if isinstance(event, Notice) and "trained" in event.text]
        assert said.startswith(
            f"The adapter {adapter.version} that was loaded is not the one that was trained"
        )
        assert said.endswith("Until then the base speaks.")
        assert next(event for event in events if isinstance(event, ReplyDone)).generation.adapter is None
        events = list(runtime.loop.turn("Hello."))
        assert not [event for event in events if isinstance(event, Notice) and "trained" in event.text]
        put(kept, about)
        runtime.use(adapter.version)
        assert speak(runtime).generation.adapter == adapter.version
        assert runtime.policy.served_sha256 == adapter.sha256  # type: ignore[attr-defined]
    finally:
        runtime.close()


def test_two_runtimes_on_one_home_agree(make_runtime: Make, lora: tuple[Path, dict[str, Any]]) -> None:
    folder, meta = lora
    one, other = make_runtime("One."), make_runtime("Two.")
    reply = speak(one).message.id
    other.rate(reply, 1)
    assert one.journal.effective(reply) is not None
    version = other.registry.add(folder, {**meta, "status": "promoted"}).version
    other.use(version)
    assert speak(one).generation.adapter == version


def test_a_swap_that_failed_is_tried_again_but_an_unsound_adapter_is_not(
    make_runtime: Make, lora: tuple[Path, dict[str, Any]]
) -> None:
    folder, meta = lora
    runtime = make_runtime("Hello.")
    policy: Any = runtime.policy
    version = runtime.registry.add(folder, {**meta, "status": "promoted"}).version
    policy.swap_errors = [HostError("The model's process ended; try again.")]
    runtime.use(version)
    assert runtime.learning_status().adapter is None, "the base speaks, whatever was chosen"
    [notice] = runtime.take_notices()
    assert "process ended" in notice
    runtime.poll_update()
    assert policy.swaps == [version], "only the next turn tries again"
    assert speak(runtime).generation.adapter == version
    assert (runtime.learning_status().adapter, runtime.learning_status().adapter_status) == (
        version,
        "promoted",
    )
    runtime.use(None)
    policy.swap_errors = [AdapterError("The adapter does not fit.")]
    runtime.use(version)
    assert speak(runtime).generation.adapter is None
    assert policy.swaps == [version, version, None, version]


def test_another_base_has_an_adapter_of_its_own(
    make_runtime: Make, lora: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, meta = lora
    runtime = make_runtime("Hello.", memory=False)
    version = runtime.registry.add(folder, {**meta, "status": "promoted"}).version
    runtime.use(version)
    assert [one.active for one in runtime.adapters()] == [True]
    assert "* v1" in commands.run(runtime, "/policy", CommandContext()).text
    other = make_model(tmp_path / "other", seed=5)
    runtime.use_model(str(other))
    assert runtime.base_sha256 == resolve(str(other)).sha256
    assert runtime.active_adapter() is None
    assert [one.active for one in runtime.adapters()] == [False]
    assert "* v1" not in commands.run(runtime, "/policy", CommandContext()).text
    with pytest.raises(AttuneError, match="another base"):
        runtime.use(version)


def test_the_base_is_known_before_it_is_loaded(tmp_path: Path, lora: tuple[Path, dict[str, Any]]) -> None:
    tiny = lora[0].parent / "tiny"
    runtime = Runtime.open(tmp_path / "home", model=str(tiny))
    assert runtime.base_sha256 == resolve(str(tiny)).sha256
    assert not runtime.ready
    runtime.close()
    runtime = Runtime.open(tmp_path / "home", model=str(tmp_path / "nowhere"))
    assert runtime.active_adapter() is None
    assert runtime.use(None) is None
    runtime.close()
