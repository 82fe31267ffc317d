"""A fingerprint says what a file was made from; equal fingerprints mean nothing needs to be done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def fingerprint(**parts: Any) -> str:
    """Hash of named JSON-able parts: input hashes, settings that matter, the step's code version.

    Never pass times, paths or machine names. Keys are sorted, so order does not matter; floats are
    written by repr, so equal values hash equal.

    Raises:
        TypeError: a part is not JSON-able.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be part of a fingerprint")
