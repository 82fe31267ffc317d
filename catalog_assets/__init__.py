"""catalog_assets: product photos in, provably faithful listing pictures out, as Dagster assets.

Start reading at :mod:`catalog_assets.definitions`, the map of every asset, check, sensor and resource;
then ``stages/`` for what happens to one SKU, and ``imaging/`` and ``qc/`` for the pure arithmetic.
"""
