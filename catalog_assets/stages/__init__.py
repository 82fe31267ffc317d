"""What happens to one SKU, stage by stage; no Dagster here.

Each stage is one file with one small class: which inputs it depends on (its fingerprint) and how its files
are made. :mod:`catalog_assets.stages.stage` holds the loop they share: skip what is unchanged, time it,
turn every failure into a recorded outcome.
"""
