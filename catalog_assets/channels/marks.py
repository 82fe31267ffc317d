"""What a delivered picture says of how it was made, and how that mark goes on to what is made from it.

A seller's "photo" may be a render or a model's picture and say so in its XMP (IPTC DigitalSourceType). What is made
from it must not say less.
"""

from __future__ import annotations

import io
from typing import Any, cast

from PIL import Image

from catalog_assets.channels.provenance import GENERATIVE_RANK, ProvenanceError, read, said_in
from catalog_assets.scenes.contract import DigitalSourceType


def declared(data: bytes) -> str | None:
    """The DigitalSourceType a picture file of any kind carries, or None where it says nothing this project knows.

    Args:
        data: the file as delivered: JPEG and PNG by their own containers, others where Pillow finds an XMP packet.
    """
    try:
        said = read(data).source_type
    except ProvenanceError:
        said = said_in(_packet_of(data)).source_type
    return said if said in GENERATIVE_RANK else None


def strongest(made: DigitalSourceType, *sources: str | None) -> DigitalSourceType:
    """The mark of a picture made in the way ``made`` from sources with marks of their own: what says most."""
    marks = [made, *(said for said in sources if said in GENERATIVE_RANK)]
    return cast("DigitalSourceType", max(marks, key=lambda mark: GENERATIVE_RANK[mark]))


def on_ground(made: DigitalSourceType, ground: str | None) -> DigitalSourceType:
    """The mark of a real product set on a ground: on one that a model drew, a composite with trained media."""
    drawn = GENERATIVE_RANK.get(ground or "", 0) >= GENERATIVE_RANK["compositeWithTrainedAlgorithmicMedia"]
    return strongest(made, "compositeWithTrainedAlgorithmicMedia") if drawn else made


def _packet_of(data: bytes) -> bytes | None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            packet: Any = image.info.get("xmp")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return packet if isinstance(packet, bytes) else None
