"""Which part of a plate the picture shows, and how large the product stands in it.

The product's true size fixes its pixels on the plate; the window of the plate is then chosen so that the
product fills the frame as the template asks. Only where window and plate run out is the scale itself bent,
within what the plate bears before the picture gives it away.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog_assets.imaging.ground import GroundCamera
from catalog_assets.scenes.plates import Plate

MAX_ZOOM = 2.3
"""Picture pixels per plate pixel, at most: beyond it the background is visibly softer than the product."""

MAX_PRODUCT_SCALE = 1.3
"""Picture pixels per cutout pixel, at most."""


LOST = 0.24
"""Share of the frame a product must span at least: smaller it would be a detail of the plate, not its subject."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What framing needs to know of a plate or backdrop: see :class:`catalog_assets.scenes.plates.Plate`."""

    name: str
    width: int
    height: int
    camera: GroundCamera
    contact: tuple[float, float]
    free_mm: tuple[float, float]
    free_scale: tuple[float, float]
    seamless: bool
    max_zoom: float = MAX_ZOOM


def setting_of(plate: Plate) -> Setting:
    """A plate's geometry."""
    height, width = plate.rgb.shape[:2]
    return Setting(
        plate.name,
        width,
        height,
        plate.camera,
        plate.contact,
        plate.free_mm,
        plate.free_scale,
        plate.seamless,
    )


class DoesNotFitError(ValueError):
    """The plate cannot take this product; the text says why."""


@dataclass(frozen=True, slots=True)
class ProductSize:
    """A product's outline in cutout pixels and its millimetres.

    ``box``: (x0, y0, x1, y1) of the cutout. ``px_per_mm`` of the cutout. ``width_mm``/``depth_mm`` of its
    foot.
    """

    box: tuple[int, int, int, int]
    px_per_mm: float
    width_mm: float
    depth_mm: float


@dataclass(frozen=True, slots=True)
class Frame:
    """The picture's window of the plate and the product's place in it.

    ``x0``/``y0``: the window's corner in plate pixels. ``world_scale``: how many times its true size on this
    plate the product is shown. ``camera`` of the picture, in the product's millimetres.
    ``scale``/``tx``/``ty``: cutout to picture, pixel centres.
    ``foot``: picture pixel under the product's middle. ``text_box``: kept free, picture pixels, or None.
    """

    x0: float
    y0: float
    zoom: float
    world_scale: float
    camera: GroundCamera
    scale: float
    tx: float
    ty: float
    foot: tuple[float, float]
    text_box: tuple[int, int, int, int] | None


def text_box(slot: str | None, share: float, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Pixels kept free for text: ``(x0, y0, x1, y1)``."""
    if slot == "left":
        return 0, 0, round(width * share), height
    if slot == "right":
        return round(width * (1 - share)), 0, width, height
    if slot == "top":
        return 0, 0, width, round(height * share)
    if slot == "bottom":
        return 0, round(height * (1 - share)), width, height
    return None


def frame_product(
    plate: Setting,
    size: ProductSize,
    width: int,
    height: int,
    *,
    fill: float = 0.48,
    position: float = 0.5,
    ground: float | None = None,
    slot: str | None = None,
    slot_share: float = 0.38,
    lying: bool = False,
    from_top: bool = False,
) -> Frame:
    """Choose window and scale.

    Args:
        plate: plate or backdrop.
        size: of the product.
        width: of the picture, pixels.
        height: of the picture, pixels.
        fill: wanted share of the (text-free) frame along the product's longer relative side.
        position: where across the text-free frame the product stands, [0, 1].
        ground: share of the height where its foot stands; None chooses.
        slot: side kept free for text.
        slot_share: share of the frame kept free.
        lying: the product's middle, not its foot, goes to the contact.
        from_top: it hangs into the frame from above (its photo cut its cord), so it must here too.

    Raises:
        DoesNotFitError: too large, too small or too wide for the plate; the text says which.
    """
    bx0, by0, bx1, by1 = size.box
    box_w, box_h = bx1 - bx0, by1 - by0
    free = text_box(slot, slot_share, width, height)
    left, top, right, bottom = 0, 0, width, height
    if slot == "left":
        left = free[2] if free else 0
    elif slot == "right":
        right = free[0] if free else width
    elif slot == "top":
        top = free[3] if free else 0
    elif slot == "bottom":
        bottom = free[1] if free else height
    room_w, room_h = right - left, bottom - top
    contact_x, contact_y = plate.contact
    on_plate = plate.camera.px_per_mm(contact_y)
    # A slim product may span more of the frame before it looks large.
    slim = max(box_w / room_w, box_h / room_h) / max(min(box_w / room_w, box_h / room_h), 1e-6)
    # In a narrow frame the width is what limits it: there it may take more of it.
    limited = room_w < room_h and box_w / room_w > box_h / room_h
    fill *= 1 + (0.40 * (1 - min(room_w, room_h) / max(room_w, room_h)) if limited else 0.0)
    fill = min(0.80, fill * (1 + 0.32 * min(1.0, max(0.0, slim - 1.3) / 1.8)))
    wanted = min(fill * min(room_w / box_w, room_h / box_h), MAX_PRODUCT_SCALE)
    if plate.max_zoom <= 1.0 and not lying:
        # Drawn ground does not move under the window: what stands on it must end below the frame.
        wanted = min(wanted, (contact_y - 0.05 * height) / box_h)
    largest = 0.86 * min(room_w / box_w, room_h / box_h)
    zoom_min = max(width / plate.width, height / plate.height)
    zoom_max = max(zoom_min, plate.max_zoom)
    natural = on_plate / size.px_per_mm
    low, high = plate.free_scale
    zoom = min(max(wanted / natural, zoom_min), zoom_max)
    world = min(max(wanted / (natural * zoom), low), high)
    scale = natural * zoom * world
    longest = max(box_w, box_h) / size.px_per_mm
    if scale > min(largest, MAX_PRODUCT_SCALE * 1.6):
        raise DoesNotFitError(f"a product of {longest:.0f} mm is too large for the plate {plate.name}")
    if max(box_w * scale / room_w, box_h * scale / room_h) < LOST:
        raise DoesNotFitError(f"a product of {longest:.0f} mm would be lost on the plate {plate.name}")
    allowed = plate.free_mm[0] * 1.15
    if size.width_mm * world > allowed and not plate.seamless:
        raise DoesNotFitError(
            f"the product is {size.width_mm:.0f} mm wide, the free ground of the plate {plate.name} "
            f"{plate.free_mm[0]:.0f} mm"
        )
    product_w, product_h = box_w * scale, box_h * scale
    foot_x = left + position * room_w
    foot_x = min(max(foot_x, left + product_w / 2 + 0.03 * width), right - product_w / 2 - 0.03 * width)
    if lying:
        foot_y = (top + bottom) / 2 if ground is None else ground * height
    elif ground is not None:
        foot_y = ground * height
    else:
        # The product's middle a little under the frame's, its foot on the lower third but with ground before
        # it.
        foot_y = min(max(top + 0.53 * room_h + product_h / 2, top + 0.66 * room_h), bottom - 0.10 * room_h)
    x0 = min(max(contact_x - foot_x / zoom, 0.0), plate.width - width / zoom)
    y0 = min(max(contact_y - foot_y / zoom, 0.0), plate.height - height / zoom)
    # Where the window met the plate's edge the product moves instead, on the free ground only.
    camera = plate.camera.rescaled(1 / world).cropped(x0, y0, zoom)
    at_x, at_y = (contact_x - x0) * zoom, (contact_y - y0) * zoom
    reach = 0.5 * max(0.0, plate.free_mm[0] - size.width_mm * world) * on_plate * zoom
    at_x += min(max(foot_x - at_x, -reach), reach)
    if from_top:
        # A pixel of overlap hides the cut.
        at_y = product_h / 2 - 1.0
    tx, ty = _anchor(size.box, scale, at_x, at_y, lying=lying)
    upper = at_y - (product_h / 2 if lying else product_h)
    lower = at_y + (product_h / 2 if lying else 0)
    if (upper < 0.015 * height and not from_top) or lower > 0.995 * height:
        raise DoesNotFitError(
            f"a product of {longest:.0f} mm does not fit under the frame of the plate {plate.name}"
        )
    if at_x - product_w / 2 < 0.01 * width or at_x + product_w / 2 > 0.99 * width:
        raise DoesNotFitError(
            f"a product of {longest:.0f} mm does not fit between the sides of the plate {plate.name}"
        )
    return Frame(x0, y0, zoom, world, camera, scale, tx, ty, (at_x, at_y), free)


def _anchor(
    box: tuple[int, int, int, int], scale: float, x: float, y: float, *, lying: bool
) -> tuple[float, float]:
    """Translation (pixel centres) that puts the box's middle column at ``x``, foot or middle at ``y``."""
    x0, y0, x1, y1 = box
    middle = (x0 + x1) / 2
    base = (y0 + y1) / 2 if lying else y1
    return x - 0.5 - scale * (middle - 0.5), y - 0.5 - scale * (base - 0.5)
