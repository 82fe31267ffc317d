"""Feed fragments over many SKUs: what a channel reads beside the files themselves.

Takes plain rows and gives bytes, so that any store, any address scheme and any upload may be around it.

- ``shopify``: product CSV for updating images, current header generation (``URL handle``, ``Title``,
  ``Product image URL``, ``Image position``, ``Image alt text``); one image per row.
- ``google``: supplemental feed, tab-separated, ``id`` and the three image attributes. Commas inside an
  address are written ``%2C``; the joined list is not quoted, because a quoted list counts as one address
  (https://support.google.com/merchants/answer/6324370).
- ``amazon``: a list of files with the listing attribute of each slot, in the order of the slots.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from catalog_assets.channels.rule import Role


class ExportError(ValueError):
    """A row cannot be part of the feed; the text names the SKU and the remedy."""


@dataclass(frozen=True, slots=True)
class ExportImage:
    """One listed file. ``url`` is the public address it will have; not needed for Amazon's list."""

    file_name: str
    role: Role
    alt: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One SKU with its images in listing order. ``handle`` is Shopify's; the SKU in lower case if empty."""

    sku: str
    title: str = ""
    handle: str = ""
    asin: str = ""
    images: Sequence[ExportImage] = ()


FEED_FILES = {"shopify": "shopify-images.csv", "google": "google-images.tsv", "amazon": "amazon-files.csv"}
"""The usual file name of each feed."""

_GOOGLE_ADDITIONAL_MAX = 10
_URL_MAX = 2000
_AMAZON_SLOTS = 8


def write_channel_export(feed: str, rows: Iterable[ExportRow]) -> bytes:
    """The fragment of one feed as UTF-8 bytes.

    Args:
        feed: ``shopify``, ``google`` or ``amazon`` (a pack's ``listing.feed``).
        rows: SKUs; those without images are left out, which leaves what the channel has untouched.

    Raises:
        ExportError: an unknown feed, or a row whose addresses the channel would refuse.
    """
    writers = {"shopify": _shopify, "google": _google, "amazon": _amazon}
    if feed not in writers:
        raise ExportError(f"there is no feed {feed!r}; known are {', '.join(sorted(writers))}")
    return writers[feed]([row for row in rows if row.images]).encode()


def _shopify(rows: Sequence[ExportRow]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["URL handle", "Title", "Product image URL", "Image position", "Image alt text"])
    for row in rows:
        handle = row.handle or _handle(row.sku)
        for position, image in enumerate(row.images, start=1):
            # The title belongs on a product's first row only.
            title = (row.title or row.sku) if position == 1 else ""
            writer.writerow([handle, title, _address(row, image), position, image.alt[:512]])
    return out.getvalue()


def _google(rows: Sequence[ExportRow]) -> str:
    lines = ["\t".join(("id", "image_link", "additional_image_link", "lifestyle_image_link"))]
    for row in rows:
        by_role: dict[Role, list[str]] = {"main": [], "additional": [], "lifestyle": []}
        for image in row.images:
            by_role[image.role].append(_address(row, image).replace(",", "%2C"))
        if not by_role["main"]:
            raise ExportError(f"{row.sku} has no main picture: Google needs an image_link. List it again.")
        # One lifestyle picture has its own attribute; what is left over is additional.
        spare = [*by_role["lifestyle"][1:], *by_role["main"][1:]]
        additional = [*by_role["additional"], *spare][:_GOOGLE_ADDITIONAL_MAX]
        cells = (_cell(row), by_role["main"][0], ",".join(additional), "".join(by_role["lifestyle"][:1]))
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def _amazon(rows: Sequence[ExportRow]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["sku", "asin", "file", "attribute", "alt"])
    for row in rows:
        for image in row.images:
            writer.writerow([row.sku, row.asin, image.file_name, _amazon_attribute(image), image.alt])
    return out.getvalue()


def _amazon_attribute(image: ExportImage) -> str:
    """The listing attribute of a slot, as the Listings Items API names it; empty where none is shown."""
    if image.role == "main":
        return "main_product_image_locator"
    code = re.search(r"\.PT(\d\d)\.", image.file_name)
    number = int(code[1]) if code else 0
    return f"other_product_image_locator_{number}" if 1 <= number <= _AMAZON_SLOTS else ""


def _address(row: ExportRow, image: ExportImage) -> str:
    """The image's address in plain ASCII.

    Raises:
        ExportError: there is none, it is not http(s), or it is too long.
    """
    parts = urlsplit(image.url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ExportError(
            f"{row.sku}: {image.file_name} has no public address; channels fetch pictures by http(s). "
            "Say where the files will be served from."
        )
    address = quote(image.url, safe=":/?#[]@!$&'()*+,;=%~")
    if len(address) > _URL_MAX:
        raise ExportError(
            f"{row.sku}: the address of {image.file_name} is longer than {_URL_MAX} characters."
        )
    return address


def _cell(row: ExportRow) -> str:
    if re.search(r"[\t\r\n]", row.sku):
        raise ExportError(f"{row.sku!r} holds a tab or a line break, which a tab-separated feed cannot.")
    return row.sku


def _handle(sku: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", sku.lower()).strip("-")
