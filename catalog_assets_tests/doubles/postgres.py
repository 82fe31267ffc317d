"""A real PostgreSQL on loopback, for as long as a test or a benchmark needs it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path


def find_postgres() -> Path | None:
    """The folder with ``initdb`` and ``postgres``; None where PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "initdb").is_file()), None)


@contextmanager
def postgres_server(*, durable: bool = True) -> Generator[dict[str, str]]:
    """Start a cluster in a folder of its own; yields the parts of its address.

    PostgreSQL refuses to run as root, so root becomes ``nobody`` for it.

    Args:
        durable: wait for the disk at every commit, as a server does; off is faster and enough for tests.

    Raises:
        RuntimeError: it is not installed or did not start; the text has its log.
    """
    programs = find_postgres()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="catalog-postgres-"))
    as_user = _as_nobody(folder) if os.geteuid() == 0 else []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        _run(
            [*as_user, str(programs / "initdb"), "-D", str(folder / "data"), "-U", "catalog", "-A", "trust"],
            folder,
        )
        options = ["-c", "listen_addresses=127.0.0.1", "-k", str(folder), "-p", str(port)]
        options += [] if durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [*as_user, str(programs / "postgres"), "-D", str(folder / "data"), *options],
                stdout=log,
                stderr=log,
                cwd=folder,
            )
        try:
            _until_ready(programs / "pg_isready", port, server, folder)
            yield {"hostname": "127.0.0.1", "port": str(port), "username": "catalog", "db_name": "postgres"}
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def dagster_yaml(address: dict[str, str], *, pooled: bool = True) -> str:
    """Dagster's storage on that server, as docs/performance.md recommends it.

    Args:
        address: the parts of the server's address.
        pooled: by our class, over kept connections; else by the class Dagster brings.
    """
    values = {
        "scheme": "postgresql+psycopg2",
        "username": address["username"],
        "password": "unused",
        "hostname": address["hostname"],
        "port": int(address["port"]),
        "db_name": address["db_name"],
        "params": {"options": "-c synchronous_commit=off"},
    }
    own = {
        "module": "catalog_assets.orchestration.postgres_storage",
        "class": "PooledPostgresStorage",
        "config": {"postgres_db": values},
    }
    storage = {"custom": own} if pooled else {"postgres": {"postgres_db": values}}
    # JSON is YAML.
    return json.dumps({"storage": storage, "telemetry": {"enabled": False}})


def _as_nobody(folder: Path) -> Sequence[str]:
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[-1]}: {done.stdout[-500:]}{done.stderr[-1500:]}")


def _until_ready(pg_isready: Path, port: int, server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        probe = subprocess.run([str(pg_isready), "-h", "127.0.0.1", "-p", str(port), "-q"], check=False)
        if probe.returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()[-1500:]}")
