"""The catalogue file, row by row: what is good goes on, what is not is named with row, column and remedy."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from catalog_assets.catalogue.item import Item
from catalog_assets.catalogue.shopify import from_shopify, is_shopify
from catalog_assets.catalogue.sku import IllegalSku, valid_sku

SYNONYMS = {"color": "colour", "colors": "colour", "colours": "colour", "barcode": "gtin", "ean": "gtin"}
COLUMNS = tuple(name for name in Item.model_fields if name != "extra")
MAX_BYTES = 512_000_000
MAX_CELL = 131_072
"""Characters of one value; a longer one is somebody's embedded picture or a mark that is not closed."""

Row = dict[str, str]


class CatalogueError(ValueError):
    """The catalogue as a whole cannot be read; the text names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the inventory a person should mend. ``row`` counts the header as row 1.

    ``rejected`` tells whether the whole row was left out (else only the named value was).
    """

    file: str
    message: str
    row: int | None = None
    column: str | None = None
    sku: str | None = None
    rejected: bool = False

    def __str__(self) -> str:
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column:
            place += f", column {self.column}"
        return f"{place}: {self.message}"


@dataclass(slots=True)
class Catalogue:
    """Items by SKU in sorted order, and everything that was wrong."""

    items: dict[str, Item] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_catalogue(data: bytes, file: str) -> Catalogue:
    """Read ``catalog.csv`` or ``catalog.parquet``, ours or a Shopify product export.

    Args:
        data: the file, whole.
        file: its name, for messages; the extension decides the format.

    Raises:
        CatalogueError: it is not a table, or has no column ``sku``.
    """
    if len(data) > MAX_BYTES:
        raise CatalogueError(f"{file} is larger than {MAX_BYTES // 1_000_000} MB: split the catalogue")
    ragged: list[Problem] = []
    rows = _parquet_rows(data, file) if file.endswith(".parquet") else _csv_rows(data, file, ragged)
    rows = list(rows)
    header = list(rows[0][1]) if rows else _header_only(data, file)
    if is_shopify(header):
        rows = list(from_shopify(rows))
    elif "sku" not in header:
        seen = ", ".join(header[:8]) or "none"
        raise CatalogueError(f"{file} has no column 'sku' (columns seen: {seen}): name the SKU column sku")
    catalogue = _validated(rows, file)
    catalogue.problems[:0] = ragged
    return catalogue


def _validated(rows: Iterable[tuple[int, Row]], file: str) -> Catalogue:
    found: dict[str, Item] = {}
    row_of: dict[str, int] = {}
    problems: list[Problem] = []
    for number, row in rows:
        if not any(row.values()):
            continue
        try:
            sku = valid_sku(row.get("sku", ""))
        except IllegalSku as error:
            said = f"{error}. This row is left out."
            given = row.get("sku", "").strip()[:120] or None
            problems.append(Problem(file, said, number, "sku", given, rejected=True))
            continue
        # Two SKUs that differ only in case would share one file on macOS and Windows.
        twin = row_of.get(sku.casefold())
        if twin is not None:
            text = f"the SKU {sku!r} is already in row {twin}; this row is left out. Keep one of them."
            problems.append(Problem(file, text, number, "sku", sku, rejected=True))
            continue
        row_of[sku.casefold()] = number
        found[sku] = _item(sku, row, file, number, problems)
    return Catalogue({sku: found[sku] for sku in sorted(found)}, problems)


def _item(sku: str, row: Row, file: str, number: int, problems: list[Problem]) -> Item:
    values: dict[str, object] = {name: row[name] for name in COLUMNS if row.get(name)}
    values["sku"] = sku
    extra = {name: value for name, value in row.items() if name not in COLUMNS and value}
    for _ in range(len(COLUMNS)):
        try:
            return Item.model_validate({**values, "extra": extra})
        except ValidationError as error:
            first = error.errors()[0]
            column = str(first["loc"][0])
            said = first["msg"].removeprefix("Value error, ")
            text = f"{row.get(column, '')!r} {_plain(said)}; the value is ignored, the SKU goes on."
            problems.append(Problem(file, text, number, column, sku))
            values.pop(column, None)
    raise AssertionError("every column has been dropped and the item is still invalid")


def _plain(message: str) -> str:
    """Pydantic's wording, as the end of a sentence that begins with the value."""
    if message.startswith("Input should be"):
        return "should be" + message.removeprefix("Input should be")
    return message


def _csv_rows(data: bytes, file: str, problems: list[Problem]) -> Iterator[tuple[int, Row]]:
    text = _text(data, file)
    header: list[str] = []
    for number, (cells, closed) in enumerate(_records(text, _delimiter(text)), start=1):
        if not closed:
            message = (
                "its quotation marks do not match, so it is read to the end of its line only. Mend them."
            )
            problems.append(Problem(file, message, number))
        if number == 1:
            header = [_column(name) for name in cells]
            continue
        if len(cells) > len(header) and any(c.strip() for c in cells[len(header) :]):
            where = f"has {len(cells)} cells but the header has {len(header)}"
            message = f"{where}; the cells beyond are ignored. Put values with commas in quotation marks."
            problems.append(Problem(file, message, number))
        for column, cell in zip(header, cells, strict=False):
            if len(cell) > MAX_CELL:
                message = (
                    f"has {len(cell)} characters, more than {MAX_CELL}; the value is ignored. Shorten it."
                )
                problems.append(Problem(file, message, number, column))
        short = ("" if len(cell) > MAX_CELL else cell for cell in cells)
        yield number, _row(zip(header, short, strict=False))


class _Lines:
    """The lines of a text, from any one on."""

    def __init__(self, text: str) -> None:
        self.lines = list(io.StringIO(text, newline=""))
        self.at = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.at == len(self.lines):
            raise StopIteration
        self.at += 1
        return self.lines[self.at - 1]


def _records(text: str, delimiter: str) -> Iterator[tuple[list[str], bool]]:
    """The cells of each row, and whether its quotation marks are closed.

    One that is not closed would take all rows up to the next one into its cell, or the rest of the file.
    A row over several lines that is not what a spreadsheet would write ends with its first line instead.
    """
    csv.field_size_limit(MAX_BYTES)  # the module's own limit refuses the file; ours refuses the value
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter)
    while lines.at < len(lines.lines):
        first = lines.at
        cells = next(reader, [])
        own = lines.lines[first : lines.at]
        # One that ends with its line took nothing from another row; the last may only have ended with the file.
        alone = len(own) == 1 and lines.at < len(lines.lines)
        closed = alone or _well_formed(own, delimiter)
        if not closed:
            lines.at = first + 1
            reader = csv.reader(lines, delimiter=delimiter)
            cells = next(csv.reader(own[:1], delimiter=delimiter), [])
        yield cells, closed


def _well_formed(lines: list[str], delimiter: str) -> bool:
    try:
        return len(list(csv.reader(lines, delimiter=delimiter, strict=True))) == 1
    except csv.Error:
        return False


def _header_only(data: bytes, file: str) -> list[str]:
    if file.endswith(".parquet"):
        return []
    text = _text(data, file)
    return [_column(name) for name in next(csv.reader(io.StringIO(text), delimiter=_delimiter(text)), [])]


def _parquet_rows(data: bytes, file: str) -> Iterator[tuple[int, Row]]:
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except Exception as error:  # noqa: BLE001  polars raises a dozen kinds for a damaged file
        raise CatalogueError(f"{file} is not a readable Parquet file ({error}): write it again") from None
    for number, row in enumerate(frame.iter_rows(named=True), start=2):
        yield number, _row((_column(k), "" if v is None else str(v)) for k, v in row.items())


def _row(cells: Iterable[tuple[str, str]]) -> Row:
    row: Row = {}
    for name, value in cells:
        # Of a column given twice (`color` beside `colour`), the first filled one counts.
        if name and not row.get(name):
            row[name] = value.strip()
    return row


def _column(name: str) -> str:
    plain = name.strip().lower().replace("\ufeff", "")
    return SYNONYMS.get(plain, plain)


def _text(data: bytes, file: str) -> str:
    if b"\x00" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CatalogueError(f"{file} is not a text file: save the table as CSV UTF-8")
    for encoding in ("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CatalogueError(f"{file} is in an unknown encoding: save it as CSV UTF-8")


def _delimiter(text: str) -> str:
    """German and French spreadsheets write semicolons, exports from databases tabs."""
    head = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=head.count)


def summary(problems: Iterable[Problem]) -> Mapping[str, int]:
    """How many rows were left out and how many values ignored."""
    listed = list(problems)
    rejected = sum(p.rejected for p in listed)
    return {"rows_left_out": rejected, "values_ignored": len(listed) - rejected}
