"""The camera over a ground plane: which pixel is which spot on the table, and how large things are there.

World axes in millimetres: X to the right, Y away from the camera, Z up; the camera stands over the origin
at ``height_mm``. A pinhole without roll, as in Hartley & Zisserman, *Multiple View Geometry*, ch. 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class GroundCamera:
    """A level camera looking at the ground.

    ``focal_px``, ``cx``, ``cy``: pixels. ``tilt_rad``: downward tilt of the optical axis, in (0, π/2].
    ``height_mm``: above the ground plane.
    """

    focal_px: float
    cx: float
    cy: float
    tilt_rad: float
    height_mm: float

    @property
    def horizon_y(self) -> float:
        """Row of the horizon, pixels; far above the frame for a steep camera."""
        return self.cy - self.focal_px * math.tan(min(self.tilt_rad, math.radians(89.5)))

    def depth_at_row(self, v: float) -> float:
        """Distance along the optical axis, mm, to the ground seen at row ``v``.

        Raises:
            ValueError: the row is at or above the horizon.
        """
        slope = math.sin(self.tilt_rad) - math.cos(self.tilt_rad) * (self.cy - v) / self.focal_px
        if slope <= 1e-6:
            raise ValueError(f"row {v:.0f} is above the horizon: no ground is seen there")
        return self.height_mm / slope

    def px_per_mm(self, v: float) -> float:
        """Picture pixels per millimetre across the view, for things standing at row ``v``."""
        return self.focal_px / self.depth_at_row(v)

    def elevation_at_row(self, v: float) -> float:
        """Angle (radians) between the line of sight at row ``v`` and the ground."""
        return self.tilt_rad + math.atan((v - self.cy) / self.focal_px)

    def to_ground(self, u: float, v: float) -> tuple[float, float]:
        """Ground point (X, Y), mm, seen at pixel (u, v)."""
        depth = self.depth_at_row(v)
        y = math.cos(self.tilt_rad) + math.sin(self.tilt_rad) * (self.cy - v) / self.focal_px
        return depth * (u - self.cx) / self.focal_px, depth * y

    def rows_to_y(self, v: NDArray[np.floating]) -> NDArray[np.float64]:
        """Ground distance Y, mm, for an array of rows; rows at or above the horizon give +inf."""
        k = (self.cy - np.asarray(v, np.float64)) / self.focal_px
        slope = math.sin(self.tilt_rad) - math.cos(self.tilt_rad) * k
        with np.errstate(divide="ignore"):
            depth = np.where(slope > 1e-6, self.height_mm / np.maximum(slope, 1e-6), np.inf)
        return depth * (math.cos(self.tilt_rad) + math.sin(self.tilt_rad) * k)

    def to_picture(self, x: float, y: float, z: float = 0.0) -> tuple[float, float]:
        """Pixel (u, v) of the world point (x, y, z), mm."""
        cos, sin = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        depth = y * cos - (z - self.height_mm) * sin
        up = y * sin + (z - self.height_mm) * cos
        return self.cx + self.focal_px * x / depth, self.cy - self.focal_px * up / depth

    def ground_matrix(self) -> NDArray[np.float64]:
        """3×3 homography, ground (X, Y, 1) in mm to picture (u, v, 1) in pixels."""
        cos, sin = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        f, h = self.focal_px, self.height_mm
        return np.array(
            [
                [f, self.cx * cos, self.cx * h * sin],
                [0.0, self.cy * cos - f * sin, self.cy * h * sin + f * h * cos],
                [0.0, cos, h * sin],
            ]
        )

    def wall_matrix(self, y: float) -> NDArray[np.float64]:
        """3×3 homography, wall (X, Z, 1) in mm on the upright plane at distance ``y`` to picture pixels."""
        cos, sin = math.cos(self.tilt_rad), math.sin(self.tilt_rad)
        f, h = self.focal_px, self.height_mm
        d0, u0 = y * cos + h * sin, y * sin - h * cos
        return np.array(
            [
                [f, -self.cx * sin, self.cx * d0],
                [0.0, -self.cy * sin - f * cos, self.cy * d0 - f * u0],
                [0.0, -sin, d0],
            ]
        )

    def cropped(self, x0: float, y0: float, zoom: float) -> GroundCamera:
        """The camera of a window that starts at (x0, y0) and is enlarged by ``zoom``."""
        return replace(
            self, focal_px=self.focal_px * zoom, cx=(self.cx - x0) * zoom, cy=(self.cy - y0) * zoom
        )

    def rescaled(self, factor: float) -> GroundCamera:
        """The same view of a world in which everything is ``factor`` times as large."""
        return replace(self, height_mm=self.height_mm * factor)


def camera_from_contact(
    width: int,
    height: int,
    *,
    focal_35mm: float,
    tilt_down_deg: float | None,
    horizon_y: float | None,
    contact_y: float,
    px_per_mm: float,
) -> GroundCamera:
    """The camera of a picture from the few numbers one can measure on it.

    Args:
        width: picture width, pixels.
        height: picture height, pixels.
        focal_35mm: focal length in 35 mm terms (36 mm wide frame).
        tilt_down_deg: camera tilt; None takes it from the horizon.
        horizon_y: row of the horizon; None takes it from the tilt.
        contact_y: row where a product's foot stands.
        px_per_mm: scale across the view at that row.

    Raises:
        ValueError: neither tilt nor horizon is given, or the contact row is above the horizon.
    """
    focal = focal_35mm / 36.0 * width
    if tilt_down_deg is not None:
        tilt = math.radians(tilt_down_deg)
    elif horizon_y is not None:
        tilt = math.atan((height / 2 - horizon_y) / focal)
    else:
        raise ValueError("give tilt_down_deg or horizon_y")
    slope = math.sin(tilt) - math.cos(tilt) * (height / 2 - contact_y) / focal
    if slope <= 1e-6:
        raise ValueError("the contact line lies above the horizon")
    return GroundCamera(focal, width / 2, height / 2, tilt, focal / px_per_mm * slope)
