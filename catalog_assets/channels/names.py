"""File names a channel accepts, and which identifier a SKU's files carry."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping

from catalog_assets.channels.packs import ChannelPack


def safe_name(text: str) -> str:
    """ASCII letters, digits, dot, dash and underscore only; different texts keep different names.

    >>> safe_name("Käse Nr. 5")
    'Kase-Nr.-5-ece1f3'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.") or "x"
    if safe == text:
        return safe
    # Two texts that fold to the same letters must not overwrite each other's files.
    return f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def legal_identifier(pack: ChannelPack, sku: str, known: Mapping[str, str]) -> tuple[str, str]:
    """The identifier that names a SKU's files on a channel, and a warning where it is not one it takes.

    Args:
        pack: the channel.
        sku: the SKU.
        known: ``asin`` and ``gtin`` where the catalogue has them.

    Returns:
        The identifier and a plain warning; an empty warning where the channel accepts the name.
    """
    for kind in pack.listing.identifiers:
        if kind == "sku":
            return safe_name(sku), ""
        for candidate in _spellings(kind, known.get(kind, "").strip()):
            if _fits(pack, candidate):
                return candidate, ""
    kinds = pack.listing.identifiers
    wanted = " or ".join({"asin": "ASIN", "gtin": "GTIN (EAN, UPC)"}[kind] for kind in kinds)
    columns = " or ".join(repr(kind) for kind in kinds)
    warning = (
        f"{sku} has no {wanted} that {pack.title} takes in a file name, so its files are named after the SKU "
        f"and a bulk upload would refuse them. Fill the column {columns} of the catalogue."
    )
    return safe_name(sku), warning


def _spellings(kind: str, value: str) -> list[str]:
    """A GTIN-14 with a leading zero is the same number as its GTIN-13, which more channels take."""
    if not value:
        return []
    if kind == "gtin" and len(value) == 14 and value.startswith("0"):
        return [value, value[1:]]
    return [value]


def _fits(pack: ChannelPack, identifier: str) -> bool:
    if not pack.listing.name_pattern:
        return True
    name = pack.listing.names["main"].format(id=identifier, sku="x", n=1, view="hero", role="main", ext="jpg")
    return re.fullmatch(pack.listing.name_pattern, name) is not None
