"""The finished file held against the channel once more, from its bytes alone, before it is listed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from catalog_assets.channels.fit import Bounds
from catalog_assets.channels.provenance import check_provenance
from catalog_assets.qc.findings import Finding, Severity
from catalog_assets.qc.rules import ChannelRules

_LEVELS = 1
"""8-bit levels a JPEG's flat border may be off after decoding."""


def prove(
    data: bytes, rules: ChannelRules, bounds: Bounds, limits: Mapping[str, Any], mark: str, subject: str
) -> tuple[Finding, ...]:
    """Findings of the rules ``resolution``, ``file_format``, ``background`` and ``provenance``.

    Args:
        data: the file as it would be uploaded.
        rules: the channel's rules for the picture's role, for their severities.
        bounds: the channel's sizes.
        limits: the limits in force.
        mark: the digital source type the file must carry.
        subject: the file's name.
    """
    with Image.open(io.BytesIO(data)) as image:
        kind, width, height = (image.format or "").lower(), image.width, image.height
        rgb = np.asarray(image.convert("RGB")) if "background_rgb" in limits else None

    def finding(
        rule: str, passed: bool, measured: Any, limit: Any, unit: str, message: str, severity: Severity
    ) -> Finding:
        remedy = "" if passed else "Make the listing again; if it stays so, correct the channel's rules."
        return Finding(rule, passed, severity, measured, limit, unit, message, remedy, subject=subject)

    small = bounds.too_small(width, height)
    large = bounds.scale_for(width, height, to_target=False) < 1
    size = f"The file has {width} × {height} pixels."
    problem = f"The file is too small: {small}." if small else f"The file is larger than permitted. {size}"
    findings = [
        finding(
            "resolution",
            not small and not large,
            f"{width} × {height}",
            f"{bounds.min_width} × {bounds.min_height}",
            "px",
            problem if small or large else size,
            rules.severity("resolution"),
        )
    ]
    allowed = tuple(limits.get("formats", (kind,)))
    fits = kind in allowed and (not bounds.max_bytes or len(data) <= bounds.max_bytes)
    findings.append(
        finding(
            "file_format",
            fits,
            len(data),
            bounds.max_bytes or None,
            "bytes",
            f"The file is {kind.upper()} with {len(data) / 1e6:.2f} MB.",
            rules.severity("file_format"),
        )
    )
    if rgb is not None:
        edges = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]).astype(np.int16)
        off = int(np.abs(edges - np.array(limits["background_rgb"], np.int16)).max())
        findings.append(
            finding(
                "background",
                off <= _LEVELS,
                float(off),
                float(_LEVELS),
                "levels",
                f"The frame's edge is up to {off} of 255 levels off the background the channel asks for.",
                rules.severity("background"),
            )
        )
    findings.append(check_provenance(data, mark, severity=rules.severity("provenance"), subject=subject))
    return tuple(findings)
