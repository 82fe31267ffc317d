"""Rows of a batch in a few statements: what the storages of both databases share.

Dagster stores planned rows and check results one by one, each in several statements: with nine checks that is most of
what a batch costs. Here they are the same rows in the same tables, many to a statement.

Belongs here: which rows a batch of events becomes. Not: connections and transactions.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy as db
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from sqlalchemy.engine import Connection

_STATUS = AssetCheckExecutionRecordStatus
_ASSET_ROWS = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
_THAT_WAIT = (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_CHECK_EVALUATION)


class EventBatches(SqlEventLogStorage):
    """Stores many events at once; what it has no way for goes the inherited way, one by one."""

    sharded: bool = False
    """Whether the rows of a run are kept in a file of their own beside the index of all runs."""

    all_keys: str
    """The driver's own statement for all partitions of a set in order of insertion."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self._thread = threading.local()
        self._tables: set[str] = set()
        self._indexes: set[str] = set()
        super().__init__(*args, **named)

    def has_table(self, table_name: str) -> bool:
        """Whether there is such a table; asked several times for each row, so what is there is remembered."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def has_secondary_index(self, name: str) -> bool:
        """Whether a migration is done; likewise."""
        if name not in self._indexes and super().has_secondary_index(name):
            self._indexes.add(name)
        return name in self._indexes

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """All SKUs in order of insertion; in a batch they are read once.

        Dagster asks for all of them whenever metadata is added to one, a dozen times at a tick of the automation,
        and for most pages. Built row by row, as the inherited method does it, a hundred thousand of them take a quarter
        of a second; SQLAlchemy's own rows cost as much again, in objects for the garbage collector to look at.
        """
        if self._waiting is None:
            return self._read_keys(partitions_def_name)
        known: dict[str, tuple[list[str], set[str]]] = self._thread.keys
        if partitions_def_name not in known:
            keys = self._read_keys(partitions_def_name)
            known[partitions_def_name] = keys, set(keys)
        return known[partitions_def_name][0]

    def _read_keys(self, partitions_def_name: str) -> list[str]:
        self._check_partitions_table()
        with self.index_connection() as connection:
            cursor = connection.connection.cursor()
            try:
                cursor.execute(self.all_keys, (partitions_def_name,))
                return [partition for (partition,) in cursor.fetchall()]
            finally:
                cursor.close()

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Whether there is such a SKU; in a batch what was read is looked at first."""
        known = self._thread.keys.get(partitions_def_name) if self._waiting is not None else None
        if known is not None and partition_key in known[1]:
            return True
        return super().has_dynamic_partition(partitions_def_name, partition_key)

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Add SKUs; what a batch has read of them is read anew."""
        self._thread.keys = {}
        super().add_dynamic_partitions(partitions_def_name, partition_keys)

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Remove a SKU; likewise."""
        self._thread.keys = {}
        super().delete_dynamic_partition(partitions_def_name, partition_key)

    def _transaction(self) -> AbstractContextManager[None]:
        """What this thread stores while it is open is one transaction."""
        raise NotImplementedError

    def _savepoint(self) -> AbstractContextManager[Any]:
        """What fails in it leaves the transaction around it as it was."""
        return nullcontext()

    @property
    def _waiting(self) -> list[EventLogEntry] | None:
        """Events that are stored when the batch is closed; None where no batch is open."""
        return getattr(self._thread, "waiting", None)

    @contextmanager
    def together(self) -> Generator[None]:
        """All rows this thread stores while this is open are one transaction."""
        if self._waiting is not None:
            yield
            return
        with self._transaction():
            self._thread.waiting = []
            self._thread.keys = {}
            try:
                yield
                self._store_waiting()
            finally:
                self._thread.waiting = None

    def _store_waiting(self) -> None:
        waiting = self._waiting
        if waiting:
            self._thread.waiting = []
            self._store_evaluations(self._store_rows(waiting))

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; check results and materializations in a batch wait for the others."""
        if self._waiting is not None and event.dagster_event_type in _THAT_WAIT:
            self._waiting.append(event)
            return
        self._store_waiting()
        super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store a batch, all of it or nothing: what failed is then stored one by one by Dagster."""
        with self.together():
            self._store_waiting()
            with self._savepoint():
                others = self._store_rows(events)
                if others:
                    super().store_event_batch(others)

    def _store_rows(self, events: Sequence[EventLogEntry]) -> list[EventLogEntry]:
        """Store materializations, planned or done; returns the other events, in their order."""
        by_run: dict[str, list[EventLogEntry]] = {}
        others = list[EventLogEntry]()
        for event in events:
            if event.dagster_event_type in _ASSET_ROWS:
                by_run.setdefault(event.run_id, []).append(event)
            else:
                others.append(event)
        for run, of_run in by_run.items():
            rows = [self._event_to_row(event) for event in of_run]
            if self.sharded:
                with self.run_connection(run) as connection:
                    connection.execute(SqlEventLogStorageTable.insert(), rows)
            with self.index_transaction() as connection:
                numbers = self._insert(connection, rows)
                self._store_asset_event_tags(connection, of_run, numbers)
                # The asset's own row names its last event.
                lasts = {
                    e.get_dagster_event().asset_key: (e, n) for e, n in zip(of_run, numbers, strict=True)
                }
                for event, number in lasts.values():
                    self._store_asset_event(connection, event, number)
        return others

    def _store_evaluations(self, events: Sequence[EventLogEntry]) -> None:
        """Store the results of asset checks, each in the place of its planned row."""
        by_run: dict[str, list[EventLogEntry]] = {}
        for event in events:
            by_run.setdefault(event.run_id, []).append(event)
        for run, of_run in by_run.items():
            rows = [self._event_to_row(event) for event in of_run]
            if self.sharded:
                with self.run_connection(run) as connection:
                    connection.execute(SqlEventLogStorageTable.insert(), rows)
            with self.index_transaction() as connection:
                numbers = self._insert(connection, rows)
                planned = self._planned(connection, run)
                results = [
                    _result(event, row["event"], number, self._event_insert_timestamp(event))
                    for event, row, number in zip(of_run, rows, numbers, strict=True)
                ]
                there = [r for r in results if (r["asset"], r["check"], r["sku"]) in planned]
                if there:
                    connection.execute(_UPDATE, [{**result, "run": run} for result in there])
            for event, number, result in zip(of_run, numbers, results, strict=True):
                if (result["asset"], result["check"], result["sku"]) not in planned:
                    self.store_asset_check_event(event, number)

    def _insert(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
        """The numbers of new rows, in their order."""
        wanted = SqlEventLogStorageTable.insert().returning(
            SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
        )
        return [number for (number,) in connection.execute(wanted, list(rows))]

    def _planned(self, connection: Connection, run: str) -> set[tuple[str, str, str | None]]:
        table = AssetCheckExecutionsTable.c
        asked = db.select(table.asset_key, table.check_name, table.partition).where(table.run_id == run)
        return {(asset, check, sku) for asset, check, sku in connection.execute(asked) if sku is not None}


_columns = AssetCheckExecutionsTable.c
_UPDATE = (
    AssetCheckExecutionsTable.update()
    .where(
        _columns.asset_key == db.bindparam("asset"),
        _columns.check_name == db.bindparam("check"),
        _columns.run_id == db.bindparam("run"),
        _columns.partition == db.bindparam("sku"),
    )
    .values(
        execution_status=db.bindparam("status"),
        evaluation_event=db.bindparam("event"),
        evaluation_event_timestamp=db.bindparam("at"),
        evaluation_event_storage_id=db.bindparam("number"),
        materialization_event_storage_id=db.bindparam("target"),
    )
)


def _result(event: EventLogEntry, text: str, number: int, at: Any) -> dict[str, Any]:
    evaluation: Any = event.get_dagster_event().event_specific_data
    target = evaluation.target_materialization_data
    return {
        "asset": evaluation.asset_key.to_string(),
        "check": evaluation.check_name,
        "sku": evaluation.partition,
        "status": (_STATUS.SUCCEEDED if evaluation.passed else _STATUS.FAILED).value,
        "event": text,
        "at": at,
        "number": number,
        "target": target.storage_id if target else None,
    }
