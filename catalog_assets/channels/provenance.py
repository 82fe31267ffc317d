"""How a picture was made, written into the file as IPTC DigitalSourceType, and read back.

Marketplaces and the EU AI Act ask that generated pictures say so in the file itself. The mark is the XMP
property ``Iptc4xmpExt:DigitalSourceType`` (IPTC Photo Metadata Standard; values from the NewsCodes
vocabulary http://cv.iptc.org/newscodes/digitalsourcetype/). It is put into finished JPEG and PNG bytes
without touching the coded pixels, and a file that already says "generated" never says less afterwards.

Everything else a file said of itself (EXIF with GPS and serial numbers, captions, thumbnails, C2PA
manifests that the change would break) is left behind; the colour profile and what decoders need stay.

Container formats: ISO/IEC 10918-1 (JPEG segments), Adobe XMP Specification Part 3 (XMP in APP1 and in the
PNG ``iTXt`` chunk ``XML:com.adobe.xmp``), PNG Specification 3rd edition. The Python libraries that write
XMP either need a native toolkit (python-xmp-toolkit, pyexiv2) or re-encode the picture (Pillow), so the
two containers are edited here and XML is only ever parsed by defusedxml.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element  # the type only; parsing is defusedxml's
from xml.sax.saxutils import quoteattr

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from catalog_assets.qc.findings import Finding, Severity

CREATOR_TOOL = "catalog_assets"
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"

GENERATIVE_RANK: dict[str, int] = {
    "digitalCapture": 0,
    "computationalCapture": 0,
    "humanEdits": 0,
    "composite": 1,
    "compositeCapture": 1,
    "algorithmicallyEnhanced": 1,
    "compositeSynthetic": 2,
    "algorithmicMedia": 2,
    "compositeWithTrainedAlgorithmicMedia": 3,
    "trainedAlgorithmicMedia": 4,
}
"""The vocabulary this project writes, and how much of such a picture a machine invented; a mark is only
ever replaced by one of the same or a higher rank."""

_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"
_EXTENDED_XMP_HEADER = b"http://ns.adobe.com/xmp/extension/\x00"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_XMP_KEYWORD = b"XML:com.adobe.xmp"
_PNG_KEEP = frozenset(
    (
        b"IHDR",
        b"PLTE",
        b"IDAT",
        b"IEND",
        b"tRNS",
        b"cHRM",
        b"gAMA",
        b"iCCP",
        b"sBIT",
        b"sRGB",
        b"cICP",
        b"pHYs",
    )
)
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_IPTC_EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_XMP_NS = "{http://ns.adobe.com/xap/1.0/}"

Container = Literal["jpeg", "png"]


class ProvenanceError(ValueError):
    """The bytes are not a JPEG or PNG that can carry the mark, or the mark is not in the vocabulary."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a file says about how it was made.

    ``source_type`` is the short name (``trainedAlgorithmicMedia``), or the value as written where it is
    not from the IPTC vocabulary, or None where the file says nothing.
    """

    source_type: str | None
    creator_tool: str | None = None


def source_type_for(source_type: str, overrides: Mapping[str, str] | None = None) -> str:
    """The short name a channel wants to read for a picture made in a certain way.

    ``overrides`` is the channel pack's mapping; a channel may ask for a stronger mark than the true one
    (Google Merchant Center names only ``trainedAlgorithmicMedia``), never for a weaker one.

    Raises:
        ProvenanceError: an unknown name, or an override that would hide that a picture is generated.
    """
    _require_known(source_type)
    wanted = (overrides or {}).get(source_type, source_type)
    _require_known(wanted)
    if GENERATIVE_RANK[wanted] < GENERATIVE_RANK[source_type]:
        raise ProvenanceError(
            f"the channel maps {source_type} to {wanted}, which would hide how the picture was made; "
            "map it to the same or a stronger source type"
        )
    return wanted


def xmp_packet(source_type: str, creator_tool: str = CREATOR_TOOL) -> bytes:
    """A complete, minimal XMP packet (UTF-8) with DigitalSourceType and CreatorTool and nothing else.

    Raises:
        ProvenanceError: ``source_type`` is not in :data:`GENERATIVE_RANK`.
    """
    _require_known(source_type)
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f" xmp:CreatorTool={quoteattr(creator_tool)}"
        f" Iptc4xmpExt:DigitalSourceType={quoteattr(VOCABULARY + source_type)}/>"
        "</rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    ).encode()


def embed(
    data: bytes,
    source_type: str,
    *,
    overrides: Mapping[str, str] | None = None,
    creator_tool: str = CREATOR_TOOL,
) -> bytes:
    """The same picture with the mark in it and no other metadata; coded pixels are copied byte for byte.

    A mark already in the file that says more (was generated by a model) is kept instead of a weaker one.
    Equal input gives equal bytes.

    Args:
        data: a JPEG or PNG file.
        source_type: how the picture was really made, a key of :data:`GENERATIVE_RANK`.
        overrides: the channel's mapping, see :func:`source_type_for`.
        creator_tool: written as ``xmp:CreatorTool``.

    Raises:
        ProvenanceError: not a whole JPEG or PNG, or an unknown source type.
    """
    wanted = source_type_for(source_type, overrides)
    said = read(data).source_type
    if said is not None and GENERATIVE_RANK.get(said, 0) > GENERATIVE_RANK[wanted]:
        wanted = source_type_for(said, overrides)
    packet = xmp_packet(wanted, creator_tool)
    return _embed_jpeg(data, packet) if _container(data) == "jpeg" else _embed_png(data, packet)


def read(data: bytes) -> Provenance:
    """What the file says; ``Provenance(None)`` where it says nothing or its XMP is not readable XML.

    Raises:
        ProvenanceError: not a whole JPEG or PNG.
    """
    return said_in(_jpeg_packet(data) if _container(data) == "jpeg" else _png_packet(data))


def said_in(packet: bytes | None) -> Provenance:
    """What an XMP packet says; ``Provenance(None)`` without a packet, or with one that is not readable XML."""
    if packet is None:
        return Provenance(None)
    try:
        root = ElementTree.fromstring(packet)
    except (ElementTree.ParseError, DefusedXmlException, ValueError):
        return Provenance(None)
    said = _property(root, f"{_IPTC_EXT}DigitalSourceType")
    tool = _property(root, f"{_XMP_NS}CreatorTool")
    return Provenance(said.rsplit("/", 1)[-1] if said and said.startswith(VOCABULARY) else said, tool)


def check_provenance(
    data: bytes, expected: str, *, severity: Severity = "block", subject: str = ""
) -> Finding:
    """Rule ``provenance``: the file carries the mark it should.

    Args:
        data: the file as it would be uploaded.
        expected: short name, after any channel override.
        severity: of a missing or wrong mark.
        subject: the picture's name, for the message.

    Returns:
        Passed when the mark is exactly the expected one; unmeasured (``measured=None``) when the file is
        neither JPEG nor PNG.
    """

    def finding(passed: bool, measured: str | None, message: str, remedy: str = "") -> Finding:
        return Finding(
            rule="provenance",
            passed=passed,
            severity=severity,
            measured=measured,
            limit=expected,
            unit="IPTC DigitalSourceType",
            message=message,
            remedy=remedy,
            subject=subject,
        )

    again = "Export the picture again so that the mark is written; do not strip metadata on the way."
    try:
        said = read(data).source_type
    except ProvenanceError as error:
        return finding(False, None, f"Whether the picture says how it was made could not be read: {error}.")
    if said == expected:
        return finding(True, said, f"The file says how the picture was made: {said}.")
    if said is None:
        return finding(
            False, "absent", f"The file does not say how the picture was made; it must say {expected}.", again
        )
    return finding(False, said, f"The file says it was made as {said}, but it must say {expected}.", again)


def _require_known(source_type: str) -> None:
    if source_type not in GENERATIVE_RANK:
        raise ProvenanceError(
            f"{source_type!r} is not a digital source type; use one of {', '.join(GENERATIVE_RANK)}"
        )


def _container(data: bytes) -> Container:
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:8] == _PNG_SIGNATURE:
        return "png"
    raise ProvenanceError("the file is neither a JPEG nor a PNG")


# JPEG: marker segments, each with a length; after every SOS entropy-coded data up to the next marker.

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not a stuffed 0xFF, a restart or a fill byte


def _jpeg_header(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields ``(marker, start, end)`` of each segment between SOI and the first SOS, SOS itself last."""
    at = 2
    while True:
        if at + 4 > len(data) or data[at] != 0xFF:
            raise ProvenanceError("the JPEG is damaged before its picture data")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        if end < at + 4 or end > len(data):
            raise ProvenanceError("the JPEG is cut off before its picture data")
        yield marker, at, end
        if marker == 0xDA:
            return
        at = end


def _jpeg_scans(data: bytes, start: int) -> bytes:
    """From the first SOS to EOI: all scans and their tables, without what lies between or after them.

    Phones append second pictures and films after EOI, with their own EXIF; those do not come along.
    """
    kept: list[bytes] = []
    at = start
    while True:
        marker = data[at + 1] if at + 1 < len(data) else -1
        if marker == 0xD9:
            return b"".join((*kept, data[at : at + 2]))
        if at + 4 > len(data):
            raise ProvenanceError("the JPEG is cut off")
        end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        following = _NEXT_MARKER.search(data, end)
        if following is None:
            raise ProvenanceError("the JPEG is cut off")
        if _jpeg_keeps(marker, data[at + 4 : end]):
            kept.append(data[at : following.start()])
        at = following.start()


def _jpeg_keeps(marker: int, body: bytes) -> bool:
    if marker == 0xE2:  # APP2 carries ICC profiles, and also multi-picture indexes
        return body.startswith(b"ICC_PROFILE\x00")
    if marker == 0xEE:  # APP14 tells decoders whether the channels are RGB or YCbCr
        return body.startswith(b"Adobe")
    if marker == 0xE0:
        return body.startswith(b"JFIF\x00")
    return not (0xE1 <= marker <= 0xEF or marker == 0xFE)


def _embed_jpeg(data: bytes, packet: bytes) -> bytes:
    body = _XMP_HEADER + packet
    xmp = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    first: list[bytes] = []
    rest: list[bytes] = []
    for marker, start, end in _jpeg_header(data):
        if marker == 0xDA:
            rest.append(_jpeg_scans(data, start))
        elif _jpeg_keeps(marker, data[start + 4 : end]):
            # JFIF asks to come first of all; XMP follows it directly, as Adobe's Part 3 recommends.
            (first if marker == 0xE0 else rest).append(data[start:end])
    return b"".join((data[:2], *first, xmp, *rest))


def _jpeg_packet(data: bytes) -> bytes | None:
    for marker, start, end in _jpeg_header(data):
        body = data[start + 4 : end]
        if marker == 0xE1 and body.startswith(_XMP_HEADER):
            return body[len(_XMP_HEADER) :]
    return None


# PNG: a list of chunks with a length and a CRC each.


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yields ``(kind, start, end)`` of each whole chunk, IEND last; ``start`` is at the length field."""
    at = len(_PNG_SIGNATURE)
    while True:
        if at + 12 > len(data):
            raise ProvenanceError("the PNG is cut off")
        length = struct.unpack(">I", data[at : at + 4])[0]
        kind = data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise ProvenanceError("the PNG is cut off")
        yield kind, at, end
        if kind == b"IEND":
            return
        at = end


def _embed_png(data: bytes, packet: bytes) -> bytes:
    # keyword, NUL, not compressed, method 0, empty language tag, empty translated keyword, text
    body = _PNG_XMP_KEYWORD + b"\x00\x00\x00\x00\x00" + packet
    xmp = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    out = [_PNG_SIGNATURE]
    for kind, start, end in _png_chunks(data):
        if kind not in _PNG_KEEP:
            continue
        out.append(data[start:end])
        if kind == b"IHDR":
            out.append(xmp)
    return b"".join(out)


def _png_packet(data: bytes) -> bytes | None:
    for kind, start, end in _png_chunks(data):
        if kind != b"iTXt":
            continue
        keyword, _, rest = data[start + 8 : end - 4].partition(b"\x00")
        if keyword != _PNG_XMP_KEYWORD or len(rest) < 2:
            continue
        compressed, text = rest[0], rest[2:].split(b"\x00", 2)[-1]
        return _inflate(text) if compressed else text
    return None


def _inflate(text: bytes, limit: int = 4 << 20) -> bytes | None:
    """At most ``limit`` bytes: a compressed chunk may not unfold into more than any XMP needs."""
    try:
        return zlib.decompressobj().decompress(text, limit)
    except zlib.error:
        return None


def _property(root: Element, name: str) -> str | None:
    """An XMP simple property in any of its three spellings: attribute, element text, rdf:resource."""
    for node in root.iter():
        if name in node.attrib:
            return node.attrib[name]
        if node.tag == name:
            return node.attrib.get(f"{_RDF}resource") or (node.text or "").strip() or None
    return None
