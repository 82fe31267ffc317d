"""Pass rates, time and cost, as frames and as Markdown a merchandiser can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from catalog_assets.insights.frames import records_to_frame, reports_to_frame

_STAGES = ("raw_photo", "cutout", "packshot", "scenes", "qc_report", "listing")
_VERDICTS = {"pass": "passed", "review": "to review", "fail": "failed"}


@dataclass(frozen=True)
class Summary:
    """What a catalogue's reports and records add up to.

    ``findings`` and ``records`` are the frames of :mod:`.frames`; the other frames are what the Markdown
    shows. ``plot_png`` is empty where there is nothing to plot.
    """

    findings: pl.DataFrame
    records: pl.DataFrame
    by_rule: pl.DataFrame
    by_category: pl.DataFrame
    by_collection: pl.DataFrame
    by_stage: pl.DataFrame
    markdown: str
    plot_png: bytes


def summarise(reports: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]] = ()) -> Summary:
    """Add up QC reports and manifest records (JSON forms of both).

    Rates are shares of what was measured; what could not be measured is counted apart. A SKU passes when
    its verdict is ``pass`` or a person approved it.
    """
    from catalog_assets.insights.plot import plot_insights

    documents = list(reports)
    findings, frame = reports_to_frame(documents), records_to_frame(records)
    skus = pl.DataFrame(
        [
            {key: str(d.get(key) or "") for key in _SKU_SCHEMA} | {"approved": bool(d.get("approved"))}
            for d in documents
        ],
        schema=_SKU_SCHEMA | {"approved": pl.Boolean()},
        orient="row",
    )
    by_rule, by_stage = _by_rule(findings), _by_stage(frame)
    by_category, by_collection = (
        _by_group(skus, findings, "category"),
        _by_group(skus, findings, "collection"),
    )
    return Summary(
        findings=findings,
        records=frame,
        by_rule=by_rule,
        by_category=by_category,
        by_collection=by_collection,
        by_stage=by_stage,
        markdown=_markdown(skus, frame, by_rule, by_category, by_collection, by_stage),
        plot_png=plot_insights(by_rule, by_category, by_stage),
    )


_SKU_SCHEMA: dict[str, Any] = {
    "sku": pl.String(),
    "category": pl.String(),
    "collection": pl.String(),
    "verdict": pl.String(),
}


def _by_rule(findings: pl.DataFrame) -> pl.DataFrame:
    """``rule, checked, passed, failed, warned, unmeasured, pass_rate``; worst first."""
    outcome = pl.col("outcome")
    return (
        findings.filter(pl.col("rule") != "human_review")
        .group_by("rule")
        .agg(
            pl.len().cast(pl.Int64).alias("checked"),
            (outcome == "pass").sum().cast(pl.Int64).alias("passed"),
            (outcome == "fail").sum().cast(pl.Int64).alias("failed"),
            (outcome == "warn").sum().cast(pl.Int64).alias("warned"),
            (outcome == "unmeasured").sum().cast(pl.Int64).alias("unmeasured"),
        )
        .with_columns(_rate(pl.col("passed"), pl.col("checked") - pl.col("unmeasured")))
        .sort(["pass_rate", "rule"], nulls_last=True)
    )


def _by_group(skus: pl.DataFrame, findings: pl.DataFrame, group: str) -> pl.DataFrame:
    """``<group>, skus, passed, to review, failed, pass_rate, most_often`` (the rule that failed most)."""
    good = (pl.col("verdict") == "pass") | pl.col("approved")
    counts = skus.group_by(group).agg(
        pl.len().cast(pl.Int64).alias("skus"),
        good.sum().cast(pl.Int64).alias("passed"),
        (~good & (pl.col("verdict") == "review")).sum().cast(pl.Int64).alias("to review"),
        (~good & (pl.col("verdict") == "fail")).sum().cast(pl.Int64).alias("failed"),
    )
    worst = (
        findings.filter(pl.col("outcome").is_in(["fail", "unmeasured"]) & (pl.col("rule") != "human_review"))
        .group_by(group, "rule")
        .agg(pl.col("sku").n_unique().alias("n"))
        .sort(["n", "rule"], descending=[True, False])
        .group_by(group, maintain_order=True)
        .agg(pl.col("rule").first().alias("most_often"))
    )
    return (
        counts.join(worst, on=group, how="left")
        .with_columns(_rate(pl.col("passed"), pl.col("skus")))
        .sort(["pass_rate", group])
    )


def _by_stage(records: pl.DataFrame) -> pl.DataFrame:
    """One row per stage in the line's order: counts, wall seconds and dollars."""
    order = {name: number for number, name in enumerate(_STAGES)}
    return (
        records.group_by("stage")
        .agg(
            pl.col("sku").n_unique().cast(pl.Int64).alias("skus"),
            (pl.col("outcome") == "held").sum().cast(pl.Int64).alias("held"),
            (pl.col("outcome") == "failed").sum().cast(pl.Int64).alias("failed"),
            pl.col("seconds").sum(),
            pl.col("seconds").median().alias("median_s"),
            pl.col("seconds").quantile(0.95, "linear").alias("p95_s"),
            pl.col("cost_usd").sum(),
        )
        .with_columns((pl.col("cost_usd") / pl.col("skus")).alias("cost_per_sku"))
        .with_columns(pl.col("stage").replace_strict(order, default=len(order)).alias("order"))
        .sort(["order", "stage"])
        .drop("order")
    )


def _rate(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole).otherwise(None).alias("pass_rate")


def _markdown(
    skus: pl.DataFrame,
    records: pl.DataFrame,
    by_rule: pl.DataFrame,
    by_category: pl.DataFrame,
    by_collection: pl.DataFrame,
    by_stage: pl.DataFrame,
) -> str:
    parts = ["# Insights", "", _headline(skus, records)]
    if by_rule.height:
        parts += ["", "## Rules, worst first", "", _table(by_rule)]
    if by_category.height:
        parts += ["", "## Categories", "", _table(by_category)]
    if by_collection.filter(pl.col("collection") != "").height:
        parts += ["", "## Collections", "", _table(by_collection)]
    if by_stage.height:
        parts += ["", "## Time and cost by stage", "", _table(by_stage)]
    return "\n".join(parts) + "\n"


def _headline(skus: pl.DataFrame, records: pl.DataFrame) -> str:
    if not skus.height:
        return "No SKU has a report yet."
    verdicts = skus["verdict"].to_list()
    approved = int(skus.filter((pl.col("verdict") != "pass") & pl.col("approved")).height)
    counts = ", ".join(f"{verdicts.count(v)} {said}" for v, said in _VERDICTS.items())
    sentence = f"{skus.height} SKUs have a report: {counts}."
    if approved:
        sentence += f" A person approved {approved} that did not pass by themselves."
    failed = set(records.filter(pl.col("outcome") == "failed")["sku"]) - set(skus["sku"])
    if failed:
        sentence += f" {len(failed)} more failed before they had one."
    touched = records["sku"].n_unique()
    if touched:
        per_sku = float(records["seconds"].sum()) / touched
        cost = float(records["cost_usd"].sum())
        sentence += (
            f" A SKU took {per_sku:.1f} s on average and cost ${cost / touched:.4f} (${cost:.2f} in all)."
        )
    return sentence


_HEADS = {
    "pass_rate": "pass rate",
    "unmeasured": "not measured",
    "most_often": "most often",
    "median_s": "median s",
    "p95_s": "95 % under s",
    "cost_usd": "cost $",
    "cost_per_sku": "$ per SKU",
    "skus": "SKUs",
}


def _table(frame: pl.DataFrame) -> str:
    heads = [_HEADS.get(name, name) for name in frame.columns]
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    lines = [_row(heads), _row(["---:" if n else "---" for n in numeric])]
    lines += [
        _row([_cell(n, v) for n, v in zip(frame.columns, row, strict=True)]) for row in frame.iter_rows()
    ]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "pass_rate":
        return f"{value:.0%}"
    if isinstance(value, float):
        return f"{value:.4f}" if name == "cost_per_sku" else f"{value:.2f}"
    text = str(value) or "(none)"
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
