"""What a delivered file says of how it was made, and what is made from it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from catalog_assets.channels.marks import declared, on_ground, strongest
from catalog_assets.channels.provenance import embed, xmp_packet
from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.scenes.contract import DigitalSourceType

PIXELS = np.full((32, 48, 3), 120, np.uint8)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_mark_is_read_from_every_format_that_can_carry_it(format_: str):
    buffer = io.BytesIO()
    packet = xmp_packet("trainedAlgorithmicMedia")
    if format_ == "TIFF":
        Image.fromarray(PIXELS).save(buffer, format_, tiffinfo={700: packet})
    else:
        Image.fromarray(PIXELS).save(buffer, format_)
    data = buffer.getvalue()
    if format_ in ("JPEG", "PNG"):
        data = embed(data, "trainedAlgorithmicMedia")
    elif format_ == "WEBP":
        buffer = io.BytesIO()
        Image.fromarray(PIXELS).save(buffer, format_, xmp=packet)
        data = buffer.getvalue()
    assert declared(data) == "trainedAlgorithmicMedia"


@pytest.mark.parametrize("data", [b"", b"no picture", encode_jpeg(PIXELS)])
def test_a_file_that_says_nothing_declares_nothing(data: bytes):
    assert declared(data) is None


@pytest.mark.parametrize(
    ("made", "sources", "mark"),
    [
        ("algorithmicallyEnhanced", ("digitalCapture", None), "algorithmicallyEnhanced"),
        ("algorithmicallyEnhanced", ("trainedAlgorithmicMedia",), "trainedAlgorithmicMedia"),
        ("compositeWithTrainedAlgorithmicMedia", ("digitalCapture",), "compositeWithTrainedAlgorithmicMedia"),
        ("composite", ("a word nobody knows",), "composite"),
    ],
)
def test_a_mark_never_says_less_than_its_sources(
    made: DigitalSourceType, sources: tuple[str | None, ...], mark: str
):
    assert strongest(made, *sources) == mark


def test_a_real_product_on_a_generated_ground_is_a_composite_with_trained_media():
    assert on_ground("composite", "trainedAlgorithmicMedia") == "compositeWithTrainedAlgorithmicMedia"
    assert on_ground("composite", "digitalCapture") == on_ground("composite", None) == "composite"
