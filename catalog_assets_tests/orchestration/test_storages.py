"""What Dagster stores of a batch is the same on every database: its own SQLite, ours, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from catalog_assets.orchestration.partitions import range_tags
from catalog_assets.orchestration.sqlite_events import BatchedSqliteEventLogStorage, together
from catalog_assets.settings import Settings
from catalog_assets.stages.line import Line
from catalog_assets_tests.doubles.postgres import dagster_yaml, find_postgres, postgres_server
from catalog_assets_tests.orchestration.test_batches import SKUS, Echo, batch_asset

BATCHED = """
storage:
  custom:
    module: catalog_assets.orchestration.sqlite_events
    class: BatchedSqliteStorage
    config: {base_dir: {env: DAGSTER_HOME}}
telemetry: {enabled: false}
"""
PLAIN = "telemetry: {enabled: false}\n"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    if find_postgres() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres_server(durable=False) as address:
        yield dagster_yaml(address)


@pytest.fixture(params=["plain", "batched", pytest.param("postgres", marks=pytest.mark.postgres)])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    postgres = request.getfixturevalue("postgres") if request.param == "postgres" else ""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text({"plain": PLAIN, "batched": BATCHED}.get(request.param, postgres))
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


@pytest.fixture
def line(tmp_path: Path) -> Line:
    (tmp_path / "inventory" / "photos").mkdir(parents=True)
    for sku in SKUS:
        (tmp_path / "inventory" / "photos" / f"{sku}.jpg").write_bytes(b"x")
    return Line(Settings(inventory=str(tmp_path / "inventory"), store=str(tmp_path / "store"), workers=2))


def test_every_sku_has_its_status_its_facts_and_its_check(line: Line, home: Path):
    asset, key = batch_asset(line, Echo()), dg.AssetKey("echo")
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("sku", SKUS)
        dg.materialize([asset], instance=instance, tags=range_tags(SKUS), raise_on_error=False)
        good = ["S4", "S5", "S6"]
        done = dg.materialize([asset], instance=instance, tags=range_tags(good))
    # Another process: what was stored is there after the files were closed.
    with dg.DagsterInstance.get() as instance:
        partitions = dg.DynamicPartitionsDefinition(name="sku")
        found = instance.get_status_by_partition(key, SKUS, partitions) or {}
        assert {s for s, status in found.items() if status and status.name == "FAILED"} == {"S2", "S3", "S7"}
        assert set(instance.get_materialized_partitions(key)) == {"S0", "S1", "S4", "S5", "S6"}
        events = instance.fetch_materializations(key, limit=50).records
        assert sorted(e.partition_key for e in events) == sorted(["S0", "S1", "S4", "S5", "S6", *good])
        assert all(e.asset_materialization.metadata["sku"].value == e.partition_key for e in events)
        assert instance.get_run_by_id(done.run_id).status is dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
        records = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(key, "tidy"), limit=50
        )
        passed = {(r.partition, r.status.value) for r in records if r.run_id == done.run_id and r.partition}
        assert {("S4", "FAILED"), ("S5", "SUCCEEDED"), ("S6", "SUCCEEDED")} <= passed


def test_dagsters_own_class_reads_what_the_batched_one_wrote(line: Line, tmp_path: Path):
    written = BatchedSqliteEventLogStorage(str(tmp_path / "runs"))
    written.add_dynamic_partitions("sku", ["C", "A", "B"])
    written.add_dynamic_partitions("other", ["X"])
    written.delete_dynamic_partition("sku", "A")
    written.add_dynamic_partitions("sku", ["A"])
    found = list(written.get_dynamic_partitions("sku"))
    written.dispose()
    assert found == ["C", "B", "A"]  # the order that ranges go by
    assert list(SqliteEventLogStorage(str(tmp_path / "runs")).get_dynamic_partitions("sku")) == found


def test_rows_stored_together_are_all_there_or_none(tmp_path: Path):
    storage = BatchedSqliteEventLogStorage(str(tmp_path / "runs"))
    with pytest.raises(KeyboardInterrupt), storage.together():  # noqa: PT012
        storage.add_dynamic_partitions("sku", ["A"])
        with storage.together():
            storage.add_dynamic_partitions("sku", ["B"])
        raise KeyboardInterrupt
    assert list(storage.get_dynamic_partitions("sku")) == []
    with storage.together():
        storage.add_dynamic_partitions("sku", ["A"])
    assert list(storage.get_dynamic_partitions("sku")) == ["A"]
    storage.dispose()


def test_other_storages_are_left_as_they_are():
    with dg.DagsterInstance.ephemeral() as instance, together(instance):
        instance.add_dynamic_partitions("sku", ["A"])
        assert list(instance.get_dynamic_partitions("sku")) == ["A"]
