"""The ten assets. Each SKU stage is the same few lines around its stage class.

Belongs here: keys, dependencies, groups, descriptions, when a stage runs by itself. Not: picture work, file
formats, rules.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from catalog_assets.catalogue.rows import summary
from catalog_assets.orchestration.automation import due, settled
from catalog_assets.orchestration.batch import report, run_batch
from catalog_assets.orchestration.checks import check_results, check_specs
from catalog_assets.orchestration.describe import describer, picture
from catalog_assets.orchestration.partitions import SNAPSHOT_TAG, backfill_policy
from catalog_assets.orchestration.resources import LineResource
from catalog_assets.stages.consistency import write_consistency
from catalog_assets.stages.cutout import CutoutStage
from catalog_assets.stages.insights import write_insights
from catalog_assets.stages.listing import ListingStage
from catalog_assets.stages.packshot import PackshotStage
from catalog_assets.stages.qc_report import QcReportStage, write_batch_table
from catalog_assets.stages.raw_photo import RawPhotoStage
from catalog_assets.stages.scenes import ScenesStage
from catalog_assets.stages.stage import Stage

STAGES: tuple[Stage, ...] = (
    RawPhotoStage(),
    CutoutStage(),
    PackshotStage(),
    ScenesStage(),
    QcReportStage(),
    ListingStage(),
)
"""In the order of the line."""


@dg.asset(
    group_name="house",
    kinds={"csv", "polars"},
    description="Every SKU with its row and its photos, as last read from the inventory; what did not fit is named.",
)
def catalog(context: dg.AssetExecutionContext, line: LineResource) -> dg.MaterializeResult:
    """Read the inventory and make it the snapshot that stages work from; or report what the sensor has read."""
    work = line.line()
    snapshot = work.snapshots.load(int(context.run.tags.get(SNAPSHOT_TAG, 0)))
    if snapshot is None:
        snapshot = work.publish_catalogue()
        context.instance.add_dynamic_partitions(work.settings.catalogue, snapshot.skus)
    problems = snapshot.problems
    listed = "\n".join(f"- {problem}" for problem in problems[:200]) or "none"
    return dg.MaterializeResult(
        metadata={
            "SKUs": len(snapshot.skus),
            **summary(problems),
            "to mend": dg.MetadataValue.md(listed),
        }
    )


@dg.asset(
    group_name="house",
    kinds={"yaml"},
    description="Brand, scene templates, plates and channel packs, validated; the last valid ones stay in force.",
)
def brand(line: LineResource) -> dg.MaterializeResult:
    """Validate ``brand.yaml``, ``scenes.yaml`` and what they name."""
    house = line.line().publish_house()
    values = house.brand
    return dg.MaterializeResult(
        metadata={
            "name": values.name or "(no brand.yaml: defaults)",
            "background": values.ground_in_words,
            "limits": dg.MetadataValue.json(values.limits.model_dump(mode="json")),
            "scenes": ", ".join(template.name for template in house.templates),
            "channels": ", ".join(line.line().settings.channels),
        }
    )


def stage_asset(
    stage: Stage,
    partitions: dg.DynamicPartitionsDefinition,
    *,
    deps: Sequence[str],
    group: str,
    kinds: set[str],
    pool: str,
    description: str,
    automatic: bool = True,
) -> dg.AssetsDefinition:
    """One SKU stage as an asset: a batch in, an outcome per SKU out."""
    checked = stage.name == "qc_report"

    @dg.asset(
        name=stage.name,
        partitions_def=partitions,
        deps=list(deps),
        backfill_policy=backfill_policy(stage.name),
        automation_condition=due() if automatic else None,
        group_name=group,
        kinds=kinds,
        pool=pool,
        description=description,
        code_version=stage.version,
        check_specs=check_specs(partitions) if checked else None,
    )
    # Dagster reads this annotation to know that nothing is stored through an IO manager.
    def asset_of_stage(  # pyright: ignore[reportInvalidTypeForm]
        context: dg.AssetExecutionContext, line: LineResource
    ) -> dg.MaterializeResult:  # pyright: ignore
        work = line.line()
        outcome = run_batch(stage, work, context.partition_keys)
        if checked:
            write_batch_table(work, outcome.good)
        checks = check_results(work, outcome) if checked else None
        yield from report(context, outcome, describer(stage.name, work), checks)  # pyright: ignore

    return asset_of_stage


def stage_assets(partitions: dg.DynamicPartitionsDefinition) -> Iterator[dg.AssetsDefinition]:
    """The six SKU stages in order."""
    raw_photo, cutout, packshot, scenes, qc_report, listing = STAGES
    yield stage_asset(
        raw_photo,
        partitions,
        deps=["catalog"],
        group="photos",
        kinds={"image"},
        pool="matting",
        # The inventory sensor asks for changed SKUs only; a new catalogue must not re-run all of them.
        automatic=False,
        description="The photo as delivered, byte for byte, and whether it is fit to work with.",
    )
    yield stage_asset(
        cutout,
        partitions,
        deps=["raw_photo"],
        group="photos",
        kinds={"image", "onnx"},
        pool="matting",
        description="The product alone on transparency (straight-alpha RGBA, size of the upright photo).",
    )
    yield stage_asset(
        packshot,
        partitions,
        deps=["cutout", "brand"],
        group="pictures",
        kinds={"image"},
        pool="compose",
        description="The product on the brand's plain background, grounded by a soft contact shadow.",
    )
    yield stage_asset(
        scenes,
        partitions,
        deps=["cutout", "brand"],
        group="pictures",
        kinds={"image"},
        pool="scenes",
        description="Lifestyle pictures from scene templates, each with its own certificate.",
    )
    yield stage_asset(
        qc_report,
        partitions,
        deps=["packshot", "scenes", "brand"],
        group="quality",
        kinds={"json", "tesseract"},
        pool="quality",
        description="Every picture measured against the photo and the brand; the checks below are its verdict.",
    )
    yield stage_asset(
        listing,
        partitions,
        deps=["qc_report"],
        group="listing",
        kinds={"image"},
        pool="compose",
        description="The gate: files as each channel wants them, for SKUs that passed or that a person approved.",
    )


@dg.asset(
    deps=["qc_report", "listing"],
    group_name="quality",
    kinds={"polars"},
    automation_condition=settled(),
    description="Pass rate by rule, category and collection; time and cost per SKU.",
)
def insights(line: LineResource) -> dg.MaterializeResult:
    """Summarize all reports."""
    work = line.line()
    found = write_insights(work)
    metadata: dict[str, Any] = {
        "SKUs": found.skus,
        "listed": found.listed,
        "held": found.held,
        "failed": found.failed,
        "retired": found.retired,
        "table": dg.MetadataValue.md(found.markdown),
    }
    shown = picture(work, found.thumb, "pass rate by rule") if found.thumb else None
    if shown:
        metadata["plot"] = shown
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    deps=["qc_report"],
    group_name="quality",
    kinds={"json"},
    automation_condition=settled(),
    description="What stands out of its collection (scale, ground, shadow, white, margins); SKUs that look the same.",
)
def consistency(line: LineResource) -> dg.MaterializeResult:
    """Compare the pictures of all reports."""
    found = write_consistency(line.line())
    return dg.MaterializeResult(
        metadata={
            "pictures": found.pictures,
            "collections": found.collections,
            "stand out": len(found.outliers),
            "look like another SKU": len(found.duplicates),
            "what stands out": dg.MetadataValue.md(found.markdown),
        }
    )
