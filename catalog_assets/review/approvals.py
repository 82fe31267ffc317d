"""A person's yes: which pictures of a SKU they looked at, and when. It holds for exactly those pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.store import Store


@dataclass(frozen=True, slots=True)
class Approval:
    """One decision.

    ``pictures`` is :func:`pictures_print` of what was on the table; ``verdict`` and ``reasons`` are what the report
    said of it.
    """

    sku: str
    by: str
    at: str
    pictures: str
    note: str = ""
    verdict: str = ""
    reasons: tuple[str, ...] = ()


def pictures_print(hashes: Mapping[str, str]) -> str:
    """One value for a set of pictures, by name and content hash."""
    return fingerprint(pictures=dict(hashes))


def approve(
    store: Store,
    sku: str,
    hashes: Mapping[str, str],
    by: str,
    note: str = "",
    *,
    verdict: str = "",
    reasons: Sequence[str] = (),
) -> Approval:
    """Record that ``by`` looked at these pictures and lets them be listed, in spite of what the report says.

    Raises:
        ValueError: nobody is named.
    """
    if not by.strip():
        raise ValueError("an approval needs a name: who looked at the pictures?")
    approval = Approval(
        sku,
        by.strip(),
        datetime.now(UTC).isoformat("T", "seconds"),
        pictures_print(hashes),
        note,
        verdict,
        tuple(reasons),
    )
    document = asdict(approval)
    store.write(_name(sku), json.dumps(document, ensure_ascii=False, indent=1).encode(), durable=True)
    return approval


def approval_of(store: Store, sku: str, hashes: Mapping[str, str]) -> Approval | None:
    """The approval that holds for exactly these pictures, or None."""
    data = store.read_or_none(_name(sku))
    if data is None:
        return None
    loaded: dict[str, Any] = json.loads(data)
    loaded["reasons"] = tuple(loaded.get("reasons", ()))
    found = Approval(**loaded)
    return found if found.pictures == pictures_print(hashes) else None


def _name(sku: str) -> str:
    return f"approvals/{sku}.json"
