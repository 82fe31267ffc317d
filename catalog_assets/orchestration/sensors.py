"""What starts work by itself: new inventory, a changed brand, and finished stages.

Belongs here: noticing, and asking Dagster for runs. Not: reading rows or photos (``catalogue/``).
"""

import json
import time
from collections.abc import Iterable, Iterator

import dagster as dg

from catalog_assets.catalogue.brand import BrandError
from catalog_assets.catalogue.house import read_house
from catalog_assets.catalogue.inventory import is_photo
from catalog_assets.catalogue.rows import CatalogueError
from catalog_assets.catalogue.snapshot import Snapshot
from catalog_assets.catalogue.track import Tracker
from catalog_assets.catalogue.watch import Changes
from catalog_assets.orchestration.partitions import BATCH_SIZES, SNAPSHOT_TAG, range_tags, stretches
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.orchestration.scattered import PORTION, run_config, run_tags, scattered
from catalog_assets.scenes.templates import TemplateError
from catalog_assets.stages.line import Line
from catalog_assets.storage.fingerprint import fingerprint

SETTLE_SECONDS = 2.0
"""A local photo younger than this may still be being copied; its SKU waits for the next look."""
WHOLE_LINE = 8
"""One stretch of up to so many neighbours goes through all stages in one ranged run: a run per stage would wait for a
tick and start a process six times. A longer one goes stage by stage, where a broken SKU stops none of the others; of
several stretches, those that fill a run do so too, and the shorter ones share runs of ``scattered``."""
JOB = "inventory"
"""The job of the ranged runs that the inventory sensor asks for, by name in the UI."""


def sensors(seconds: int) -> list[dg.SensorDefinition]:
    """The three sensors; the first and the last are on from the start.

    Args:
        seconds: least time between two looks.
    """
    new_inventory = dg.sensor(
        name="new_inventory",
        jobs=[
            dg.define_asset_job(JOB, dg.AssetSelection.assets("catalog", "brand", *BATCH_SIZES)),
            scattered,
        ],
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at the inventory; new and changed photos and rows go down the line, others are left alone.",
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
        # The conditions are partly our own (``automation.py``), which the daemon does not import.
        use_user_code_server=True,
        description="Runs a stage for the SKUs whose earlier stage has finished; one backfill for all of them.",
    )
    return [new_inventory, brand_changed, automation]


_trackers: dict[tuple[str, str], Tracker] = {}
"""What this process has seen of each inventory. Lost with the process: then one look reads everything."""


def _tracker(work: Line) -> Tracker:
    """The tracker of an inventory and store; a new one where there is none."""
    key = (work.settings.inventory, work.settings.store)
    if key not in _trackers:
        _trackers[key] = Tracker(work.watch())
    return _trackers[key]


def look_at_inventory(
    context: dg.SensorEvaluationContext, line: LineResource
) -> dg.SensorResult | dg.SkipReason:
    """Ask for the SKUs whose row or photos differ from the snapshot that was last acted on.

    The cursor holds that snapshot's number. The process remembers the files that agree with it, so a look reads
    folders that changed and rows of SKUs they concern; after a restart one look reads everything and compares.
    """
    work = line.line()
    work.forget()
    number = json.loads(context.cursor)["number"] if context.cursor else 0
    tracker = _tracker(work)
    if tracker.number != number:
        _trackers.pop((work.settings.inventory, work.settings.store))
        tracker = _tracker(work)
    try:
        changes = tracker.watch.look()
        fresh = _unsettled(changes, work)
        changes = changes.without(fresh)
        if tracker.number and not changes.names:
            return dg.SkipReason(_nothing(fresh))
        known = work.snapshots.load(number)
        settled = _settled(work, tracker, known, changes)
    except CatalogueError as error:
        return dg.SkipReason(str(error))
    changed = settled.changed_since(known)
    retired = settled.retired_since(known)
    published = work.snapshots.publish(settled)
    _follow(tracker, changes, settled, published)
    cursor = json.dumps({"number": published})
    if not changed and not retired:
        context.update_cursor(cursor)
        return dg.SkipReason(_nothing(fresh))
    partitions = work.settings.catalogue
    have = context.instance.get_dynamic_partitions(partitions)
    new = sorted(set(changed) - set(have))
    context.log.info(f"{len(new)} new, {len(changed) - len(new)} changed, {len(retired)} retired SKUs")
    add = [dg.DynamicPartitionsDefinition(name=partitions).build_add_request(new)] if new else []
    return dg.SensorResult(
        dynamic_partitions_requests=add,
        run_requests=[
            *_house_runs(context, published),
            *_photo_runs([*have, *new], changed, settled, published),
        ],
        asset_events=[_retirement(sku) for sku in retired],
        cursor=cursor,
    )


def _settled(work: Line, tracker: Tracker, known: Snapshot | None, changes: Changes) -> Snapshot:
    """The inventory as it is now, but for files that are still being written."""
    skus = tracker.concerned(changes) if known is not None and tracker.number else None
    if known is not None and skus is not None:
        return tracker.updated(known, changes, skus)
    files = {file.name: file for file in tracker.watch.files()}
    files.update(changes.changed)
    for name in changes.removed:
        files.pop(name, None)
    return Snapshot.of(work.look(files.values()))


def _follow(tracker: Tracker, changes: Changes, settled: Snapshot, number: int) -> None:
    concerned = tracker.concerned(changes) if tracker.number else None
    tracker.follow(changes, number)
    if concerned is None:
        tracker.adopt(settled, number)


def _nothing(fresh: set[str]) -> str:
    if fresh:
        return f"no SKU has changed; {len(fresh)} files are still being copied"
    return "nothing in the inventory has changed"


def _retirement(sku: str) -> dg.AssetObservation:
    """What the UI says of a SKU that left the inventory; an observation starts nothing."""
    why = "its row or its photos are not in the inventory any more; every picture made of it is kept"
    return dg.AssetObservation("raw_photo", partition=sku, metadata={"outcome": "retired", "why": why})


def _photo_runs(
    order: list[str], changed: list[str], snapshot: Snapshot, number: int
) -> Iterator[dg.RunRequest]:
    """A run for each stretch of neighbours; what lies scattered shares runs that take a list of SKUs."""
    size = BATCH_SIZES["raw_photo"] if len(changed) > WHOLE_LINE else WHOLE_LINE
    batches = list(stretches(order, changed, size))
    small = [batch for batch in batches if len(batch) < PORTION] if len(batches) > 1 else []
    prints = snapshot.fingerprints(changed)

    def key(skus: Iterable[str]) -> str:
        # The same SKUs with the same content at the same snapshot are asked for once, crash or no crash.
        return f"raw_photo-{fingerprint(snapshot=number, batch=[[sku, prints[sku]] for sku in skus])}"

    line = list(BATCH_SIZES)
    for batch in batches:
        if batch not in small:
            yield dg.RunRequest(
                run_key=key(batch),
                job_name=JOB,
                asset_selection=[dg.AssetKey(s) for s in (line if len(batch) <= WHOLE_LINE else line[:1])],
                tags=range_tags(batch),
            )
    apart = [sku for batch in small for sku in batch]
    for start in range(0, len(apart), PORTION):
        skus = apart[start : start + PORTION]
        yield dg.RunRequest(
            run_key=key(skus), job_name=scattered.name, run_config=run_config(skus), tags=run_tags(skus)
        )


def _house_runs(context: dg.SensorEvaluationContext, number: int) -> Iterator[dg.RunRequest]:
    """The catalogue's own materialization for the UI, and the brand's where there never was one."""
    wanted = [dg.AssetKey("catalog")]
    if context.instance.get_latest_materialization_event(dg.AssetKey("brand")) is None:
        wanted.append(dg.AssetKey("brand"))
    tags = {SNAPSHOT_TAG: str(number)}
    yield dg.RunRequest(run_key=f"catalog-{number}", job_name=JOB, asset_selection=wanted, tags=tags)


def _unsettled(changes: Changes, work: Line) -> set[str]:
    """Names of local files that changed a moment ago, and may still be being copied."""
    if work.inventory.remote:
        return set()  # an object in S3 appears whole or not at all
    now = time.time()
    young = {
        name
        for name, file in changes.changed.items()
        if is_photo(name) and now - int(file.token.split("-", 1)[0]) / 1e9 < SETTLE_SECONDS
    }
    # The other views of a product whose folder is being filled wait with it.
    folders = {name.rpartition("/")[0] for name in young} - {"photos"}
    return young | {name for name in changes.changed if name.rpartition("/")[0] in folders}


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
