"""Learning curves as a picture: PNG through matplotlib, where it is installed, and in the terminal.

A panel is one condition; a curve one arm: satisfaction over ratings, with its interval in the PNG.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from env.bench.errors import BenchError

MARKERS = ("o", "s", "^", "v", "D", "P", "X")
INSTALL = 'A PNG needs matplotlib: pip install "attune[plots]", or pip install matplotlib.'
Panels = Mapping[str, Mapping[str, Mapping[str, list[float]]]]


def panels(result: Mapping[str, Any]) -> Panels:
    """{condition: {arm: {count: [mean, low, high]}}}; what comes after a drift goes on behind it."""
    if "conditions" not in result:
        return {"plain": _curves(result)}
    return {name: _curves(figures) for name, figures in result["conditions"].items()}


def png(result: Mapping[str, Any], path: Path) -> None:
    """Draw `result` (of env.bench.learning) into `path`. BenchError says how to install matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise BenchError(INSTALL) from None
    drawn = panels(result)
    columns = min(3, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.8 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (name, curves) in enumerate(drawn.items(), 1):
        axes = figure.add_subplot(rows, columns, place)
        for number, (arm, curve) in enumerate(curves.items()):
            counts = [int(count) for count in curve]
            means, lows, highs = zip(*curve.values(), strict=True)
            axes.plot(
                counts, means, marker=MARKERS[number % len(MARKERS)], markersize=4, linewidth=1.5, label=arm
            )
            axes.fill_between(counts, lows, highs, alpha=0.12)
        axes.set(title=name, xlabel="ratings", ylabel="satisfaction", ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        if place == 1:
            axes.legend(fontsize="small")
    figure.savefig(path, dpi=140)


def terminal(result: Mapping[str, Any], width: int = 78, height: int = 18) -> str:
    """The same curves, without intervals and colours, each of the first letter of its arm.

    Lines have at most `width` columns; each panel is `height` of them.
    """
    import plotext

    blocks = []
    for name, curves in panels(result).items():
        plotext.clear_figure()
        plotext.plot_size(width, height)
        plotext.title(f"{name}: satisfaction over ratings")
        plotext.ylim(0, 1)
        for arm, curve in curves.items():
            counts, means = [int(count) for count in curve], [band[0] for band in curve.values()]
            plotext.plot(counts, means, marker=arm[0], label=arm)
        drawn = plotext.uncolorize(plotext.build())
        blocks.append("\n".join(line.rstrip() for line in drawn.splitlines()))
    plotext.clear_figure()
    return "\n\n".join(blocks)


def _curves(figures: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    drift_at = figures.get("settings", {}).get("drift_at")
    curves = {}
    for arm, one in figures["arms"].items():
        curve = dict(one["satisfaction"])
        if "after_change" in one and drift_at is not None:
            later = one["after_change"]["satisfaction"].items()
            curve |= {str(drift_at + int(count)): band for count, band in later if int(count)}
        curves[arm] = curve
    return curves
