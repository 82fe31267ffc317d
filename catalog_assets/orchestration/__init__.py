"""Dagster and nothing else: partitions, batches, assets, checks, sensors, resources, executor.

Stages know nothing of Dagster and Dagster knows nothing of pictures; this package is the seam. No other
package but :mod:`catalog_assets.definitions` imports dagster.
"""

import os
import warnings

import dagster as dg

# A batch's materializations go to the database in one insert instead of one each. Dagster's own switch, off by
# default; nothing here relies on it, and whoever sets it keeps their number.
os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")

# Partitioned checks, batch sizes and automation over dynamic partitions are marked preview and beta; we
# accept both, here once.
for _category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=_category)
