"""Dagster's own PostgreSQL storage with its connections kept open and one transaction per batch.

The one Dagster brings opens a connection for every statement, so that many instances on one server hold none; the
server starts a process for each. A batch of 60 SKUs through six stages opens five thousand, which is most of what it
takes. Tables and statements are the same ones, so either class reads what the other wrote; named in ``dagster.yaml``.

Belongs here: how rows reach PostgreSQL. Not: which rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import (
    create_pg_connection,
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
)
from sqlalchemy.engine import Connection, Engine

from catalog_assets.orchestration.event_batches import EventBatches

KEPT = 2
"""Connections a process keeps open: one for the rows of a batch, one for the run they belong to."""
MOST_MORE = 20
"""More of them while more threads ask at a time; they are closed afterwards."""
RENEWED = 600
"""Seconds after which a connection is opened anew, so that no firewall on the way has forgotten it."""


class BatchedPostgresEventLogStorage(EventBatches, PostgresEventLogStorage):
    """Events over kept connections, a batch of them in one transaction."""

    all_keys = "SELECT partition FROM dynamic_partitions WHERE partitions_def_name = %s ORDER BY id"

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with create_pg_connection(self._engine) as connection:
            # The engine commits each statement by itself; this connection goes back to that when it is returned.
            connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                self._thread.held = connection
                try:
                    yield
                finally:
                    self._thread.held = None

    @property
    def _held(self) -> Connection | None:
        return getattr(self._thread, "held", None)

    def _connect(self) -> AbstractContextManager[Connection]:
        return create_pg_connection(self._engine) if self._held is None else nullcontext(self._held)

    def dispose(self) -> None:
        """Close all connections."""
        super().dispose()
        self._engine.dispose()


class PooledPostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in the tables of Dagster's PostgreSQL storage, over shared connections.

    Configuration, as for ``storage: postgres``::

        storage:
          custom:
            module: catalog_assets.orchestration.postgres_storage
            class: PooledPostgresStorage
            config: {postgres_db: {hostname: …, username: …, password: …, db_name: dagster}}
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: Any = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = BatchedPostgresEventLogStorage(
            postgres_url, should_autocreate_tables, token_provider=token_provider
        )
        engine = _pooled(postgres_url, token_provider)
        storages: Iterable[Any] = (self._event_log_storage, self._run_storage, self._schedule_storage)
        for storage in storages:
            storage._engine = engine  # pyright: ignore[reportPrivateUsage]  the class it belongs to has no other way

    @classmethod
    def from_config_value(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledPostgresStorage:
        """From ``dagster.yaml``; the inherited one would build the inherited class."""
        return cls(
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )


def _pooled(url: str, token_provider: Any) -> Engine:
    return create_pg_engine(
        url,
        token_provider,
        isolation_level="AUTOCOMMIT",
        pool_size=KEPT,
        max_overflow=MOST_MORE,
        pool_recycle=RENEWED,
        pool_pre_ping=True,  # the server may have been restarted since
    )
