"""One row of the catalogue, as the rest of the code sees it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

_NUMBER = re.compile(r"^[+-]?\d+(\.\d+)?$")


class Item(BaseModel):
    """What the catalogue says of one SKU. Sizes are millimetres of the product as it is shown.

    ``label_lines`` is the expected print, line by line; ``extra`` keeps the columns we have no use for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sku: str
    title: str = ""
    brand: str = ""
    category: str = ""
    collection: str = ""
    material: str = ""
    colour: str = ""
    label_text: str = ""
    language: str = ""
    price: float | None = Field(default=None, ge=0)
    currency: str = ""
    gtin: str = ""
    asin: str = ""
    height_mm: float | None = Field(default=None, gt=0, le=100_000)
    width_mm: float | None = Field(default=None, gt=0, le=100_000)
    depth_mm: float | None = Field(default=None, gt=0, le=100_000)
    items: int | None = Field(default=None, ge=1, le=1000)
    photo: str = ""
    extra: dict[str, str] = Field(default_factory=dict)

    @field_validator("price", "height_mm", "width_mm", "depth_mm", "items", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        """Numbers as sellers type them: ``12,5``, ``€ 12.50``, ``1.299,00``, an empty cell."""
        if not isinstance(value, str):
            return value
        text = re.sub(r"[^\d.,+-]", "", value)
        if not value.strip():
            return None
        if "," in text and "." in text:
            decimal = "," if text.rfind(",") > text.rfind(".") else "."
            text = text.replace("." if decimal == "," else ",", "").replace(",", ".")
        elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", text):
            text = text.replace(",", "")
        else:
            text = text.replace(",", ".")
        if not _NUMBER.match(text):
            raise ValueError("is not a number")
        return text

    @field_validator("gtin", mode="after")
    @classmethod
    def _gtin(cls, value: str) -> str:
        digits = re.sub(r"[\s-]", "", value)
        if digits and (not digits.isdecimal() or len(digits) not in (8, 12, 13, 14)):
            raise ValueError("is not a GTIN: it has 8, 12, 13 or 14 digits")
        if digits and not _check_digit_fits(digits):
            raise ValueError("is not a GTIN: its last digit does not fit the others")
        return digits

    @field_validator("asin", mode="after")
    @classmethod
    def _asin(cls, value: str) -> str:
        asin = value.strip().upper()
        if asin and not re.fullmatch(r"[A-Z0-9]{10}", asin):
            raise ValueError("is not an ASIN: it has 10 letters and digits")
        return asin

    @property
    def label_lines(self) -> tuple[str, ...]:
        """The expected print, one entry per line."""
        return tuple(line.strip() for line in self.label_text.split("|") if line.strip())

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of the print; English where the catalogue does not say."""
        codes = tuple(code.lower() for code in re.split(r"[;,\s]+", self.language) if code)
        return codes or ("en",)


def _check_digit_fits(digits: str) -> bool:
    """The GS1 modulo-10 check (GS1 General Specifications, section 7.9)."""
    body = [int(d) for d in digits[:-1]][::-1]
    total = sum(d * (3 if i % 2 == 0 else 1) for i, d in enumerate(body))
    return (10 - total % 10) % 10 == int(digits[-1])
