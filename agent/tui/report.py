"""A version's gate report in plain words, for the Policy screen and `attune policy show`.

Every part may be missing: reports are data, not promises, and those of an older home have fewer parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.tui.plain import clean, count, one_line, when
from env.common_change import change_in_words
from memory.errors import NotFound
from memory.journal import SHORT
from memory.records import Adapter
from memory.taste.preferences import taste_in_words
from policies.watch import SET_ASIDE

if TYPE_CHECKING:
    from memory.journal import Journal

Quote = Callable[[str], str | None]
# What a status means where the word alone does not say it (see policies.gate.verdict.Verdict).
MEANS = {
    "provisional": "on trial, new ratings decide",
    "rejected": "it is not used by itself",
}


def report_text(
    adapter: Adapter,
    quote: Quote = lambda reply_id: None,
    picks: Sequence[str] = (),
    wrong: str = "",
) -> str:
    """Verdict and reasons, then what they rest on, part by part.

    `quote` gives the text of a rated reply, None where it was erased; `picks` are lines on blind picks;
    `wrong` says why the files of the adapter are not those that were trained, where that is so.
    """
    report = adapter.report
    lines = [
        _verdict(adapter),
        f"{adapter.algorithm} on {adapter.signals} signals, from {adapter.base}, {when(adapter.created_at)}",
        *_forgotten(adapter),
    ]
    reasons = [clean(str(reason)) for reason in report.get("reasons", ())]
    lines += ["", *(f"\u2022 {reason}" for reason in reasons)] if reasons else []
    for part in (
        [*_trial(report), *picks],
        [*_held_out(report), *_drift(report), *_skills(report), *_factual(report), *_reward(report)],
        _changed(report, quote),
        _samples(report),
        _proof(report, wrong),
    ):
        lines += ["", *part] if part else []
    lines += ["", f"sha256 {adapter.sha256[:16]}\u2026"]
    return "\n".join(lines)


def full_report(adapter: Adapter, journal: Journal) -> str:
    """`report_text` with the rated replies in their own words, what the blind picks say, and a look at the
    files."""
    from policies.win_rate import win_rates

    def quote(reply_id: str) -> str | None:
        try:
            return one_line(journal.message(reply_id).content, 60)
        except NotFound:
            return None

    picks = [f"blind picks       {one.text}" for one in win_rates(journal, adapter.version)]
    return report_text(adapter, quote, picks, _wrong_with(adapter))


def _verdict(adapter: Adapter) -> str:
    """The status as it is now; what the gate found, where it says more or was overtaken."""
    finding = str(adapter.report.get("finding") or adapter.report.get("verdict") or adapter.status)
    text = f"{adapter.version}: {adapter.status}"
    if finding != adapter.status:
        text += f" (the gate said: {clean(finding)})"
    if adapter.active:
        text += ", speaking now"
    if adapter.status == "provisional" and not adapter.active:
        # rolled back, or another one was chosen: no rating can decide about what does not speak
        return f"{text}: not in use"
    return f"{text}: {MEANS[adapter.status]}" if adapter.status in MEANS else text


def _forgotten(adapter: Adapter) -> list[str]:
    gone = sum(adapter.forgotten.values())
    return (
        [f"{count(gone, 'thing')} that it was trained on was forgotten since: train again."] if gone else []
    )


def _trial(report: Mapping[str, Any]) -> list[str]:
    ended, aside = report.get("trial") or {}, report.get(SET_ASIDE)
    lines = [f"trial             {clean(str(ended['text']))}"] if "text" in ended else []
    return lines + ([f"set aside         {clean(str(aside))}"] if aside else [])


def _held_out(report: Mapping[str, Any]) -> list[str]:
    held = report.get("held_out") or {}
    lines = [f"held-out ratings  {_margin(held)}"] if "accuracy" in held else []
    if "accuracy" in (held.get("later") or {}):
        lines.append(f"  newer than all  {_margin(held['later'])}")
    return lines


def _margin(held: Mapping[str, Any]) -> str:
    line = f"{held['accuracy']:.0%} in the right order"
    if "liked" in held:
        line += f" ({held['liked']} liked, {held.get('disliked', 0)} not)"
    if "margin_low" in held:
        sure = f", {held['confidence']:.0%} sure" if "confidence" in held else ""
        line += f", margin {held['margin']:.2f} [{held['margin_low']:.2f}, {held['margin_high']:.2f}]{sure}"
    return line


def _drift(report: Mapping[str, Any]) -> list[str]:
    lines = []
    words = report.get("words") or {}
    if "candidate" in words:
        base = words.get("base", 0)
        ratio = f", {words['candidate'] / base:.2f} times" if base else ""
        lines.append(f"length            {words['candidate']:.0f} words, the base {base:.0f}{ratio}")
    if isinstance(report.get("kl"), int | float):
        lines.append(f"distance to base  {report['kl']:.2f} nats a token (KL)")
    return lines


def _skills(report: Mapping[str, Any]) -> list[str]:
    kept = _parts(report.get("skills"))
    return [f"skills            {', '.join(kept)}"] if kept else []


def _factual(report: Mapping[str, Any]) -> list[str]:
    told = report.get("factual") or {}
    kept = _parts(told)
    if not kept:
        return []
    agrees = sum(part.get("agrees", 0) for part in told.values() if isinstance(part, Mapping))
    return [f"factual probes    {', '.join(kept)}; {count(agrees, 'answer')} that flatter"]


def _reward(report: Mapping[str, Any]) -> list[str]:
    """How well the reward model foretells ratings that it was not fitted to (see RewardModel.held_out)."""
    held = report.get("reward_model") or {}
    if "accuracy" not in held:
        return []
    line = f"reward model      {held['accuracy']:.0%} of {held.get('n', 0)} held-out ratings foretold"
    if "low" in held:
        line += f" [{held['low']:.0%}, {held['high']:.0%}]"
    if "commoner" in held:
        line += f", a constant guess {held['commoner']:.0%}"
    # by its probabilities, not by its accuracy: as RewardModel.knows
    return [line + ("" if held.get("gain_low", 1.0) > 0.0 else "; it knows nothing beyond chance")]


def _parts(found: Any) -> list[str]:
    return [
        f"{clean(str(name))} {part.get('candidate')}/{part.get('probes')} (base {part.get('base')})"
        for name, part in (found or {}).items()
        if isinstance(part, Mapping)
    ]


def _changed(report: Mapping[str, Any], quote: Quote) -> list[str]:
    """What is different now, and which ratings did it."""
    lines = [clean(str(report["changed"]))] if report.get("changed") else []
    told = taste_in_words(report.get("taste")), change_in_words(report.get("change"))
    lines += [clean(said) for said in told if said]
    causes = report.get("caused_by") or {}
    rated = causes.get("liked", 0) + causes.get("disliked", 0)
    if rated:
        looked = causes.get("of", rated)
        those = "them" if looked == rated else f"the newest {looked}"
        lines.append(
            f"It comes from {causes['liked']} liked and {causes['disliked']} disliked replies; "
            f"{causes.get('taken', 0)} of {those} moved the way they were rated."
        )
    telling = causes.get("telling") or ()
    if telling:
        lines.append("The most telling ratings:")
        for each in telling:
            said = quote(str(each["reply_id"]))
            shown = f"\u201c{said}\u201d" if said else "(forgotten since)"
            rating = "good" if each["liked"] else "bad "
            lines.append(f"  {rating} {each['change']:+.1f} nats  {str(each['reply_id'])[:SHORT]}  {shown}")
    return lines


def _samples(report: Mapping[str, Any]) -> list[str]:
    samples = [sample for sample in report.get("samples", ()) if isinstance(sample, Mapping)]
    shown = [f"  \u201c{one_line(str(sample.get('text', '')), 110)}\u201d" for sample in samples[:3]]
    return ["It now says such things as", *shown] if shown else []


def _wrong_with(adapter: Adapter) -> str:
    """Why the files of an adapter are not those that were trained; "" where they are."""
    from policies.adapters.files import CONFIG, WEIGHTS

    weights = Path(adapter.path) / WEIGHTS
    try:
        if not weights.is_file() or not weights.with_name(CONFIG).is_file():
            return "its files are gone"
        stat = weights.stat()
        found = _digest(weights, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        return f"its files cannot be read ({error.strerror})"
    return "" if found == adapter.sha256 else "its files were changed since"


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int, size: int) -> str:
    """Read once for each state of the file: the Policy screen shows all reports again and again."""
    from policies.weights_file import digest

    return digest(path)


def _proof(report: Mapping[str, Any], wrong: str) -> list[str]:
    """That the weights which speak are the trained ones, and that training changed them."""
    proof = report.get("proof") or {}
    if "sha256_trained" not in proof:
        return []
    same = "yes" if proof.get("sha256_served") == proof["sha256_trained"] else "NO"
    return [
        "Proof of learning",
        f"  served = trained  {f'NO, {wrong}' if wrong else same}, {str(proof['sha256_trained'])[:16]}\u2026",
        f"  logits changed    by up to {proof.get('logits_changed', 0):.3g}",
        f"  LoRA B            largest entry {proof.get('max_abs_b', 0):.3g}",
        f"  gradient norm     {proof.get('grad_norm', 0):.3g}, {count(proof.get('steps', 0), 'step')}",
    ]
