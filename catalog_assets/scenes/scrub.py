"""Keeps API keys and picture data out of every text that is logged, stored or shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

SECRET_VARIABLES = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "FAL_KEY",
    "FAL_KEY_SECRET",
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
_SHAPES = (
    # Vendors echo keys, partly starred, in their own 401 texts.
    re.compile(r"\b(?:sk|rk|pk)-[A-Za-z0-9_*\-]{6,}"),
    re.compile(r"\bAIza[A-Za-z0-9_\-]{10,}"),
    re.compile(r"(?i)\b(?:bearer|key)\s+[A-Za-z0-9_\-:.]{12,}"),
    re.compile(r"(?i)(?:x-goog-api-key|api[-_]?key|authorization)[\"']?\s*[:=]\s*[\"']?[^\s\"',}]{6,}"),
    re.compile(r"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{16,}"),
)
_BLOBS = re.compile(r"(?:data:[\w/+.\-]+;base64,)?[A-Za-z0-9+/]{160,}={0,2}")
LONGEST = 400


def scrub(text: object, env: Mapping[str, str] | None = None) -> str:
    """``text`` as one line without keys, credentials and base64, at most 400 characters.

    Args:
        text: anything; exceptions and vendor bodies above all.
        env: where the live keys are, so that they are found whatever their shape.
    """
    clean = " ".join(str(text).split())
    variables = os.environ if env is None else env
    for name in SECRET_VARIABLES:
        value = variables.get(name, "").strip()
        # Shorter "keys" are placeholders such as "none" and would eat ordinary words.
        if len(value) >= 8:
            clean = clean.replace(value, f"<{name}>")
    for shape in _SHAPES:
        clean = shape.sub("<key removed>", clean)
    clean = _BLOBS.sub("<data removed>", clean)
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 1] + "…"
