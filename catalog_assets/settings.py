"""Every setting, typed and read once: environment first, then ``catalog_assets.toml``, then the default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

PREFIX = "CATALOG_"
FILE = "catalog_assets.toml"
MATTE_RUNTIMES = ("auto", "onnxruntime", "openvino", "openvino-bf16")


class SettingsError(ValueError):
    """A setting cannot be used; the text names it, its value and what it should look like."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user may set. Keys of vendors and of S3 are not here: their libraries read them themselves.

    Attributes:
        inventory: folder or ``s3://bucket/prefix`` with the catalogue and the photos.
        store: folder or ``s3://bucket/prefix`` for everything made.
        engine: the engine for scenes whose template says ``auto``.
        matte_model: any model name rembg knows, or two joined by ``+``: the second gives its opinion.
        matte_runtime: what the networks run on, one of ``MATTE_RUNTIMES``.
        budget_usd: ceiling per UTC day for everything that shares the store; 0 refuses paid engines.
        budget_run_usd: tighter ceiling per run, None for none.
        budget_sku_usd: tighter ceiling per SKU, None for none.
        workers: SKUs worked on at a time inside a batch.
        in_flight: requests to one paid engine at once, per process; None takes the engine's own number.
        retry_lost: how often a request is sent again whose reply was lost and may have been billed.
        channels: rule packs that ``listing`` makes renditions for.
        thumbs_url: where a browser finds the store's ``thumbs/`` folder; empty shows no pictures in the UI.
        catalogue: name of the partition set; one per catalogue above 100 000 SKUs.
        sensor_seconds: least time between two looks of a sensor; 60 is kinder beyond 10 000 SKUs.
        executor: where steps run: ``in_process``, ``celery`` or ``kubernetes``.
    """

    inventory: str = "inventory"
    store: str = "store"
    engine: str = "studio"
    matte_model: str = "u2net"
    matte_runtime: str = "auto"
    budget_usd: Decimal = Decimal(0)
    budget_run_usd: Decimal | None = None
    budget_sku_usd: Decimal | None = None
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    in_flight: int | None = None
    retry_lost: int = 0
    channels: tuple[str, ...] = ("amazon.main", "google.shopping", "shopify")
    thumbs_url: str = ""
    catalogue: str = "sku"
    sensor_seconds: int = 30
    executor: str = "in_process"

    def with_(self, **changes: Any) -> Settings:
        """A copy with some settings changed."""
        return replace(self, **changes)


def load_settings(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read the settings.

    Args:
        environ: the environment; ``os.environ`` when None.
        folder: where ``catalog_assets.toml`` may lie; the working folder when None.

    Raises:
        SettingsError: a value has the wrong form, or the file holds an unknown key.
    """
    environ = os.environ if environ is None else environ
    file = (folder or Path.cwd()) / FILE
    from_file: dict[str, Any] = {}
    if file.is_file():
        try:
            from_file = tomllib.loads(file.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{FILE} is not valid TOML: {error}") from None
    known = {f.name for f in fields(Settings)}
    unknown = sorted(set(from_file) - known)
    if unknown:
        raise SettingsError(f"{FILE}: unknown key {unknown[0]!r}; known keys are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for name in known:
        variable = PREFIX + name.upper()
        if environ.get(variable, "").strip():
            values[name] = _parse(name, environ[variable].strip(), variable)
        elif name in from_file:
            values[name] = _parse(name, from_file[name], f"{FILE}: {name}")
    return Settings(**values)


def _parse(name: str, value: Any, where: str) -> Any:
    if name.startswith("budget"):
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or amount < 0:
            raise SettingsError(f"{where} is {value!r}: write an amount of US dollars such as 2.50")
        return amount
    if name == "matte_runtime":
        if value not in MATTE_RUNTIMES:
            raise SettingsError(f"{where} is {value!r}: write one of {', '.join(MATTE_RUNTIMES)}")
        return value
    if name == "retry_lost":
        if str(value) not in ("0", "1", "2", "3"):
            raise SettingsError(f"{where} is {value!r}: write 0 (never, the default) to 3")
        return int(value)
    if name in ("workers", "in_flight", "sensor_seconds"):
        most = 86_400 if name == "sensor_seconds" else 256
        if not str(value).isdecimal() or not 1 <= int(value) <= most:
            raise SettingsError(f"{where} is {value!r}: write a whole number from 1 to {most}")
        return int(value)
    if name == "channels":
        parts: list[str] = value.split(",") if isinstance(value, str) else list(value)
        return tuple(part.strip() for part in parts if part.strip())
    return str(value)
