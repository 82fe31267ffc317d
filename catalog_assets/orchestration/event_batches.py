"""Rows of a batch in a few statements: what the storages of both databases share.

Dagster stores planned rows and check results one by one, each in several statements: with nine checks that is most of
what a batch costs. Here they are the same rows in the same tables, many to a statement.

Belongs here: which rows a batch of events becomes. Not: connections and transactions.
"""

from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
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

GIVES_UP = 3
"""Events in a row that could not be stored one by one: the database is away, and each may wait half a minute for it."""

log = logging.getLogger(__name__)


@dataclass
class _Batch:
    """What a thread keeps while its batch is open."""

    waiting: list[EventLogEntry] = field(default_factory=list)
    """Stored when it is closed."""
    keys: dict[str, tuple[list[str], set[str]]] = field(default_factory=dict)
    """Partitions by the name of their set, as they were read."""
    changed_keys: bool = False
    closing: bool = False
    """Whether the body is through without an error."""


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
        if self._batch is None:
            return self._read_keys(partitions_def_name)
        known = self._batch.keys
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
        known = self._batch.keys.get(partitions_def_name) if self._batch is not None else None
        if known is not None and partition_key in known[1]:
            return True
        return super().has_dynamic_partition(partitions_def_name, partition_key)

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Add SKUs; what a batch has read of them is read anew."""
        self._change_keys()
        super().add_dynamic_partitions(partitions_def_name, partition_keys)

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Remove a SKU; likewise."""
        self._change_keys()
        super().delete_dynamic_partition(partitions_def_name, partition_key)

    def _change_keys(self) -> None:
        if self._batch is not None:
            self._batch.keys.clear()
            self._batch.changed_keys = True

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """What this thread stores while it is open is one transaction."""

    @property
    def _batch(self) -> _Batch | None:
        """The batch this thread has open."""
        return getattr(self._thread, "batch", None)

    @contextmanager
    def together(self) -> Generator[None]:
        """All rows this thread stores while this is open are one transaction.

        Events wait until it is closed. Where an error undoes the transaction (the body's own, a lock, a lost
        connection) they are stored one by one, as if no batch had been open. Should the connection be lost while the
        server commits, some may be there twice rather than not at all.

        Raises:
            Exception: the body's own, or what kept an event or the partitions of the body from being stored.
        """
        if self._batch is not None:
            yield
            return
        batch = self._thread.batch = _Batch()
        try:
            with self._transaction():
                yield
                batch.closing = True
                self._store_in_order(batch.waiting)
        except Exception as error:
            self._thread.batch = None
            lost = self._store_one_by_one(batch.waiting, error)
            if not batch.closing or batch.changed_keys:
                raise
            if lost is not None:
                raise lost from error
        finally:
            self._thread.batch = None

    def _store_in_order(self, events: Sequence[EventLogEntry]) -> None:
        for many_at_once, stretch in groupby(events, _has_a_way):
            if many_at_once:
                self._store_evaluations(self._store_rows(list(stretch)))
            else:
                for event in stretch:
                    super().store_event(event)

    def _store_one_by_one(self, events: Sequence[EventLogEntry], cause: Exception) -> Exception | None:
        """Store what can be stored; returns what kept the first of the others from it."""
        if events:
            # Its text would name rows and their values.
            log.warning("A batch was not stored (%s): storing it one by one.", type(cause).__name__)
        first, in_a_row = None, 0
        for event in events:
            try:
                super().store_event(event)
                in_a_row = 0
            except Exception as error:  # noqa: BLE001  whatever it is, the others are tried
                first, in_a_row = first or error, in_a_row + 1
                if in_a_row == GIVES_UP:
                    break
        return first

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event; in a batch it waits for the others."""
        if self._batch is not None:
            self._batch.waiting.append(event)
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store a batch, all of it or nothing: what failed is then stored one by one by Dagster."""
        if self._batch is not None:
            self._batch.waiting.extend(events)
            return
        with self._transaction():
            others = self._store_rows(events)
            if others:
                super().store_event_batch(others)

    def _store_rows(self, events: Sequence[EventLogEntry]) -> list[EventLogEntry]:
        """Store materializations, planned or done; returns the other events, in their order."""
        lasts = dict[str, tuple[EventLogEntry, int]]()
        mine = [event for event in events if event.dagster_event_type in _ASSET_ROWS]
        for _, of_run, rows in self._rows_by_run(mine):
            with self.index_transaction() as connection:
                numbers = self._insert(connection, rows)
                self._store_asset_event_tags(connection, of_run, numbers)
            for event, number in zip(of_run, numbers, strict=True):
                key = event.get_dagster_event().asset_key
                if key is not None:
                    lasts[key.to_string()] = event, number
        with self.index_transaction() as connection:
            # The asset's own row names its last event. Each is locked until the transaction ends, so they are taken in
            # the order in which Dagster takes them: two that each wait for the other's would both be undone.
            for _, (event, number) in sorted(lasts.items(), key=lambda item: item[0]):
                self._store_asset_event(connection, event, number)
        return [event for event in events if event.dagster_event_type not in _ASSET_ROWS]

    def _store_evaluations(self, events: Sequence[EventLogEntry]) -> None:
        """Store the results of asset checks, each in the place of its planned row."""
        for run, of_run, rows in self._rows_by_run(events):
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

    def _rows_by_run(
        self, events: Sequence[EventLogEntry]
    ) -> Iterator[tuple[str, list[EventLogEntry], list[dict[str, Any]]]]:
        """A run, its events and their rows for the index, where the file of the run has them already."""
        by_run: dict[str, list[EventLogEntry]] = {}
        for event in events:
            by_run.setdefault(event.run_id, []).append(event)
        for run, of_run in by_run.items():
            rows = [self._event_to_row(event) for event in of_run]
            if self.sharded:
                with self.run_connection(run) as connection:
                    connection.execute(SqlEventLogStorageTable.insert(), rows)
            yield run, of_run, rows

    def _insert(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
        """The numbers of new rows, in their order."""
        table = SqlEventLogStorageTable
        if not connection.dialect.insert_returning:  # SQLite before 3.35
            done = [connection.execute(table.insert().values(**row)).inserted_primary_key for row in rows]
            return [key[0] for key in done if key is not None]
        wanted = table.insert().returning(table.c.id, sort_by_parameter_order=True)
        return [number for (number,) in connection.execute(wanted, list(rows))]

    def _planned(self, connection: Connection, run: str) -> set[tuple[str, str, str | None]]:
        table = AssetCheckExecutionsTable.c
        asked = db.select(table.asset_key, table.check_name, table.partition).where(table.run_id == run)
        found = connection.execute(asked)
        return {(asset, check, sku) for asset, check, sku in found if sku is not None}


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


def _has_a_way(event: EventLogEntry) -> bool:
    """Whether many of its kind become a few statements; a result without a run replaces no other."""
    kind = event.dagster_event_type
    return kind in _ASSET_ROWS or (kind is DagsterEventType.ASSET_CHECK_EVALUATION and bool(event.run_id))


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
