"""What Dagster is told about a batch, with stages that need no picture."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.definitions import build_defs
from catalog_assets.orchestration import assets
from catalog_assets.orchestration.batch import report, run_batch, streamed
from catalog_assets.orchestration.checks import CHECKS
from catalog_assets.orchestration.partitions import BATCH_SIZES, range_tags, stretches
from catalog_assets.orchestration.run_line import STAGE_NAMES, LineRun
from catalog_assets.qc.findings import CHECK_OF_RULE
from catalog_assets.settings import Settings
from catalog_assets.stages.line import Line
from catalog_assets.stages.stage import Made, NotReady, SkuFailed, Stage, perform
from catalog_assets.stages.stream import Stream, survey
from catalog_assets.weights.errors import WeightsError

SKUS = [f"S{n}" for n in range(8)]


class Echo(Stage):
    """Writes one file per SKU; fails, holds or explodes by name."""

    name = "echo"
    version = "1"

    def __init__(self) -> None:
        self.made: list[str] = []
        self.value = "a"

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        if sku == "S7":
            raise NotReady("S7 has not been photographed yet")
        return {"value": self.value}

    def make(self, line: Line, sku: str) -> Made:
        self.made.append(sku)
        made = Made()
        if sku == "S2":
            raise SkuFailed("photos/S2.jpg is not a picture")
        if sku == "S3":
            raise ZeroDivisionError("division by zero")
        self.put(line, made, f"echo/{sku}-{self.value}.txt", self.value.encode())
        if sku == "S4":
            made.hold("too dark")
        return made


@pytest.fixture
def line(tmp_path: Path) -> Line:
    (tmp_path / "inventory" / "photos").mkdir(parents=True)
    for sku in SKUS:
        (tmp_path / "inventory" / "photos" / f"{sku}.jpg").write_bytes(b"x")
    return Line(Settings(inventory=str(tmp_path / "inventory"), store=str(tmp_path / "store"), workers=3))


def test_every_stage_has_its_own_batch_size():
    assert len(set(BATCH_SIZES.values())) == len(BATCH_SIZES)
    assets = {a.key.to_user_string(): a for a in build_defs().resolve_asset_graph().assets_defs}
    for name, size in BATCH_SIZES.items():
        assert assets[name].backfill_policy.max_partitions_per_run == size


def test_one_bad_sku_never_stops_a_batch_and_each_reason_is_kept(line: Line):
    outcome = run_batch(Echo(), line, SKUS)
    assert list(outcome.steps) == SKUS
    assert outcome.failed["S2"] == "photos/S2.jpg is not a picture"
    assert "ZeroDivisionError" in outcome.failed["S3"]
    assert "not been photographed" in outcome.failed["S7"]
    assert outcome.steps["S4"].outcome == "held"
    assert outcome.steps["S4"].record.reasons == ["too dark"]
    assert set(outcome.good) == set(SKUS) - {"S2", "S3", "S7"}
    assert "8 SKUs" in outcome.summary("echo")
    assert "1 held, 3 failed" in outcome.summary("echo")


def test_what_no_sku_can_do_without_fails_the_batch_and_none_of_its_skus(line: Line):
    class Wanting(Echo):
        def require(self, line: Line) -> None:
            raise WeightsError("CATALOG_MATTE_RUNTIME=openvino needs OpenVINO, which is not installed")

    stage = Wanting()
    with pytest.raises(WeightsError, match="not installed"):
        run_batch(stage, line, SKUS)
    assert stage.made == []
    assert line.manifest.skus("echo") == []


def test_unchanged_is_skipped_and_a_failure_is_tried_again(line: Line):
    stage = Echo()
    run_batch(stage, line, SKUS)
    stage.made.clear()
    again = run_batch(stage, line, SKUS)
    assert sorted(stage.made) == ["S2", "S3"]
    assert again.steps["S0"].unchanged
    assert again.steps["S4"].unchanged
    assert again.steps["S4"].outcome == "held"


def test_a_lost_file_is_made_again_and_a_stale_one_is_removed(line: Line):
    stage = Echo()
    perform(stage, line, "S0")
    line.store.delete("echo/S0-a.txt")
    assert not perform(stage, line, "S0").unchanged
    stage.value = "b"
    perform(stage, line, "S0")
    assert line.store.listing("echo") == ["echo/S0-b.txt"]


def test_a_failure_keeps_the_files_of_the_last_good_run(line: Line):
    stage = Echo()
    perform(stage, line, "S1")
    stage.value = "b"
    stage.make = lambda line, sku: (_ for _ in ()).throw(SkuFailed("no"))  # type: ignore[method-assign]
    assert perform(stage, line, "S1").outcome == "failed"
    assert line.store.exists("echo/S1-a.txt")


def test_waiting_for_an_earlier_stage_leaves_no_record(line: Line):
    assert perform(Echo(), line, "S7").outcome == "failed"
    assert line.manifest.get("echo", "S7") is None


def batch_asset(line: Line, stage: Stage) -> dg.AssetsDefinition:
    @dg.asset(
        name="echo",
        partitions_def=dg.DynamicPartitionsDefinition(name="sku"),
        backfill_policy=dg.BackfillPolicy.multi_run(100),
        check_specs=[
            dg.AssetCheckSpec("tidy", asset="echo", partitions_def=dg.DynamicPartitionsDefinition(name="sku"))
        ],
    )
    def echo(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        outcome = run_batch(stage, line, context.partition_keys)
        checks = {
            "tidy": {sku: dg.AssetCheckResult(check_name="tidy", passed=sku != "S4") for sku in outcome.good}
        }
        yield from report(context, outcome, lambda step: {"sku": step.record.sku}, checks)

    return echo


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        found.add_dynamic_partitions("sku", SKUS)
        yield found


def statuses(instance: dg.DagsterInstance) -> dict[str, str]:
    found = instance.get_status_by_partition(
        dg.AssetKey("echo"), SKUS, dg.DynamicPartitionsDefinition(name="sku")
    )
    return {sku: status.name for sku, status in (found or {}).items() if status}


def test_dagster_sees_good_skus_materialized_and_bad_ones_failed(line: Line, instance: dg.DagsterInstance):
    asset = batch_asset(line, Echo())
    result = dg.materialize([asset], instance=instance, tags=range_tags(SKUS), raise_on_error=False)
    assert not result.success
    found = statuses(instance)
    assert {sku for sku, status in found.items() if status == "FAILED"} == {"S2", "S3", "S7"}
    assert {sku for sku, status in found.items() if status == "MATERIALIZED"} == {
        "S0",
        "S1",
        "S4",
        "S5",
        "S6",
    }
    events = instance.fetch_materializations(dg.AssetKey("echo"), limit=20).records
    assert {e.partition_key for e in events} == {"S0", "S1", "S4", "S5", "S6"}
    assert {e.asset_materialization.metadata["sku"].value for e in events} == {"S0", "S1", "S4", "S5", "S6"}


def test_a_held_sku_leaves_the_run_green_and_its_check_red(line: Line, instance: dg.DagsterInstance):
    asset = batch_asset(line, Echo())
    batch = ["S4", "S5", "S6"]
    result = dg.materialize([asset], instance=instance, tags=range_tags(batch), raise_on_error=False)
    assert result.success
    evaluations = {e.partition: e.passed for e in result.get_asset_check_evaluations() if e.partition}
    assert evaluations == {"S4": False, "S5": True, "S6": True}


class Second(Echo):
    """Comes after :class:`Echo`."""

    name = "second"


def test_skus_stream_through_the_stages_and_batches_report_what_the_stream_did(line: Line):
    stages = [Echo(), Second()]
    heard: list[tuple[str, str]] = []
    todo = dict.fromkeys(SKUS, "echo")
    with (
        Stream(line, stages, todo, tell=lambda stage, step: heard.append((stage, step.record.sku))) as stream,
        streamed(stream),
    ):
        first = run_batch(stages[0], line, SKUS)
        second = run_batch(stages[1], line, list(first.good))
    assert list(first.steps) == SKUS
    assert set(first.failed) == {"S2", "S3", "S7"}
    assert second.good.keys() == {"S0", "S1", "S4", "S5", "S6"}
    # A SKU that failed goes no further; every other one is heard of once per stage, in order.
    assert sorted(heard) == sorted([("echo", s) for s in SKUS] + [("second", s) for s in first.good])
    assert heard.index(("second", "S0")) > heard.index(("echo", "S0"))
    # It does not wait for the whole batch.
    assert heard.index(("second", "S0")) < heard.index(("echo", "S7"))
    # What the batches reported was made once.
    assert sorted(stages[0].made) == sorted(set(SKUS) - {"S7"})


def test_a_stream_that_cannot_store_says_so_to_whoever_waits(line: Line, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(line.manifest), "put", full)
    with Stream(line, [Echo()], {"S0": "echo"}) as stream, pytest.raises(OSError, match="No space"):
        list(stream.steps("echo", ["S0"]))
    assert isinstance(stream.error, OSError)


def test_a_survey_ends_at_the_first_stage_with_work(line: Line):
    stages = [Echo(), Second()]
    assert survey(line, stages, "S0") == []
    perform(stages[0], line, "S0")
    assert [step.record.stage for step in survey(line, stages, "S0")] == ["echo"]
    perform(stages[1], line, "S0")
    assert [step.unchanged for step in survey(line, stages, "S0")] == [True, True]
    stages[0].value = "b"
    assert survey(line, stages, "S0") == []


class Named(Echo):
    """Stands for a stage of the line; as ``qc_report`` it leaves a report."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        return {"value": self.value}

    def make(self, line: Line, sku: str) -> Made:
        made = Made(metadata={"verdict": "pass"})
        report = json.dumps({"sku": sku, "verdict": "pass", "findings": []})
        self.put(line, made, f"{self.name}/{sku}.json", report.encode())
        return made


def test_a_run_with_nothing_to_do_sums_up_what_others_left_and_only_that(
    line: Line, monkeypatch: pytest.MonkeyPatch
):
    stages = tuple(Named(name) for name in STAGE_NAMES)
    monkeypatch.setattr(assets, "STAGES", stages)
    started: list[set[str]] = []
    materialize = LineRun._materialize  # pyright: ignore[reportPrivateUsage]

    def spied(self: LineRun, selection: Sequence[dg.AssetsDefinition], *more: Any) -> None:
        started.append({asset.key.to_user_string() for asset in selection})
        materialize(self, selection, *more)

    monkeypatch.setattr(LineRun, "_materialize", spied)

    def run(*wanted: str) -> list[set[str]]:
        started.clear()
        found = LineRun(line.settings, wanted)
        found.plan()
        found.go()
        assert all(result.unchanged for result in found.results().values())
        return list(started)

    def insights() -> str:
        return line.store.read("insights/insights.md").decode()

    both = [{"insights", "consistency"}]
    line.publish_catalogue()
    for sku in SKUS:
        for stage in stages:
            perform(stage, line, sku)
    # As a run leaves it that was killed after its last listing.
    assert run() == both
    assert "8 SKUs" in insights()
    assert run() == []
    assert run("S1") == []

    # As a pick leaves it, which reports and lists by itself.
    for stage in stages[-2:]:
        stage.inputs = lambda line, sku: {"value": "b" if sku == "S1" else "a"}  # type: ignore[method-assign]
        perform(stage, line, "S1")
    assert run("S2") == []
    assert run("S1") == both
    assert run() == []
    line.store.delete("consistency/made_from.json")
    assert run() == both

    (Path(line.settings.inventory) / "photos" / "S0.jpg").unlink()
    assert run() == both
    assert run() == []


def test_every_rule_reports_to_a_check_a_person_would_name():
    assert set(CHECK_OF_RULE.values()) == set(CHECKS)


@given(
    st.lists(st.integers(0, 60), unique=True, max_size=40),
    st.sets(st.integers(0, 70), max_size=40),
    st.integers(1, 9),
)
def test_stretches_cover_the_wanted_keys_once_and_are_contiguous(
    order: list[int], wanted: set[int], size: int
):
    names = [str(n) for n in order]
    batches = list(stretches(names, {str(n) for n in wanted}, size))
    covered = [sku for batch in batches for sku in batch]
    assert covered == [sku for sku in names if int(sku) in wanted]
    for batch in batches:
        assert 1 <= len(batch) <= size
        start = names.index(batch[0])
        assert tuple(names[start : start + len(batch)]) == batch
    # As few as that allows: two neighbours are only apart where a run is full.
    for one, other in pairwise(batches):
        follows = names.index(other[0]) == names.index(one[-1]) + 1
        assert not follows or len(one) == size
