"""The model in its child process: it speaks as it does here, can be stopped, and may die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from agent.events import ReplyDone, TurnFailed
from agent.model_host import HostError, ModelHost
from agent.remote import RemotePolicy
from agent.runtime import Runtime
from memory.errors import AttuneError
from policies.adapters.files import AdapterError
from policies.base_models import BaseSpec, resolve
from policies.language_policy import LanguagePolicy
from policies.learners.kto import Thumb
from policies.policy import Generated, Mixes, Policy, SamplingParams, Side, TokenChunk
from policies.reward_model import RewardModel
from policies.rows import Tokens
from tests.policies.tiny_models import make_adapter, make_model

HELLO = [{"role": "user", "content": "Tell me about trees."}]
GREEDY = SamplingParams(temperature=0.0, max_new_tokens=12)


def until(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> BaseSpec:
    return resolve(str(make_model(tmp_path_factory.mktemp("host") / "tiny", max_position_embeddings=4096)))


@pytest.fixture(scope="module")
def host() -> Iterator[ModelHost]:
    made = ModelHost()
    yield made
    made.close()


@pytest.fixture(scope="module")
def remote(host: ModelHost, spec: BaseSpec) -> RemotePolicy:
    stages: list[tuple[float, str]] = []
    policy = RemotePolicy(host, spec, device="cpu", progress=lambda part, stage: stages.append((part, stage)))
    assert [part for part, _ in stages] == sorted(part for part, _ in stages)
    assert stages[-1] == (1.0, f"{spec.name} is loaded")
    return policy


def test_the_child_says_what_the_policy_here_says(remote: RemotePolicy, spec: BaseSpec) -> None:
    here = LanguagePolicy(spec, device="cpu")
    assert isinstance(remote, Policy)
    assert remote.context_length == here.context_length
    assert remote.count_tokens(HELLO) == here.count_tokens(HELLO)
    *chunks, last = list(remote.stream(HELLO, GREEDY))
    *_, expected = list(here.stream(HELLO, GREEDY))
    assert isinstance(last, Generated)
    assert isinstance(expected, Generated)
    assert (last.text, last.prompt_ids, last.completion_ids) == (
        expected.text,
        expected.prompt_ids,
        expected.completion_ids,
    )
    assert "".join(chunk.text for chunk in chunks if isinstance(chunk, TokenChunk)) == last.text
    assert [one.text for one in remote.generate([HELLO, HELLO], GREEDY)] == [last.text] * 2


def test_cancel_stops_a_reply_soon(remote: RemotePolicy) -> None:
    cancel = threading.Event()
    stream = remote.stream(HELLO, SamplingParams(temperature=2.0, max_new_tokens=3500), cancel=cancel)
    for item in stream:
        if isinstance(item, Generated):
            break
        cancel.set()
    assert isinstance(item, Generated)
    assert item.finish_reason in ("cancelled", "stop")
    assert len(item.completion_ids) < 3500


def test_two_sides_of_a_prompt_are_answered_in_one_request(
    remote: RemotePolicy, spec: BaseSpec, tmp_path: Path
) -> None:
    adapter = make_adapter(tmp_path / "adapter", Path(spec.path))
    sides = [Side("v1", str(adapter)), Side(None)]
    here = LanguagePolicy(spec, device="cpu")
    assert isinstance(remote, Mixes)
    made = remote.mixed(HELLO, sides, GREEDY)
    expected = here.mixed(HELLO, sides, GREEDY)
    assert [one.completion_ids for one in made] == [one.completion_ids for one in expected]
    assert [one.adapter for one in made] == ["v1", None]
    assert made[0].completion_ids != made[1].completion_ids
    cancel = threading.Event()
    cancel.set()
    # Of this seed both replies are hundreds of tokens long: no machine is through before the word to stop.
    stopped = remote.mixed(HELLO, sides, SamplingParams(0.2, 0.5, 3500, seed=4), cancel=cancel)
    assert [one.finish_reason for one in stopped] == ["cancelled"] * 2
    with pytest.raises(AdapterError, match="lacks"):
        remote.mixed(HELLO, [Side("v2", str(tmp_path)), Side(None)], GREEDY)
    assert remote.adapter is None


def test_the_child_chooses_the_best_of_several_replies(
    remote: RemotePolicy, spec: BaseSpec, tmp_path: Path
) -> None:
    here = LanguagePolicy(spec, device="cpu")
    rated = [
        Thumb(Tokens([5, 6, 7 + at], [20 + at, 30] + [40 + at % 7, 41] * (4 * (at % 2))), at % 2 == 0)
        for at in range(16)
    ]
    folder = RewardModel.fit(here.model, here.tokenizer, rated).save(tmp_path).parent
    hot = SamplingParams(temperature=1.5, max_new_tokens=12, seed=3)
    made = remote.best_of(HELLO, 4, str(folder), hot)
    assert made == replace(
        here.best_of(HELLO, 4, str(folder), hot), first_token_ms=made.first_token_ms, total_ms=made.total_ms
    )
    drawn = here.mixed(HELLO, [Side(None)] * 4, hot)
    assert made.text in [one.text for one in drawn]
    assert len({one.text for one in drawn}) > 1
    cancel = threading.Event()
    cancel.set()
    # So long that no machine has it done before the word to stop is there.
    long = replace(hot, max_new_tokens=3500)
    assert remote.best_of(HELLO, 4, str(folder), long, cancel=cancel).finish_reason == "cancelled"
    with pytest.raises(AttuneError, match="train again"):
        remote.best_of(HELLO, 4, str(tmp_path / "none"), hot)


def test_an_abandoned_reply_does_not_block_the_next(remote: RemotePolicy) -> None:
    stream = remote.stream(HELLO, SamplingParams(temperature=2.0, max_new_tokens=3500))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert isinstance(list(remote.stream(HELLO, GREEDY))[-1], Generated)


def test_the_next_prompt_is_computed_ahead(remote: RemotePolicy, host: ModelHost) -> None:
    before = [*HELLO, {"role": "assistant", "content": "It is raining and the wind is cold."}]
    messages = [*before, {"role": "user", "content": "Tell me about bread."}]
    *_, fresh = remote.stream(messages, GREEDY)
    list(remote.stream([{"role": "user", "content": "What is the weather?"}], GREEDY))
    remote.prepare_next(before)
    # cancels it or finds it done; either way the same prompt is spoken to in the same way
    *_, after = remote.stream(messages, GREEDY)
    assert isinstance(after, Generated)
    assert isinstance(fresh, Generated)
    assert after.completion_ids == fresh.completion_ids
    list(remote.stream([{"role": "user", "content": "What is the weather?"}], GREEDY))
    host.call("prefill", handle=remote._handle, messages=before, tools=[])
    *_, ahead = remote.stream(messages, GREEDY)
    assert isinstance(ahead, Generated)
    assert ahead.completion_ids == fresh.completion_ids
    assert ahead.reused_tokens > len(fresh.prompt_ids) / 2


def test_a_count_is_asked_for_once(remote: RemotePolicy, host: ModelHost) -> None:
    first = remote.count_tokens(HELLO)
    asked = host.send("release", handle="nobody")
    assert remote.count_tokens(HELLO) == first
    assert host.send("release", handle="nobody") == asked + 1
    assert remote.count_tokens(HELLO, [{"type": "function", "function": {"name": "clock"}}]) != first


def test_an_adapter_is_put_on_and_survives_a_crash(
    remote: RemotePolicy, host: ModelHost, spec: BaseSpec, tmp_path: Path
) -> None:
    folder = make_adapter(tmp_path / "lora", Path(spec.path), seed=3)
    plain = list(remote.stream(HELLO, GREEDY))[-1].text
    remote.swap("v1", str(folder))
    adapted = list(remote.stream(HELLO, GREEDY))[-1]
    assert isinstance(adapted, Generated)
    assert (adapted.adapter, remote.adapter) == ("v1", "v1")
    assert adapted.text != plain

    def killed_in_a_reply(seed: int) -> bool:
        """False where the reply ended before it could be. At this heat a token is drawn as from a hat."""
        stream = remote.stream(HELLO, SamplingParams(temperature=100.0, max_new_tokens=3500, seed=seed))
        next(stream)
        assert host.pid is not None
        os.kill(host.pid, signal.SIGKILL)
        until(lambda: host.pid is None)
        try:
            return not list(stream)
        except HostError as error:
            return "ended unexpectedly" in str(error)

    assert any(killed_in_a_reply(seed) for seed in range(10))
    again = list(remote.stream(HELLO, GREEDY))[-1]
    assert isinstance(again, Generated)
    assert (again.adapter, again.text) == ("v1", adapted.text)
    remote.swap(None)
    assert list(remote.stream(HELLO, GREEDY))[-1].text == plain


def test_a_child_that_cannot_put_the_adapter_on_again_is_no_dead_end(
    remote: RemotePolicy, host: ModelHost, spec: BaseSpec, tmp_path: Path
) -> None:
    plain = list(remote.stream(HELLO, GREEDY))[-1].text
    folder = make_adapter(tmp_path / "lost", Path(spec.path), seed=5)
    remote.swap("v1", str(folder))
    assert host.pid is not None
    os.kill(host.pid, signal.SIGKILL)
    until(lambda: host.pid is None)
    shutil.rmtree(folder)
    with pytest.raises(AttuneError, match="adapter"):
        list(remote.stream(HELLO, GREEDY))
    assert remote.adapter is None
    assert list(remote.stream(HELLO, GREEDY))[-1].text == plain


def test_where_a_swap_leaves_the_base_speaking_that_is_known_here(
    remote: RemotePolicy, spec: BaseSpec, tmp_path: Path
) -> None:
    """A wrapped adapter is taken out before the next is loaded, and that one turns out not to fit."""
    plain = list(remote.stream(HELLO, GREEDY))[-1].text
    dora = make_adapter(tmp_path / "dora", Path(spec.path), use_dora=True)
    deep = make_adapter(tmp_path / "deep", make_model(tmp_path / "other", num_hidden_layers=3))
    remote.swap("v1", str(dora))
    with pytest.raises(AdapterError, match=r"did not load|does not fit"):
        remote.swap("v2", str(deep))
    last = list(remote.stream(HELLO, GREEDY))[-1]
    assert isinstance(last, Generated)
    assert (last.adapter, last.text) == (None, plain)
    assert remote.adapter is None, "else it would not be put on again"


def test_the_sentence_of_the_child_arrives(host: ModelHost, remote: RemotePolicy, tmp_path: Path) -> None:
    with pytest.raises(AttuneError, match="adapter"):
        remote.swap("v9", str(tmp_path / "nowhere"))
    assert remote.adapter is None
    with pytest.raises(AttuneError, match=r"cannot be loaded|lacks|damaged"):
        RemotePolicy(host, BaseSpec("gone", str(tmp_path / "gone"), ""))
    assert isinstance(list(remote.stream(HELLO, GREEDY))[-1], Generated)


def test_a_runtime_with_its_model_in_the_child(spec: BaseSpec, tmp_path: Path) -> None:
    stages: list[str] = []
    runtime = Runtime.open(
        tmp_path / "home", in_process=False, model=spec.path, memory=False, max_new_tokens=8
    )
    try:
        assert not runtime.ready
        runtime.warm(lambda part, stage: stages.append(stage))
        assert runtime.ready
        assert stages[-1] == "ready"
        [done] = [one for one in runtime.loop.turn("Hello.") if isinstance(one, ReplyDone)]
        assert runtime.journal.generation(done.message.id).base == spec.name
        status = runtime.learning_status()
        assert (status.model, status.adapter, status.context_length) == (spec.name, None, 4096)
        assert status.context_used == done.context_tokens > 0

        events = runtime.loop.turn("Hello again.", done.message.conversation_id)
        next(events)
        os.kill(runtime.host.pid, signal.SIGKILL)
        until(lambda: runtime.host.pid is None)
        rest = list(events)
        # It starts anew for this very turn, as nothing had been said yet.
        assert any(isinstance(one, ReplyDone) for one in rest)
        assert not any(isinstance(one, TurnFailed) for one in rest)
    finally:
        runtime.close()


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import time, agent.model_host as m\n"
        "host = m.ModelHost(); host.ensure(); print(host.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_closed_is_closed() -> None:
    host = ModelHost()
    host.ensure()
    host.close()
    host.close()
    assert host.pid is None
    with pytest.raises(HostError, match="start Attune again"):
        host.ensure()


def test_preparing_for_a_model_that_is_gone_is_not_worth_an_error(
    host: ModelHost, remote: RemotePolicy
) -> None:
    assert host.pid is not None
    os.kill(host.pid, signal.SIGKILL)
    remote.prepare_next(HELLO)
    until(lambda: host.pid is None)
    remote.prepare_next(HELLO)
    assert host.pid is None
    assert isinstance(list(remote.stream(HELLO, GREEDY))[-1], Generated)


def test_the_parent_loads_no_torch(spec: BaseSpec, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from agent.runtime import Runtime\n"
        f"r = Runtime.open({str(tmp_path / 'home')!r}, in_process=False, model={spec.path!r}, memory=False)\n"
        "r.warm(); list(r.loop.turn('Hi.')); r.learning_status(); r.close()\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def fake_child(folder: Path, script: str) -> str:
    """A program that stands for the interpreter that runs the child."""
    path = folder / "child"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_an_answer_cut_short_by_the_death_of_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'read line\necho nonsense\nprintf \'{"id": 1, "value": [1, 2\'\nkill -9 $$'
    monkeypatch.setattr(sys, "executable", fake_child(tmp_path, script))
    host = ModelHost()
    with pytest.raises(HostError, match=r"ended unexpectedly \(code -9\)"):
        host.call("embed")
    assert host.pid is None
    host.close()


def test_a_child_that_cannot_be_started_or_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logs").write_text("not a folder")
    with pytest.raises(AttuneError, match="cannot be used"):
        ModelHost(tmp_path / "logs" / "model.log").ensure()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(HostError, match="could not be started"):
        ModelHost().ensure()


def test_the_child_finds_the_model_and_says_what_is_unsound(host: ModelHost, spec: BaseSpec) -> None:
    assert BaseSpec(**host.call("resolve", model=spec.path)) == spec
    with pytest.raises(HostError, match="no folder"):
        host.call("resolve", model="/no/such/folder")
    policy = RemotePolicy(host, spec, device="cpu")
    with pytest.raises(AdapterError, match="lacks"):
        policy.swap("v9", "/no/such/folder")
    policy.close()
