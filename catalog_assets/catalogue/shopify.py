"""Shopify's product CSV, both header generations, read as rows of ours.

One product spans several rows: the first carries title and vendor, further rows repeat the handle for
more variants and more images. Header names: the current export (``URL handle``, ``SKU``, ``Product image
URL``) and the one before it (``Handle``, ``Variant SKU``, ``Image Src``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

Row = dict[str, str]

_CURRENT = {
    "handle": "url handle",
    "sku": "sku",
    "image": "product image url",
    "variant_image": "variant image url",
    "category": "product category",
    "price": "price",
    "gtin": "gtin",
}
_LEGACY = {
    "handle": "handle",
    "sku": "variant sku",
    "image": "image src",
    "variant_image": "variant image",
    "category": "product category",
    "price": "variant price",
    "gtin": "variant barcode",
}


def is_shopify(header: Sequence[str]) -> bool:
    """Whether lower-cased column names are those of a Shopify product export."""
    return _dialect(header) is not None


def _dialect(header: Iterable[str]) -> dict[str, str] | None:
    names = set(header)
    for dialect in (_CURRENT, _LEGACY):
        if {dialect["handle"], "title"} <= names and (dialect["sku"] in names or dialect["image"] in names):
            return dialect
    return None


def from_shopify(rows: Sequence[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
    """Our rows, one per variant, each with the row number it came from.

    A variant without a SKU of its own takes the handle (with a counter from the second on). A variant
    without a picture of its own takes the product's first.
    """
    dialect = _dialect(rows[0][1]) if rows else None
    if dialect is None:
        return
    known = {*dialect.values(), "title", "vendor", "type", "description", "body (html)"}
    product: Row = {}
    variant_number = 0
    for number, row in rows:
        handle = row.get(dialect["handle"], "")
        if handle and handle != product.get("handle"):
            product = _product(handle, row, dialect)
            variant_number = 0
        if not _is_variant(row, dialect, first=variant_number == 0):
            continue
        variant_number += 1
        counter = f"-{variant_number}" if variant_number > 1 else ""
        image = row.get(dialect["variant_image"], "") or product["photo"]
        options = [row.get(f"option{i} value", "") for i in (1, 2, 3)]
        yield (
            number,
            {
                **{k: v for k, v in row.items() if k not in known},
                **{k: v for k, v in product.items() if k != "handle"},
                "sku": row.get(dialect["sku"], "").lstrip("'") or handle + counter,
                "price": row.get(dialect["price"], ""),
                "gtin": row.get(dialect["gtin"], "").lstrip("'"),
                "photo": photo_name(image),
                "shopify_handle": handle,
                "shopify_options": " / ".join(o for o in options if o and o != "Default Title"),
            },
        )


def _product(handle: str, row: Row, dialect: dict[str, str]) -> Row:
    return {
        "handle": handle,
        "title": row.get("title", ""),
        "brand": row.get("vendor", ""),
        "category": row.get(dialect["category"], "") or row.get("type", ""),
        "photo": row.get(dialect["image"], ""),
        "description": re.sub(
            r"<[^>]+>", " ", row.get("description", "") or row.get("body (html)", "")
        ).strip(),
    }


def _is_variant(row: Row, dialect: dict[str, str], *, first: bool) -> bool:
    """A row with nothing but a handle and an image only adds a picture to the product above."""
    return first or bool(row.get(dialect["sku"]) or row.get(dialect["price"]) or row.get("option1 value"))


def photo_name(url: str) -> str:
    """The file name inside a picture's address, or the path as given where it is not an address."""
    if re.match(r"^https?://", url, re.IGNORECASE):
        return url.split("?", 1)[0].split("#", 1)[0].rsplit("/", 1)[-1]
    return url
