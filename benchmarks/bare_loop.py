"""What the line is held against: one Python loop over photos that calls the same functions and writes the files.

No Dagster, no records, no fingerprints, no thumbnails for a UI; arrays stay in memory from step to step, so nothing
is decoded twice but the pictures that QC must see as a customer would.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from catalog_assets.catalogue.snapshot import Entry
from catalog_assets.channels.provenance import check_provenance, embed
from catalog_assets.channels.rendition import ListingItem, ListingSource, render_listing
from catalog_assets.imaging.decode import decode_photo
from catalog_assets.imaging.encode import encode_jpeg, encode_png
from catalog_assets.imaging.intake import inspect_intake
from catalog_assets.imaging.matting import CutoutHints, make_cutout
from catalog_assets.imaging.packshot import compose_packshot
from catalog_assets.ocr import tesseract_reader
from catalog_assets.qc.check import Cut, Expectation, Picture, check_picture
from catalog_assets.qc.findings import verdict_of
from catalog_assets.scenes.certificate import make_certificate
from catalog_assets.scenes.contract import EngineError, ProductView
from catalog_assets.scenes.engines import engine_for
from catalog_assets.stages import packshot as packshots
from catalog_assets.stages.line import Line
from catalog_assets.stages.listing import packs_of
from catalog_assets.stages.packshot import PackshotStage
from catalog_assets.stages.scenes import request_for, shots_of
from catalog_assets.storage.store import sha256


def bare_sku(line: Line, sku: str, entry: Entry, out: Path) -> str:
    """One SKU from its hero photo to its listing files; returns the verdict."""
    item, brand, house = entry.item, line.house.brand, line.house
    data = (Path(line.settings.inventory) / entry.photos[0].file.name).read_bytes()
    photo = decode_photo(data)
    look = line.predictor.predict(photo.rgb)
    findings = inspect_intake(photo, look)
    _write(out / f"{sku}-photo.jpg", data)
    if any(not f.passed and f.severity == "block" for f in findings):
        return "held"
    hints = CutoutHints(material=item.material, category=item.category, items=item.items)
    network = line.predictor
    cutout = make_cutout(photo.rgb, network.predict, hints, look, network.sees, line.opinion)
    png = encode_png(cutout.rgba)
    _write(out / f"{sku}-cutout.png", png)
    cut_sha = sha256(png)
    pictures: list[tuple[str, bytes, np.ndarray, str, object, str]] = []
    spec = PackshotStage()._plan(line, item, {"hero": cutout.rgba})[0]["hero"]
    shot = compose_packshot(cutout.rgba, spec)
    source = packshots.SOURCE_TYPE
    jpeg = embed(encode_jpeg(shot.rgb, quality=packshots.JPEG_QUALITY), source)
    pictures.append(("packshot", jpeg, shot.rgb, source, shot.transform, ""))
    view = ProductView(
        "hero", cutout.rgba, cut_sha, item.height_mm, item.width_mm, item.depth_mm, item.category
    )
    engine = engine_for("studio", plates=house.plates)
    for scene in shots_of(line, item):
        try:
            drawn = engine.draw(request_for(line, sku, item, scene, (view,)))
        except EngineError:
            continue  # no plate fits: it is left out
        jpeg = embed(encode_jpeg(drawn.rgb, quality=92), drawn.digital_source_type)
        make_certificate(
            rgb=drawn.rgb,
            image_sha256=sha256(jpeg),
            cutout_rgba=cutout.rgba,
            cutout_sha256=cut_sha,
            photo_sha256=sha256(data),
            transform=drawn.transform,
            lock="plate",
            relit=drawn.relit,
            engine=drawn.engine,
            model=drawn.model,
            digital_source_type=drawn.digital_source_type,
        )
        name = scene.template.name
        pictures.append((scene.name, jpeg, drawn.rgb, drawn.digital_source_type, drawn.transform, name))
    sources: list[ListingSource] = []
    cut = Cut(cutout.rgba)  # what is known of the product is kept from picture to picture
    for name, jpeg, rgb, kind, transform, template in pictures:
        _write(out / f"{sku}-{name}.jpg", jpeg)
        seen = decode_photo(jpeg)
        packshot = name == "packshot"
        expect = Expectation(
            kind="packshot" if packshot else "scene",
            label_lines=item.label_lines,
            languages=item.languages,
            logo_rgba=house.logo,
            background_rgb=brand.ground if packshot else None,
            material=item.material,
            category=item.category,
            items=item.items,
            transform_hint=np.array(transform),
            view="hero",
            label_known=bool(item.label_lines),
        )
        report = check_picture(
            Picture(name, seen.rgb, seen.facts),
            cut,
            photo_rgb=photo.rgb,
            expect=expect,
            limits=brand.limits,
            read_text=tesseract_reader(),
        )
        findings = [*findings, *report.findings, check_provenance(jpeg, kind)]
        sources.append(
            ListingSource(
                kind="packshot" if packshot else "scene",
                name="hero" if packshot else name,
                view="hero",
                rgb=rgb,
                cutout_rgba=cutout.rgba,
                digital_source_type=kind,
                background=brand.ground if packshot else None,
                transform=transform,  # type: ignore[arg-type]
                spec=spec if packshot else None,
                template=template,
            )
        )
    if verdict_of(findings) != "pass" or cutout.confidence < brand.limits.cutout_confidence:
        return "held"
    listed = ListingItem(sku, item.title, item.asin, item.gtin, item.category)
    for pack in packs_of(line):
        for image in render_listing(pack, listed, sources, datetime.now(UTC).date()):
            _write(out / pack.name / image.file_name, image.data)
    return "listed"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
