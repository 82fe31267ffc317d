"""The evidence for a reviewer: photo, picture, their aligned difference, boxes and values, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from catalog_assets.imaging.colour import delta_e
from catalog_assets.qc.alignment import AlignedPair, Bytes, Cut, to_corners
from catalog_assets.qc.findings import Finding, PictureReport

_PANEL = 620
_GAP = 16
_INK = (28, 32, 30)
_GREEN, _RED, _AMBER = (38, 120, 70), (190, 40, 34), (190, 120, 10)
_HEAT_TOP = 20.0
"""ΔE2000 shown as the hottest colour."""


def evidence_sheet(picture: Bytes, cutout: Bytes | Cut, report: PictureReport) -> NDArray[np.uint8]:
    """Draw the sheet.

    Args:
        picture: (H, W, 3) uint8, the checked picture.
        cutout: (h, w, 4) uint8, or the :class:`Cut` of it that the picture was checked with.
        report: its report.

    Returns:
        (rows, columns, 3) uint8 sRGB: the whole picture with failed findings boxed, then photo, picture and
        ΔE2000 difference on the shared canvas, and below every finding with value, limit and message.
    """
    panels = [("picture", _boxed(picture, report.findings))]
    cut = cutout if isinstance(cutout, Cut) else Cut(cutout)
    pair = _pair(picture, cut, report)
    if pair is not None:
        checker = _checker(pair.size)
        alpha = pair.alpha[..., None]
        photo = pair.reference * alpha + checker * (1 - alpha)
        panels.append(("photo's product", _eight_bit(photo)))
        panels.append(("picture, aligned", _eight_bit(pair.picture)))
        panels.append((f"difference, red = dE {_HEAT_TOP:g} and more", _heat(pair)))
    else:
        panels.append(("photo's product", _cutout_alone(cut.rgba)))
    return _sheet(panels, report)


def _pair(picture: Bytes, cut: Cut, report: PictureReport) -> AlignedPair | None:
    rows = report.registration.transform
    if not report.registration.found or rows is None:
        return None
    return AlignedPair(cut, picture, to_corners(np.array(rows)), side=_PANEL)


def _eight_bit(rgb: NDArray[Any]) -> Bytes:
    return (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)


def _checker(size: tuple[int, int]) -> NDArray[np.float32]:
    y, x = np.mgrid[: size[1], : size[0]] // 12
    return np.where(((x + y) % 2)[..., None], 0.86, 0.97).astype(np.float32)


def _cutout_alone(cutout: Bytes) -> Bytes:
    alpha = cutout[..., 3:].astype(np.float32) / 255.0
    checker = _checker((cutout.shape[1], cutout.shape[0]))
    return _eight_bit(cutout[..., :3] / 255.0 * alpha + checker * (1 - alpha))


def _heat(pair: AlignedPair) -> Bytes:
    diff = delta_e(pair.lab_predicted, pair.lab_picture)
    diff = np.where((pair.alpha > 0.02) & pair.valid, diff, 0)
    scaled = (np.clip(diff / _HEAT_TOP, 0, 1) * 255).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return np.asarray(heat, dtype=np.uint8)


def _boxed(picture: Bytes, findings: Sequence[Finding]) -> Bytes:
    scale = min(1.0, 2 * _PANEL / max(picture.shape[:2]))
    image = Image.fromarray(picture).resize(
        (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))),
        Image.Resampling.BOX,
    )
    draw = ImageDraw.Draw(image)
    for finding in findings:
        if finding.passed or finding.box is None:
            continue
        x0, y0, x1, y1 = (v * scale for v in finding.box)
        colour = _RED if finding.severity == "block" else _AMBER
        draw.rectangle((x0 - 2, y0 - 2, max(x1, x0) + 2, max(y1, y0) + 2), outline=colour, width=4)
        draw.text((x0, max(0.0, y0 - 26)), finding.rule, fill=colour, font=_font(22))
    return np.asarray(image)


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _sheet(panels: Sequence[tuple[str, Bytes]], report: PictureReport) -> NDArray[np.uint8]:
    fitted: list[tuple[str, Image.Image]] = []
    for title, pixels in panels:
        image = Image.fromarray(pixels)
        image.thumbnail((_PANEL, _PANEL), Image.Resampling.LANCZOS)
        fitted.append((title, image))
    columns = 2
    rows = (len(fitted) + 1) // columns
    width = columns * (_PANEL + _GAP) + _GAP
    line = 24
    texts = [_line(f) for f in sorted(report.findings, key=lambda f: f.passed)]
    height = 46 + rows * (_PANEL + 30 + _GAP) + line * len(texts) + 2 * _GAP
    sheet = Image.new("RGB", (width, height), (250, 249, 246))
    draw = ImageDraw.Draw(sheet)
    colour = {"pass": _GREEN, "fail": _RED}.get(report.verdict, _AMBER)
    draw.text((_GAP, 12), f"{report.verdict.upper()}   {report.image}", fill=colour, font=_font(24))
    for number, (title, image) in enumerate(fitted):
        x = _GAP + (number % columns) * (_PANEL + _GAP)
        y = 46 + (number // columns) * (_PANEL + 30 + _GAP)
        draw.text((x, y), title, fill=_INK, font=_font(18))
        sheet.paste(image, (x, y + 28))
    y = 46 + rows * (_PANEL + 30 + _GAP) + _GAP
    for number, (text, ink) in enumerate(texts):
        draw.text((_GAP, y + number * line), text, fill=ink, font=_font(17))
    return np.asarray(sheet)


def _line(finding: Finding) -> tuple[str, tuple[int, int, int]]:
    if finding.measured is None:
        mark, ink, value = "?", _AMBER, "not measured"
    else:
        mark = "ok" if finding.passed else "NO"
        ink = _GREEN if finding.passed else _RED if finding.severity == "block" else _AMBER
        value = f"{finding.measured:.4g}" if isinstance(finding.measured, float) else str(finding.measured)
    # The font that comes with Pillow has no Greek.
    message = finding.message.replace("Δ", "d").replace("×", "x")
    text = f"{mark:<3} {finding.rule:<14} {value} {finding.unit.replace('Δ', 'd')}  -  {message}"
    return (text if len(text) < 150 else text[:147] + "..."), ink
