"""Dagster's own SQLite event log with its connections kept open and one transaction per batch.

The one Dagster brings builds an engine and opens a file two or three times for every row, and waits for the disk
each time: 120 ms a SKU and stage on a busy laptop, 780 ms with nine checks. Tables and files are the same ones, so
either class reads what the other wrote; named in ``dagster.yaml``. For several machines there is PostgreSQL.

Belongs here: how rows reach SQLite. Not: which rows.
"""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from collections import OrderedDict
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as db
import sqlalchemy.event
from dagster._core.event_api import EventHandlerFn, EventLogCursor
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.polling_event_watcher import SqlPollingEventWatcher
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from catalog_assets.orchestration.event_batches import EventBatches

OPEN_FILES = 6
"""One is the index of all runs, the others are the latest runs."""


class BatchedSqliteEventLogStorage(EventBatches, SqliteEventLogStorage):
    """Write-ahead log without a wait for the disk per commit.

    After a power cut the newest rows may be missing, never half a row; the line itself relies on the manifest in the
    store, so what is missing is reported again.
    """

    sharded = True
    all_keys = "SELECT partition FROM dynamic_partitions WHERE partitions_def_name = ? ORDER BY id"

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._held: dict[str, Connection] | None = None
        self._stack = ExitStack()
        self._empty = b""
        self._watcher: SqlPollingEventWatcher | None = None
        super().__init__(base_dir, inst_data)
        # A thread that holds a transaction open comes back for more.
        self._db_lock = threading.RLock()  # pyright: ignore[reportAttributeAccessIssue]

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """Other threads wait, other processes too."""
        with self._db_lock:
            self._held = {}
            try:
                with self._stack:
                    yield
            finally:
                self._held = None

    @contextmanager
    def _connect(self, shard: str) -> Generator[Connection]:
        with self._db_lock:
            if self._held is None:
                with self._engine(shard).begin() as connection:
                    yield connection
                return
            if shard not in self._held:
                self._held[shard] = self._stack.enter_context(self._engine(shard).begin())
            yield self._held[shard]

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = _kept(self.conn_string_for_shard(shard))
        if shard not in self._initialized_dbs:
            self._make(shard, engine)
            self._initialized_dbs.add(shard)
        self._engines[shard] = engine
        for old in [name for name in self._engines if name != "index"][: -(OPEN_FILES - 1)]:
            if not self._held or old not in self._held:
                self._engines.pop(old).dispose()
        return engine

    def _make(self, shard: str, engine: Engine) -> None:
        """A run's file with its empty tables, as a copy of one that Dagster made.

        Making one takes dozens of statements, each waiting for the disk: a third of what a run costs.
        """
        file = Path(self.path_for_shard(shard))
        if shard != "index" and not file.exists():
            part = file.with_name(f".{uuid.uuid4().hex}.part")
            try:
                part.write_bytes(self._empty_file())
                os.link(part, file)  # unlike a rename it never replaces what another process has made
                return
            except OSError:
                pass  # it has, or the disk knows no links: made, or looked at, as Dagster does it
            finally:
                part.unlink(missing_ok=True)
        self._initdb(engine)

    def _empty_file(self) -> bytes:
        """Made where no other process writes to it; closed, all of it is in the one file."""
        if not self._empty:
            with tempfile.TemporaryDirectory() as folder:
                self._initdb(db.create_engine(create_db_conn_string(folder, "empty"), poolclass=NullPool))
                self._empty = Path(folder, "empty.db").read_bytes()
        return self._empty

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Call back for each new event of a run: what the UI's live log stands on.

        The inherited class waits for a change of the run's file, but a connection that stays open writes to the log
        beside it; so the rows are asked for, as on PostgreSQL.
        """
        if cursor and EventLogCursor.parse(cursor).is_offset_cursor():
            raise ValueError("a run is watched from the number of an event, not from a count of them")
        if self._watcher is None:
            self._watcher = SqlPollingEventWatcher(self)
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: EventHandlerFn) -> None:
        """Stop calling back."""
        if self._watcher:
            self._watcher.unwatch_run(run_id, handler)

    def wipe(self) -> None:
        """Remove all events; connections to the files that are removed are closed first."""
        with self._db_lock:
            self._close()
            super().wipe()

    def dispose(self) -> None:
        """Stop watching and close all files."""
        if self._watcher:
            self._watcher.close()  # waits for its threads, which may be waiting for the lock
            self._watcher = None
        with self._db_lock:
            self._close()
        super().dispose()

    def _close(self) -> None:
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()


class KeptSqliteRunStorage(SqliteRunStorage):
    """Runs, over a connection that stays open; the one Dagster brings opens the file for each statement."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine = _kept(conn_string)
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Generator[Connection]:
        """A connection in a transaction of its own."""
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close the file."""
        self._engine.dispose()


class BatchedSqliteStorage(DagsterSqliteStorage):
    """Runs, events and schedules in the folders and files of Dagster's default.

    Configuration::

        storage:
          custom:
            module: catalog_assets.orchestration.sqlite_events
            class: BatchedSqliteStorage
            config: {base_dir: {env: DAGSTER_HOME}}
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._run_storage = KeptSqliteRunStorage.from_local(str(Path(base_dir) / "history"))
        self._event_log_storage = BatchedSqliteEventLogStorage(str(Path(base_dir) / "history" / "runs"))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> BatchedSqliteStorage:
        """From ``dagster.yaml``; the inherited one would build the inherited class."""
        return cls.from_local(inst_data=inst_data, **config_value)


def _kept(address: str) -> Engine:
    """An engine that keeps its connections; more threads than it keeps open one each, none waits for another."""
    engine = db.create_engine(address, max_overflow=-1, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
    sqlalchemy.event.listen(engine, "connect", _without_waiting)
    return engine


def _without_waiting(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
