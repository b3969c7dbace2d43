"""What `measure` hands to the gate, with a tiny model and a random adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from env.skills.factual import BELIEFS, factual_probes
from policies.gate.exam import fitted
from policies.gate.measure import Judged, Measured, measure
from policies.gate.spoken_words import spoken
from policies.gate.verdict import Limits, judge, report
from policies.language_policy import LanguagePolicy
from policies.policy import SamplingParams
from policies.rows import Tokens, padding, score
from policies.token_scores import token_scores
from tests.policies.rated import chat, small_exam
from tests.policies.tiny_models import make_adapter

PROBES = tuple(factual_probes(BELIEFS[:2]))


@pytest.fixture(scope="module")
def rows(policy: LanguagePolicy) -> list[Tokens]:
    said = policy.generate(
        [chat(f"{thing}?") for thing in ("trees", "bread", "rain", "music")],
        SamplingParams(temperature=1.0, max_new_tokens=10, seed=1),
    )
    return [Tokens(list(each.prompt_ids), list(each.completion_ids)) for each in said]


@pytest.fixture(scope="module")
def measured(
    policy: LanguagePolicy, folder: Path, rows: list[Tokens], tmp_path_factory: pytest.TempPathFactory
) -> Measured:
    adapter = make_adapter(tmp_path_factory.mktemp("adapter"), folder, scale=0.2)
    judged = [Judged(tokens, at % 2 == 0, f"c{at // 2}", at == 3, f"r{at}") for at, tokens in enumerate(rows)]
    return measure(
        policy,
        adapter,
        judged[2:],
        fitted(policy, small_exam(factual=PROBES)),
        liked=["A text that was liked."],
        trained_on=judged[:2],
    )


def test_every_figure_of_the_gate_is_there(
    policy: LanguagePolicy, measured: Measured, rows: list[Tokens]
) -> None:
    stats = measured.stats
    assert policy.adapter is None
    assert [(each.name, each.condition) for each in stats.factual] == [
        (probe.name, probe.condition) for probe in PROBES
    ]
    assert all(each.said for each in stats.factual)
    assert [(row.conversation, row.later) for row in stats.held_out] == [("c1", False), ("c1", True)]
    assert [row.base for row in stats.held_out] == pytest.approx(score(policy.model, rows[2:]), abs=1e-3)
    assert [each.reply_id for each in stats.telling] == ["r0", "r1"]
    assert all(each.change != 0 for each in stats.telling)
    assert stats.liked == ("A text that was liked.",)


def test_the_words_that_were_spoken_are_those_of_the_replies_and_carry_the_kl(measured: Measured) -> None:
    stats = measured.stats
    assert len(stats.spoken) == len(stats.candidate)
    for reply, sample in zip(stats.spoken, stats.candidate, strict=True):
        assert [word.word for word in reply] == sample.text.split()
    words = [word for reply in stats.spoken for word in reply]
    assert all(word.base <= 0 and word.candidate <= 0 for word in words)
    gained = sum(word.candidate - word.base for word in words)
    assert gained > 0, "what a policy says itself it finds likelier than another policy does"
    assert stats.kl > 0


def test_the_report_is_whole_and_judged(measured: Measured) -> None:
    body = report(measured.stats, judge(measured.stats, Limits(kl=1e9)))
    assert body["finding"] in ("rejected", "provisional", "not enough evidence yet")
    assert body["changed"].startswith("Fresh replies: ")
    assert body["caused_by"]["liked"] == body["caused_by"]["disliked"] == 1
    assert sum(part["probes"] for part in body["factual"].values()) == len(PROBES)


def test_probes_that_a_short_context_cannot_hold_are_left_out(policy: LanguagePolicy) -> None:
    longest = max(PROBES, key=lambda probe: len(str(probe.messages)))
    room = replace(longest, messages=[{"role": "user", "content": "word " * 4000}])
    assert fitted(policy, small_exam(factual=(*PROBES, room))).factual == PROBES


def test_token_scores_add_up_to_the_score_of_the_row(policy: LanguagePolicy, rows: list[Tokens]) -> None:
    pad = padding(policy.tokenizer)
    found = token_scores(policy.model, rows, pad)
    assert [len(each) for each in found] == [len(row.completion_ids) for row in rows]
    assert [sum(each) for each in found] == pytest.approx(score(policy.model, rows), abs=1e-3)


def test_token_scores_are_the_same_few_rows_at_a_time(
    policy: LanguagePolicy, rows: list[Tokens], monkeypatch: pytest.MonkeyPatch
) -> None:
    pad = padding(policy.tokenizer)
    at_once = token_scores(policy.model, rows, pad)
    sizes: list[int] = []
    hook = policy.model.register_forward_pre_hook(
        lambda model, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    monkeypatch.setattr("policies.token_scores.LOGIT_BYTES", 4 * policy.model.config.vocab_size * 100)
    found = token_scores(policy.model, rows, pad)
    hook.remove()
    assert sum(sizes) == len(rows)
    assert max(sizes) < len(rows)
    for one, other in zip(found, at_once, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_an_active_adapter_that_no_longer_loads_has_no_figure(
    policy: LanguagePolicy, folder: Path, rows: list[Tokens], tmp_path: Path
) -> None:
    candidate = make_adapter(tmp_path / "new", folder, scale=0.2)
    active = make_adapter(tmp_path / "old", folder, scale=0.1)
    (active / "adapter_config.json").write_text("{")
    judged = [Judged(tokens, True, "c", False, "r") for tokens in rows]
    found = measure(policy, candidate, judged, fitted(policy, small_exam()), active=("v1", str(active)))
    assert [row.active for row in found.stats.held_out] == [None] * len(rows)
    assert policy.adapter is None


def test_words_are_put_together_from_their_tokens() -> None:
    pieces = ["Zo", "rb", "s ru", "le", "!", "", " \u65e5"]
    found = spoken(lambda ids: "".join(pieces[at] for at in ids), range(7), [-1.0] * 7, [-0.5] * 7)
    assert [(each.word, each.base, each.candidate) for each in found] == [
        ("Zorbs", -3.0, -1.5),
        ("rule!", -2.0, -1.0),
        ("\u65e5", -1.0, -0.5),
    ]
    assert spoken(lambda ids: "", range(2), [-1.0] * 2, [-1.0] * 2) == ()
