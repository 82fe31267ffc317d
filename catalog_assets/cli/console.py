"""How commands speak: one JSON document or nothing on stdout, everything for people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

stderr = Console(stderr=True)
stdout = Console()

OK, SOME_FAILED, BAD_CALL = 0, 1, 2


def bad_call(message: str) -> NoReturn:
    """Say in one sentence what is wrong with the call, and end with exit code 2."""
    sys.stderr.write(message.rstrip() + "\n")
    raise typer.Exit(BAD_CALL)


def print_json(document: Any) -> None:
    """The one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def dollars(text: str) -> Decimal:
    """An amount typed on the command line; anything but a finite one of 0 or more ends with exit code 2."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        bad_call(f"--budget is {text!r}: write an amount of US dollars such as 2.50")
    return amount


def s3_client() -> Any:
    """A client for an inventory in S3, by the AWS variables; made only where there is one."""
    import boto3

    return boto3.client("s3")


@contextmanager
def progress(quiet: bool = False) -> Generator[Progress]:
    """A progress bar on stderr; silent when stderr is not a terminal."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    hidden = quiet or not stderr.is_terminal
    with Progress(*columns, console=stderr, disable=hidden, transient=True) as bar:
        yield bar
