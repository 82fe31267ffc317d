"""``catalog-assets ui``: Dagster's UI on an inventory, with thumbnails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from catalog_assets.cli.console import bad_call, stdout
from catalog_assets.review.pictures import serving
from catalog_assets.sample import copy_inventory
from catalog_assets.settings import SettingsError, load_settings
from catalog_assets.storage.store import Store

_COPIED = "# Copied anew at each start of catalog-assets ui; without this line it stays as it is.\n"


def command(
    inventory: Annotated[str, typer.Option(help="Inventory; the sample catalogue when not given.")] = "",
    store: Annotated[str, typer.Option(help="Store; beside the sample inventory when not given.")] = "",
    home: Annotated[Path, typer.Option(help="Dagster's own folder (runs, events).")] = Path(".dagster"),
    port: Annotated[int, typer.Option(help="Port of the UI on 127.0.0.1.")] = 3000,
    pictures_port: Annotated[int, typer.Option(help="Port of the thumbnails; 0 takes a free one.")] = 0,
) -> None:
    """Start the UI with its daemon: sensors watch the inventory, finished stages start the next."""
    try:
        settings = load_settings()
    except SettingsError as error:
        bad_call(str(error))
    chosen = inventory or os.environ.get("CATALOG_INVENTORY", "")
    where = store or os.environ.get("CATALOG_STORE", "")
    if not chosen:
        chosen = str(copy_inventory(Path("demo") / "inventory").absolute())
        where = where or str((Path("demo") / "store").absolute())
    where = where or settings.store
    home.mkdir(parents=True, exist_ok=True)
    _configure(Path("dagster.yaml"), home / "dagster.yaml")
    with serving(Store(where), pictures_port) as address:
        environment = {
            **os.environ,
            "CATALOG_INVENTORY": chosen if "://" in chosen else str(Path(chosen).absolute()),
            "CATALOG_STORE": where if "://" in where else str(Path(where).absolute()),
            "CATALOG_THUMBS_URL": address,
            "DAGSTER_HOME": str(home.absolute()),
        }
        stdout.print(
            f"inventory {chosen}\nstore     {where}\nUI        http://127.0.0.1:{port}",
            highlight=False,
            markup=False,
        )
        raise typer.Exit(_run_dagster(environment, port))


def _configure(given: Path, target: Path) -> None:
    """Copy the configuration beside the working folder into Dagster's own; a person's file there stays."""
    if not given.is_file() or given.absolute() == target.absolute():
        return
    if target.exists() and not target.read_text(encoding="utf-8", errors="replace").startswith(_COPIED):
        return
    target.write_text(_COPIED + given.read_text(encoding="utf-8"), encoding="utf-8")


def _run_dagster(environment: dict[str, str], port: int) -> int:
    """Run ``dagster dev`` until it ends or we are told to stop; a stop is passed on and waited for."""
    workspace = Path("workspace.yaml")
    module = ["-w", str(workspace)] if workspace.is_file() else ["-m", "catalog_assets.definitions"]
    command_line = [sys.executable, "-m", "dagster", "dev", *module, "-h", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command_line, env=environment)

    def stop(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    code = process.wait()
    return 0 if code in (0, -signal.SIGINT, -signal.SIGTERM) else code
