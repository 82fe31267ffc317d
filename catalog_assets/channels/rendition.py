"""One SKU's pictures made to fit one channel: size, frame, fill, bytes, mark and file name.

The main picture comes from a packshot. Where the packshot as it is does not satisfy the channel (not pure
white, too small in the frame, another aspect, enlarged too far), it is composed anew from the cutout; where
it does, its pixels are used. Equal input gives equal bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from catalog_assets.channels import fit
from catalog_assets.channels.names import legal_identifier, safe_name
from catalog_assets.channels.packs import ChannelPack, aspect_of
from catalog_assets.channels.proof import prove
from catalog_assets.channels.provenance import embed, source_type_for
from catalog_assets.channels.rule import Role, frozen
from catalog_assets.imaging.grounds import Background
from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot
from catalog_assets.imaging.resample import Transform, alpha_box
from catalog_assets.qc.findings import Finding

RENDITION_VERSION = "2"

_VIEW_ORDER = ("hero", "front", "angle", "side", "back", "top", "detail")
_FILL_SLACK = 0.004
"""A recomposed product is aimed this much inside the channel's limits, so that rounding to whole pixels
and anti-aliased edges do not fall out of them."""


@dataclass(frozen=True, slots=True)
class ListingItem:
    """What a listing needs to know of a SKU."""

    sku: str
    title: str = ""
    asin: str = ""
    gtin: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True)
class ListingSource:
    """One finished picture that may be listed.

    ``rgb``: (H, W, 3) uint8 sRGB. ``cutout_rgba``: the view's cutout, (h, w, 4) uint8 straight alpha, for
    composing anew. ``transform``: 2×3, cutout pixels to picture pixels, where the compositor noted it.
    ``background``: a packshot's ground, 8-bit sRGB. ``spec``: what the packshot was composed to, so that a
    new composition keeps its posture and light. ``template``: the scene template, of which a scene is one
    aspect. ``digital_source_type``: how it was really made.
    """

    kind: Literal["packshot", "scene"]
    name: str
    view: str
    rgb: NDArray[np.uint8]
    cutout_rgba: NDArray[np.uint8] | None = None
    digital_source_type: str = "algorithmicallyEnhanced"
    background: Background | None = None
    transform: Transform | None = None
    spec: PackshotSpec | None = None
    template: str = ""

    @property
    def family(self) -> str:
        """The scene apart from its aspect: the template, else the name without an ending like ``-16x9``."""
        return self.template or re.sub(r"-\d+x\d+$", "", self.name)


@dataclass(frozen=True, slots=True)
class ListingImage:
    """One file for the channel. ``notes`` are plain sentences about what a seller should know of it."""

    file_name: str
    data: bytes
    role: Role
    width: int
    height: int
    source: str
    digital_source_type: str
    alt: str = ""
    quality: int = 0
    recomposed: bool = False
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing(Sequence[ListingImage]):
    """One SKU's pictures for one channel, in listing order; ``warnings`` and ``left_out`` in plain words."""

    channel: str
    images: tuple[ListingImage, ...]
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self.images[index]

    def __iter__(self) -> Iterator[ListingImage]:
        return iter(self.images)


@dataclass(frozen=True, slots=True)
class _Job:
    role: Role
    source: ListingSource
    number: int


class _LeftOut(Exception):
    """This picture cannot be made to fit; the text is the reason."""


def render_listing(
    pack: ChannelPack, item: ListingItem, sources: Sequence[ListingSource], on: date | None = None
) -> Listing:
    """Make one SKU's pictures for one channel.

    Args:
        pack: the channel.
        item: the SKU.
        sources: its finished packshots and scenes, best first within a kind.
        on: the day whose rules count; today (UTC) when None.

    Returns:
        The pictures in listing order, main picture first, with warnings (an identifier the channel asks
        for is missing, …) and with what was left out and why. Nothing fitting gives an empty listing.
    """
    day = on or datetime.now(UTC).date()
    warnings: list[str] = []
    left_out: list[str] = []
    identifier, warning = legal_identifier(pack, item.sku, {"asin": item.asin, "gtin": item.gtin})
    if warning:
        warnings.append(warning)
    further = pack.limits(day, item.category, "additional")
    jobs = _plan(pack, sources, further.get("aspect") or aspect_of(pack.listing.scene_aspect))
    if not any(role == "main" for role, _ in jobs):
        left_out.append(f"{item.sku} has no packshot, so {pack.title} gets no main picture.")
    most = pack.limits(day, item.category).get("images_max", len(jobs))
    images: list[ListingImage] = []
    used: set[str] = set()
    for role, source in jobs:
        if len(images) == most:
            left_out.append(f"{source.name}: {pack.title} shows at most {most} pictures.")
            continue
        number = 1 + sum(image.role != "main" for image in images)
        try:
            image = _image(pack, item, _Job(role, source, number), day, identifier)
        except _LeftOut as reason:
            left_out.append(f"{source.name}: {reason}")
            continue
        images.append(replace(image, file_name=_unused(image.file_name, used)))
    return Listing(pack.name, tuple(images), tuple(warnings), tuple(left_out))


def _plan(
    pack: ChannelPack, sources: Sequence[ListingSource], aspect: float
) -> list[tuple[Role, ListingSource]]:
    """Which picture takes which role: the best packshot is main, other views next, then scenes.

    A scene drawn in several aspects is listed once, in the one nearest to ``aspect``.
    """
    packshots = sorted((s for s in sources if s.kind == "packshot"), key=_view_rank)
    families: dict[str, list[ListingSource]] = {}
    for source in sources if pack.listing.scenes_as != "none" else ():
        if source.kind == "scene":
            families.setdefault(source.family, []).append(source)
    scenes = [min(family, key=lambda s: _off_aspect(s, aspect)) for family in families.values()]
    jobs: list[tuple[Role, ListingSource]] = []
    if packshots:
        jobs.append(("main", packshots.pop(0)))
    if scenes and pack.listing.scenes_as == "lifestyle":
        jobs.append(("lifestyle", scenes.pop(0)))
    for source in (*packshots, *scenes):
        jobs.append(("additional", source))  # noqa: PERF401  the role's type would be lost in a list display
    return jobs


def _off_aspect(source: ListingSource, aspect: float) -> float:
    height, width = source.rgb.shape[:2]
    return abs(math.log(width / height / aspect))


def _view_rank(source: ListingSource) -> tuple[int, str]:
    known = source.view in _VIEW_ORDER
    return (_VIEW_ORDER.index(source.view) if known else len(_VIEW_ORDER), source.view)


def _image(pack: ChannelPack, item: ListingItem, job: _Job, day: date, identifier: str) -> ListingImage:
    source, plan = job.source, pack.listing
    if source.digital_source_type in plan.refuse_source_types:
        raise _LeftOut(f"{pack.title} does not allow pictures in which a model drew the product.")
    in_force = pack.in_force(day, item.category, job.role)
    limits = {name: frozen(rule.value) for name, rule in in_force.items()}
    must = {name for name, rule in in_force.items() if rule.severity == "block"}
    bounds = fit.Bounds.of(limits, must, plan.main_side if job.role == "main" else plan.further_side)
    if source.kind == "packshot":
        rgb, recomposed = _packshot_pixels(pack, job, limits, bounds)
    else:
        rgb, recomposed = _scene_pixels(pack, source, limits), False
    rgb = fit.shrink(rgb, bounds)
    problem = bounds.too_small(rgb.shape[1], rgb.shape[0])
    if problem:
        raise _LeftOut(
            f"{problem}; {pack.title} refuses smaller pictures and enlarged ones. Use a larger photo."
        )
    coded = fit.encode_within(rgb, bounds, plan.quality, plan.quality_floor)
    if coded is None:
        raise _LeftOut(
            f"it stays larger than {bounds.max_bytes / 1e6:g} MB at the lowest acceptable quality."
        )
    notes = _size_notes(pack, item, job, day, bounds, coded)
    mark = source_type_for(source.digital_source_type, plan.source_types)
    data = embed(coded.data, mark)
    name = plan.names.get(job.role, plan.names["additional"]).format(
        id=identifier,
        sku=safe_name(item.sku),
        n=job.number,
        view=safe_name(source.view if source.kind == "packshot" else source.name),
        role=job.role,
        ext="jpg",
    )
    findings = prove(data, pack.rules(day, item.category, job.role), bounds, limits, mark, name)
    for finding in findings:
        if not finding.passed and finding.severity == "block":
            raise _LeftOut(f"{finding.message} {finding.remedy}")
    return ListingImage(
        file_name=name,
        data=data,
        role=job.role,
        width=coded.width,
        height=coded.height,
        source=f"{source.kind}/{source.name}",
        digital_source_type=mark,
        alt=alt_text(item.title or item.sku, source),
        quality=coded.quality,
        recomposed=recomposed,
        findings=findings,
        notes=notes,
    )


def _size_notes(
    pack: ChannelPack, item: ListingItem, job: _Job, day: date, bounds: fit.Bounds, coded: fit.Coded
) -> tuple[str, ...]:
    """What the channel advises and what it will refuse soon."""
    notes: list[str] = []
    size = f"{job.source.name} has {coded.width} × {coded.height} pixels"
    if bounds.advised and max(coded.width, coded.height) < bounds.advised:
        notes.append(f"{size}; {pack.title} advises {bounds.advised} and more. Use a larger photo.")
    for rule in pack.upcoming(day, item.category):
        if rule.sets != "min_px" or job.role not in rule.applies_to:
            continue
        if coded.width < rule.value[0] or coded.height < rule.value[1]:
            wanted = f"{rule.value[0]} × {rule.value[1]}"
            notes.append(f"{size}; from {rule.effective_from} {pack.title} refuses less than {wanted}.")
    return tuple(notes)


def _packshot_pixels(
    pack: ChannelPack, job: _Job, limits: Mapping[str, Any], bounds: fit.Bounds
) -> tuple[NDArray[np.uint8], bool]:
    """The packshot as it is where it satisfies the channel, else composed anew from the cutout."""
    source = job.source
    height, width = source.rgb.shape[:2]
    aspect = limits.get("aspect") or (pack.listing.aspect if job.role == "main" else None) or width / height
    asked: tuple[int, int, int] | None = limits.get("background_rgb")
    border = fit.border_colour(source.rgb)
    if (
        abs(width / height / aspect - 1) < 0.01
        and (asked is None or border == asked)
        and _fills(source, limits)
        and _enlargement(source) <= pack.listing.max_upscale * 1.005
    ):
        return source.rgb, False
    background = asked or source.background or border
    if source.cutout_rgba is None or background is None:
        lacks = "its cutout" if source.cutout_rgba is None else "a ground of one colour"
        raise _LeftOut(
            f"the packshot has not the ground, fill or aspect {pack.title} asks for, and without {lacks} it "
            "cannot be composed anew. Make the packshot again."
        )
    low, high = limits.get("fill_min", 0.0), limits.get("fill_max", 1.0)
    fill = min(max(pack.listing.fill, low + _FILL_SLACK), high - _FILL_SLACK)
    x0, y0, x1, y1 = alpha_box(source.cutout_rgba[..., 3])
    frame = fit.frame_for(x1 - x0, y1 - y0, aspect, fill, bounds, pack.listing.max_upscale)
    spec = replace(
        source.spec or PackshotSpec(),
        width=frame[0],
        height=frame[1],
        background=background,
        fill=fill,
        margin=min(pack.listing.margin, (1 - fill) / 2),
        scale=None,
        ground_line=None,
        max_upscale=math.inf,  # the frame is already the size at which nothing is enlarged without need
    )
    return compose_packshot(source.cutout_rgba, spec).rgb, True


def _scene_pixels(pack: ChannelPack, source: ListingSource, limits: Mapping[str, Any]) -> NDArray[np.uint8]:
    aspect = limits.get("aspect")
    if not aspect:
        return source.rgb
    cropped = fit.crop_to_aspect(source.rgb, aspect, _placed_box(source))
    if cropped is None:
        raise _LeftOut(
            f"{pack.title} wants another aspect, and cropping would cut the product. Add a scene template "
            "with that aspect."
        )
    return cropped


def _placed_box(source: ListingSource) -> tuple[float, float, float, float] | None:
    """The product's box in the picture from the compositor's transform, or None."""
    if source.transform is None or source.cutout_rgba is None:
        return None
    x0, y0, x1, y1 = alpha_box(source.cutout_rgba[..., 3], threshold=127)
    (a, b, tx), (c, d, ty) = source.transform
    corners = [(a * x + b * y + tx, c * x + d * y + ty) for x in (x0, x1 - 1) for y in (y0, y1 - 1)]
    xs, ys = [p[0] for p in corners], [p[1] for p in corners]
    return min(xs), min(ys), max(xs) + 1, max(ys) + 1


def _enlargement(source: ListingSource) -> float:
    """Picture pixels per cutout pixel; 1 where that is not known."""
    return source.transform[0][0] if source.transform else 1.0


def _fills(source: ListingSource, limits: Mapping[str, Any]) -> bool:
    """Whether the product is whole and its box spans what the channel asks; False where that is not known."""
    low, high = limits.get("fill_min", 0.0), limits.get("fill_max", 1.0)
    box = _placed_box(source)
    if box is None:
        return (low, high) == (0.0, 1.0)
    height, width = source.rgb.shape[:2]
    share = max((box[2] - box[0]) / width, (box[3] - box[1]) / height)
    return min(box[:2]) >= 0 and box[2] <= width and box[3] <= height and low <= share <= high


def alt_text(title: str, source: ListingSource, limit: int = 125) -> str:
    """Alternative text for screen readers: the title and what is shown, at most ``limit`` characters."""
    words = re.sub(r"[_\-]+", " ", source.name if source.kind == "scene" else source.view).strip()
    tail = (
        f", scene: {words}"
        if source.kind == "scene"
        else ("" if words in ("", "hero") else f", {words} view")
    )
    room = limit - len(tail)
    body = title.strip()
    if len(body) > room:
        body = body[: room - 1].rsplit(" ", 1)[0].rstrip(" ,;") + "…"
    return body + tail


def _unused(name: str, used: set[str]) -> str:
    """The name, or the name with a number where a file of this listing has it already."""
    stem, dot, ext = name.rpartition(".")
    candidate, number = name, 2
    while candidate.lower() in used:
        candidate = f"{stem}-{number}{dot}{ext}"
        number += 1
    used.add(candidate.lower())
    return candidate
