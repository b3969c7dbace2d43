"""`attune policy show V`: the whole report, in sections, from what the gate wrote down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memory.database import open_home
from memory.journal import Journal
from memory.taste.card_model import Observation
from memory.taste.features import features
from memory.taste.posterior import posterior
from policies.adapters.registry import AdapterRegistry
from policies.base_models import resolve
from policies.gate.verdict import Factual, HeldOut, Proof, Sample, Skill, Stats, Telling, judge, report
from policies.learners.distil import summary
from policies.watch import SET_ASIDE
from tests.agent.command_line import Attune
from tests.policies.tiny_models import make_adapter

PROOF = {"steps": 30, "grad_norm": 1.5, "max_abs_b": 0.02, "logits_changed": 0.4}


def stats(reply: str, **changes: Any) -> Stats:
    made = Stats(
        base=tuple(Sample(f"Rivers carry water from the hills to the sea, number {at}.") for at in range(20)),
        candidate=tuple(Sample(f"- Rivers {at}\n- Water") for at in range(20)),
        kl=0.31,
        skills={"recall": Skill((True,) * 5, (True,) * 5)},
        held_out=tuple(
            HeldOut(
                at % 2 == 0,
                -20.0,
                -18.0 + at / 10 if at % 2 == 0 else -23.0 - at / 10,
                None,
                f"c{at}",
                at > 5,
            )
            for at in range(10)
        ),
        factual=tuple(
            Factual("whales", how, "true", "true") for how in ("asked plainly", "memory of it", "belief told")
        ),
        telling=(Telling(reply, True, 4.0), Telling("gone", False, -3.0)),
        proof=Proof("a" * 64, "a" * 64, 0.4, 0.02, 1.5),
    )
    return replace(made, **changes)


def put(home: Path, model: Path, folder: Path, figures: Stats, taste: dict | None = None) -> str:
    """An adapter whose report is the gate's on `figures`; its version."""
    verdict = judge(figures)
    body = report(figures, verdict) | {
        "taste": taste,
        "proof": {**PROOF, "sha256_trained": "a" * 64, "sha256_served": "a" * 64},
        "trained_on": {"feedback": [], "replies": []},
    }
    db, spec = open_home(home), resolve(str(model))
    adapter = AdapterRegistry(db, home).add(
        make_adapter(folder, model, seed=1),
        {
            "base": spec.name,
            "base_sha256": spec.sha256,
            "algorithm": "kto",
            "status": verdict.status,
            "signals": 64,
            "report": body,
        },
    )
    db.close()
    return adapter.version


def test_a_promoted_version_in_all_its_parts(
    attune: Attune, home: Path, tmp_path: Path, tiny: Path, reply: str
) -> None:
    shown = attune("policy", "show", put(home, tiny, tmp_path / "lora", stats(reply))).out
    db = open_home(home)
    said = Journal(db).message(reply).content
    db.close()
    for part in (
        "v1: promoted\n",
        "kto on 64 signals",
        "\u2022 It prefers what the owner likes: margin +",
        "held-out ratings  100% in the right order (5 liked, 5 not), margin ",
        "90% sure",
        "newer than all  100% in the right order (2 liked, 2 not)",
        "length            3 words, the base 11, 0.27 times",
        "distance to base  0.31 nats a token (KL)",
        "skills            recall 5/5 (base 5)",
        "factual probes    asked plainly 1/1 (base 1), memory of it 1/1 (base 1)",
        "0 answers that flatter",
        "Fresh replies: 11 -> 3 words, bullets 0 % -> 100 %.",
        "It comes from 1 liked and 1 disliked replies; 2 of them moved the way they were rated.",
        f"good +4.0 nats  {reply[:8]}",
        " ".join(said.split())[:20],
        "bad  -3.0 nats  gone  (forgotten since)",
        "It now says such things as",
        "Proof of learning",
        "served = trained  yes, aaaa",
        "logits changed    by up to 0.4",
        "LoRA B            largest entry 0.02",
        "gradient norm     1.5, 30 steps",
    ):
        assert part in shown, part


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        (
            {"held_out": ()},
            "v1: provisional (the gate said: not enough evidence yet): not in use",
            "Not enough",
        ),
        (
            {"held_out": tuple(HeldOut(at % 2 == 0, 0.0, float(at * 7 % 5 - 2)) for at in range(10))},
            "v1: provisional: not in use",
            "Not clear yet",
        ),
        (
            {"factual": (Factual("whales", "both", "true", "agrees", "Yes, whales are fish."),)},
            "v1: rejected: it is not used by itself",
            'It flatters: it now agrees with what is not so in 1 of 1 factual probes (whales, both: "Yes',
        ),
        (
            {"proof": Proof("a" * 64, "a" * 64, 0.0, 0.0, 0.0)},
            "v1: rejected",
            "Nothing was learned",
        ),
    ],
)
def test_every_other_verdict_is_named_with_its_reason(
    attune: Attune,
    home: Path,
    tmp_path: Path,
    tiny: Path,
    reply: str,
    changes: dict[str, Any],
    verdict: str,
    reason: str,
) -> None:
    version = put(home, tiny, tmp_path / "lora", stats(reply, **changes))
    shown = attune("policy", "show", version).out
    assert verdict in shown
    assert f"\u2022 {reason}" in shown
    assert attune("policy", "show", version, "--json").json["report"]["finding"] in shown


@pytest.mark.parametrize(
    ("up", "sentence"),
    [
        (12, "All thumbs together speak for brief replies ("),
        (0, "No taste is clear from the thumbs yet, so it tries several, such as "),
    ],
)
def test_the_taste_that_was_taught_is_named(
    attune: Attune, home: Path, tmp_path: Path, tiny: Path, reply: str, up: int, sentence: str
) -> None:
    long = "Rivers are long. They run to the sea. They carry sand. Many people live near them."
    thumbs = [
        Observation(str(at), features("Rivers run." if at < up else long), at < up) for at in range(up + 6)
    ]
    version = put(home, tiny, tmp_path / "lora", stats(reply), summary(posterior(thumbs)))
    assert sentence in " ".join(attune("policy", "show", version).out.split())


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        (
            {"accuracy": 0.75, "low": 0.61, "high": 0.85, "n": 48, "commoner": 0.5, "gain_low": 0.08},
            "reward model      75% of 48 held-out ratings foretold [61%, 85%], a constant guess 50%\n",
        ),
        (
            {"accuracy": 0.55, "low": 0.40, "high": 0.70, "n": 40, "commoner": 0.6, "gain_low": -0.02},
            "foretold [40%, 70%], a constant guess 60%; it knows nothing beyond chance\n",
        ),
        ({"accuracy": 0.6, "n": 9}, "reward model      60% of 9 held-out ratings foretold\n"),
        (None, ""),
    ],
)
def test_what_the_reward_model_is_worth(
    attune: Attune,
    home: Path,
    tmp_path: Path,
    tiny: Path,
    reply: str,
    figures: dict[str, float] | None,
    line: str,
) -> None:
    version = put(home, tiny, tmp_path / "lora", stats(reply))
    db = open_home(home)
    registry = AdapterRegistry(db, home)
    registry.set_status(version, "promoted", {**registry.get(version).report, "reward_model": figures})
    db.close()
    shown = attune("policy", "show", version).out
    assert line in shown
    assert ("reward model" in shown) == (figures is not None)


def test_the_proof_is_no_more_than_the_files(
    attune: Attune, home: Path, tmp_path: Path, tiny: Path, reply: str
) -> None:
    version = put(home, tiny, tmp_path / "lora", stats(reply))
    weights = home / "adapters" / version / "adapter_model.safetensors"
    assert "served = trained  yes" in attune("policy", "show", version).out
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert "served = trained  NO, its files were changed since" in attune("policy", "show", version).out
    weights.unlink()
    assert "served = trained  NO, its files are gone" in attune("policy", "show", version).out


def test_what_was_set_aside_says_why(
    attune: Attune, home: Path, tmp_path: Path, tiny: Path, reply: str
) -> None:
    version = put(home, tiny, tmp_path / "lora", stats(reply))
    db = open_home(home)
    registry = AdapterRegistry(db, home)
    report = {**registry.get(version).report, SET_ASIDE: "v1 was set aside: your taste has changed."}
    registry.set_status(version, "promoted", report)
    db.close()
    assert "set aside         v1 was set aside: your taste" in attune("policy", "show", version).out


def test_the_report_of_an_older_home_is_readable(
    attune: Attune, home: Path, tmp_path: Path, tiny: Path, reply: str
) -> None:
    db, spec = open_home(home), resolve(str(tiny))
    old = {
        "verdict": "provisional",
        "reasons": ["Not enough evidence yet: 0 liked and 0 disliked replies were held out."],
        "held_out": {"liked": 0, "disliked": 0},
    }
    AdapterRegistry(db, home).add(
        make_adapter(tmp_path / "lora", tiny, seed=1),
        {
            "base": spec.name,
            "base_sha256": spec.sha256,
            "algorithm": "kto",
            "status": "provisional",
            "report": old,
        },
    )
    db.close()
    shown = attune("policy", "show", "v1").out
    assert "v1: provisional: not in use" in shown
    attune("policy", "use", "v1")
    assert "v1: provisional, speaking now: on trial, new ratings decide" in attune("policy", "show", "v1").out
    assert "Not enough evidence yet" in shown
    assert "Proof" not in shown
