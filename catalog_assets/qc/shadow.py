"""Telling a shadow on a plain background from what does not belong there."""

from __future__ import annotations

import cv2
import numpy as np

from catalog_assets.qc.alignment import Floats, Mask, bounding_box

_DEEPEST = 75.0
"""CIE L* a shadow takes away at most, but for the contact right under the product."""

_CONTACT, _CALM = 12.0, 3.2
"""Mean fine structure in CIE L* (difference of Gaussians of 1 and 2.5 px over 7 × 7 px) near the product, where a
shadow may end abruptly along a ragged outline, and of the rest of a shadow below: there honest ones reach 3.0, a
smear of texture 5 to 8."""


def shadow_of(lab: Floats, base: Floats, product: Mask) -> Mask:
    """Pixels that may be the product's shadow.

    A shadow takes light away and nothing else: darker, hardly tinted, without texture of its own. It lies in
    the lower part of the picture of a standing thing, or hugs the outline of one photographed from above.

    Args:
        lab: (h, w, 3) CIE Lab of the picture.
        base: (3,) CIE Lab of the plain background, or (h, 1, 3) of a vertical gradient.
        product: (h, w) bool, the product's pixels.

    Returns:
        (h, w) bool; whether such a pixel is joined to the product is for the caller to ask.
    """
    off = lab - base
    depth = -off[..., 0]
    # On a coloured ground less light is also less chroma.
    tint = lab[..., 1:] - base[..., 1:] * (lab[..., :1] / np.maximum(base[..., :1], 1.0))
    chroma = np.minimum(np.hypot(off[..., 1], off[..., 2]), np.hypot(tint[..., 0], tint[..., 1]))
    box = bounding_box(product)
    if box is None:
        return np.zeros(product.shape, dtype=bool)
    diagonal = float(np.hypot(box[2] - box[0], box[3] - box[1]))
    away = cv2.distanceTransform((~product).astype(np.uint8), cv2.DIST_L2, 3)
    contact = away < 0.02 * diagonal
    plain = (depth > -1) & (chroma < 4 + 0.15 * depth) & ((depth < _DEEPEST) | contact)
    lightness = np.ascontiguousarray(lab[..., 0])
    soft = cv2.GaussianBlur(lightness, (0, 0), 1.0)
    texture = cv2.blur(np.abs(soft - cv2.GaussianBlur(soft, (0, 0), 2.5)), (7, 7))
    low = np.zeros(product.shape, dtype=bool)
    low[round(box[1] + 0.45 * (box[3] - box[1])) :] = True
    calm = texture < np.where(contact | (low & (away < 0.04 * diagonal)), _CONTACT, np.where(low, _CALM, 1.2))
    reach = low | (away < 0.08 * diagonal)
    return plain & calm & reach


def mirror_zone(product: Mask) -> Mask:
    """Where polished ground may show a standing product's mirror image: straight below its lower outline.

    Args:
        product: (h, w) bool, the product's pixels.

    Returns:
        (h, w) bool; a mirror image is as coloured as the product, so nothing there tells it from a mark.
    """
    zone = np.zeros(product.shape, dtype=bool)
    box = bounding_box(product)
    if box is None:
        return zone
    height = product.shape[0]
    lowest = height - 1 - np.argmax(product[::-1], axis=0)
    # What hangs over far above the foot has its mirror image below the foot, not below itself.
    low = product.any(axis=0) & (lowest >= box[1] + 0.5 * (box[3] - box[1]))
    zone = (np.arange(height)[:, None] > lowest[None, :]) & low[None, :]
    reach = max(2, round(0.01 * (box[3] - box[1])))
    return cv2.dilate(zone.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
