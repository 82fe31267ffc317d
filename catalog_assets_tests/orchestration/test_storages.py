"""What Dagster stores of a batch is the same on every database: its own SQLite, ours, and a real PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy.event
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
from dagster._core.storage.event_log import SqliteEventLogStorage, polling_event_watcher
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import Pool

from catalog_assets.orchestration.partitions import range_tags
from catalog_assets.orchestration.postgres_storage import BatchedPostgresEventLogStorage
from catalog_assets.orchestration.sqlite_events import BatchedSqliteEventLogStorage, KeptSqliteRunStorage
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
Batched = BatchedSqliteEventLogStorage | BatchedPostgresEventLogStorage
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


@pytest.fixture(params=["sqlite", pytest.param("pooled", marks=pytest.mark.postgres)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Batched]:
    if request.param == "sqlite":
        storage = BatchedSqliteEventLogStorage(str(tmp_path / "runs"))
    else:
        values = _database(request.getfixturevalue("server"), "together")
        address = "postgresql+psycopg2://{username}@{hostname}:{port}/{db_name}".format(**values)
        storage = BatchedPostgresEventLogStorage(address)
    yield storage
    storage.dispose()


def test_rows_stored_together_are_all_there_or_none(storage: Batched):
    with pytest.raises(KeyboardInterrupt), storage.together():  # noqa: PT012
        storage.add_dynamic_partitions("sku", ["A"])
        with storage.together():
            storage.add_dynamic_partitions("sku", ["B"])
        raise KeyboardInterrupt
    assert list(storage.get_dynamic_partitions("sku")) == []
    with storage.together():
        storage.add_dynamic_partitions("sku", ["A"])
    assert list(storage.get_dynamic_partitions("sku")) == ["A"]


RUN, ECHO = "run-1", dg.AssetKey("echo")


def _entry(kind: DagsterEventType, data: Any, run: str = RUN) -> EventLogEntry:
    event = DagsterEvent(event_type_value=kind.value, job_name="job", event_specific_data=data)
    return EventLogEntry(None, 20, "", run, 1.7e9, dagster_event=event, job_name="job")


def _made(sku: str, key: dg.AssetKey = ECHO) -> EventLogEntry:
    materialization = dg.AssetMaterialization(key, partition=sku)
    return _entry(DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(materialization))


def _planned(sku: str, key: dg.AssetKey = ECHO) -> EventLogEntry:
    data = AssetMaterializationPlannedData(key, sku, None)
    return _entry(DagsterEventType.ASSET_MATERIALIZATION_PLANNED, data)


def _checked(sku: str, *, passed: bool = True, run: str = RUN) -> EventLogEntry:
    data = dg.AssetCheckEvaluation(
        asset_key=ECHO, check_name="tidy", passed=passed, metadata={}, partition=sku
    )
    return _entry(DagsterEventType.ASSET_CHECK_EVALUATION, data, run)


def _facts(storage: Batched) -> tuple[list[tuple[str, str | None]], list[str | None], list[str | None]]:
    """A run's log, materialized SKUs and checked SKUs, each in order of storing."""
    log = [entry.dagster_event for entry in storage.get_logs_for_run(RUN)]
    made = storage.fetch_materializations(ECHO, limit=50, ascending=True).records
    checked = storage.get_asset_check_execution_history(dg.AssetCheckKey(ECHO, "tidy"), limit=50)
    return (
        [(event.event_type_value, event.partition) for event in log if event],
        [record.partition_key for record in made],
        [record.partition for record in reversed(checked)],
    )


@contextmanager
def _fails_once(when: str) -> Generator[list[str]]:
    """The first statement with this beginning finds SQLite locked or the connection to PostgreSQL lost."""
    failed = list[str]()

    def fail(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(when) and not failed:
            failed.append(statement)
            if connection.dialect.name == "sqlite":
                raise sqlite3.OperationalError("database is locked")
            connection.connection.driver_connection.close()

    sqlalchemy.event.listen(Engine, "before_cursor_execute", fail)
    try:
        yield failed
    finally:
        sqlalchemy.event.remove(Engine, "before_cursor_execute", fail)


@pytest.mark.parametrize("when", ["nothing", "INSERT INTO event_logs", "INSERT INTO asset_keys"])
def test_a_batch_that_fails_is_stored_one_by_one(storage: Batched, when: str):
    """Also the rows of a batch in the batch, and none of them twice."""
    with _fails_once(when) as failed, storage.together():
        storage.store_event(_checked("S0"))
        storage.store_event_batch([_planned("S0"), _planned("S1")])
        storage.store_event(_made("S0"))
        storage.store_event(_made("S1"))
        assert _facts(storage) == ([], [], [])
    assert len(failed) == (when != "nothing")
    log, made, checked = _facts(storage)
    assert Counter(log) == {
        ("ASSET_CHECK_EVALUATION", None): 1,  # its partition is in the result
        ("ASSET_MATERIALIZATION_PLANNED", "S0"): 1,
        ("ASSET_MATERIALIZATION_PLANNED", "S1"): 1,
        ("ASSET_MATERIALIZATION", "S0"): 1,
        ("ASSET_MATERIALIZATION", "S1"): 1,
    }
    assert (made, checked) == (["S0", "S1"], ["S0"])


def test_an_error_between_two_skus_keeps_those_before_it(storage: Batched):
    with pytest.raises(ZeroDivisionError), storage.together():  # noqa: PT012
        storage.store_event(_made("S0"))
        raise ZeroDivisionError
    assert _facts(storage)[1] == ["S0"]


def test_partitions_that_were_undone_are_not_passed_over(storage: Batched):
    failing, error = _fails_once("INSERT INTO event_logs"), (sqlite3.OperationalError, DBAPIError)
    with failing, pytest.raises(error), storage.together():  # noqa: PT012
        storage.add_dynamic_partitions("sku", ["A"])
        storage.store_event(_made("A"))
    assert _facts(storage)[1] == ["A"]
    assert list(storage.get_dynamic_partitions("sku")) == []


def test_rows_of_assets_are_locked_in_the_order_of_their_keys(storage: Batched):
    locked = list[str]()

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("INSERT INTO asset_keys"):
            values = parameters.values() if isinstance(parameters, dict) else parameters
            locked.extend(v for v in values if isinstance(v, str) and v.startswith('["'))

    sqlalchemy.event.listen(Engine, "before_cursor_execute", note)
    storage.store_event_batch([_planned("S0", dg.AssetKey(key)) for key in ("raw", "cutout", "qc")])
    sqlalchemy.event.remove(Engine, "before_cursor_execute", note)
    assert locked == ['["cutout"]', '["qc"]', '["raw"]']


def test_a_result_without_a_run_replaces_no_other(storage: Batched):
    storage.store_event(_checked("S0", run=""))
    with pytest.raises(IntegrityError), storage.together():  # as Dagster's own classes do it
        storage.store_event(_checked("S0", passed=False, run=""))
    history = storage.get_asset_check_execution_history(dg.AssetCheckKey(ECHO, "tidy"), limit=50)
    assert [record.status.value for record in history] == ["SUCCEEDED"]


def test_a_sqlite_that_cannot_return_numbers_is_asked_row_by_row(tmp_path: Path):
    with closing(_Disposed(BatchedSqliteEventLogStorage(str(tmp_path)))) as held:
        dialect: Any = held.storage._engine("index").dialect  # pyright: ignore[reportPrivateUsage]
        dialect.insert_returning = False
        with held.storage.together():
            for sku in ("S0", "S1"):
                held.storage.store_event(_made(sku))
        assert _facts(held.storage)[1] == ["S0", "S1"]


def test_the_live_log_hears_what_another_process_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(polling_event_watcher, "INIT_POLL_PERIOD", 0.01)
    heard, enough = list[str | None](), threading.Event()

    def hear(entry: EventLogEntry, _cursor: str) -> None:
        heard.append(entry.get_dagster_event().partition)
        if len(heard) == 2:
            enough.set()

    with (
        closing(_Disposed(BatchedSqliteEventLogStorage(str(tmp_path)))) as ui,
        closing(_Disposed(BatchedSqliteEventLogStorage(str(tmp_path)))) as run,
    ):
        run.storage.store_event(_made("S0"))
        ui.storage.watch(RUN, None, hear)
        run.storage.store_event(
            _made("S1")
        )  # over the connection that is open, so the file itself does not change
        assert enough.wait(20)
        ui.storage.end_watch(RUN, hear)
    assert heard == ["S0", "S1"]


def test_a_wiped_log_is_written_to_again(tmp_path: Path):
    with closing(_Disposed(BatchedSqliteEventLogStorage(str(tmp_path)))) as held:
        held.storage.store_event(_made("S0"))
        held.storage.wipe()
        held.storage.store_event(_made("S1"))
        assert _facts(held.storage)[1] == ["S1"]
        # The run's file is there, not only an open connection to the one that was removed.
        assert len(SqliteEventLogStorage(str(tmp_path)).get_logs_for_run(RUN)) == 1


def test_the_file_of_a_run_that_another_process_has_begun_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with (
        closing(_Disposed(BatchedSqliteEventLogStorage(str(tmp_path)))) as first,
        closing(_Disposed(BatchedSqliteEventLogStorage(str(tmp_path)))) as second,
    ):
        empty = second.storage._empty_file()  # pyright: ignore[reportPrivateUsage]

        def meanwhile() -> bytes:
            first.storage.store_event(_made("S0"))
            return empty

        monkeypatch.setattr(second.storage, "_empty_file", meanwhile)
        second.storage.store_event(_made("S1"))
        assert _facts(second.storage)[1] == ["S0", "S1"]
        assert len(first.storage.get_logs_for_run(RUN)) == len(second.storage.get_logs_for_run(RUN)) == 2
    assert not list(tmp_path.glob(".*"))


def test_threads_of_the_ui_do_not_wait_for_one_another(tmp_path: Path):
    storage = KeptSqliteRunStorage.from_local(str(tmp_path))
    with ExitStack() as threads:
        connections = [threads.enter_context(storage.connect()) for _ in range(20)]
        assert len({id(connection) for connection in connections}) == 20
    storage.dispose()


class _Disposed:
    """A storage that ``closing`` can close."""

    def __init__(self, storage: BatchedSqliteEventLogStorage) -> None:
        self.storage = storage

    def close(self) -> None:
        self.storage.dispose()


def test_other_storages_are_left_as_they_are():
    with dg.DagsterInstance.ephemeral() as instance, together(instance):
        instance.add_dynamic_partitions("sku", ["A"])
        assert list(instance.get_dynamic_partitions("sku")) == ["A"]
