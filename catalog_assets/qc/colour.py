"""Is the product's colour still the product's colour?

A scene may be lit warmer or darker than the photo; a sage mug must not become a mint one. So one global
light (a gain per linear channel, von Kries 1902 in sensor space) is fitted and held against its own limits,
and what it does not explain is the product's. Differences are CIEDE2000 (Sharma, Wu, Dalal 2005) between
medians of the photo's dominant colours, so that noise, JPEG and small misplacement cancel. The chromatic
part is kept apart: a lightness change is far more often light than paint.
"""

from __future__ import annotations

import cv2
import numpy as np

from catalog_assets.imaging.colour import delta_e, to_lab
from catalog_assets.imaging.planes import length, strongest
from catalog_assets.qc.alignment import AlignedPair, Floats, Mask, bounding_box
from catalog_assets.qc.case import Case, Reading
from catalog_assets.qc.findings import Finding
from catalog_assets.qc.light import Light, light_of

_COLOURS = 6
_SMALLEST = 0.02
"""A dominant colour covers at least this share of the product."""

_GREEN_MAGENTA = 0.45
"""Daylight and lamps move along blue to yellow; off that axis a cast gets this share of the limit."""


def colour(case: Case) -> list[Finding]:
    """ΔE2000 of the product's dominant colours after one global change of light within the limits."""
    pair = case.pair(500)
    areas = dominant_areas(pair)
    limits = case.limits
    if not areas and int(((pair.alpha > 0.1) & pair.valid).sum()) >= 200:
        return [_seen_through(case, pair)]
    if not areas:
        return [
            case.unmeasured(
                "colour",
                "No part of the product is solid enough to compare its colour (glass, mesh or very thin).",
                unit="ΔE2000",
                limit=limits.colour_delta_e,
            )
        ]
    light = permitted_light(pair.light, limits.cast_delta_e, limits.exposure_ev)
    reference = pair.reference
    lit = to_lab(pair.relit(light))
    frame = case.size
    readings: list[Reading] = []
    for area in areas:
        expected = np.median(lit[area], axis=0)
        seen = np.median(pair.lab_picture[area], axis=0)
        total = float(delta_e(expected, seen))
        level = np.array([seen[0], expected[1], expected[2]], dtype=np.float32)
        chroma = float(delta_e(level, seen))
        # A photo's shading moves chroma with lightness (saturation stays): that is light, not paint.
        level[1:] *= np.clip(seen[0] / max(float(expected[0]), 5.0), 0.6, 1.6)
        chroma = min(chroma, float(delta_e(level, seen)))
        # In near-black a trace of stray light is all the colour there is, and nobody sees it.
        chroma *= float(np.clip(expected[0] / 25.0, 0.4, 1.0))
        box = bounding_box(area)
        where = pair.to_picture_box(box, frame) if box else None
        name = colour_name(np.median(to_lab(reference[area]), axis=0))
        readings.append(
            Reading(
                total / limits.colour_delta_e,
                total,
                limits.colour_delta_e,
                "ΔE2000",
                f"The {name} of the product is ΔE {total:.1f} from the photo "
                f"(allowed {limits.colour_delta_e:g}).",
                "Draw the scene again or lower the light's tint, so that the colour matches the photo.",
                where,
            )
        )
        readings.append(
            Reading(
                chroma / limits.hue_delta_e,
                chroma,
                limits.hue_delta_e,
                "ΔE2000 of hue and chroma",
                f"The {name} of the product has another tint than in the photo: "
                f"ΔE {chroma:.1f} of hue and chroma (allowed {limits.hue_delta_e:g}).",
                "Draw the scene again: the product was recoloured, not only lit differently.",
                where,
            )
        )
    readings.extend(_light_readings(case, pair))
    return [case.judged("colour", readings)]


def _seen_through(case: Case, pair: AlignedPair) -> Finding:
    """Glass and mesh: nothing is solid, so the composite over the picture's surroundings is compared as a whole."""
    mask = (pair.alpha > 0.1) & pair.valid
    # What stands behind it is carried on from around it, a guess that costs as much again.
    limit = 2 * case.limits.colour_delta_e
    difference = float(
        delta_e(np.median(pair.lab_predicted[mask], axis=0), np.median(pair.lab_picture[mask], axis=0))
    )
    return case.finding(
        "colour",
        difference <= limit,
        difference,
        limit,
        "ΔE2000 as seen through",
        f"The see-through product is ΔE {difference:.1f} from what it should look like there (allowed {limit:g}).",
        "Draw the scene again, so that the product shows what is behind it.",
    )


def _light_readings(case: Case, pair: AlignedPair) -> list[Reading]:
    limits = case.limits
    light = pair.light
    cast = cast_delta_e(light)
    allowed = limits.cast_delta_e
    along, across = light.cast[1], light.cast[0]
    use = max(cast, abs(across) / _GREEN_MAGENTA) / allowed
    tint = "yellow" if along > 0 else "blue"
    if abs(across) / _GREEN_MAGENTA > abs(along):
        tint = "magenta" if across > 0 else "green"
    return [
        Reading(
            use,
            use * allowed,
            allowed,
            "ΔE2000 of a neutral",
            f"The light on the product is tinted {tint}: a neutral grey would be ΔE {use * allowed:.1f} off "
            f"(allowed {allowed:g}).",
            "Neutralise the white balance of the picture.",
        ),
        Reading(
            abs(light.exposure_ev) / limits.exposure_ev,
            abs(light.exposure_ev),
            limits.exposure_ev,
            "EV",
            f"The product is {abs(light.exposure_ev):.2f} stops "
            f"{'lighter' if light.exposure_ev > 0 else 'darker'} than in the photo "
            f"(allowed {limits.exposure_ev:g}).",
            "Correct the exposure of the picture.",
        ),
    ]


def cast_delta_e(light: Light) -> float:
    """ΔE2000 between a neutral mid-grey and the same grey under the light, at equal lightness."""
    neutral = np.array([66.0, 0.0, 0.0], dtype=np.float32)
    tinted = np.array([66.0, *light.cast], dtype=np.float32)
    return float(delta_e(neutral, tinted))


def permitted_light(light: Light, cast_limit: float, exposure_limit: float) -> Light:
    """The part of a fitted light that the limits allow to be taken for light."""
    gains = np.log(np.asarray(light.gains))
    mean = float(gains.mean())
    tint = gains - mean
    cast = max(cast_delta_e(light), abs(light.cast[0]) / _GREEN_MAGENTA)
    tint *= min(1.0, cast_limit / max(cast, 1e-6))
    bound = exposure_limit * np.log(2.0)
    return light_of(np.exp(tint + np.clip(mean, -bound, bound)))


def dominant_areas(pair: AlignedPair) -> list[Mask]:
    """Masks (h, w) of the photo's dominant colours, largest first: k-means in Lab, lightness halved."""
    solid = pair.solid & (strongest(pair.reference) < 0.985) & (strongest(pair.picture) < 0.995)
    count = int(solid.sum())
    if count < 200:
        return []
    lab = to_lab(pair.reference)
    points = (lab * np.array([0.5, 1.0, 1.0], dtype=np.float32))[solid]
    step = max(1, count // 6000)
    sample = np.ascontiguousarray(points[::step], dtype=np.float32)
    cv2.setRNGSeed(7)
    k = min(_COLOURS, max(1, len(sample) // 60))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    _, _, centres = cv2.kmeans(sample, k, np.zeros(0, np.int32), criteria, 2, cv2.KMEANS_PP_CENTERS)
    nearest = np.argmin([length(points - centre) for centre in centres], axis=0)
    areas: list[tuple[int, Mask]] = []
    for index in range(len(centres)):
        area = np.zeros(solid.shape, dtype=bool)
        area[solid] = nearest == index
        # Edges between two colours belong to neither.
        core = cv2.erode(area.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        size = int(core.sum())
        if size >= max(60, _SMALLEST * count):
            areas.append((size, core))
    areas.sort(key=lambda pair: -pair[0])
    return [area for _, area in areas]


def colour_name(lab: Floats) -> str:
    """A plain word for a Lab colour, for messages."""
    lightness, a, b = (float(v) for v in lab)
    chroma = float(np.hypot(a, b))
    if chroma < 6:
        return "black" if lightness < 25 else "white" if lightness > 88 else "grey"
    hue = float(np.degrees(np.arctan2(b, a)) % 360)
    names = ((20, "pink"), (50, "red"), (75, "orange"), (110, "yellow"), (165, "green"), (225, "turquoise"))
    word = next((name for top, name in names if hue < top), "blue" if hue < 300 else "purple")
    if word in ("red", "orange") and lightness < 50:
        word = "brown"
    return f"dark {word}" if lightness < 30 and word != "brown" else word
