"""Feed fragments over many SKUs: what a channel reads beside the files themselves.

Takes plain rows and gives bytes, so that any store, any address scheme and any upload may be around it.

- ``shopify``: product CSV for updating images, current header generation (``URL handle``, ``Title``,
  ``Product image URL``, ``Image position``, ``Image alt text``); one image per row. Variants of one product
  share its handle, so their pictures follow one another in one numbering. The title stays empty where it is
  not known: an import would rename the product.
- ``google``: supplemental feed, tab-separated, ``id`` and the three image attributes. Commas inside an
  address are written ``%2C``; the joined list is not quoted, because a quoted list counts as one address
  (https://support.google.com/merchants/answer/6324370).
- ``amazon``: a list of files with the listing attribute of each slot, in the order of the slots.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlsplit

from catalog_assets.channels.rule import Role


class ExportError(ValueError):
    """A row cannot be part of the feed, or there is no such feed; the text names it and the remedy."""


@dataclass(frozen=True, slots=True)
class ExportImage:
    """One listed file. ``url`` is the public address it will have; not needed for Amazon's list."""

    file_name: str
    role: Role
    alt: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One SKU with its images in listing order. ``handle`` is Shopify's; made of the SKU where it is empty."""

    sku: str
    title: str = ""
    handle: str = ""
    asin: str = ""
    images: Sequence[ExportImage] = ()


@dataclass(frozen=True, slots=True)
class ChannelExport:
    """The feed's bytes (UTF-8) and, by SKU, why one could not be part of it."""

    data: bytes
    refused: Mapping[str, str]


FEED_FILES = {"shopify": "shopify-images.csv", "google": "google-images.tsv", "amazon": "amazon-files.csv"}
"""The usual file name of each feed."""

_Made = TypeVar("_Made")
_GOOGLE_ADDITIONAL_MAX = 10
_URL_MAX = 2000
_AMAZON_SLOTS = 8


def write_channel_export(feed: str, rows: Iterable[ExportRow]) -> ChannelExport:
    """The fragment of one feed; a row that the channel would refuse is left out and named.

    Args:
        feed: ``shopify``, ``google`` or ``amazon`` (a pack's ``listing.feed``).
        rows: SKUs; those without images are left out, which leaves what the channel has untouched.

    Raises:
        ExportError: an unknown feed.
    """
    writers = {"shopify": _shopify, "google": _google, "amazon": _amazon}
    if feed not in writers:
        raise ExportError(f"there is no feed {feed!r}; known are {', '.join(sorted(writers))}")
    refused: dict[str, str] = {}
    text = writers[feed]([row for row in rows if row.images], refused)
    return ChannelExport(text.encode(), refused)


def _each(
    rows: Iterable[ExportRow], refused: dict[str, str], make: Callable[[ExportRow], _Made]
) -> Iterator[tuple[ExportRow, _Made]]:
    for row in rows:
        try:
            yield row, make(row)
        except ExportError as error:
            refused[row.sku] = str(error)


def _shopify(rows: Sequence[ExportRow], refused: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["URL handle", "Title", "Product image URL", "Image position", "Image alt text"])
    often = Counter(row.handle or _handle(row.sku) for row in rows)

    def made(row: ExportRow) -> tuple[str, list[str]]:
        handle = row.handle or _handle(row.sku)
        if not handle or (not row.handle and often[handle] > 1):
            what = f"the handle {handle!r}, which another SKU has as well" if handle else "no handle"
            raise ExportError(
                f"{row.sku}: Shopify would get {what}. Give its own in the catalogue's column shopify_handle."
            )
        return handle, [_address(row, image) for image in row.images]

    # A product's rows must follow one another, wherever its variants stand in the catalogue.
    products: dict[str, list[tuple[ExportRow, list[str]]]] = {}
    for row, (handle, addresses) in _each(rows, refused, made):
        products.setdefault(handle, []).append((row, addresses))
    for handle, variants in products.items():
        # The title belongs on a product's first row only.
        title = variants[0][0].title
        pictures = [p for row, addresses in variants for p in zip(row.images, addresses, strict=True)]
        for position, (image, address) in enumerate(pictures, start=1):
            writer.writerow([handle, title if position == 1 else "", address, position, image.alt[:512]])
    return out.getvalue()


def _google(rows: Sequence[ExportRow], refused: dict[str, str]) -> str:
    def made(row: ExportRow) -> tuple[str, ...]:
        by_role: dict[Role, list[str]] = {"main": [], "additional": [], "lifestyle": []}
        for image in row.images:
            by_role[image.role].append(_address(row, image).replace(",", "%2C"))
        if not by_role["main"]:
            raise ExportError(f"{row.sku} has no main picture: Google needs an image_link. List it again.")
        # One lifestyle picture has its own attribute; what is left over is additional.
        spare = [*by_role["lifestyle"][1:], *by_role["main"][1:]]
        additional = [*by_role["additional"], *spare][:_GOOGLE_ADDITIONAL_MAX]
        return _cell(row), by_role["main"][0], ",".join(additional), "".join(by_role["lifestyle"][:1])

    head = ("id", "image_link", "additional_image_link", "lifestyle_image_link")
    lines = [head, *(cells for _, cells in _each(rows, refused, made))]
    return "".join("\t".join(cells) + "\n" for cells in lines)


def _amazon(rows: Sequence[ExportRow], refused: dict[str, str]) -> str:
    del refused  # a list of files has nothing to refuse
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
