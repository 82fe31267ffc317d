"""The mark that says how a picture was made goes in, comes back, and moves no pixel."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from catalog_assets.channels import provenance
from catalog_assets.channels.provenance import GENERATIVE_RANK, ProvenanceError

GOOGLE = {"compositeWithTrainedAlgorithmicMedia": "trainedAlgorithmicMedia"}
NAMES = st.sampled_from(sorted(GENERATIVE_RANK))


def picture(width: int = 24, height: int = 16, mode: str = "RGB", seed: int = 0) -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, bands), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(), mode) if bands == 1 else Image.fromarray(pixels, mode)


def coded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


JPEGS = {
    "baseline": coded(picture(), "JPEG", quality=92),
    "progressive with several scans": coded(picture(64, 48), "JPEG", progressive=True, quality=80),
    "CMYK with an Adobe segment": coded(picture(mode="CMYK"), "JPEG"),
    "grey": coded(picture(mode="L"), "JPEG"),
    "with restart markers": coded(picture(80, 80), "JPEG", restart_marker_blocks=2),
}
PNGS = {
    "RGB": coded(picture(), "PNG"),
    "RGBA": coded(picture(mode="RGBA"), "PNG"),
    "palette": coded(picture().quantize(8), "PNG"),
}


@pytest.mark.parametrize("name", [*JPEGS, *PNGS])
def test_a_mark_comes_back_and_no_pixel_moves(name: str) -> None:
    data = {**JPEGS, **PNGS}[name]
    marked = provenance.embed(data, "algorithmicallyEnhanced")
    assert provenance.read(marked).source_type == "algorithmicallyEnhanced"
    assert provenance.read(marked).creator_tool == "catalog_assets"
    np.testing.assert_array_equal(pixels(marked), pixels(data))


@given(name=NAMES, kind=st.sampled_from(["JPEG", "PNG"]), seed=st.integers(0, 99), w=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_any_picture_takes_any_mark_and_marking_again_changes_nothing(
    name: str, kind: str, seed: int, w: int
) -> None:
    data = coded(picture(w, 9, seed=seed), kind)
    once = provenance.embed(data, name)
    assert provenance.embed(once, name) == once
    assert provenance.read(once).source_type == name
    np.testing.assert_array_equal(pixels(once), pixels(data))


@given(first=NAMES, then=NAMES)
@settings(deadline=None)
def test_a_file_that_says_generated_never_says_less_afterwards(first: str, then: str) -> None:
    once = provenance.embed(JPEGS["baseline"], first)
    said = provenance.read(provenance.embed(once, then)).source_type
    assert said is not None
    assert GENERATIVE_RANK[said] == max(GENERATIVE_RANK[first], GENERATIVE_RANK[then])


def test_pillow_reads_the_same_packet_we_wrote() -> None:
    marked = provenance.embed(JPEGS["baseline"], "trainedAlgorithmicMedia")
    assert b"digitalsourcetype/trainedAlgorithmicMedia" in Image.open(io.BytesIO(marked)).info["xmp"]
    png = Image.open(io.BytesIO(provenance.embed(PNGS["RGB"], "trainedAlgorithmicMedia")))
    assert "digitalsourcetype/trainedAlgorithmicMedia" in png.info["XML:com.adobe.xmp"]


def test_google_reads_trained_media_where_only_the_background_was_generated() -> None:
    marked = provenance.embed(JPEGS["baseline"], "compositeWithTrainedAlgorithmicMedia", overrides=GOOGLE)
    assert provenance.read(marked).source_type == "trainedAlgorithmicMedia"


def test_an_override_may_not_hide_that_a_picture_is_generated() -> None:
    with pytest.raises(ProvenanceError, match="hide"):
        provenance.embed(
            JPEGS["baseline"], "trainedAlgorithmicMedia", overrides={"trainedAlgorithmicMedia": "composite"}
        )


def test_place_camera_serial_and_captions_stay_behind_and_the_colour_profile_comes_along() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "CANARY description"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8769)[0xA431] = "CANARY serial"
    data = coded(picture(), "JPEG", exif=exif, icc_profile=profile, comment=b"CANARY comment")
    data += coded(picture(), "JPEG", exif=exif)  # a second picture after the end, as phones write
    marked = provenance.embed(data, "digitalCapture")
    assert b"CANARY" in data
    assert b"CANARY" not in marked
    assert b"Exif" not in marked
    assert Image.open(io.BytesIO(marked)).info["icc_profile"] == profile

    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "CANARY")
    text.add_itxt("Author", "CANARY", zip=False)
    png = coded(picture(), "PNG", pnginfo=text, exif=exif, icc_profile=profile, dpi=(300, 300))
    marked = provenance.embed(png, "digitalCapture")
    assert b"CANARY" not in marked
    assert Image.open(io.BytesIO(marked)).info["icc_profile"] == profile
    assert Image.open(io.BytesIO(marked)).info["dpi"][0] == pytest.approx(300, abs=0.1)


def with_packet(packet: bytes) -> bytes:
    body = b"http://ns.adobe.com/xap/1.0/\x00" + packet
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + JPEGS["baseline"][2:]


@pytest.mark.parametrize(
    "inner",
    [
        '<rdf:Description rdf:about="" e:DigitalSourceType="URI"/>',
        '<rdf:Description rdf:about=""><e:DigitalSourceType>URI</e:DigitalSourceType></rdf:Description>',
        '<rdf:Description rdf:about=""><e:DigitalSourceType rdf:resource="URI"/></rdf:Description>',
    ],
)
def test_all_three_spellings_of_other_tools_are_read(inner: str) -> None:
    uri = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"{inner.replace('URI', uri)}</rdf:RDF></x:xmpmeta>"
    )
    assert provenance.read(with_packet(packet.encode())).source_type == "trainedAlgorithmicMedia"


def test_a_hostile_packet_is_not_expanded_and_reads_as_silence() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><a>&b;</a>'
    assert provenance.read(with_packet(bomb)).source_type is None
    assert provenance.read(with_packet(b"<not xml")).source_type is None


def test_a_compressed_png_packet_is_read() -> None:
    packet = zlib.compress(provenance.xmp_packet("composite"))
    body = b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + packet
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    data = PNGS["RGB"]
    assert provenance.read(data[:33] + chunk + data[33:]).source_type == "composite"


@given(data=st.binary(max_size=200), head=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
@settings(max_examples=200, deadline=None)
def test_garbage_raises_a_plain_error_and_nothing_else(data: bytes, head: bytes) -> None:
    with contextlib.suppress(ProvenanceError):
        provenance.embed(head + data, "digitalCapture")


@pytest.mark.parametrize("name", [*JPEGS, *PNGS])
def test_a_cut_off_file_is_refused_at_every_length(name: str) -> None:
    data = {**JPEGS, **PNGS}[name]
    for length in range(0, len(data) - 1, max(1, len(data) // 60)):
        with pytest.raises(ProvenanceError):
            provenance.embed(data[:length], "digitalCapture")


def test_the_check_passes_the_right_mark_and_names_a_wrong_or_missing_one() -> None:
    bare = JPEGS["baseline"]
    marked = provenance.embed(bare, "trainedAlgorithmicMedia")
    right = provenance.check_provenance(marked, "trainedAlgorithmicMedia", subject="counter")
    assert right.passed
    assert right.check == "provenance"
    missing = provenance.check_provenance(bare, "trainedAlgorithmicMedia")
    assert not missing.passed
    assert missing.measured == "absent"
    assert "does not say" in missing.message
    wrong = provenance.check_provenance(marked, "digitalCapture", severity="warn")
    assert not wrong.passed
    assert wrong.severity == "warn"
    unread = provenance.check_provenance(b"GIF89a", "digitalCapture")
    assert not unread.passed
    assert unread.measured is None
