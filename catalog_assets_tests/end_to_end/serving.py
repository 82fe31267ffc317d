"""A web server of Dagster as a process of its own, asked over GraphQL, for tests and benchmarks.

Belongs here: starting, waiting until the code location is loaded, asking, ending. Not: what is asked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from catalog_assets_tests.conftest import ROOT, wait_for


def ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    """The data of a GraphQL answer.

    Args:
        address: of the web server, ``http://host:port``.
        query: with variables, where it has any.
        variables: their values.

    Raises:
        RuntimeError: if Dagster answers with an error.
        httpx.HTTPError: if nobody answers.
    """
    document = httpx.post(
        f"{address}/graphql", json={"query": query, "variables": variables}, timeout=120
    ).json()
    if "errors" in document:
        raise RuntimeError(str(document["errors"])[:500])
    return document["data"]


@contextmanager
def serving(
    command: Sequence[str], address: str, environment: Mapping[str, str], log: Path, *, seconds: float
) -> Generator[None]:
    """A web server, and the daemon that may come with it, until the block is left.

    Args:
        command: starts it, listening at ``address``.
        environment: of the process, nothing is added.
        log: file for what it says; its end is shown where the block fails.
        seconds: to wait for all assets of the code location.
    """

    def loaded() -> bool:
        try:
            return len(ask(address, "{ assetNodes { assetKey { path } } }")["assetNodes"]) >= 10
        except (httpx.HTTPError, RuntimeError, ValueError):
            return False

    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait_for("the UI and its code location", loaded, seconds)
        yield
    except BaseException:
        sys.stderr.write(log.read_text(errors="replace")[-6000:])
        raise
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
