"""A version's gate report in plain words. Every part may be missing: reports are data, not promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.tui.plain import clean, one_line, when
from memory.records import Adapter


def report_text(adapter: Adapter) -> str:
    """Verdict, reasons, and the figures that it rests on."""
    report = adapter.report
    speaks = ", speaking now" if adapter.active else ""
    lines = [
        f"{adapter.version}: {adapter.status}{speaks}",
        f"{adapter.algorithm} on {adapter.signals} signals, from {adapter.base}, {when(adapter.created_at)}",
    ]
    reasons = [clean(str(reason)) for reason in report.get("reasons", ())]
    lines += ["", *(f"\u2022 {reason}" for reason in reasons)] if reasons else []
    figures = [*_held_out(report), *_drift(report), *_skills(report)]
    lines += ["", *figures] if figures else []
    samples = [sample for sample in report.get("samples", ()) if isinstance(sample, Mapping)]
    if samples:
        lines += ["", "It now says such things as"]
        lines += [f"  \u201c{one_line(str(sample.get('text', '')), 110)}\u201d" for sample in samples[:3]]
    lines += ["", f"sha256 {adapter.sha256[:16]}\u2026"]
    return "\n".join(lines)


def _held_out(report: Mapping[str, Any]) -> list[str]:
    held = report.get("held_out") or {}
    if "accuracy" not in held:
        return []
    line = f"held-out ratings  {held['accuracy']:.0%} in the right order"
    if "liked" in held:
        line += f" ({held['liked']} liked, {held.get('disliked', 0)} not)"
    if "margin_low" in held:
        line += f", margin {held['margin']:.2f} [{held['margin_low']:.2f}, {held['margin_high']:.2f}]"
    return [line]


def _drift(report: Mapping[str, Any]) -> list[str]:
    lines = []
    words = report.get("words") or {}
    if "candidate" in words:
        lines.append(f"length            {words['candidate']:.0f} words, the base {words.get('base', 0):.0f}")
    if isinstance(report.get("kl"), int | float):
        lines.append(f"distance to base  {report['kl']:.2f} nats a token")
    return lines


def _skills(report: Mapping[str, Any]) -> list[str]:
    kept = [
        f"{name} {skill.get('candidate')}/{skill.get('probes')} (base {skill.get('base')})"
        for name, skill in (report.get("skills") or {}).items()
        if isinstance(skill, Mapping)
    ]
    return [f"skills            {', '.join(kept)}"] if kept else []
