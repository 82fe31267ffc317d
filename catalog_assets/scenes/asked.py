"""A request as one engine is asked it: without what that engine cannot take and the picture can do without.

A chain of engines is asked for one picture with one request. A mask only spares a model work, the canvas of
``inpaint`` shows the product already, and a collection's anchor is a wish: whoever cannot take one of these is
asked without it, and who else is in the chain changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from catalog_assets.scenes.contract import SceneRequest
from catalog_assets.scenes.models import ModelSpec
from catalog_assets.scenes.steps import anchor_line


def as_asked(request: SceneRequest, model: ModelSpec) -> SceneRequest:
    """The request for this model; asking twice changes nothing more.

    What is left out, in this order: the mask, the anchor and the line that names it, the product beside its
    canvas. What the picture cannot do without stays, for the engine to refuse.
    """
    if request.mask is not None and not model.mask:
        request = replace(request, mask=None)
    room = model.references if model.edits else 0
    if len(request.references) > room:
        request = _without_anchor(request)
    if len(request.references) > room and _has_canvas(request):
        request = replace(request, references=request.references[:1])
    return request


def _has_canvas(request: SceneRequest) -> bool:
    return request.lock == "inpaint" and bool(request.references) and request.references[0].role == "canvas"


def _without_anchor(request: SceneRequest) -> SceneRequest:
    """Without the anchor, which is the last reference, and without the line of the prompt that names it."""
    if not request.references or request.references[-1].role != "anchor":
        return request
    line = "\n" + anchor_line(len(request.references))
    return replace(request, references=request.references[:-1], prompt=request.prompt.removesuffix(line))
