"""A SKU is a partition; a run takes a batch of them through one stage.

Belongs here: the partition set, batch sizes, ranges. Not: what a stage does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType

import dagster as dg

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
SNAPSHOT_TAG = "catalog_assets/snapshot"
"""On a run of ``catalog`` that reports a snapshot which the sensor has published already."""

BATCH_SIZES = MappingProxyType(
    {"raw_photo": 400, "cutout": 100, "packshot": 250, "scenes": 60, "qc_report": 120, "listing": 300}
)
"""SKUs per run. All different on purpose: Dagster fuses neighbours with equal sizes into one run, and then
one bad cutout would hold up every scene of its batch."""


def sku_partitions(catalogue: str) -> dg.DynamicPartitionsDefinition:
    """The partition set of one catalogue (``sku`` unless several catalogues share a deployment)."""
    return dg.DynamicPartitionsDefinition(name=catalogue)


def backfill_policy(stage: str) -> dg.BackfillPolicy:
    """The batch size of a stage."""
    return dg.BackfillPolicy.multi_run(BATCH_SIZES[stage])


def stretches(order: Sequence[str], wanted: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """Cut ``wanted`` into runs: contiguous in ``order``, at most ``size`` keys each.

    Dagster's range is everything between two keys in order of insertion; whatever it passes over would get rows too.

    Args:
        order: all keys as Dagster holds them.
        wanted: the keys to run; unknown ones are ignored.
        size: at most so many per run.
    """
    names = set(wanted)
    batch: list[str] = []
    for key in order:
        if batch and (key not in names or len(batch) == size):
            yield tuple(batch)
            batch = []
        if key in names:
            batch.append(key)
    if batch:
        yield tuple(batch)


def range_tags(batch: Sequence[str]) -> dict[str, str]:
    """Run tags that select a stretch."""
    return {RANGE_START: batch[0], RANGE_END: batch[-1]}
