"""What starts work by itself: new inventory, a changed brand, and finished stages.

Belongs here: noticing, and asking Dagster for runs. Not: reading rows or photos (``catalogue/``).
"""

import json
import time
from collections.abc import Iterable, Iterator

import dagster as dg

from catalog_assets.catalogue.brand import BrandError
from catalog_assets.catalogue.house import read_house
from catalog_assets.catalogue.inventory import FileStat
from catalog_assets.catalogue.rows import CatalogueError
from catalog_assets.catalogue.snapshot import Snapshot
from catalog_assets.orchestration.partitions import BATCH_SIZES, range_tags, stretches
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.scenes.templates import TemplateError
from catalog_assets.stages.line import Line
from catalog_assets.storage.fingerprint import fingerprint

SETTLE_SECONDS = 2.0
"""A local photo younger than this may still be being copied; its SKU waits for the next look."""


def sensors(seconds: int) -> list[dg.SensorDefinition]:
    """The three sensors; the first and the last are on from the start.

    Args:
        seconds: least time between two looks.
    """
    new_inventory = dg.sensor(
        name="new_inventory",
        target=dg.AssetSelection.assets("catalog", "brand", "raw_photo"),
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at the inventory; new and changed photos and rows go to raw_photo, others are left alone.",
    )(look_at_inventory)
    brand_changed = dg.sensor(
        name="brand_changed",
        target=dg.AssetSelection.assets("brand"),
        minimum_interval_seconds=2 * seconds,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Looks at brand.yaml, scenes.yaml, plates and channel packs; a change re-runs what it touches.",
    )(look_at_brand)
    automation = dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=seconds,
        description="Runs a stage for the SKUs whose earlier stage has finished; one backfill for all of them.",
    )
    return [new_inventory, brand_changed, automation]


def look_at_inventory(
    context: dg.SensorEvaluationContext, line: LineResource
) -> dg.SensorResult | dg.SkipReason:
    """Compare the inventory with the snapshot that was last acted on, and ask for what differs.

    The cursor holds the number of that snapshot and a hash of the file listing: when nothing was touched, a
    look costs one listing and no photo is read.
    """
    work = line.line()
    work.forget()
    seen = json.loads(context.cursor) if context.cursor else {}
    try:
        files = list(work.list_files())
        fresh = _unsettled(files, work)
        listing = fingerprint(files=[[f.name, f.token] for f in files])
        if seen.get("listing") == listing and not seen.get("unsettled"):
            return dg.SkipReason("nothing in the inventory has changed")
        snapshot = Snapshot.of(work.look(files))
    except CatalogueError as error:
        return dg.SkipReason(str(error))
    known = work.snapshots.load(seen.get("number", 0))
    waiting = _skus_of(snapshot, fresh)
    settled = snapshot.with_rows_of(known, waiting)
    changed = settled.changed_since(known)
    number = work.snapshots.publish(settled)
    cursor = json.dumps({"number": number, "listing": listing, "unsettled": sorted(fresh)[:20]})
    if not changed:
        context.update_cursor(cursor)
        waits = f"; {len(waiting)} SKUs are still being copied" if waiting else ""
        return dg.SkipReason(f"no SKU has changed{waits}")
    partitions = work.settings.catalogue
    have = context.instance.get_dynamic_partitions(partitions)
    new = sorted(set(changed) - set(have))
    retired = settled.retired_since(known)
    context.log.info(f"{len(new)} new, {len(changed) - len(new)} changed, {len(retired)} retired SKUs")
    return dg.SensorResult(
        dynamic_partitions_requests=[dg.DynamicPartitionsDefinition(name=partitions).build_add_request(new)]
        if new
        else [],
        run_requests=[*_house_runs(context, number), *_photo_runs([*have, *new], changed, settled, number)],
        cursor=cursor,
    )


def _photo_runs(
    order: list[str], changed: list[str], snapshot: Snapshot, number: int
) -> Iterator[dg.RunRequest]:
    prints = dict(zip(snapshot.skus, snapshot.frame["fingerprint"].to_list(), strict=True))
    for batch in stretches(order, changed, BATCH_SIZES["raw_photo"]):
        # The same SKUs with the same content at the same snapshot are asked for once, crash or no crash.
        key = fingerprint(snapshot=number, batch=[[sku, prints[sku]] for sku in batch])
        yield dg.RunRequest(
            run_key=f"raw_photo-{key}",
            asset_selection=[dg.AssetKey("raw_photo")],
            tags=range_tags(batch),
        )


def _house_runs(context: dg.SensorEvaluationContext, number: int) -> Iterator[dg.RunRequest]:
    """The catalogue's own materialization for the UI, and the brand's where there never was one."""
    wanted = [dg.AssetKey("catalog")]
    if context.instance.get_latest_materialization_event(dg.AssetKey("brand")) is None:
        wanted.append(dg.AssetKey("brand"))
    yield dg.RunRequest(run_key=f"catalog-{number}", asset_selection=wanted)


def _unsettled(files: Iterable[FileStat], work: Line) -> set[str]:
    """Names of local files that changed a moment ago."""
    if work.inventory.remote:
        return set()  # an object in S3 appears whole or not at all
    now = time.time()
    return {f.name for f in files if now - int(f.token.split("-", 1)[0]) / 1e9 < SETTLE_SECONDS}


def _skus_of(snapshot: Snapshot, names: set[str]) -> list[str]:
    if not names:
        return []
    entries = snapshot.entries(snapshot.skus)
    return [sku for sku, entry in entries.items() if any(p.file.name in names for p in entry.photos)]


def look_at_brand(context: dg.SensorEvaluationContext, line: LineResource) -> dg.SensorResult | dg.SkipReason:
    """Ask for ``brand`` when one of its files changed; automation does the rest.

    Off by default: every picture of every SKU may depend on the brand, so the first change should be a
    deliberate one.
    """
    work = line.line()
    try:
        house = read_house(work.inventory)
        house.validate()
    except (BrandError, TemplateError, ValueError) as error:
        return dg.SkipReason(f"the brand's files are not valid, the last valid ones stay in force: {error}")
    state = fingerprint(files=house.hashes)
    if context.cursor == state:
        return dg.SkipReason("the brand's files have not changed")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"brand-{state}", asset_selection=[dg.AssetKey("brand")])],
        cursor=state,
    )
