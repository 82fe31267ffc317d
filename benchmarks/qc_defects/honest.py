"""Changes that are no defect: light, a slight turn, a soft shadow, another size, honest compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from qc_defects.colours import tinted
from qc_defects.foreign import GROUNDS
from qc_defects.product import Product, Rng, Shot

WHITE = (255, 255, 255)


def benign(product: Product, rng: Rng) -> Shot:
    """One honest change of each kind, mixed: light, turn, shadow, size, compression."""
    rgba = product.rgba
    if rng.random() < 0.6:
        direction = float(rng.choice([0.0, np.pi]))
        rgba = tinted(rgba, float(rng.uniform(0, 3.0)), direction, float(rng.uniform(-0.3, 0.3)))
    if rng.random() < 0.35:
        h, w = rgba.shape[:2]
        pad = max(h, w) // 20
        framed = cv2.copyMakeBorder(rgba, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
        m = cv2.getRotationMatrix2D(
            (framed.shape[1] / 2, framed.shape[0] / 2), float(rng.uniform(-2, 2)), 1.0
        )
        weight = framed[..., 3:].astype(np.float32) / 255
        turned = cv2.warpAffine(
            np.dstack([framed[..., :3] * weight, framed[..., 3:].astype(np.float32)]).astype(np.float32),
            m, (framed.shape[1], framed.shape[0]), flags=cv2.INTER_CUBIC,
        )  # fmt: skip
        alpha = np.clip(turned[..., 3:], 0, 255)
        colours = np.clip(turned[..., :3] / np.maximum(alpha / 255, 1e-3), 0, 255)
        rgba = np.dstack([colours, alpha]).astype(np.uint8)
    most = 1.5 if product.diagonal > 700 else 1.0  # small photos are enlarged by the packshot already
    scale = float(rng.uniform(0.5, most)) if rng.random() < 0.5 else 1.0
    shadow = rng.random() < 0.3

    def after(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        out = rgb
        if shadow:
            # A second soft shadow on the ground beside the product, clear of the frame's edge.
            ys, xs = np.nonzero(mask > 128)
            h, w = mask.shape
            soft = np.zeros((h, w), np.float32)
            centre = (int(xs.mean()), int(min(ys.max() - 0.01 * h, 0.92 * h)))
            axes = (int(min(np.ptp(xs) * 0.55, 0.4 * w)), int(0.025 * h))
            cv2.ellipse(soft, centre, axes, 0, 0, 360, 0.25, -1)
            soft = cv2.GaussianBlur(soft, (0, 0), 0.012 * h)
            edge = np.minimum.reduce(
                [np.arange(w)[None] / (0.05 * w), np.arange(w)[None][:, ::-1] / (0.05 * w)]
            )
            low = (np.arange(h)[::-1] / (0.05 * h))[:, None]
            soft *= np.clip(np.minimum(edge, low) - 0.4, 0, 1)
            keep = 1 - soft[..., None] * (1 - mask.astype(np.float32)[..., None] / 255)
            out = np.clip(out * keep + 0.5, 0, 255).astype(np.uint8)
        if scale != 1.0:
            size = (round(out.shape[1] * scale), round(out.shape[0] * scale))
            if min(size) < 520:
                return out
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            out = cv2.resize(out, size, interpolation=how)
        return out

    quality = int(rng.integers(80, 96))
    # "Other background": one in three stands on one of the grounds that patches are planted on, dark ones too.
    ground = GROUNDS[int(rng.integers(len(GROUNDS)))] if rng.random() < 0.35 else WHITE
    if isinstance(ground, str):
        return Shot(rgba, after=after, quality=quality, template=ground)
    return Shot(rgba, after=after, quality=quality, background=ground, asked=ground)
