"""What is to be set into a scene: a product view with its posture, camera angle and true size.

A scene takes only views its own camera could have seen: nothing photographed from above is stood up on a table,
nothing photographed from the front is laid on one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from catalog_assets.imaging.pose import Pose, Posture, estimate_pose
from catalog_assets.imaging.resample import alpha_box
from catalog_assets.scenes.contract import ProductView, SceneRequest
from catalog_assets.scenes.dimensions import usual_dimensions
from catalog_assets.scenes.framing import ProductSize
from catalog_assets.scenes.plates import Plate

STANDING_TOLERANCE_DEG = 20.0
"""How far a view's camera may have looked down more or less steeply than the plate's, for standing things."""

STEEP_STANDING_DEG = 34.0
"""A plate this steep takes standing things only from views at least nearly as steep."""

LYING_FROM_DEG = 36.0
"""Things that lie look right only on ground seen at least this steeply (or on drawn ground, which adapts)."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A view with what was found out about it."""

    view: ProductView
    pose: Pose
    size: ProductSize
    size_source: str


def subject_of(view: ProductView, request: SceneRequest) -> Subject:
    """What a request says and its picture shows of one view.

    Raises:
        ValueError: the cutout is empty.
    """
    title = str(request.studio.get("title") or "")
    # The prompt also names what the product stands on: a camera "on a desk" is no desk.
    words = f"{view.category} {title or request.prompt}"
    box = alpha_box(view.rgba[..., 3])
    pose = estimate_pose(
        view.rgba,
        view=view.view,
        words=words,
        height_mm=view.height_mm,
        width_mm=view.width_mm,
        depth_mm=view.depth_mm,
    )
    told = request.studio.get("posture")
    if told and told != pose.posture:
        pose = Pose(cast(Posture, told), 70.0 if told == "lying" else 12.0, "template")
    angles = request.studio.get("elevation_deg")
    if isinstance(angles, Mapping) and view.view in angles:
        pose = Pose(pose.posture, float(angles[view.view]), "given")
    return Subject(view, pose, *_size(view, box, pose, title or request.prompt))


def _size(
    view: ProductView, box: tuple[int, int, int, int], pose: Pose, title: str
) -> tuple[ProductSize, str]:
    box_w, box_h = box[2] - box[0], box[3] - box[1]
    tall, wide, deep = view.height_mm, view.width_mm, view.depth_mm
    if not (tall or wide):
        usual = usual_dimensions(title, view.category)
        px_per_mm = max(box_w, box_h) / usual.longest_mm
        width = box_w / px_per_mm
        depth = width * usual.depth_ratio
        if pose.posture == "lying":
            # What lies on its broad side is flatter than it is deep when it stands.
            depth = usual.longest_mm * min(usual.depth_ratio, 0.22)
        return ProductSize(box, px_per_mm, width, depth), usual.source
    px_per_mm = pixels_per_mm(box_w, box_h, tall, wide, deep, pose)
    width = box_w / px_per_mm
    if deep is None:
        deep = width * usual_dimensions(title, view.category).depth_ratio
    if pose.posture == "lying":
        deep = min(deep, 0.5 * width)
    return ProductSize(box, px_per_mm, width, deep), "catalogue"


def pixels_per_mm(
    box_w: int, box_h: int, tall: float | None, wide: float | None, deep: float | None, pose: Pose
) -> float:
    """Scale of a cutout whose outline is ``box_w`` × ``box_h`` pixels, from the catalogue's millimetres.

    Raises:
        ValueError: neither height nor width is given.
    """
    e = math.radians(pose.elevation_deg)
    measures: list[float] = []
    if tall:
        depth = deep if deep is not None else 0.6 * (wide or tall)
        seen = tall * math.cos(e) + depth * math.sin(e)
        if pose.posture == "lying":
            seen = tall * math.sin(e) + depth * math.cos(e)
        measures.append(box_h / max(seen, 1e-3))
    if wide:
        measures.append(box_w / wide)
    if not measures:
        raise ValueError("a scale needs height or width in millimetres")
    # The geometric mean shares the error between a turned product's width and a foreshortened height.
    return math.exp(sum(math.log(m) for m in measures) / len(measures))


def preferred(subjects: list[Subject], wanted: str | None, steep: float | None = None) -> list[Subject]:
    """Views in the order they should be tried: the template's, the hero, the others as given.

    Where the ground's angle is known, a view that was taken from much the same angle comes before the hero.
    """
    order = {"hero": 1, "front": 2, "main": 2}

    def rank(subject: Subject) -> tuple[int, int]:
        if subject.view.view == wanted:
            return 0, 0
        off = 0.0 if steep is None else abs(subject.pose.elevation_deg - steep)
        return 1 + int(off > 24.0), order.get(subject.view.view, 3)

    return sorted(subjects, key=rank)


def view_refused(subject: Subject, plate: Plate) -> str | None:
    """Why the plate's camera cannot have seen this view, or None."""
    pose, steep = subject.pose, plate.elevation_deg
    name = subject.view.view
    if pose.posture == "hanging":
        return f"view {name} hangs, the plate has only ground: use backdrop:wall"
    if pose.posture == "lying":
        if steep < LYING_FROM_DEG:
            return (
                f"view {name} was taken from above ({pose.elevation_deg:.0f}°) and lies, the plate is seen "
                f"at {steep:.0f}°"
            )
        return None
    if not plate.standing:
        return f"view {name} stands, the plate is for things that lie"
    if steep >= STEEP_STANDING_DEG and pose.elevation_deg < steep - 16:
        return f"view {name} was taken from {pose.elevation_deg:.0f}° above, the table top at {steep:.0f}°"
    if abs(pose.elevation_deg - steep) > STANDING_TOLERANCE_DEG:
        return (
            f"view {name} was taken from {pose.elevation_deg:.0f}° above, the plate is seen at {steep:.0f}°"
        )
    return None
