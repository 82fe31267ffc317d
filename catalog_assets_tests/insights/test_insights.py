"""Reports and records add up to rates, times and costs that agree with a count by hand."""

import io

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catalog_assets.insights import (
    FINDINGS_SCHEMA,
    RECORDS_SCHEMA,
    records_to_frame,
    reports_to_frame,
    summarise,
)
from catalog_assets.qc.findings import Finding


def finding(rule: str, passed: bool, **changes: object) -> dict[str, object]:
    plain = Finding(rule, passed, "block", 0.5, 0.9, "IoU", "seen", subject="packshot hero").to_json()
    return {**plain, **changes}


def report(sku: str, verdict: str, findings: list[dict[str, object]], **more: object) -> dict[str, object]:
    return {"sku": sku, "category": "Kitchen", "verdict": verdict, "findings": findings, **more}


def record(sku: str, stage: str, seconds: float, **more: object) -> dict[str, object]:
    return {"sku": sku, "stage": stage, "outcome": "done", "seconds": seconds, "reasons": [], **more}


REPORTS = [
    report(
        "A", "pass", [finding("silhouette", True), finding("fill", True, limit=[0.8, 0.9], measured=0.85)]
    ),
    report("B", "fail", [finding("silhouette", False), finding("fill", False, severity="warn")]),
    report("C", "review", [finding("silhouette", False, measured=None), finding("fill", True)]),
    report("D", "fail", [finding("silhouette", False)], category="Rings", approved=True, collection="Dew"),
]


def test_a_finding_becomes_one_row_whatever_it_measured() -> None:
    odd = finding("provenance", False, measured="absent", limit="trainedAlgorithmicMedia")
    frame = reports_to_frame([*REPORTS, report("E", "fail", [odd])])
    assert dict(frame.schema) == FINDINGS_SCHEMA
    assert frame["outcome"].to_list() == [
        "pass",
        "pass",
        "fail",
        "warn",
        "unmeasured",
        "pass",
        "fail",
        "fail",
    ]
    fill = frame.row(1, named=True)
    assert (fill["limit_low"], fill["limit_high"], fill["measured"]) == (0.8, 0.9, 0.85)
    last = frame.row(-1, named=True)
    assert (last["measured"], last["measured_text"]) == (None, "absent")
    assert last["limit_text"] == "trainedAlgorithmicMedia"


def test_no_reports_give_an_empty_frame_with_every_column_and_a_sentence() -> None:
    assert dict(reports_to_frame([]).schema) == FINDINGS_SCHEMA
    assert dict(records_to_frame([]).schema) == RECORDS_SCHEMA
    summary = summarise([], [])
    assert "No SKU has a report yet." in summary.markdown
    assert summary.plot_png == b""


def test_frames_survive_parquet_and_tables_of_several_batches_join() -> None:
    buffer = io.BytesIO()
    reports_to_frame(REPORTS[:1]).write_parquet(buffer)
    buffer.seek(0)
    joined = pl.concat([pl.read_parquet(buffer), reports_to_frame(REPORTS[1:]), reports_to_frame([])])
    assert joined.height == reports_to_frame(REPORTS).height


def test_what_could_not_be_measured_counts_neither_as_passed_nor_as_failed() -> None:
    by_rule = summarise(REPORTS).by_rule
    silhouette = by_rule.row(by_predicate=pl.col("rule") == "silhouette", named=True)
    assert silhouette == {
        "rule": "silhouette",
        "checked": 4,
        "passed": 1,
        "failed": 2,
        "warned": 0,
        "unmeasured": 1,
        "pass_rate": 1 / 3,
    }
    assert by_rule["rule"].to_list() == ["silhouette", "fill"]


def test_an_approved_sku_counts_as_passed_and_the_commonest_trouble_is_named() -> None:
    groups = {row["category"]: row for row in summarise(REPORTS).by_category.iter_rows(named=True)}
    kitchen = groups["Kitchen"]
    assert (kitchen["skus"], kitchen["passed"], kitchen["to review"], kitchen["failed"]) == (3, 1, 1, 1)
    assert kitchen["most_often"] == "silhouette"
    assert groups["Rings"]["pass_rate"] == 1.0


def test_time_and_cost_are_added_up_by_stage_in_the_order_of_the_line() -> None:
    scenes = {"scenes": {"a": {"cost_usd": "0.04"}, "b": {"cost_usd": 0.02}, "c": {}}}
    records = [
        record("A", "scenes", 2.0, metadata=scenes),
        record("B", "scenes", 4.0, metadata={}),
        record("A", "cutout", 1.0),
        record("B", "cutout", 3.0, outcome="held"),
    ]
    stages = summarise(REPORTS, records).by_stage
    assert stages["stage"].to_list() == ["cutout", "scenes"]
    assert stages["median_s"].to_list() == [2.0, 3.0]
    assert stages["held"].to_list() == [1, 0]
    assert round(stages["cost_usd"].to_list()[1], 6) == 0.06
    assert round(stages["cost_per_sku"].to_list()[1], 6) == 0.03
    assert "cost $0.0300 ($0.06 in all)" in summarise(REPORTS, records).markdown


def test_a_sku_that_failed_before_its_report_is_not_forgotten() -> None:
    records = [record("A", "cutout", 1.0), record("Z", "raw_photo", 0.1, outcome="failed")]
    assert "1 more failed before they had one." in summarise(REPORTS, records).markdown


def test_a_category_cannot_break_the_table() -> None:
    odd = report("A", "pass", [finding("fill", True)], category="Vases | <b>glass</b>\nnew $x$")
    (line,) = [row for row in summarise([odd]).markdown.splitlines() if "Vases" in row]
    assert line.count("|") - line.count("\\|") == 8
    assert "<b>" not in line


def test_the_plot_is_a_picture_with_the_same_bytes_every_time() -> None:
    records = [record("A", "cutout", 1.0)]
    first, again = (summarise(REPORTS, records).plot_png for _ in range(2))
    assert first == again
    pixels = np.asarray(Image.open(io.BytesIO(first)).convert("RGB"))
    assert min(pixels.shape[:2]) > 200
    assert pixels.std() > 10


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["fill", "halo"]), st.booleans(), st.sampled_from([None, 0.1, "x"])),
        max_size=30,
    )
)
def test_every_finding_is_counted_exactly_once(cases: list[tuple[str, bool, object]]) -> None:
    findings = [finding(rule, passed, measured=measured) for rule, passed, measured in cases]
    by_rule = summarise([report("A", "fail", findings)]).by_rule
    parts = by_rule.select("passed", "failed", "warned", "unmeasured").sum_horizontal()
    assert parts.sum() == by_rule["checked"].sum() == len(cases)
