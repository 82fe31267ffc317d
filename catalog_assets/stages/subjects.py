"""The pictures of a SKU that a listing could show: what quality control measures and a person approves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from catalog_assets.imaging.resample import Transform
from catalog_assets.stages.line import Line
from catalog_assets.stages.stage import finished


@dataclass(frozen=True)
class Subject:
    """A picture to check: which file, of which view, placed how."""

    kind: str
    name: str
    file: str
    sha256: str
    view: str
    cutout: str
    transform: Any
    digital_source_type: str
    pose: Any = None
    fill_at_scale: float | None = None
    template: str = ""
    proved: bool = True
    """False where its certificate had no pixel to compare, or a changed one in a picture nobody relit."""
    delta_e_max: float = 0.0
    """As the certificate states it."""


def subjects(line: Line, sku: str) -> Iterator[Subject]:
    """The pictures to check, grouped by view so that each cutout is decoded once."""
    found = [*_packshots(line, sku), *_scenes(line, sku)]
    yield from sorted(found, key=lambda s: (s.view != "hero", s.view, s.kind, s.name))


def _packshots(line: Line, sku: str) -> Iterator[Subject]:
    views: Mapping[str, Any] = finished(line, "packshot", sku).metadata["views"]
    for view, facts in views.items():
        yield Subject(
            kind="packshot",
            name=f"packshot {view}",
            file=facts["file"],
            sha256=facts["sha256"],
            view=view,
            cutout=facts["cutout_sha256"],
            transform=facts["transform"],
            digital_source_type=facts["digital_source_type"],
            pose=facts.get("pose"),
            fill_at_scale=facts.get("fill_at_scale"),
        )


def _scenes(line: Line, sku: str) -> Iterator[Subject]:
    scenes: Mapping[str, Any] = finished(line, "scenes", sku).metadata["scenes"]
    for name, facts in scenes.items():
        yield Subject(
            kind="scene",
            name=f"scene {name}",
            file=facts["file"],
            sha256=facts["image_sha256"],
            view=facts["view"] or "hero",
            cutout=facts["cutout_sha256"] or "",
            transform=facts.get("transform"),
            digital_source_type=facts["digital_source_type"],
            template=facts.get("template", name),
            proved=facts.get("proved", True),
            delta_e_max=facts.get("delta_e_max", 0.0),
        )


def picture_hashes(line: Line, sku: str) -> dict[str, str]:
    """Content hash of every picture a listing could show, by file name."""
    return {s.file: s.sha256 for s in subjects(line, sku)}


def transform_of(subject: Subject) -> Transform | None:
    """Where the compositor put the product, back from JSON."""
    if not subject.transform:
        return None
    (a, b, tx), (c, d, ty) = subject.transform
    return (a, b, tx), (c, d, ty)
