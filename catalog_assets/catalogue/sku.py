"""What may be a SKU: a safe file name, a safe partition key, and still what the seller calls it."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 100
_FORBIDDEN = {
    ",": "a comma",
    "|": "a vertical bar",
    "/": "a slash",
    "\\": "a backslash",
    ":": "a colon",
    "*": "an asterisk",
    "?": "a question mark",
    '"': "a quotation mark",
    "<": "an angle bracket",
    ">": "an angle bracket",
}
_RESERVED = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def is_reserved(name: str) -> bool:
    """Whether Windows keeps a file name, with whatever extension, to itself."""
    return _RESERVED.match(name) is not None


class IllegalSku(ValueError):
    """The text cannot be a SKU here; the message says why and what to do."""


def valid_sku(text: str) -> str:
    """The SKU without surrounding blanks and in Unicode NFC.

    NFC, because macOS hands out decomposed file names and ``É`` must be one SKU, not two.

    Raises:
        IllegalSku: it cannot be a file name and a partition key on every system we run on.
    """
    sku = unicodedata.normalize("NFC", text.strip())
    if not sku:
        raise IllegalSku("the SKU is empty: every row needs one")
    if len(sku) > MAX_LENGTH:
        raise IllegalSku(f"the SKU {sku[:20]}… has {len(sku)} characters; at most {MAX_LENGTH} are possible")
    for char, name in _FORBIDDEN.items():
        if char in sku:
            raise IllegalSku(f"the SKU {sku!r} contains {name}: replace it, for example by a hyphen")
    if not sku.isprintable() and any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in sku):
        raise IllegalSku(f"the SKU {sku!r} contains an invisible control character: type it anew")
    if sku in (".", "..") or ".." in sku or sku.startswith(".") or sku.endswith("."):
        raise IllegalSku(f"the SKU {sku!r} begins or ends with a dot or contains two in a row: remove them")
    if is_reserved(sku):
        raise IllegalSku(f"the SKU {sku!r} is a name that Windows reserves: add a prefix")
    return sku
