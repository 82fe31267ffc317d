"""Puts the product into an empty scene that a model has drawn: lock mode ``plate``, always the photo's pixels.

The wording asks the model for an empty place in the middle of the lower half, soft light from the upper left
and a camera at eye level (``prompts.toml``); the studio is told just that. Nothing is measured in the picture
yet, so the assumptions are stored with the scene.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from catalog_assets.scenes.contract import EngineError, SceneImage, SceneRequest

ASSUMED: dict[str, Any] = {
    "horizon": 0.30,  # share of the height
    "contact": (0.5, 0.82),  # share of width and height where the foot stands
    "light": {"azimuth_deg": -60.0, "elevation_deg": 45.0, "softness": "soft"},
    "free_scale": (0.4, 2.5),
}
PLATE = "drawn"


def place_product(drawn: SceneImage, request: SceneRequest) -> SceneImage:
    """The product in its empty scene, drawn by the studio.

    Args:
        drawn: the empty scene, as a model drew it.
        request: whose product; ``views`` must hold its cutouts, ``studio`` may place it elsewhere.

    Returns:
        The composed picture with the model's name and cost, the studio's transform, and the digital source
        type ``compositeWithTrainedAlgorithmicMedia``.

    Raises:
        EngineError: ``unsupported``: no view of the product fits the scene; ``bad_input``: there is no cutout.
    """
    from catalog_assets.imaging.encode import encode_png
    from catalog_assets.scenes.engines.studio import StudioEngine
    from catalog_assets.scenes.plates import load_plates

    if not request.views:
        raise EngineError("bad_input", f"{request.sku}: there is no cutout to set into the scene")
    height, width = drawn.rgb.shape[:2]
    across, down = ASSUMED["contact"]
    entry = {
        "file": PLATE,
        "horizon_y": ASSUMED["horizon"] * height,
        "contact": {"center": [across * width, down * height]},
        "scale": {"px_per_mm_at_contact": _px_per_mm(request, height)},
        "light": ASSUMED["light"],
        "free_scale": ASSUMED["free_scale"],
    }
    data = encode_png(drawn.rgb)
    plates = load_plates(json.dumps({"plates": {PLATE: entry}}), lambda _: data, "a drawn scene")
    settings = {**request.studio, "plate": PLATE, "otherwise": ()}
    placed = StudioEngine(plates).draw(replace(request, studio=settings))
    return replace(
        placed,
        engine=drawn.engine,
        model=drawn.model,
        cost=drawn.cost,
        request_id=drawn.request_id,
        digital_source_type="compositeWithTrainedAlgorithmicMedia",
        details={**placed.details, "drawn": drawn.details, "assumed": ASSUMED},
    )


def _px_per_mm(request: SceneRequest, height: int) -> float:
    """Scale at which the product takes the share of the frame its template asks for."""
    sizes = [
        max(view.height_mm or 0.0, view.width_mm or 0.0)
        for view in request.views
        if view.height_mm or view.width_mm
    ]
    # Without a size the studio guesses one by category; it may bend the scale as far as `free_scale` says.
    return float(request.studio.get("fill") or 0.48) * height / (sizes[0] if sizes else 150.0)
