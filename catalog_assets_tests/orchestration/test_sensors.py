"""What the inventory sensor asks for, without running it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from catalog_assets.definitions import build_defs
from catalog_assets.orchestration import sensors as module
from catalog_assets.orchestration.partitions import RANGE_END, RANGE_START, SNAPSHOT_TAG
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.stages.line import Line
from catalog_assets.storage.store import Store

SKUS = [f"S{n:03d}" for n in range(60)]


class Shelf:
    """An inventory and a sensor that looks at it."""

    def __init__(self, base: str, instance: dg.DagsterInstance) -> None:
        self.inventory = Store(f"{base}/inventory")
        self.resource = LineResource(inventory=f"{base}/inventory", store=f"{base}/store", s3=S3Resource())
        self.instance = instance
        self.defs = build_defs({"line": self.resource})
        self.cursor: str | None = None

    def look(self) -> dg.SensorResult | dg.SkipReason:
        sensor = module.sensors(30)[0]
        with dg.build_sensor_context(
            self.instance, self.cursor, resources={"line": self.resource}, definitions=self.defs
        ) as context:
            result = sensor(context)
            self.cursor = context.cursor
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor
            for request in result.dynamic_partitions_requests or []:
                self.instance.add_dynamic_partitions("sku", list(request.partition_keys))
        return result

    def ranges(self) -> list[tuple[str, str]]:
        """First and last SKU of each run over photos that one look asks for."""
        result = self.look()
        if isinstance(result, dg.SkipReason):
            return []
        asked = [r.tags for r in result.run_requests or [] if RANGE_START in r.tags]
        return [(tags[RANGE_START], tags[RANGE_END]) for tags in asked]

    def lists(self) -> list[list[str]]:
        """SKUs of each run over scattered ones that one look asks for; it must ask for no range."""
        result = self.look()
        if isinstance(result, dg.SkipReason):
            return []
        asked = [r for r in result.run_requests or [] if SNAPSHOT_TAG not in r.tags]
        assert {r.job_name for r in asked} == {"scattered"}
        return [r.run_config["ops"]["carry"]["config"]["skus"] for r in asked]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def shelf(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.0)
    base = request.getfixturevalue("s3_address") if request.param == "s3" else str(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        found = Shelf(base, instance)
        for sku in SKUS:
            found.inventory.write(f"photos/{sku}/hero.jpg", b"1")
        found.inventory.write("catalog.csv", ("sku\n" + "\n".join(SKUS)).encode())
        assert found.ranges() == [("S000", "S059")]
        yield found


def test_nothing_touched_asks_for_nothing(shelf: Shelf):
    assert shelf.ranges() == []
    # Another process has seen nothing yet, and finds that nothing differs from the snapshot.
    module._trackers.clear()
    assert shelf.ranges() == []
    assert isinstance(shelf.look(), dg.SkipReason)


def test_scattered_changes_are_one_run_over_just_them(shelf: Shelf):
    for sku in ("S003", "S020", "S058"):
        shelf.inventory.write(f"photos/{sku}/hero.jpg", b"other")
    assert shelf.lists() == [["S003", "S020", "S058"]]
    assert shelf.lists() == []


@pytest.mark.parametrize(("count", "stages"), [(3, 6), (module.WHOLE_LINE + 1, 1)])
def test_a_few_skus_go_down_the_whole_line_in_one_run(shelf: Shelf, count: int, stages: int):
    for sku in SKUS[:count]:
        shelf.inventory.write(f"photos/{sku}/hero.jpg", b"other")
    result = shelf.look()
    assert isinstance(result, dg.SensorResult)
    selections = [r.asset_selection or [] for r in result.run_requests or [] if RANGE_START in r.tags]
    assert [len(keys) for keys in selections] == [stages]
    assert selections[0][0] == dg.AssetKey("raw_photo")


def test_neighbours_that_fill_a_run_are_a_range_and_the_others_share_runs(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "PORTION", 5)
    changed = [*SKUS[:9], *SKUS[20::5]]
    for sku in changed:
        shelf.inventory.write(f"photos/{sku}/hero.jpg", b"other")
    result = shelf.look()
    assert isinstance(result, dg.SensorResult)
    requests = [r for r in result.run_requests or [] if SNAPSHOT_TAG not in r.tags]
    assert [(r.tags[RANGE_START], r.tags[RANGE_END]) for r in requests if r.job_name == module.JOB] == [
        ("S000", "S008")
    ]
    portions = [r.run_config["ops"]["carry"]["config"]["skus"] for r in requests[1:]]
    assert portions == [["S020", "S025", "S030", "S035", "S040"], ["S045", "S050", "S055"]]
    assert [r.tags["catalog_assets/first"] for r in requests[1:]] == ["S020", "S045"]
    assert len({r.run_key for r in requests}) == 3


def test_all_that_is_asked_for_can_be_run(shelf: Shelf):
    for sku in ("S003", "S020"):
        shelf.inventory.write(f"photos/{sku}/hero.jpg", b"other")
    result = shelf.look()
    assert isinstance(result, dg.SensorResult)
    repository = shelf.defs.get_repository_def()
    for request in result.run_requests or []:
        job = repository.get_job(str(request.job_name))
        dg.validate_run_config(job, request.run_config)
        assert set(request.asset_selection or []) <= set(job.asset_layer.executable_asset_keys)


def test_the_catalogue_s_own_run_reports_what_the_sensor_has_read(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
):
    shelf.inventory.write("photos/S003/hero.jpg", b"other")
    result = shelf.look()
    assert isinstance(result, dg.SensorResult)
    run = next(r for r in result.run_requests or [] if SNAPSHOT_TAG in r.tags)
    monkeypatch.setattr(Line, "publish_catalogue", None)  # nothing is read again
    catalog = shelf.defs.get_assets_def("catalog")
    done = dg.materialize(
        [catalog], instance=shelf.instance, resources={"line": shelf.resource}, tags=run.tags
    )
    assert done.asset_materializations_for_node("catalog")[0].metadata["SKUs"].value == len(SKUS)


def test_a_retired_sku_is_shown_as_such_kept_and_never_run(shelf: Shelf):
    shelf.inventory.delete("photos/S010/hero.jpg")
    result = shelf.look()
    assert isinstance(result, dg.SensorResult)
    assert [(e.partition, e.metadata["outcome"].value) for e in result.asset_events] == [("S010", "retired")]
    assert "S010" in shelf.instance.get_dynamic_partitions("sku")
    for sku in ("S009", "S011"):
        shelf.inventory.write(f"photos/{sku}/hero.jpg", b"other")
    assert shelf.lists() == [["S009", "S011"]]
    # It comes back.
    shelf.inventory.write("photos/S010/hero.jpg", b"1")
    assert shelf.ranges() == [("S010", "S010")]


def test_a_renamed_photo_concerns_its_sku_alone(shelf: Shelf):
    shelf.inventory.write("photos/S005/front.jpg", b"1")
    shelf.inventory.delete("photos/S005/hero.jpg")
    assert shelf.ranges() == [("S005", "S005")]


def test_a_changed_row_and_a_new_sku_are_found_in_a_new_catalogue(shelf: Shelf):
    shelf.inventory.write("photos/T1/hero.jpg", b"1")
    assert shelf.ranges() == []  # it belongs to nobody yet
    rows = [f"{sku},{'Red' if sku == 'S030' else ''}" for sku in [*SKUS, "T1"]]
    shelf.inventory.write("catalog.csv", ("sku,title\n" + "\n".join(rows)).encode())
    assert shelf.lists() == [["S030", "T1"]]


def test_a_folder_that_is_being_filled_waits_until_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "SETTLE_SECONDS", 3600.0)
    with dg.DagsterInstance.ephemeral() as instance:
        shelf = Shelf(str(tmp_path), instance)
        photos = tmp_path / "inventory" / "photos"
        for name, age in (("A/hero.jpg", 9000), ("B/hero.jpg", 9000), ("B/back.jpg", 1)):
            (photos / name).parent.mkdir(parents=True, exist_ok=True)
            (photos / name).write_bytes(b"1")
            os.utime(photos / name, (time.time() - age, time.time() - age))
        assert shelf.ranges() == [("A", "A")]
        assert shelf.ranges() == []
        os.utime(photos / "B/back.jpg", (time.time() - 9000, time.time() - 9000))
        assert shelf.ranges() == [("B", "B")]
