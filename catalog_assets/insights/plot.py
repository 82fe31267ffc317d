"""One PNG: how often each rule passes, each category passes, and where the seconds go."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREEN, _AMBER, _RED, _GREY, _BLUE = "#3f7d5a", "#d9a441", "#b5482a", "#b9bdb8", "#4a6f93"
_MOST_CATEGORIES = 16
_LEAST_ROWS = 8


def plot_insights(by_rule: pl.DataFrame, by_category: pl.DataFrame, by_stage: pl.DataFrame) -> bytes:
    """The plot as PNG bytes, empty where there is nothing to show; equal frames give equal bytes.

    Frames as :mod:`catalog_assets.insights.summary` makes them.
    """
    if not by_rule.height and not by_stage.height:
        return b""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = by_category.head(_MOST_CATEGORIES)
    rows = max(by_rule.height, shown.height, by_stage.height, 4)
    figure = Figure(figsize=(15, 1.6 + 0.3 * rows), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.25, 1.15, 1.0])
    _rules(left, by_rule)
    _categories(middle, shown)
    _stages(right, by_stage)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _rules(axes: Axes, by_rule: pl.DataFrame) -> None:
    parts = [
        ("passed", "passed", _GREEN),
        ("warned", "warned", _AMBER),
        ("failed", "failed", _RED),
        ("unmeasured", "not measured", _GREY),
    ]
    _stacked(axes, by_rule, "rule", parts, "Findings by rule", "findings")


def _categories(axes: Axes, by_category: pl.DataFrame) -> None:
    parts = [("passed", "passed", _GREEN), ("to review", "to review", _AMBER), ("failed", "failed", _RED)]
    _stacked(axes, by_category, "category", parts, "SKUs by category", "SKUs")


def _stages(axes: Axes, by_stage: pl.DataFrame) -> None:
    names = by_stage["stage"].to_list()
    places = list(range(len(names)))
    medians = by_stage["median_s"].to_list()
    axes.barh(places, medians, color=_BLUE, height=0.62)
    for place, (median, cost) in enumerate(zip(medians, by_stage["cost_per_sku"].to_list(), strict=True)):
        label = f" {median:.2f} s" + (f", ${cost:.3f}" if cost else "")
        axes.text(median, place, label, va="center", fontsize=8, color="#333333")
    axes.set_yticks(places, names)
    axes.margins(x=0.28)
    _dress(axes, "Time per SKU by stage", "seconds (median)", len(names))


def _stacked(
    axes: Axes, frame: pl.DataFrame, label: str, parts: list[tuple[str, str, str]], title: str, unit: str
) -> None:
    from matplotlib.ticker import MaxNLocator

    places = list(range(frame.height))
    left = [0] * frame.height
    for column, said, colour in parts:
        values = frame[column].to_list()
        if any(values):
            axes.barh(places, values, left=left, color=colour, height=0.62, label=said)
            left = [a + b for a, b in zip(left, values, strict=True)]
    # A dollar sign in a category's name is not the start of a formula.
    names = [_short(str(name) or "(none)").replace("$", r"\$") for name in frame[label].to_list()]
    axes.set_yticks(places, names)
    if frame.height:
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _dress(axes, title, unit, frame.height)


def _dress(axes: Axes, title: str, unit: str, rows: int) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(unit, fontsize=8, loc="right")
    axes.tick_params(labelsize=8, length=0)
    # The first row on top, and a few rows are not blown up to fill the panel.
    axes.set_ylim(max(rows, _LEAST_ROWS) - 0.5, -0.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#e4e6e3", linewidth=0.8)
    axes.set_axisbelow(True)


def _short(text: str, most: int = 34) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
