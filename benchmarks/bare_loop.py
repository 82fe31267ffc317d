"""What the line is held against: one Python loop over photos that calls the same functions and writes the files.

Everything the line computes of a picture is computed here, and every file it delivers is written under the same name:
photo, cutout, doubt mark, thumbnails, pictures, certificates, evidence sheets, reports, listings, and the summaries
at the end. What the line does because it is a line is left out: no Dagster, no records, no fingerprints, no first
look kept for the next stage; arrays stay in memory from step to step, so nothing is decoded twice but the pictures
that QC must see as a customer would.

``lean=True`` also leaves out what is made for people to look at: thumbnails, doubt marks, evidence sheets, what is
noted for comparing collections, and the summaries.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np

from catalog_assets.catalogue.item import Item
from catalog_assets.catalogue.snapshot import Entry
from catalog_assets.channels.marks import declared, strongest
from catalog_assets.channels.packs import ChannelPack
from catalog_assets.channels.provenance import check_provenance, embed
from catalog_assets.channels.rendition import Listing, ListingItem, ListingSource, render_listing
from catalog_assets.imaging.decode import Photo, decode_photo
from catalog_assets.imaging.doubt import mark_doubt
from catalog_assets.imaging.encode import encode_jpeg, encode_png, thumbnail
from catalog_assets.imaging.intake import inspect_intake
from catalog_assets.imaging.matting import CutoutHints, make_cutout
from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot
from catalog_assets.insights import reports_to_frame, summarise
from catalog_assets.ocr import tesseract_reader
from catalog_assets.qc.check import Cut, Expectation, Picture, check_picture
from catalog_assets.qc.consistency import PictureFacts, outliers
from catalog_assets.qc.duplicate import Look, near_duplicates
from catalog_assets.qc.evidence import evidence_sheet
from catalog_assets.qc.findings import Finding, verdict_of
from catalog_assets.scenes.certificate import beyond_limit, make_certificate
from catalog_assets.scenes.contract import EngineError, ProductView
from catalog_assets.scenes.engines import engine_for
from catalog_assets.stages import packshot as packshots
from catalog_assets.stages import scenes as scenes_stage
from catalog_assets.stages.consistency import note
from catalog_assets.stages.line import Line
from catalog_assets.stages.listing import packs_of
from catalog_assets.stages.packshot import PackshotStage
from catalog_assets.stages.qc_report import evidence_name
from catalog_assets.storage.store import sha256


@dataclasses.dataclass
class _Shot:
    """A picture on its way from drawing to listing."""

    kind: str
    name: str
    file: str
    data: bytes
    rgb: np.ndarray
    mark: str
    transform: Any
    template: str = ""
    delta_e: float = 0.0
    proved: bool = True


class BareLoop:
    """The loop over one catalogue.

    Args:
        line: read for settings, brand, catalogue and network; none of its stages is run.
        out: where files go.
        lean: leave out what is made for people to look at.
    """

    def __init__(self, line: Line, out: Path, *, lean: bool = False) -> None:
        self.line, self.out, self.lean = line, out, lean
        self._engine = engine_for("studio", plates=line.house.plates)
        self._reports: list[dict[str, Any]] = []
        self._looks: list[tuple[str, Mapping[str, Any]]] = []

    def sku(self, sku: str, entry: Entry) -> str:
        """One SKU from its hero photo to its listing files; ``listed`` or ``held``."""
        item, line = entry.item, self.line
        data = (Path(line.settings.inventory) / entry.photos[0].file.name).read_bytes()
        photo = decode_photo(data)
        look = line.predictor.predict(photo.rgb)
        intake = inspect_intake(photo, look)
        made_how = declared(data)
        self._write(f"raw_photo/{sku}/hero{entry.photos[0].suffix}", data)
        self._thumb(f"{sku}/raw_photo-hero", photo.rgb)
        if any(not f.passed and f.severity == "block" for f in intake):
            self._report(sku, item, [], intake)
            return "held"
        hints = CutoutHints(material=item.material, category=item.category, items=item.items)
        network = line.predictor
        cutout = make_cutout(photo.rgb, network.predict, hints, look, network.sees, line.opinion)
        png = encode_png(cutout.rgba)
        self._write(f"cutout/{sku}/hero.png", png)
        self._thumb(f"{sku}/cutout-hero", cutout.rgba, checker=True)
        if not self.lean and cutout.doubt is not None and cutout.verdict != "pass":
            marked = encode_jpeg(mark_doubt(photo.rgb, cutout.doubt), quality=85)
            self._write(f"cutout/{sku}/hero.doubt.jpg", marked)
        spec, shot = self._packshot(sku, item, cutout.rgba, made_how)
        shots = [shot, *self._scenes(sku, item, cutout.rgba, sha256(png), sha256(data), made_how)]
        cut = Cut(cutout.rgba)  # what is known of the product is kept from picture to picture
        findings = self._check(sku, item, shots, cut, photo, intake)
        doubtful = cutout.confidence < line.house.brand.limits.cutout_confidence
        if verdict_of(findings) != "pass" or doubtful:
            return "held"
        sources = [self._source(shot, cutout.rgba, spec) for shot in shots]
        return self._list(sku, item, sources, cut, photo)

    def _packshot(
        self, sku: str, item: Item, rgba: np.ndarray, made_how: str | None
    ) -> tuple[PackshotSpec, _Shot]:
        spec = PackshotStage()._plan(self.line, item, {"hero": rgba})[0]["hero"]
        made = compose_packshot(rgba, spec)
        mark = strongest(packshots.SOURCE_TYPE, made_how)
        data = embed(encode_jpeg(made.rgb, quality=packshots.JPEG_QUALITY), mark)
        shot = _Shot(
            "packshot", "packshot hero", f"packshot/{sku}/hero.jpg", data, made.rgb, mark, made.transform
        )
        self._write(shot.file, data)
        self._thumb(f"{sku}/packshot-hero", made.rgb)
        return spec, shot

    def _scenes(
        self, sku: str, item: Item, rgba: np.ndarray, cut_sha: str, photo_sha: str, made_how: str | None
    ) -> list[_Shot]:
        sizes = (item.height_mm, item.width_mm, item.depth_mm)
        view = ProductView("hero", rgba, cut_sha, *sizes, item.category, item.material)
        shots: list[_Shot] = []
        for scene in scenes_stage.shots_of(self.line, item):
            try:
                drawn = self._engine.draw(scenes_stage.request_for(self.line, sku, item, scene, (view,)))
            except EngineError:
                continue  # no plate fits: it is left out
            mark = strongest(drawn.digital_source_type, made_how)
            data = embed(encode_jpeg(drawn.rgb, quality=scenes_stage.JPEG_QUALITY), mark)
            certificate = make_certificate(
                rgb=drawn.rgb,
                image_sha256=sha256(data),
                cutout_rgba=rgba,
                cutout_sha256=cut_sha,
                photo_sha256=photo_sha,
                transform=cast("Any", drawn.transform),
                lock="plate",
                relit=drawn.relit,
                engine=drawn.engine,
                model=drawn.model,
                digital_source_type=mark,
            )
            photo, story, _ = scenes_stage.scene_files(sku, scene.name)
            self._write(photo, data)
            self._thumb(f"{sku}/scenes-{scene.name}", drawn.rgb)
            self._json(story, {"certificate": certificate})
            shots.append(
                _Shot(
                    "scene",
                    f"scene {scene.name}",
                    photo,
                    data,
                    drawn.rgb,
                    mark,
                    drawn.transform,
                    scene.template.name,
                    float(certificate.get("delta_e_max") or 0.0),
                    bool(certificate["mask_px"] and (drawn.relit or not certificate["changed_px"])),
                )
            )
        return shots

    def _check(
        self, sku: str, item: Item, shots: list[_Shot], cut: Cut, photo: Photo, intake: list[Finding]
    ) -> list[Finding]:
        limits = self.line.house.brand.limits
        findings, pictures = list(intake), list[dict[str, Any]]()
        for shot in shots:
            seen = decode_photo(shot.data)
            report = check_picture(
                Picture(shot.file, seen.rgb, seen.facts),
                cut,
                photo_rgb=photo.rgb,
                expect=self._expected(item, shot),
                limits=limits,
                read_text=tesseract_reader(),
            )
            report.findings.append(check_provenance(shot.data, shot.mark))
            beyond = beyond_limit(shot.delta_e, limits.colour_delta_e)
            report.findings += [beyond] if beyond else []
            findings += report.findings
            pictures.append(report.to_json())
            if self.lean:
                continue
            if report.verdict != "pass":
                sheet = encode_jpeg(evidence_sheet(seen.rgb, cut, report), quality=85)
                self._write(evidence_name(sku, shot.name), sheet)
            noted = note(
                seen.rgb,
                cut.rgba,
                report,
                sku=sku,
                picture=shot.name,
                collection=item.collection,
                kind=f"scene {shot.template}" if shot.kind == "scene" else "packshot",
                height_mm=item.height_mm if shot.kind == "scene" else None,
            )
            self._looks += [(sku, noted)] if noted else []
        self._report(sku, item, pictures, findings)
        return findings

    def _expected(self, item: Item, shot: _Shot) -> Expectation:
        packshot, house = shot.kind == "packshot", self.line.house
        return Expectation(
            kind="packshot" if packshot else "scene",
            label_lines=item.label_lines,
            languages=item.languages,
            logo_rgba=house.logo,
            background_rgb=house.brand.ground if packshot else None,
            material=item.material,
            category=item.category,
            items=item.items,
            transform_hint=np.array(shot.transform),
            view="hero",
            label_known=bool(item.label_lines),
        )

    def _source(self, shot: _Shot, rgba: np.ndarray, spec: PackshotSpec) -> ListingSource:
        packshot = shot.kind == "packshot"
        return ListingSource(
            kind="packshot" if packshot else "scene",
            name="hero" if packshot else shot.name.removeprefix("scene "),
            view="hero",
            rgb=shot.rgb,
            cutout_rgba=rgba,
            digital_source_type=cast("Any", shot.mark),
            background=self.line.house.brand.ground if packshot else None,
            transform=shot.transform,
            spec=spec if packshot else None,
            template=shot.template,
        )

    def _list(self, sku: str, item: Item, sources: list[ListingSource], cut: Cut, photo: Photo) -> str:
        listed = ListingItem(sku, item.title, item.asin, item.gtin, item.category)
        on, outcome = datetime.now(UTC).date(), "held"
        for pack in packs_of(self.line):
            listing = render_listing(pack, listed, sources, on)
            found = [f for image in listing for f in image.findings]
            found += self._recomposed(item, pack, listing, cut, photo, on)
            broken = any(not f.passed and f.severity == "block" for f in found)
            if broken or not any(image.role == "main" for image in listing):
                continue
            for image in listing:
                self._write(f"listing/{pack.name}/{sku}/{image.file_name}", image.data)
            names = [[image.file_name, image.role, image.alt] for image in listing]
            self._json(f"listing/{pack.name}/{sku}/listing.json", {"channel": pack.name, "images": names})
            outcome = "listed"
        return outcome

    def _recomposed(
        self, item: Item, pack: ChannelPack, listing: Listing, cut: Cut, photo: Photo, on: date
    ) -> list[Finding]:
        """Findings of main pictures that a channel made it necessary to compose anew."""
        brand, findings = self.line.house.brand, list[Finding]()
        for image in listing:
            if not image.recomposed:
                continue
            seen, rules = decode_photo(image.data), pack.rules(on, item.category, image.role)
            shot = _Shot("packshot", "", "", b"", seen.rgb, "", None)
            expect = dataclasses.replace(
                self._expected(item, shot),
                background_rgb=rules.background_rgb or brand.ground,
                transform_hint=None,
            )
            findings += check_picture(
                Picture(image.file_name, seen.rgb, seen.facts, image.digital_source_type),
                cut,
                photo_rgb=photo.rgb,
                expect=expect,
                limits=brand.limits.model_copy(update={"fill": (0.0, 1.0), "margin": 0.0}),
                channels=[rules],
                read_text=tesseract_reader(),
            ).findings
        return findings

    def _report(self, sku: str, item: Item, pictures: list[dict[str, Any]], findings: list[Finding]) -> None:
        document = {
            "sku": sku,
            "title": item.title,
            "category": item.category,
            "collection": item.collection,
            "verdict": verdict_of(findings) if pictures else "fail",
            "approved": False,
            "pictures": pictures,
            "findings": [f.to_json() for f in findings],
        }
        self._json(f"qc_report/{sku}.json", document)
        self._reports.append(document)

    def sum_up(self) -> None:
        """The summaries over all SKUs: what stands out, what looks alike, pass rates and their plot, one table."""
        if self.lean:
            return
        frame, buffer = reports_to_frame(self._reports), io.BytesIO()
        frame.write_parquet(buffer)
        self._write("qc_report/tables/all.parquet", buffer.getvalue())
        summary = summarise(self._reports)
        self._write("insights/insights.md", summary.markdown.encode())
        if summary.plot_png:
            self._write("insights/pass_rate.png", summary.plot_png)
        facts, looks = list[PictureFacts](), dict[str, Look]()
        for sku, noted in self._looks:
            values = dict(noted)
            look = values.pop("look", None)
            facts.append(PictureFacts(**values))
            if look:
                looks[f"{sku}/{values['picture']}"] = Look(**look)
        alike = near_duplicates(looks, self.line.house.brand.limits.duplicate_bits)
        self._json(
            "consistency/report.json",
            {"outliers": [dataclasses.asdict(o) for o in outliers(facts)], "duplicates": sorted(alike)},
        )

    def _thumb(self, name: str, pixels: np.ndarray, *, checker: bool = False) -> None:
        if not self.lean:
            self._write(f"thumbs/{name}.jpg", thumbnail(pixels, checker=checker))

    def _json(self, name: str, document: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(document, ensure_ascii=False, indent=1).encode())

    def _write(self, name: str, data: bytes) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


OWN = ("manifest/", "looks/", "catalogue/", "qc_report/tables/", "insights/pass_rates.json")
"""What only a line keeps: records, first looks, what was read of the inventory, tables named by their SKUs, and how
often models succeeded."""


def undelivered(line_store: Path, loop_out: Path) -> dict[str, list[str]]:
    """Files one of the two delivered and the other did not; empty lists where both did the same work."""

    def names(base: Path) -> set[str]:
        files = {p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file()}
        return {name for name in files if not name.startswith(OWN) and not name.endswith("made_from.json")}

    line, loop = names(line_store), names(loop_out)
    return {"only the line": sorted(line - loop), "only the loop": sorted(loop - line)}
