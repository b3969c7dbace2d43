"""A turn hears what is stated, asks about what was inferred, and a large base finds facts by schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import commands
from agent.commands import CommandContext
from agent.events import BlindReplies, Notice, RecallDone, ToolFinished
from agent.extraction import LARGE, extract, prompt
from agent.runtime import Runtime
from memory.errors import AttuneError
from policies.base_models import BaseSpec
from tests.agent.scripted import call
from tests.agent.tui.kept import make_adapter

Make = Callable[..., Runtime]


def notices(runtime: Runtime, text: str) -> list[str]:
    return [event.text for event in runtime.loop.turn(text) if isinstance(event, Notice)]


def texts(runtime: Runtime) -> list[str]:
    return [one.text for one in runtime.facts.all()]


def test_what_is_stated_is_kept_and_what_it_corrects_is_not_shown(make_runtime: Make) -> None:
    runtime = make_runtime("Good.")
    assert notices(runtime, "I live in Ghent.") == []
    [told] = notices(runtime, "I live in Antwerp now.")
    assert "\u201cI live in Antwerp now.\u201d holds, in the place of \u201cI live in Ghent.\u201d" in told
    assert texts(runtime) == ["I live in Antwerp now."]
    assert not any("<memories>" in str(seen) for seen in runtime.policy.seen)  # type: ignore[attr-defined]
    events = list(runtime.loop.turn("Where do I live?"))
    [recalled] = [event for event in events if isinstance(event, RecallDone)]
    assert [one.text for one in recalled.recalled] == ["I live in Antwerp now."]


def test_a_memory_that_is_switched_off_hears_nothing(make_runtime: Make) -> None:
    runtime = make_runtime("Good.", memory=False)
    notices(runtime, "I live in Ghent.")
    assert texts(runtime) == []


def test_a_tool_call_that_repeats_a_memory_stores_nothing(make_runtime: Make) -> None:
    repeat = call("remember", fact="The owner's dog is called Fitzo.")
    runtime = make_runtime("Good.", repeat, "Fine.")
    notices(runtime, "My dog is called Fitzo.")
    [done] = [
        one for one in runtime.loop.turn("Tell me about my dog Fitzo.") if isinstance(one, ToolFinished)
    ]
    assert done.result.startswith("Not saved")
    assert texts(runtime) == ["My dog is called Fitzo."]


def test_an_inferred_memory_is_asked_about_once_when_it_matters(make_runtime: Make) -> None:
    runtime = make_runtime(call("remember", fact="The owner keeps bees."), "Nice.", "Well.")
    notices(runtime, "Honey is so expensive.")
    [memory] = runtime.facts.all()
    assert memory.origin == "inferred"
    [asked] = notices(runtime, "Does the owner keep bees?")
    assert "only inferred" in asked
    assert notices(runtime, "Does the owner keep bees?") == []
    said = commands.run(runtime, "/memory no", CommandContext())
    assert said.text == "Taken back: The owner keeps bees."
    assert texts(runtime) == []
    with pytest.raises(AttuneError, match="no open question"):
        commands.run(runtime, "/memory yes", CommandContext())


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('{"facts": [{"fact": "I live in Ghent."}]}', ["I live in Ghent."]),
        ('```json\n{"facts": [{"fact": "I live in Ghent."}]}\n```', ["I live in Ghent."]),
        ('{"facts": []}', []),
        ("I found these facts: you live in Ghent.", []),
        ('{"facts": [{"fact": 7}]}', []),
        ('{"facts": [{"fact": "ok then", "note": "x"}]}', []),
        ('{"facts": ["I live in Ghent."]}', []),
        ('{"facts": [{"fact": ""}]}', []),
        (json.dumps({"facts": [{"fact": f"Fact number {n}."} for n in range(9)]}), []),
        (json.dumps({"facts": [{"fact": "x" * 500}]}), []),
        ("", []),
    ],
)
def test_only_what_keeps_to_the_schema_is_taken(answer: str, found: list[str]) -> None:
    assert extract(lambda messages: answer, "I live in Ghent.") == found
    assert '"additionalProperties": false' in str(prompt("x")[0]["content"])


@pytest.mark.parametrize(("parameters", "kept"), [(LARGE, True), (LARGE - 1, False)])
def test_only_a_large_base_is_asked_to_extract(
    make_runtime: Make, monkeypatch: pytest.MonkeyPatch, parameters: int, kept: bool
) -> None:
    found = json.dumps(
        {"facts": [{"fact": "I teach at the school in Deinze."}, {"fact": "I enjoy the quiet."}]}
    )
    runtime = make_runtime("Good.", found)
    runtime._spec = BaseSpec("large", "nowhere", "0" * 64)
    runtime.registry.list()
    monkeypatch.setattr("policies.base_models.parameters", lambda spec: parameters)
    notices(runtime, "So yesterday, while I teach at the school in Deinze, it rained.")
    by_text = {one.text: one.origin for one in runtime.facts.all()}
    expected = {"I teach at the school in Deinze.": "said", "I enjoy the quiet.": "inferred"}
    assert by_text == (expected if kept else {})


def test_what_is_told_in_a_turn_with_two_replies_is_extracted_too(
    make_runtime: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = json.dumps({"facts": [{"fact": "I enjoy the quiet."}]})
    runtime = make_runtime("Good.", "Fine.", found)
    runtime.use(make_adapter(runtime, "promoted", {}))  # type: ignore[arg-type]
    runtime._spec = BaseSpec("large", "nowhere", "0" * 64)
    monkeypatch.setattr("policies.base_models.parameters", lambda spec: LARGE)
    told = "So yesterday, while it was quiet in Deinze, it rained."
    [known] = [
        texts(runtime) for event in runtime.loop.turn(told, blind=True) if isinstance(event, BlindReplies)
    ]
    assert known == [], "the replies do not wait for it"
    assert texts(runtime) == ["I enjoy the quiet."]


def test_what_a_large_base_takes_from_a_document_is_not_kept(
    make_runtime: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = json.dumps({"facts": [{"fact": "I enjoy the quiet."}, {"fact": "I like long walks."}]})
    runtime = make_runtime("Good.", found)
    (tmp_path / "diary.md").write_text("The quiet of the school is what I enjoy. It rained.")
    runtime.documents.learn([tmp_path / "diary.md"])
    runtime._spec = BaseSpec("large", "nowhere", "0" * 64)
    runtime.registry.list()
    monkeypatch.setattr("policies.base_models.parameters", lambda spec: LARGE)
    notices(runtime, "What is there to enjoy about the quiet of the school?")
    assert texts(runtime) == ["I like long walks."]
