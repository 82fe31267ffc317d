"""Dagster and nothing else: partitions, batches, assets, checks, sensors, resources, executor.

Stages know nothing of Dagster and Dagster knows nothing of pictures; this package is the seam. No other
package but :mod:`catalog_assets.definitions` imports dagster.
"""
