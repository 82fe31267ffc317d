"""The studio: draws a scene from a plate or a backdrop and the product's own pixels. No network, no key.

Order of work: choose a view the plate's camera could have seen, frame plate and product at true size, cast
the product's shadow under the plate's light, mirror it where the ground is glossy, relight it within the
colour limit, lay it over, let the surroundings spill over its edge, and give the ground the grain of the
product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.channels.marks import on_ground
from catalog_assets.imaging.backdrops import KINDS, Backdrop, backdrop_setting, draw_backdrop
from catalog_assets.imaging.colour import to_linear
from catalog_assets.imaging.compose import Composition, develop, full_mask, over
from catalog_assets.imaging.contact import Contact, find_contact, shown_depth
from catalog_assets.imaging.finish import add_grain, grain_of, sharpen_ground
from catalog_assets.imaging.light import light_wrap, mirror_strength, reflect, relight, shading
from catalog_assets.imaging.resample import Placed, place
from catalog_assets.imaging.shadow import Light, ground_light
from catalog_assets.imaging.solid import hanging_solid, lying_solid, standing_solid
from catalog_assets.scenes.contract import (
    Capabilities,
    DigitalSourceType,
    EngineError,
    Money,
    SceneImage,
    SceneRequest,
)
from catalog_assets.scenes.framing import (
    DoesNotFitError,
    Frame,
    ProductSize,
    Setting,
    frame_product,
    setting_of,
)
from catalog_assets.scenes.plates import Plate, angular_radius_deg, builtin_plates
from catalog_assets.scenes.subject import Subject, preferred, subject_of, view_refused

STUDIO_VERSION = "8"


class StudioEngine:
    """Draws scenes from plates and backdrops.

    ``plates``: known plates by name; None takes the built-in ones.
    """

    name = "studio"

    def __init__(self, plates: Mapping[str, Plate] | None = None) -> None:
        self._plates = plates

    @property
    def plates(self) -> Mapping[str, Plate]:
        """Plates by name."""
        return builtin_plates() if self._plates is None else self._plates

    def capabilities(self) -> Capabilities:
        """Any size from 256 to 8192 pixels, free of charge, repeatable by seed."""
        return Capabilities(
            min_pixels=256 * 256, max_pixels=64_000_000, max_edge=8192, seed=True, locks=("plate",)
        )

    def quote(self, request: SceneRequest) -> Money:
        """Nothing."""
        return Money()

    def draw(self, request: SceneRequest) -> SceneImage:
        """Draw the scene.

        Raises:
            EngineError: ``unsupported`` when no plate named can take any view of the product, with the reason
                for each; ``bad_input`` when the request itself cannot be used.
        """
        settings = request.studio
        if not request.views:
            raise EngineError("bad_input", f"{request.sku}: there is no cutout to set into a scene")
        if not (256 <= request.width <= 8192 and 256 <= request.height <= 8192):
            raise EngineError(
                "bad_input", f"{request.width} × {request.height} px: the studio draws 256 to 8192 px a side"
            )
        wanted = [settings.get("plate"), *settings.get("otherwise", ())]
        names = [str(name) for name in wanted if name] or ["backdrop:paper"]
        try:
            subjects = [subject_of(view, request) for view in request.views]
        except ValueError as error:
            raise EngineError("bad_input", f"{request.sku}: {error}") from None
        refusals: list[str] = []
        for name in names:
            try:
                picture, subject = self._on(name, subjects, request)
            except DoesNotFitError as refusal:
                refusals.append(f"{name}: {refusal}")
                continue
            except ValueError as error:
                raise EngineError("bad_input", f"{request.sku}: {name}: {error}") from None
            notes = picture.notes
            return SceneImage(
                rgb=picture.rgb,
                engine=self.name,
                model="",
                digital_source_type=self._mark(name),
                transform=picture.transform,
                view=subject.view.view,
                relit=bool(notes["relight"]["strength"] > 0),
                details={**notes, "refused": refusals, "version": STUDIO_VERSION},
            )
        raise EngineError("unsupported", f"{request.sku}: no plate fits. " + "; ".join(refusals))

    def _mark(self, name: str) -> DigitalSourceType:
        """How a scene on this plate or backdrop was made."""
        if name.startswith("backdrop"):
            return "compositeSynthetic"
        return on_ground("composite", self.plates[name].digital_source_type)

    def _on(self, name: str, subjects: list[Subject], request: SceneRequest) -> tuple[Composition, Subject]:
        """The scene on one named plate or backdrop."""
        if name.startswith("backdrop"):
            kind = name.partition(":")[2] or "paper"
            if kind not in KINDS:
                raise DoesNotFitError(f"there is no such backdrop; known are {', '.join(sorted(KINDS))}")
            subject = preferred(subjects, request.studio.get("view"))[0]
            return _draw_on_backdrop(kind, subject, request), subject
        plate = self.plates.get(name)
        if plate is None:
            raise DoesNotFitError(f"there is no such plate; known are {', '.join(sorted(self.plates))}")
        reasons: list[str] = []
        for subject in preferred(subjects, request.studio.get("view"), plate.elevation_deg):
            reason = view_refused(subject, plate)
            if reason is None:
                return _draw_on_plate(plate, subject, request), subject
            reasons.append(reason)
        raise DoesNotFitError("; ".join(dict.fromkeys(reasons)))


def _frame(setting: Setting, subject: Subject, request: SceneRequest) -> Frame:
    studio = request.studio
    return frame_product(
        setting,
        subject.size,
        request.width,
        request.height,
        fill=float(studio.get("fill") or 0.48),
        position=float(studio.get("position") or 0.5),
        ground=studio.get("ground") or (0.70 if setting.name == "backdrop:podium" else None),
        slot=studio.get("text_slot"),
        slot_share=float(studio.get("text_slot_share") or 0.38),
        lying=subject.pose.posture != "standing",
        from_top=subject.pose.posture == "hanging" and _hangs_by_a_cord(subject),
    )


def _hangs_by_a_cord(subject: Subject) -> bool:
    """Whether its cord must reach the frame's upper edge: the photo cut it, or it would end in mid-air."""
    alpha = subject.view.rgba[..., 3]
    x0, y0, x1, y1 = subject.size.box
    upper = alpha[y0 : y0 + max(2, (y1 - y0) // 25), x0:x1] > 127
    return bool((alpha[0] > 127).any() or upper.any(axis=0).mean() < 0.08)


def _lights(lights: tuple[Light, ...], overrides: Mapping[str, Any] | None) -> tuple[Light, ...]:
    """The setting's lights with the template's wishes for the key light."""
    if not overrides:
        return lights
    changes = {k: float(overrides[k]) for k in ("azimuth_deg", "elevation_deg", "share") if k in overrides}
    if "softness" in overrides:
        changes["radius_deg"] = angular_radius_deg(overrides["softness"])
    return (replace(lights[0], **changes), *lights[1:])


def _draw_on_plate(plate: Plate, subject: Subject, request: SceneRequest) -> Composition:
    frame = _frame(setting_of(plate), subject, request)
    size = (request.width, request.height)
    matrix = np.array([[frame.zoom, 0, -frame.x0 * frame.zoom], [0, frame.zoom, -frame.y0 * frame.zoom]])
    # Pixel edges, not centres, are what zooming keeps in place.
    matrix[:, 2] += 0.5 * frame.zoom - 0.5
    method = cv2.INTER_CUBIC if frame.zoom > 1 else cv2.INTER_AREA
    window = np.asarray(
        cv2.warpAffine(plate.rgb, matrix, size, flags=method, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    if frame.zoom > 1.15:
        window = sharpen_ground(window, frame.zoom)
    wall = plate.wall_mm / frame.world_scale if plate.wall_mm else None
    lights = _lights(plate.lights, request.studio.get("light"))
    notes: dict[str, Any] = {"plate": plate.name, "zoom": round(frame.zoom, 3)}
    return _compose(
        to_linear(window),
        frame,
        subject,
        request,
        lights,
        kelvin=plate.kelvin,
        gloss=plate.gloss,
        roughness=plate.roughness,
        wall_mm=wall,
        notes=notes,
        receiver=_ground_rows(plate, frame, request.height),
    )


def _ground_rows(plate: Plate, frame: Frame, height: int) -> NDArray[np.float32] | None:
    """Share of every picture row that is the plate's ground, (H, 1), soft over two pixels."""
    if plate.ground_rows is None:
        return None
    first, last = ((row - frame.y0) * frame.zoom for row in plate.ground_rows)
    rows = np.arange(height, dtype=np.float32) + 0.5
    share = np.clip((rows - first) / 2, 0, 1) * np.clip((last - rows) / 2, 0, 1)
    return share[:, None].astype(np.float32)


def _draw_on_backdrop(kind: str, subject: Subject, request: SceneRequest) -> Composition:
    studio = request.studio
    look = Backdrop.from_settings(kind, dict(studio.get("backdrop") or {}), request.seed or 0)
    posture = subject.pose.posture
    camera, contact = backdrop_setting(
        request.width, request.height, subject.pose.elevation_deg, posture, flat=look.flat
    )
    setting = Setting(
        f"backdrop:{kind}", request.width, request.height, camera, contact, (1e9, 1e9), (1e-6, 1e6), True, 1.0
    )
    frame = _frame(setting, subject, request)
    lights = _lights(look.lights_for(posture), studio.get("light"))
    drawn = draw_backdrop(
        look, request.width, request.height, frame.camera, frame.foot, subject.size.width_mm, posture
    )
    return _compose(
        drawn.linear,
        frame,
        subject,
        request,
        lights,
        kelvin=look.kelvin,
        gloss=look.gloss,
        roughness=look.roughness,
        wall_mm=drawn.wall_mm,
        notes={"plate": f"backdrop:{kind}", "zoom": 1.0},
        receiver=drawn.receiver,
    )


def _compose(
    background: NDArray[np.float32],
    frame: Frame,
    subject: Subject,
    request: SceneRequest,
    lights: tuple[Light, ...],
    *,
    kelvin: float,
    gloss: float,
    roughness: float,
    wall_mm: float | None,
    notes: dict[str, Any],
    receiver: NDArray[np.float32] | None = None,
) -> Composition:
    """Everything after the background: shadow, mirror image, relighting, product, edge, grain."""
    size = (request.width, request.height)
    product = place(subject.view.rgba, frame.scale, frame.tx, frame.ty, *size)
    around = _ground_colour(background, product)
    posture = subject.pose.posture
    contact: Contact | None = None
    grain = grain_of(background)
    if posture == "standing":
        elevation = frame.camera.elevation_at_row(frame.foot[1])
        view_elevation = math.radians(max(3.0, subject.pose.elevation_deg))
        depth = shown_depth(subject.size.depth_mm, view_elevation, elevation)
        contact = find_contact(product, frame.camera, depth)
        solid = standing_solid(product, frame.camera, contact, view_elevation)
        light = ground_light(solid, lights, frame.camera.ground_matrix(), size)
        if receiver is not None:
            light = 1 + (light - 1) * receiver
        _shade_ground(background, light, product, around)
        if wall_mm is not None:
            _shade_wall(background, frame, product, contact, wall_mm, lights, subject.size.depth_mm)
    elif posture == "lying":
        solid = lying_solid(product, frame.camera, max(subject.size.depth_mm, 0.02 * subject.size.width_mm))
        light = ground_light(solid, lights, frame.camera.ground_matrix(), size, contact=0.0)
        _shade_ground(background, light, product, around)
    else:
        _shade_behind(background, frame, product, subject.size, lights)
    if contact is not None and gloss > 0 and request.studio.get("reflection", True):
        elevation = frame.camera.elevation_at_row(frame.foot[1])
        reflect(product, contact.baseline, background, mirror_strength(gloss, elevation), roughness, receiver)
    strength, measured = 0.0, 0.0
    if request.studio.get("relight", True):
        gain = shading(product, lights, around, kelvin)
        product, strength, measured = relight(product, gain, request.colour_delta_e)
    add_grain(background, grain, seed=(request.seed or 0) + 7919 * request.variation)
    over(product, background)
    light_wrap(product, background)
    notes |= {
        "posture": posture,
        "elevation_deg": round(subject.pose.elevation_deg, 1),
        "pose_source": subject.pose.source,
        "size_source": subject.size_source,
        "scale": frame.scale,
        "upscaled": round(frame.scale, 4) if frame.scale > 1 else False,
        "world_scale": round(frame.world_scale, 3),
        "foot": [round(v, 1) for v in frame.foot],
        "lights": [
            {"azimuth_deg": li.azimuth_deg, "elevation_deg": li.elevation_deg, "share": li.share}
            for li in lights
        ],
        "relight": {"strength": round(strength, 4), "delta_e_at_most": round(measured, 3)},
        "text_box": list(frame.text_box) if frame.text_box else None,
    }
    return Composition(develop(background), product.transform, full_mask(product, *size), notes)


def _ground_colour(background: NDArray[np.float32], product: Placed) -> NDArray[np.float32]:
    """Mean linear colour of the ground about the product's foot, (3,)."""
    h, w = product.alpha.shape
    y1 = min(background.shape[0], product.y0 + h + h // 8 + 2)
    y0 = max(0, product.y0 + h - h // 8 - 2)
    x0, x1 = max(0, product.x0 - w // 6), min(background.shape[1], product.x0 + w + w // 6)
    return background[y0:y1:4, x0:x1:4].reshape(-1, 3).mean(axis=0)


def _shade_ground(
    background: NDArray[np.float32], light: NDArray[np.float32], product: Placed, around: NDArray[np.float32]
) -> None:
    """Darken the ground; deep shadow takes on a little of the product's and ground's colour."""
    dark = (light < 0.999).any(axis=1)
    rows = np.flatnonzero(dark)
    if rows.size == 0:
        return
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    weight = product.alpha.sum()
    own = (product.rgba[..., :3].sum(axis=(0, 1)) / max(float(weight), 1e-6)).astype(np.float32)
    bounce = 0.10 * own * around / max(float(around.mean()), 1e-3)
    part = light[y0:y1, :, None]
    background[y0:y1] *= part + (1 - part) * bounce


def _shade_wall(
    background: NDArray[np.float32],
    frame: Frame,
    product: Placed,
    contact: Contact,
    wall_mm: float,
    lights: tuple[Light, ...],
    depth_mm: float,
) -> None:
    """The part of the shadow that climbs a wall behind the product."""
    _, foot_y = frame.camera.to_ground(*frame.foot)
    base = frame.camera.px_per_mm(contact.front_row)
    solid = hanging_solid(product, base, max(1.0, wall_mm - depth_mm / 2), depth_mm)
    # The wall's plane is measured in mm right and down of the picture's corner as seen at the product.
    wall_y = foot_y + wall_mm
    turned = tuple(_facing_wall(light) for light in lights if light.direction[1] < -0.05)
    if not turned:
        return
    x0, _ = frame.camera.to_ground(0.0, contact.front_row)
    to_wall = np.array([[1, 0, x0], [0, -1, contact.front_row / base], [0, 0, 1.0]])
    light = ground_light(
        solid, turned, frame.camera.wall_matrix(wall_y) @ to_wall, (background.shape[1], background.shape[0])
    )
    _, meet = frame.camera.to_picture(0.0, wall_y)
    edge = int(min(max(meet, 0), background.shape[0]))
    ambient = 1 - sum(li.share for li in turned)
    # Only the key reaches the wall as a shape; the diffuse part is too far away to show.
    lit = np.clip((light[:edge] - 1) * (1 - 0.5 * ambient) + 1, 0.1, 1)
    background[:edge] *= lit[..., None]


def _shade_behind(
    background: NDArray[np.float32],
    frame: Frame,
    product: Placed,
    size: ProductSize,
    lights: tuple[Light, ...],
) -> None:
    """The shadow of a hanging product on the wall behind it."""
    px_per_mm = size.px_per_mm * frame.scale
    solid = hanging_solid(product, px_per_mm, 0.10 * size.width_mm, min(size.depth_mm, 0.4 * size.width_mm))
    turned = tuple(_facing_wall(light) for light in lights)
    light = ground_light(
        solid, turned, np.diag([px_per_mm, px_per_mm, 1.0]), (background.shape[1], background.shape[0])
    )
    background *= light[..., None]


def _facing_wall(light: Light) -> Light:
    """A light as a wall sees it: across, down the wall (the plane's second axis), out of the wall."""
    x, y, z = light.direction
    out = max(-y, 0.25)
    norm = math.sqrt(x * x + z * z + out * out)
    elevation = math.degrees(math.asin(out / norm))
    # In the wall's frame 'along' points down the wall: light from above comes from negative 'along'.
    azimuth = math.degrees(math.atan2(x, -z))
    return replace(light, azimuth_deg=azimuth, elevation_deg=elevation)
