"""Size, sharpness, compression, file format, declared origin."""

from __future__ import annotations

import cv2
import numpy as np

from catalog_assets.imaging.planes import smooth
from catalog_assets.qc.alignment import AlignedPair, Bytes, Floats
from catalog_assets.qc.case import Case
from catalog_assets.qc.findings import Finding

# ITU-T T.81 annex K.1: the luminance quantisation table every libjpeg quality is scaled from.
_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.float64,
)
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_FREQUENCIES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2), (0, 3), (3, 0))


def resolution(case: Case) -> list[Finding]:
    """Pixels of the picture against what is asked, and whether the product was enlarged beyond its photo."""
    width, height = case.size
    short = min(width, height)
    problems: list[tuple[float, float, str, str]] = []
    for channel in case.channels:
        if channel.min_px is not None and (width < channel.min_px[0] or height < channel.min_px[1]):
            problems.append(
                (
                    float(short),
                    float(min(channel.min_px)),
                    "px",
                    f"The picture is {width} × {height} pixels; {channel.name} asks for at least "
                    f"{channel.min_px[0]} × {channel.min_px[1]}.",
                )
            )
        if channel.max_px is not None and (width > channel.max_px[0] or height > channel.max_px[1]):
            problems.append(
                (
                    float(max(width, height)),
                    float(max(channel.max_px)),
                    "px",
                    f"The picture is {width} × {height} pixels; {channel.name} takes at most "
                    f"{channel.max_px[0]} × {channel.max_px[1]}.",
                )
            )
    if short < case.limits.min_side:
        problems.append(
            (
                float(short),
                float(case.limits.min_side),
                "px",
                f"The picture's shorter side has {short} pixels; at least {case.limits.min_side} are needed.",
            )
        )
    if case.match is not None:
        scale = case.pair(500).picture_scale
        if scale > case.limits.upscale:
            problems.append(
                (
                    scale,
                    case.limits.upscale,
                    "× the photo",
                    f"The product is shown at {scale:.1f} times its size in the photo: the detail is invented.",
                )
            )
    if problems:
        measured, limit, unit, message = problems[0]
        return [
            case.finding(
                "resolution",
                False,
                measured,
                limit,
                unit,
                message,
                "Use a photo with more pixels, or a smaller picture.",
            )
        ]
    return [
        case.finding(
            "resolution",
            True,
            float(short),
            float(case.limits.min_side),
            "px",
            f"{width} × {height} pixels are enough.",
        )
    ]


def detail_kept(pair: AlignedPair) -> tuple[float, float]:
    """Fine detail of the picture against the photo's at equal scale, and how much there was to keep.

    The picture's band-passed luminance is regressed on the prediction's, which leaves out noise and
    compression (they are not in the prediction). The slope in the finest band over the slope in a coarse
    band is 1 for an honest picture and falls with blur, whatever the contrast of the light.

    Returns:
        (ratio, RMS of the reference's fine band in 0..1 luminance).
    """
    near = cv2.dilate((pair.alpha > 0.05).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    mask = (near & pair.valid).astype(np.float32)
    fine_w, coarse_w = _bands(pair.grey_predicted)
    fine_s, coarse_s = _bands(pair.grey_picture)
    energy = float((fine_w * fine_w * mask).sum())
    coarse_energy = float((coarse_w * coarse_w * mask).sum())
    count = max(float(mask.sum()), 1.0)
    slope = float((fine_w * fine_s * mask).sum()) / max(energy, 1e-9)
    coarse = float((coarse_w * coarse_s * mask).sum()) / max(coarse_energy, 1e-9)
    return slope / max(coarse, 0.2), float(np.sqrt(energy / count))


def _bands(grey: Floats) -> tuple[Floats, Floats]:
    """Differences of Gaussians: σ 0.6 to 1.4 px and σ 3 to 7 px.

    The very finest band is left to resampling kernels and compression, which honest pictures differ by.
    """
    blurred = [smooth(grey, s) for s in (0.6, 1.4, 3.0, 7.0)]
    return (blurred[0] - blurred[1]).astype(np.float32), (blurred[2] - blurred[3]).astype(np.float32)


def sharpness(case: Case) -> list[Finding]:
    """Share of the photo's fine detail that the picture keeps, at equal scale."""
    kept, present = detail_kept(case.pair())
    limit = case.limits.sharpness
    if present < 0.0015:
        return [
            case.unmeasured(
                "sharpness",
                "Neither the product nor its outline has enough detail in the photo to judge sharpness by.",
                unit="share of detail",
                limit=limit,
            )
        ]
    return [
        case.finding(
            "sharpness",
            kept >= limit,
            min(kept, 2.0),
            limit,
            "share of detail",
            f"The product shows {min(kept, 9.99):.0%} of the photo's fine detail at equal scale."
            if kept >= limit
            else f"The product is softer than in the photo: {max(kept, 0):.0%} of the fine detail is left.",
            "Use the picture at its original size, or draw it again without blur or enlargement.",
        )
    ]


def compression(case: Case) -> list[Finding]:
    """JPEG quality that the pixels themselves show, whatever container they are in now."""
    quality = visible_quality(case.picture.rgb)
    limit = case.limits.compression_quality
    shown = 100 if quality is None else quality
    return [
        case.finding(
            "compression",
            shown >= limit,
            float(shown),
            float(limit),
            "JPEG quality",
            "No visible compression."
            if quality is None
            else f"The pixels show a JPEG quality of about {quality}.",
            "Export again at a quality of 85 or more, from the uncompressed original.",
        )
    ]


def visible_quality(rgb: Bytes) -> int | None:
    """Estimate the libjpeg quality a picture was last stored at, from its pixels.

    Quantisation leaves DCT coefficients at multiples of the step (Lukáš and Fridrich 2003; Fan and de Queiroz
    2003). For every quality the mean of cos(2πc/q) over coefficients that survived is near 1 when q is the
    step and near 0 when it is not; of the qualities that fit, the lowest is the one (finer steps divide it).

    Args:
        rgb: (H, W, 3) uint8, not resized since it was stored.

    Returns:
        The quality, or None when none up to 85 fits (then compression is invisible, or the grid is gone).
    """
    height, width = rgb.shape[0] // 8 * 8, rgb.shape[1] // 8 * 8
    if height < 64 or width < 64:
        return None
    grey = cv2.cvtColor(rgb[:height, :width], cv2.COLOR_RGB2GRAY)
    # Row by row first: 8 × 8 blocks are gathered in memory only for those that are used.
    high = grey.reshape(height // 8, 8, width).max(axis=1).reshape(-1, width // 8, 8).max(axis=2).ravel()
    low = grey.reshape(height // 8, 8, width).min(axis=1).reshape(-1, width // 8, 8).min(axis=2).ravel()
    # Clipped blocks lose the lattice; flat ones have nothing on it.
    usable = np.flatnonzero((high.astype(np.int16) - low > 6) & (high < 255) & (low > 0))
    if len(usable) < 40:
        return None
    picked = usable[:: max(1, len(usable) // 2500)]
    blocks = rgb[:height, :width].reshape(height // 8, 8, width // 8, 8, 3).swapaxes(1, 2)
    chosen = blocks[picked // (width // 8), picked % (width // 8)].astype(np.float32) @ _LUMA - 128.0
    basis = _dct_basis()
    coefficients = np.einsum("ki,nij,lj->nkl", basis, chosen, basis)
    # What a quality between two tabled ones looks like is close enough to either.
    for quality in range(8, 86, 2):
        factor = 5000 / quality if quality < 50 else 200 - 2 * quality
        steps = np.maximum(np.floor((_TABLE * factor + 50) / 100), 1)
        scores: list[float] = []
        for u, v in _FREQUENCIES:
            q = steps[u, v]
            if q < 3:
                continue
            c = coefficients[:, u, v]
            alive = c[np.abs(c) > 0.6 * q]
            if len(alive) >= 30:
                scores.append(float(np.cos(2 * np.pi * alive / q).mean()))
        if len(scores) >= 3 and float(np.median(scores)) > 0.45:
            return quality
    return None


def _dct_basis() -> Floats:
    k = np.arange(8)
    basis = np.sqrt(2 / 8) * np.cos(np.pi * (2 * k[None] + 1) * k[:, None] / 16)
    basis[0] = np.sqrt(1 / 8)
    return basis.astype(np.float32)


def file_format(case: Case) -> list[Finding]:
    """Container, colour space, depth, profile, aspect and bytes, against channels and good sense."""
    facts = case.picture.facts
    width, height = case.size
    problems: list[str] = []
    if facts is not None:
        name = facts.format.lower()
        if facts.mode not in ("RGB", "L", "P", "RGBA"):
            problems.append(f"its colours are {facts.mode}, shops show RGB")
        if facts.bits not in (1, 2, 4, 8):
            problems.append(f"it has {facts.bits} bits per channel instead of 8")
        if facts.icc and "srgb" not in facts.icc.lower():
            problems.append(f"its colour profile is {facts.icc!r} instead of sRGB")
        for channel in case.channels:
            if channel.formats and name not in channel.formats:
                problems.append(f"it is {facts.format}, {channel.name} takes {', '.join(channel.formats)}")
            if channel.max_bytes is not None and facts.size_bytes > channel.max_bytes:
                problems.append(
                    f"it has {facts.size_bytes / 1e6:.1f} MB, {channel.name} takes {channel.max_bytes / 1e6:.1f} MB"
                )
    problems += [
        f"its aspect is {width / height:.2f}, {channel.name} asks for {channel.aspect:.2f}"
        for channel in case.channels
        if channel.aspect is not None and abs(width / height / channel.aspect - 1) > 0.01
    ]
    if facts is None and not case.channels:
        return []
    if problems:
        return [
            case.finding(
                "file_format",
                False,
                problems[0],
                None,
                "",
                f"The file is not as it should be: {'; '.join(problems)}.",
                "Export it again as an 8-bit sRGB JPEG or PNG within the channel's limits.",
            )
        ]
    shown = f"{facts.format} {facts.mode} {facts.bits} bit" if facts else f"{width} × {height}"
    return [case.finding("file_format", True, shown, None, "", "Format, colour space and size are as asked.")]


def provenance(case: Case) -> list[Finding]:
    """The declared IPTC digital source type against what a channel requires."""
    required = [(c.name, c.require_source_type) for c in case.channels if c.require_source_type]
    findings: list[Finding] = []
    for channel, wanted in required[:1]:
        declared = case.picture.digital_source_type
        good = declared is not None and declared.rsplit("/", 1)[-1] == str(wanted).rsplit("/", 1)[-1]
        findings.append(
            case.finding(
                "provenance",
                good,
                declared or "none",
                str(wanted),
                "IPTC digital source type",
                f"The file declares {declared or 'no digital source type'}; {channel} requires {wanted}.",
                "Write the digital source type into the file's XMP and never strip it.",
            )
        )
    return findings
