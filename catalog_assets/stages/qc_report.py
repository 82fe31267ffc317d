"""Every packshot and scene of a SKU measured against its photo, cutout and brand: findings and a verdict."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_assets.catalogue.item import Item
from catalog_assets.channels.provenance import check_provenance
from catalog_assets.imaging.decode import decode_photo
from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.insights import reports_to_frame
from catalog_assets.ocr import tesseract_reader
from catalog_assets.qc.check import QC_VERSION, Cut, Expectation, Picture, check_picture
from catalog_assets.qc.evidence import evidence_sheet
from catalog_assets.qc.findings import Finding, PictureReport, verdict_of
from catalog_assets.review.approvals import approval_of, pictures_print
from catalog_assets.scenes.certificate import beyond_limit
from catalog_assets.stages.consistency import note
from catalog_assets.stages.cutout import cutout_views, item_of
from catalog_assets.stages.line import Line
from catalog_assets.stages.pictures import keep, read_photo, read_rgba, read_unaltered
from catalog_assets.stages.stage import Made, Stage, Step, finished
from catalog_assets.stages.subjects import Subject, picture_hashes, subjects, transform_of
from catalog_assets.storage.fingerprint import fingerprint


class QcReportStage(Stage):
    """Writes the report; a failing verdict is a good report."""

    name = "qc_report"
    version = f"3+{QC_VERSION}"

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        """The pictures, what they are held against, and whether a person has approved them."""
        item = item_of(line, sku)
        brand = line.house.brand
        pictures = picture_hashes(line, sku)
        approval = approval_of(line.store, sku, pictures)
        return {
            "pictures": pictures,
            "unproved": [subject.name for subject in subjects(line, sku) if not subject.proved],
            "relit": {subject.name: subject.delta_e_max for subject in subjects(line, sku)},
            "photos": finished(line, "raw_photo", sku).files,
            "cutouts": {
                view: [facts["sha256"], facts["confidence"], facts["reasons"]]
                for view, facts in cutout_views(line, sku).items()
            },
            "intake": [finding.to_json() for finding in _intake_findings(line, sku)],
            "limits": brand.limits.model_dump(mode="json"),
            "background": brand.background,
            "reflection": brand.packshot.reflection,
            "logo": line.house.hashes.get(brand.logo),
            "label": [item.label_text, item.language],
            "item": [item.category, item.material, item.items, item.collection, item.height_mm],
            "approved": approval.at if approval else None,
        }

    def make(self, line: Line, sku: str) -> Made:
        """One JSON with every picture's report and the SKU's verdict."""
        made = Made()
        findings = [*_intake_findings(line, sku), *_cutout_findings(line, sku)]
        pictures: list[dict[str, Any]] = []
        looks: list[dict[str, Any]] = []
        views = cutout_views(line, sku)
        loaded: dict[str, tuple[Cut, NDArray[np.uint8]]] = {}
        for subject in subjects(line, sku):
            if subject.view not in loaded:
                # Decoded once per view; only the view at hand is kept in memory.
                loaded = {subject.view: cutout_and_photo(line, sku, subject.view, views)}
            cut, photo = loaded[subject.view]
            report, rgb = self._check(line, sku, subject, cut, photo)
            findings += [dataclasses.replace(f, subject=subject.name) for f in report.findings]
            document = {
                **report.to_json(),
                "kind": subject.kind,
                "name": subject.name,
                "view": subject.view,
            }
            if report.verdict != "pass":
                name = evidence_name(sku, subject.name)
                self.put(line, made, name, encode_jpeg(evidence_sheet(rgb, cut, report), quality=85))
                document["evidence"] = name
            pictures.append(document)
            looks += _look(line, sku, subject, rgb, cut.rgba, report)
        if not pictures:
            made.reasons.append("there is no picture to check")
        findings.append(_human_review(line, sku, findings))
        self._write(line, sku, made, findings, pictures)
        made.metadata["looks"] = looks
        return made

    def _check(
        self,
        line: Line,
        sku: str,
        subject: Subject,
        cut: Cut,
        photo: NDArray[np.uint8],
    ) -> tuple[PictureReport, NDArray[np.uint8]]:
        data = read_unaltered(line, subject.file, subject.sha256)
        decoded = decode_photo(data)
        keep(subject.sha256, decoded.rgb)
        item = item_of(line, sku)
        expect = expectation(line, item, subject)
        report = check_picture(
            Picture(subject.file, decoded.rgb, decoded.facts),
            cut,
            photo_rgb=photo,
            expect=expect,
            limits=line.house.brand.limits,
            read_text=tesseract_reader(),
        )
        report.findings.append(check_provenance(data, subject.digital_source_type))
        # What `check --certificate` would refuse is not listed.
        beyond = beyond_limit(subject.delta_e_max, line.house.brand.limits.colour_delta_e)
        report.findings += [beyond] if beyond else []
        return report, decoded.rgb

    def _write(
        self,
        line: Line,
        sku: str,
        made: Made,
        findings: list[Finding],
        pictures: list[dict[str, Any]],
    ) -> None:
        item = item_of(line, sku)
        verdict = verdict_of(findings)
        approved = next(f for f in findings if f.rule == "human_review").measured == "approved"
        if not pictures:
            verdict = "fail"
        said = reasons(findings)
        document: dict[str, Any] = {
            "sku": sku,
            "title": item.title,
            "category": item.category,
            "collection": item.collection,
            "verdict": verdict,
            "approved": approved,
            "reasons": said,
            # What the report is about: it says nothing of pictures made later.
            "pictures_print": pictures_print(picture_hashes(line, sku)),
            "pictures": pictures,
            "findings": [f.to_json() for f in findings],
        }
        text = json.dumps(document, ensure_ascii=False, indent=1).encode()
        self.put(line, made, report_name(sku), text)
        made.metadata.update(verdict=verdict, approved=approved, pictures=len(pictures))
        if verdict != "pass" and not approved:
            for reason in said or made.reasons or ["a person should look at it"]:
                made.hold(reason)


def report_name(sku: str) -> str:
    """Where a SKU's report lies."""
    return f"qc_report/{sku}.json"


def evidence_name(sku: str, subject: str) -> str:
    """Where the evidence sheet of a picture that did not pass lies."""
    return f"qc_report/{sku}/{subject.replace(' ', '-')}.jpg"


def _look(
    line: Line,
    sku: str,
    subject: Subject,
    rgb: NDArray[np.uint8],
    cutout: NDArray[np.uint8],
    report: PictureReport,
) -> list[dict[str, Any]]:
    """What is noted of a picture for comparing it with the others of its collection."""
    item = item_of(line, sku)
    scene = subject.kind == "scene"
    noted = note(
        rgb,
        cutout,
        report,
        sku=sku,
        picture=subject.name,
        collection=item.collection,
        kind=f"scene {subject.template}" if scene else "packshot",
        height_mm=item.height_mm if scene else None,
    )
    return [noted] if noted else []


def read_report(line: Line, sku: str) -> dict[str, Any]:
    """A SKU's report."""
    return json.loads(line.store.read(report_name(sku)))


def reasons(findings: list[Finding]) -> list[str]:
    """Why the SKU is held, one plain sentence each, the most certain first."""
    held = [f for f in findings if not f.passed and f.rule != "human_review"]
    held = [f for f in held if f.severity == "block" or f.measured is None]
    held.sort(key=lambda f: (f.rule != "intake", f.measured is None))
    said: list[str] = []
    for finding in held:
        text = f"{finding.subject}: {finding.message}" if finding.subject else finding.message
        if text not in said:
            said.append(text)
    return said


def expectation(line: Line, item: Item, subject: Subject) -> Expectation:
    """What the picture should show."""
    packshot = subject.kind == "packshot"
    placed = transform_of(subject)
    return Expectation(
        kind="packshot" if packshot else "scene",
        label_lines=item.label_lines,
        languages=item.languages,
        logo_rgba=line.house.logo,
        background_rgb=line.house.brand.ground if packshot else None,
        material=item.material,
        category=item.category,
        items=item.items,
        transform_hint=None if placed is None else np.array(placed),
        view=subject.view,
        label_known=bool(item.label_lines),
        fill_at_scale=subject.fill_at_scale,
        reflection=line.house.brand.packshot.reflection > 0 and (subject.pose or [""])[0] == "standing",
    )


def cutout_and_photo(
    line: Line, sku: str, view: str, views: Mapping[str, Any]
) -> tuple[Cut, NDArray[np.uint8]]:
    """A view's cutout, ready to be compared with, and its photo, (H, W, 3) uint8 upright sRGB.

    Raises:
        SkuFailed: a file in the store is not the one that was made.
    """
    raw: Mapping[str, Any] = finished(line, "raw_photo", sku).metadata["views"]
    cutout, photo = views[view], raw[view]
    return Cut(read_rgba(line, cutout["file"], cutout["sha256"])), read_photo(
        line, photo["file"], photo["sha256"]
    )


def _intake_findings(line: Line, sku: str) -> Iterator[Finding]:
    views: Mapping[str, Any] = finished(line, "raw_photo", sku).metadata["views"]
    for view, facts in views.items():
        for found in facts["findings"]:
            yield finding_of({**found, "subject": f"photo {view}"})


def _cutout_findings(line: Line, sku: str) -> Iterator[Finding]:
    limit = line.house.brand.limits.cutout_confidence
    for view, facts in cutout_views(line, sku).items():
        confident = facts["confidence"] >= limit
        doubts = "; ".join(facts["reasons"]) or "the looks at it disagree"
        yield Finding(
            rule="cutout",
            passed=confident,
            severity="block",
            measured=facts["confidence"],
            limit=limit,
            unit="confidence",
            message="the cutout is trustworthy" if confident else f"the cutout is doubtful: {doubts}",
            remedy=""
            if confident
            else "Look at the cutout; approve it, or take a photo on a plainer background.",
            subject=f"cutout {view}",
        )


def _human_review(line: Line, sku: str, findings: list[Finding]) -> Finding:
    """Whether a person's decision is waiting; an approval holds for exactly these pictures."""
    approval = approval_of(line.store, sku, picture_hashes(line, sku))
    # A picture whose product a model drew has no certificate: a person must look, whatever was measured.
    # Nor does a certificate prove anything where no pixel of the product is opaque, clear glass for one.
    redrawn = any(
        subject.kind == "scene" and not (subject.transform and subject.proved)
        for subject in subjects(line, sku)
    )
    waiting = approval is None and (redrawn or verdict_of(findings) == "review")
    return Finding(
        rule="human_review",
        passed=not waiting,
        severity="block",
        measured="approved" if approval else ("waiting" if waiting else "not needed"),
        limit="approved or not needed",
        unit="decision",
        message=f"approved by {approval.by} at {approval.at}"
        if approval
        else ("a person should look before this is listed" if waiting else "no decision is waiting"),
        remedy="Approve the SKU, or mend what is named." if waiting else "",
    )


def finding_of(stored: Mapping[str, Any]) -> Finding:
    """A finding back from its JSON."""
    limit = stored["limit"]
    return Finding(
        rule=stored["rule"],
        passed=stored["passed"],
        severity=stored["severity"],
        measured=stored["measured"],
        limit=tuple(limit) if isinstance(limit, list) else limit,
        unit=stored["unit"],
        message=stored["message"],
        remedy=stored.get("remedy", ""),
        box=tuple(stored["box"]) if stored.get("box") else None,
        subject=stored.get("subject", ""),
    )


def write_batch_table(line: Line, steps: Mapping[str, Step]) -> None:
    """One Parquet table per batch beside the JSON reports, for polars; nothing where nothing changed."""
    fresh = [sku for sku, step in steps.items() if not step.unchanged]
    if not fresh:
        return
    frame = reports_to_frame([read_report(line, sku) for sku in steps])
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    skus = sorted(steps)
    name = f"qc_report/tables/{fingerprint(skus=skus)[:16]}.parquet"
    line.store.write(name, buffer.getvalue())
