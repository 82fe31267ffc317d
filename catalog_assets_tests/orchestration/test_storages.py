"""What Dagster stores of a batch is the same on every database: its own SQLite, ours, and a real PostgreSQL."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy.event
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy.pool import Pool

from catalog_assets.orchestration.partitions import range_tags
from catalog_assets.orchestration.postgres_storage import BatchedPostgresEventLogStorage
from catalog_assets.orchestration.sqlite_events import BatchedSqliteEventLogStorage
from catalog_assets.orchestration.transactions import together
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
def server() -> Iterator[dict[str, str]]:
    if find_postgres() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres_server(durable=False) as address:
        yield address


ON_POSTGRES = [pytest.param(name, marks=pytest.mark.postgres) for name in ("postgres", "pooled")]


@pytest.fixture(params=["plain", "batched", *ON_POSTGRES])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = {"plain": PLAIN, "batched": BATCHED}.get(request.param)
    if config is None:
        address = _database(request.getfixturevalue("server"), request.param)
        config = dagster_yaml(address, pooled=request.param == "pooled")
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(config)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


def _database(server: dict[str, str], name: str) -> dict[str, str]:
    """The address of a new, empty database of that server."""
    import psycopg2

    name = f"{name}_{uuid.uuid4().hex}"
    connection = psycopg2.connect(
        host=server["hostname"], port=server["port"], user=server["username"], dbname=server["db_name"]
    )
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    return {**server, "db_name": name}


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
        assert sorted(str(e.partition_key) for e in events) == sorted(["S0", "S1", "S4", "S5", "S6", *good])
        facts = [e.asset_materialization.metadata for e in events if e.asset_materialization]
        assert [f["sku"].value for f in facts] == [e.partition_key for e in events]
        assert instance.get_run_by_id(done.run_id).status is dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
        records = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(key, "tidy"), limit=50
        )
        passed = {(r.partition, r.status.value) for r in records if r.run_id == done.run_id and r.partition}
        assert {("S4", "FAILED"), ("S5", "SUCCEEDED"), ("S6", "SUCCEEDED")} <= passed
        _hangs_together(instance, key, done.run_id, records)


def _hangs_together(
    instance: dg.DagsterInstance, key: dg.AssetKey, run: str, records: Sequence[AssetCheckExecutionRecord]
) -> None:
    """Rows that name one another by number name the right ones, and none is there twice or missing."""
    log = instance.event_log_storage
    last = instance.fetch_materializations(key, limit=1).records[0]
    entry = log.get_asset_records([key])[0].asset_entry
    assert entry.last_materialization_record is not None
    assert entry.last_materialization_record.storage_id == last.storage_id
    assert entry.last_materialization_record.partition_key == last.partition_key
    kinds = Counter(e.dagster_event.event_type_value for e in instance.all_logs(run) if e.dagster_event)
    assert (kinds["ASSET_MATERIALIZATION_PLANNED"], kinds["ASSET_MATERIALIZATION"]) == (3, 3)
    # One for each SKU and one for all of them.
    assert (kinds["ASSET_CHECK_EVALUATION_PLANNED"], kinds["ASSET_CHECK_EVALUATION"]) == (1, 4)
    own = [r for r in records if r.run_id == run and r.partition]
    assert sorted(str(r.partition) for r in own) == ["S4", "S5", "S6"]
    for record in own:
        assert record.event is not None
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        assert evaluation.partition == record.partition


@pytest.mark.postgres
def test_a_batch_opens_few_connections_to_postgres(
    line: Line, server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "dagster.yaml").write_text(dagster_yaml(_database(server, "few")))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    asset, opened = batch_asset(line, Echo()), list[object]()
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("sku", SKUS)
        listener = lambda *_: opened.append(1)  # noqa: E731
        sqlalchemy.event.listen(Pool, "connect", listener)
        dg.materialize([asset], instance=instance, tags=range_tags(SKUS), raise_on_error=False)
        sqlalchemy.event.remove(Pool, "connect", listener)
        assert len(instance.get_materialized_partitions(dg.AssetKey("echo"))) == 5
    assert len(opened) <= 3  # Dagster's own storage opens 250 for it


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


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("pooled", marks=pytest.mark.postgres)])
def test_rows_stored_together_are_all_there_or_none(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
):
    if kind == "sqlite":
        storage = BatchedSqliteEventLogStorage(str(tmp_path / "runs"))
    else:
        values = _database(request.getfixturevalue("server"), "together")
        address = "postgresql+psycopg2://{username}@{hostname}:{port}/{db_name}".format(**values)
        storage = BatchedPostgresEventLogStorage(address)
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
