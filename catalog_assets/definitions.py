"""The map: every asset, check, job, sensor and resource of the code location, by name.

``defs`` is what Dagster loads. Tests and commands call :func:`build_defs` for a fresh location with
resources of their own, so nothing needs patching.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource

from catalog_assets.orchestration import assets
from catalog_assets.orchestration.executor import executor
from catalog_assets.orchestration.partitions import sku_partitions
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.orchestration.sensors import sensors
from catalog_assets.settings import load_settings


def build_defs(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """A fresh code location.

    Args:
        overrides: resources by name (``line``, ``s3``) that replace the default ones.
    """
    settings = load_settings()
    partitions = sku_partitions(settings.catalogue)
    return dg.Definitions(
        assets=[
            assets.catalog,
            assets.brand,
            *assets.stage_assets(partitions),  # raw_photo, cutout, packshot, scenes, qc_report, listing
            assets.insights,
            assets.consistency,
        ],
        # new_inventory (it brings its jobs, inventory and scattered), brand_changed, automation
        sensors=sensors(settings.sensor_seconds),
        resources={"line": LineResource(s3=S3Resource()), **(overrides or {})},
        executor=executor(settings.executor),
    )


defs = build_defs()
