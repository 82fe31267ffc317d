"""The packshot: the product on the brand's plain background, its shadow ending inside the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from catalog_assets.imaging.colour import to_linear
from catalog_assets.imaging.compose import Composition, develop, full_mask, over
from catalog_assets.imaging.contact import Contact, find_contact, shown_depth
from catalog_assets.imaging.ground import GroundCamera
from catalog_assets.imaging.grounds import Background, background_rows
from catalog_assets.imaging.light import reflect
from catalog_assets.imaging.resample import Placed, alpha_box, place
from catalog_assets.imaging.shadow import CONTACT, Light, ground_light
from catalog_assets.imaging.solid import lying_solid, standing_solid

PACKSHOT_VERSION = "7"

LIGHTS = (
    Light(azimuth_deg=-60, elevation_deg=66, radius_deg=16, share=0.34),
    Light(azimuth_deg=180, elevation_deg=84, radius_deg=40, share=0.40),
)
"""A softbox from above, left and a little behind, and a broad one overhead: a short shadow that comes towards
the camera and to the right, and a close, dark contact. The rest comes from all around."""

FLAT_LIGHTS = (
    Light(azimuth_deg=-50, elevation_deg=48, radius_deg=10, share=0.42),
    Light(azimuth_deg=180, elevation_deg=84, radius_deg=40, share=0.30),
)
"""For things seen from above: the key from the picture's upper left, so that what lies is seen to have height."""

SHADOW_CLEAR = 0.012
"""Share of the frame at every edge that neither shadow nor mirror image ever reaches."""

MIRROR_ROUGHNESS = 0.22
"""Of the polished ground a mirror image lies on: sharp at the contact, soft a hand's breadth further down."""


@dataclass(frozen=True, slots=True)
class PackshotSpec:
    """What a packshot should be.

    ``width``/``height``: pixels at most; the picture is smaller, in the same ratio, where the product has not
    the pixels for it, but not below ``min_side``. ``background``: 8-bit sRGB, or a gradient. ``fill``: share of
    the frame the product's box spans along its longer relative side. ``margin``: share kept free on
    every side at least. ``scale`` fixes picture pixels per cutout pixel instead (views of one product, see
    :func:`plan_packshots`).
    ``ground_line``: share of the height where the product's lowest point stands; None centres it.
    ``max_upscale``: picture pixels per cutout pixel above which the picture is made smaller instead.
    ``posture`` ``lying`` is for things photographed from above: their shadow hugs the outline.
    ``elevation_deg``: angle the camera looked down at. ``depth_ratio``: depth over width.
    ``thickness_ratio``: of a lying thing, thickness over its longer side.
    ``reflection``: share of light the ground mirrors at the contact of a standing product, 0 to 1.
    """

    width: int = 2000
    height: int = 2000
    background: Background = (255, 255, 255)
    fill: float = 0.87
    margin: float = 0.04
    shadow: bool = True
    scale: float | None = None
    ground_line: float | None = None
    min_side: int = 1000
    max_upscale: float = 1.0
    posture: Literal["standing", "lying", "hanging"] = "standing"
    elevation_deg: float = 12.0
    depth_ratio: float = 0.8
    thickness_ratio: float = 0.08
    reflection: float = 0.0


def frame_size(box: tuple[int, int, int, int], spec: PackshotSpec) -> tuple[int, int, float]:
    """``(width, height, scale)`` of the picture for a product box in cutout pixels.

    The frame shrinks until the product is enlarged by no more than ``max_upscale``, but not below
    ``min_side``;
    there the product is enlarged as far as the fill asks and the notes say by how much.
    """
    box_w, box_h = box[2] - box[0], box[3] - box[1]
    share = min(spec.fill, 1 - 2 * spec.margin)
    scale = share * min(spec.width / box_w, spec.height / box_h)
    shrink = min(1.0, spec.max_upscale / scale)
    shrink = min(1.0, max(shrink, spec.min_side / min(spec.width, spec.height)))
    width, height = round(spec.width * shrink), round(spec.height * shrink)
    return width, height, share * min(width / box_w, height / box_h)


def plan_packshots(
    views: dict[str, NDArray[np.uint8]],
    spec: PackshotSpec,
    reference: str = "hero",
    fill_min: float = 0.80,
    fill_max: float | None = None,
) -> dict[str, PackshotSpec]:
    """Specs that show all views of one product at one scale, in frames of one size.

    Photos of one product are rarely taken from one distance, so the scale between views is read off what does
    not change: the product's height for standing views. Where one scale would push a view out of the fill
    corridor [``fill_min``, ``fill_max``], the nearest end of the corridor is used.

    Args:
        views: (H, W, 4) uint8 cutouts by view name.
        spec: of the reference view.
        reference: the view that sets frame and scale; the first one where it does not exist.
        fill_min: smallest share of the frame a view may span.
        fill_max: largest; the reference view's ``fill`` when None.
    """
    most = spec.fill if fill_max is None else fill_max
    if not views:
        return {}
    lead = reference if reference in views else next(iter(views))
    boxes = {name: alpha_box(rgba[..., 3]) for name, rgba in views.items()}
    width, height, scale = frame_size(boxes[lead], spec)
    lead_height = (boxes[lead][3] - boxes[lead][1]) * scale
    plans: dict[str, PackshotSpec] = {}
    for name, (x0, y0, x1, y1) in boxes.items():
        wanted = lead_height / (y1 - y0)
        fit = min(width / (x1 - x0), height / (y1 - y0))
        chosen = min(max(wanted, fill_min * fit), most * fit)
        plans[name] = replace(spec, width=width, height=height, scale=chosen)
    return plans


def compose_packshot(rgba: NDArray[np.uint8], spec: PackshotSpec | None = None) -> Composition:
    """Set a cutout on a plain ground.

    Args:
        rgba: (H, W, 4) uint8, straight alpha, sRGB.
        spec: size, background, framing and light.

    Returns:
        The picture; its background is exactly ``spec.background`` wherever neither product, shadow nor mirror
        image is, the outermost :data:`SHADOW_CLEAR` of the frame always. ``notes``: ``scale``, ``upscaled``
        (picture pixels per cutout pixel when above 1, else False), ``fill``, ``margins``.

    Raises:
        ValueError: the cutout is empty.
    """
    spec = spec or PackshotSpec()
    box = alpha_box(rgba[..., 3])
    if spec.scale is None:
        width, height, scale = frame_size(box, spec)
    else:
        width, height, scale = spec.width, spec.height, spec.scale
    box_w, box_h = (box[2] - box[0]) * scale, (box[3] - box[1]) * scale
    left = (width - box_w) / 2
    top = (height - box_h) / 2
    if spec.ground_line is not None:
        top = min(
            max(spec.ground_line * height - box_h, spec.margin * height), height * (1 - spec.margin) - box_h
        )
    # Box edges are pixel edges, the transform speaks of pixel centres: half a pixel on both sides.
    tx = left - 0.5 - scale * (box[0] - 0.5)
    ty = top - 0.5 - scale * (box[1] - 0.5)
    product = place(rgba, scale, tx, ty, width, height)
    plain = background_rows(spec.background, height)
    background = np.empty((height, width, 3), np.float32)
    background[:] = to_linear(plain)
    contact = None
    if spec.shadow and spec.posture != "hanging":
        camera = _studio_camera(width, height, top + box_h, math.radians(spec.elevation_deg), spec.posture)
        if spec.posture == "lying":
            millimetres = max(box_w, box_h) / camera.px_per_mm(top + box_h / 2)
            solid = lying_solid(product, camera, spec.thickness_ratio * millimetres)
            lights, foot = FLAT_LIGHTS, (left, top, left + box_w, top + box_h)
        else:
            mm = box_w / camera.px_per_mm(top + box_h)
            elevation = camera.elevation_at_row(top + box_h)
            depth = shown_depth(spec.depth_ratio * mm, elevation, elevation)
            contact = find_contact(product, camera, depth)
            solid = standing_solid(product, camera, contact, elevation)
            _, back_row = camera.to_picture(0.0, contact.centre_mm + contact.depth_mm / 2)
            lights = LIGHTS
            touching = product.x0 + _standing_columns(contact, product)
            foot = (float(touching[0]), back_row, float(touching[-1]), contact.front_row)
        contact_gap = 0.0 if spec.posture == "lying" else CONTACT
        light = ground_light(solid, lights, camera.ground_matrix(), (width, height), contact=contact_gap)
        background *= _inside_frame(light, foot)[..., None]
    if contact is not None and spec.reflection > 0:
        receiver = _mirror_rows(height, contact.front_row)
        reflect(product, contact.baseline, background, spec.reflection, MIRROR_ROUGHNESS, receiver)
    over(product, background)
    mask = full_mask(product, width, height)
    rgb = develop(background)
    untouched = _untouched(background, plain)
    rgb[untouched] = np.broadcast_to(plain, rgb.shape)[untouched]
    return Composition(
        rgb,
        product.transform,
        mask,
        {
            "scale": scale,
            "upscaled": round(scale, 4) if scale > 1.0 + 1e-6 else False,
            "fill": round(max(box_w / width, box_h / height), 4),
            "margins": [
                round(v, 4) for v in (left / width, top / height, left / width, 1 - (top + box_h) / height)
            ],
            "width": width,
            "height": height,
            "posture": spec.posture,
        },
    )


def _standing_columns(contact: Contact, product: Placed) -> NDArray[np.int64]:
    """Columns of the patch that stand on the ground, of each foot what is nearly as low as its lowest.

    A ball or a stud curves up from where it touches: its shadow needs the room beside it to run out in.
    """
    on = np.isfinite(contact.front_mm)
    near = np.zeros_like(on)
    for foot in contact.feet:
        columns = slice(foot.x0 - product.x0, foot.x1 - product.x0)
        near[columns] |= contact.baseline[columns] >= foot.row - 0.05 * product.alpha.shape[0]
    return np.flatnonzero(on & near if (on & near).any() else on)


def _studio_camera(
    width: int, height: int, ground_row: float, elevation: float, posture: str
) -> GroundCamera:
    """A long-lens camera seeing the ground at ``ground_row`` under ``elevation``; 1000 mm span the frame."""
    focal = 4.0 * max(width, height)
    cy = ground_row if posture != "lying" else height / 2
    if posture == "lying":
        elevation = max(elevation, math.radians(75))
    distance = focal * 1000.0 / max(width, height)
    return GroundCamera(focal, width / 2, cy, elevation, distance * math.sin(elevation))


def _inside_frame(light: NDArray[np.float32], box: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """Let the shadow run out round the foot before the frame ends, and drop what no eye sees.

    A product that fills the frame leaves no room for its whole shadow. It thins out along ellipses about the
    foot, so that no straight border tells where the frame's was.

    Args:
        light: (H, W) share of light left.
        box: (x0, y0, x1, y1) of the foot in the picture, pixels.
    """
    h, w = light.shape
    clear = SHADOW_CLEAR * min(h, w) + 1
    x0, y0, x1, y1 = box
    x = np.arange(w, dtype=np.float32) + 0.5
    y = np.arange(h, dtype=np.float32) + 0.5

    def beyond(n: NDArray[np.float32], low: float, high: float, end: int) -> NDArray[np.float32]:
        before = np.maximum(low - n, 0) / max(low - clear, 1.0)
        after = np.maximum(n - high, 0) / max(end - clear - high, 1.0)
        return before + after

    away = np.sqrt(beyond(x, x0, x1, w)[None, :] ** 2 + beyond(y, y0, y1, h)[:, None] ** 2)
    t = np.clip(1 - away, 0, 1)
    dark = (1 - light) * (t * t * (3 - 2 * t))
    # A soft toe: what is left far out would only be a stain of a few levels.
    toe = np.float32(0.02)
    dark = np.maximum(dark - toe, 0)
    return (1 - dark * dark / (dark + toe)).astype(np.float32)


def _mirror_rows(height: int, contact_row: float) -> NDArray[np.float32]:
    """Share of the mirror image that every row shows, (H, 1): all at the contact, nothing where the frame ends."""
    end = height * (1 - SHADOW_CLEAR) - 1
    rows = np.arange(height, dtype=np.float32) + 0.5
    t = np.clip((end - rows) / max(end - contact_row, 1.0), 0, 1)
    return (t * t * (3 - 2 * t))[:, None].astype(np.float32)


def _untouched(linear: NDArray[np.float32], plain: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that are the background but for rounding; ``plain`` as of :func:`background_rows`."""
    return np.asarray((np.abs(linear - to_linear(plain)) < 1e-4).all(axis=2))
