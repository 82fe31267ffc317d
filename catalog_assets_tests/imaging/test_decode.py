"""Every way a photo may arrive ends as upright sRGB pixels or as one plain sentence."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from catalog_assets.imaging import decode
from catalog_assets.imaging.decode import UnreadablePhoto, decode_photo, upright
from catalog_assets.imaging.encode import encode_jpeg, encode_png, thumbnail

HOSTILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "hostile_images"


def hostile_rows() -> list[dict[str, str]]:
    manifest = HOSTILE / "manifest.csv"
    if not manifest.is_file():
        return []
    with manifest.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def corner_picture() -> np.ndarray:
    """4 × 6 pixels with a different colour in each corner, so that no turn looks like another."""
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :30], picture[:20, 30:] = (255, 0, 0), (0, 255, 0)
    picture[20:, :30], picture[20:, 30:] = (0, 0, 255), (255, 255, 0)
    return picture


@pytest.mark.skipif(not hostile_rows(), reason="the hostile images are not beside the repository")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("row", hostile_rows(), ids=lambda row: Path(row["file"]).name)
def test_a_hostile_file_decodes_or_is_refused_with_a_sentence(row: dict[str, str]) -> None:
    data = (HOSTILE / row["file"]).read_bytes()
    expected = row["expected"]
    if row["file"].endswith(".heif"):
        # The manifest says what Pillow alone does; with the extra installed we rightly read it.
        pytest.importorskip("pillow_heif")
        expected = "decode"
    if expected == "decode":
        photo = decode_photo(data)
        assert photo.rgb.dtype == np.uint8
        assert photo.rgb.ndim == 3
        assert photo.rgb.flags["C_CONTIGUOUS"]
        assert photo.alpha is None or photo.alpha.shape == photo.rgb.shape[:2]
    else:
        with pytest.raises(UnreadablePhoto) as refused:
            decode_photo(data)
        assert str(refused.value).endswith(".")
        assert len(str(refused.value)) > 30


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations_come_out_upright(orientation: int) -> None:
    wanted = corner_picture()
    # Store the pixels so that the tag undoes it: the transpose of each orientation's inverse.
    inverse = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    stored = Image.fromarray(np.ascontiguousarray(upright(wanted, inverse)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = decode_photo(saved(stored, "PNG", exif=exif))
    assert photo.facts.orientation == orientation
    np.testing.assert_array_equal(photo.rgb, wanted)


def test_a_wide_gamut_profile_is_converted_to_srgb() -> None:
    profile_file = HOSTILE / "files" / "xmp_test.jpg"
    if not profile_file.is_file():
        pytest.skip("the Adobe RGB photo is not beside the repository")
    photo = decode_photo(profile_file.read_bytes())
    plain = np.asarray(Image.open(profile_file).convert("RGB")).astype(float)
    assert photo.facts.icc == "Adobe RGB (1998)"
    # Adobe RGB numbers shown as sRGB look pale: the conversion must widen the distance from grey.
    assert np.ptp(photo.rgb.astype(float), axis=2).mean() > 1.05 * np.ptp(plain, axis=2).mean()


def test_a_lab_photo_keeps_its_colours() -> None:
    rgb = Image.new("RGB", (8, 8), (200, 80, 40))
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(rgb, to_lab)
    assert lab is not None
    photo = decode_photo(saved(lab, "TIFF"))
    assert np.abs(photo.rgb[4, 4].astype(int) - (200, 80, 40)).max() <= 3


def test_sixteen_bit_grey_is_scaled_not_cut() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256).repeat(4, axis=0)
    photo = decode_photo(saved(Image.fromarray(ramp), "PNG"))
    assert photo.facts.bits == 16
    np.testing.assert_allclose(photo.rgb[0, :, 0].astype(int), np.arange(256), atol=1)


def test_alpha_is_kept_and_an_opaque_one_is_dropped() -> None:
    rgba = np.full((6, 5, 4), 255, np.uint8)
    assert decode_photo(encode_png(rgba)).alpha is None
    rgba[0, 0, 3] = 7
    alpha = decode_photo(encode_png(rgba)).alpha
    assert alpha is not None
    assert alpha[0, 0] == 7


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (9, 7), c) for c in ((250, 0, 0), (0, 250, 0))]
    photo = decode_photo(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert photo.facts.frames == 2
    assert photo.rgb[3, 3, 0] > 200
    assert photo.rgb[3, 3, 1] < 50


def test_an_empty_file_and_half_a_file_say_so() -> None:
    with pytest.raises(UnreadablePhoto, match="empty"):
        decode_photo(b"")
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    whole = encode_jpeg(noise)
    with pytest.raises(UnreadablePhoto, match="ends in the middle"):
        decode_photo(whole[: len(whole) // 2])


def test_heic_without_the_reader_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(UnreadablePhoto, match=r"catalog-assets\[heif\]"):
        decode_photo(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))


def test_a_picture_over_the_pixel_limit_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 99)
    with pytest.raises(UnreadablePhoto, match="10 × 10 pixels"):
        decode_photo(encode_png(np.zeros((10, 10, 3), np.uint8)))


def test_encoders_are_lossless_deterministic_and_profiled() -> None:
    rgba = np.random.default_rng(2).integers(0, 255, (30, 20, 4), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_png(rgba)))), rgba)
    rgb = np.ascontiguousarray(rgba[..., :3])
    jpeg = encode_jpeg(rgb, quality=95, xmp=b"<x:xmpmeta/>")
    assert jpeg == encode_jpeg(rgb, quality=95, xmp=b"<x:xmpmeta/>")
    opened = Image.open(io.BytesIO(jpeg))
    assert "sRGB" in ImageCms.getProfileDescription(
        ImageCms.ImageCmsProfile(io.BytesIO(opened.info["icc_profile"]))
    )
    assert opened.info["xmp"] == b"<x:xmpmeta/>"
    assert opened.layer[1][1:3] == (1, 1)  # 4:4:4
    with pytest.raises(ValueError, match="uint8"):
        encode_jpeg(rgb.astype(np.float32))  # type: ignore[arg-type]


def test_a_thumbnail_lays_transparency_over_a_checkerboard() -> None:
    clear = np.zeros((300, 600, 4), np.uint8)
    small = np.asarray(Image.open(io.BytesIO(thumbnail(clear, side=200, checker=True))))
    assert small.shape == (100, 200, 3)
    assert small[4, 4].mean() > 250
    assert 205 < small[4, 12].mean() < 225
