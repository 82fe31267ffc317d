"""Renditions: what a channel gets is within its limits, named as it wants, and the same every time."""

import io
import re
from dataclasses import replace
from datetime import date
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from catalog_assets.channels import fit, provenance
from catalog_assets.channels.names import legal_identifier, safe_name
from catalog_assets.channels.packs import load_packs
from catalog_assets.channels.proof import prove
from catalog_assets.channels.rendition import ListingItem, ListingSource, alt_text, render_listing
from catalog_assets.imaging.compose import Composition
from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.imaging.grounds import Background, Gradient
from catalog_assets.imaging.packshot import PackshotSpec, compose_packshot

ON = date(2026, 11, 21)
PACKS = load_packs()
AMAZON, GOOGLE, SHOPIFY = PACKS["amazon.main"], PACKS["google.shopping"], PACKS["shopify"]
ITEM = ListingItem("FH-1", "Stoneware mug", asin="B000123456", gtin="4006381333931", category="Kitchen")


def disc(side: int = 600, width: float = 0.7, height: float = 0.8) -> np.ndarray:
    """An elliptic product with a pattern on it, as a cutout."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    inside = (x / (width / 2)) ** 2 + (y / (height / 2)) ** 2
    alpha = np.clip((1 - inside) * 40, 0, 1)
    rgb = np.stack([120 + 60 * np.sin(x * 30), 90 + 50 * np.cos(y * 25), np.full_like(x, 70)], axis=-1)
    return np.dstack([rgb, alpha * 255]).astype(np.uint8)


CUTOUT = disc(1320)


@cache
def composition(fill: float, background: Background) -> Composition:
    spec = PackshotSpec(width=1200, height=1200, fill=fill, background=background)
    return compose_packshot(CUTOUT, spec)


def packshot(fill: float = 0.87, background: Background = (255, 255, 255), **changes) -> ListingSource:
    composed = composition(fill, background)
    plain = ListingSource(
        "packshot", "hero", "hero", composed.rgb, CUTOUT, background=background, transform=composed.transform
    )
    return replace(plain, **changes)


def scene(name: str = "counter", width: int = 1600, height: int = 1200, **changes) -> ListingSource:
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 / width, y * 255 / height, (x + y) % 256], axis=-1).astype(np.uint8)
    plain = ListingSource(
        "scene", name, "hero", rgb, digital_source_type="compositeWithTrainedAlgorithmicMedia"
    )
    return replace(plain, **changes)


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_packshot_that_suits_amazon_is_used_as_it_is() -> None:
    source = packshot()
    (image,) = render_listing(AMAZON, ITEM, [source], ON)
    assert image.file_name == "B000123456.MAIN.jpg"
    assert (image.role, image.recomposed) == ("main", False)
    seen = np.asarray(decoded(image.data)).astype(int)
    assert np.abs(seen - source.rgb).mean() < 2
    assert (seen[0] == 255).all()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(packshot(fill=0.7), id="too small in the frame"),
        pytest.param(packshot(background=(244, 242, 238)), id="not white"),
        pytest.param(packshot(transform=None), id="placed nobody knows where"),
    ],
)
def test_a_packshot_that_does_not_suit_amazon_is_composed_anew_from_the_cutout(source: ListingSource) -> None:
    (image,) = render_listing(AMAZON, ITEM, [source], ON)
    assert image.recomposed
    pixels = np.asarray(decoded(image.data)).astype(int)
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    coloured = (pixels.max(axis=2) - pixels.min(axis=2) > 24).nonzero()
    spans = [(axis.max() - axis.min() + 1) / size for axis, size in zip(coloured, pixels.shape, strict=False)]
    assert 0.85 <= max(spans) <= 0.90
    assert image.width == image.height


def test_without_a_cutout_an_unsuitable_packshot_is_left_out_with_the_reason() -> None:
    listing = render_listing(AMAZON, ITEM, [packshot(fill=0.7, cutout_rgba=None, transform=None)], ON)
    assert len(listing) == 0
    assert "without its cutout it cannot be composed anew" in listing.left_out[0]


def test_amazon_names_scenes_and_further_views_pt01_and_on_and_every_name_is_legal() -> None:
    side = packshot(name="side", view="side")
    listing = render_listing(AMAZON, ITEM, [scene(), side, packshot(), scene("shelf")], ON)
    names = [image.file_name for image in listing]
    assert names == [f"B000123456.{code}.jpg" for code in ("MAIN", "PT01", "PT02", "PT03")]
    assert [image.source for image in listing] == [
        "packshot/hero",
        "packshot/side",
        "scene/counter",
        "scene/shelf",
    ]
    assert all(re.fullmatch(AMAZON.listing.name_pattern, name) for name in names)


def test_no_more_pictures_than_a_channel_shows_and_the_rest_is_named() -> None:
    listing = render_listing(AMAZON, ITEM, [packshot(), *(scene(f"s{i}", 400, 300) for i in range(12))], ON)
    assert len(listing) == 9
    assert len(listing.left_out) == 4
    assert "at most 9" in listing.left_out[0]


def test_a_scene_drawn_in_several_aspects_is_listed_once_in_the_one_that_suits() -> None:
    drawn = [
        scene("counter", 1000, 1250),
        scene("counter-1x1", 1100, 1100),
        scene("counter-16x9", 1600, 900),
        scene("shelf-9x16", 900, 1600),
    ]
    for pack in (AMAZON, PACKS["walmart"]):
        listing = render_listing(pack, ITEM, [packshot(), *drawn], ON)
        assert listing[1].source == "scene/counter-1x1"
    assert [image.source for image in render_listing(AMAZON, ITEM, drawn, ON)] == [
        "scene/counter-1x1",
        "scene/shelf-9x16",
    ]


@pytest.mark.parametrize(
    ("item", "name", "warned"),
    [
        (ListingItem("A b", asin="B000123456"), "B000123456.MAIN.jpg", False),
        (ListingItem("A b", gtin="4006381333931"), "4006381333931.MAIN.jpg", False),
        (ListingItem("A b", gtin="04006381333931"), "4006381333931.MAIN.jpg", False),
        (ListingItem("A b", gtin="14006381333938"), f"{safe_name('A b')}.MAIN.jpg", True),
        (ListingItem("FH-1"), "FH-1.MAIN.jpg", True),
    ],
)
def test_amazon_files_carry_an_identifier_it_takes_or_a_warning(
    item: ListingItem, name: str, warned: bool
) -> None:
    listing = render_listing(AMAZON, item, [packshot()], ON)
    assert listing[0].file_name == name
    assert bool(listing.warnings) == warned
    if warned:
        assert "bulk upload would refuse" in listing.warnings[0]


def test_google_gets_the_packshot_first_one_lifestyle_picture_and_the_mark_its_policy_names() -> None:
    listing = render_listing(GOOGLE, ITEM, [scene(), scene("shelf"), packshot()], ON)
    assert [image.role for image in listing] == ["main", "lifestyle", "additional"]
    assert [image.digital_source_type for image in listing] == [
        "algorithmicallyEnhanced",
        "trainedAlgorithmicMedia",
        "trainedAlgorithmicMedia",
    ]
    for image in listing:
        assert provenance.read(image.data).source_type == image.digital_source_type
        assert all(finding.passed for finding in image.findings)


def test_shopify_keeps_the_true_mark_and_the_packshots_own_ground() -> None:
    cream = packshot(background=(244, 242, 238))
    listing = render_listing(SHOPIFY, ITEM, [cream, scene()], ON)
    assert not listing[0].recomposed
    assert fit.border_colour(np.asarray(decoded(listing[0].data))) is not None
    assert listing[1].digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    assert listing[1].file_name == "FH-1-counter.jpg"


def test_a_gradient_stays_where_it_may_and_becomes_white_where_the_channel_asks_for_white() -> None:
    gradient = Gradient((255, 255, 255), (225, 230, 235))
    source = packshot(background=gradient)
    (main,) = render_listing(AMAZON, ITEM, [source], ON)
    assert main.recomposed
    rgb = np.asarray(decoded(main.data).convert("RGB"))
    assert (rgb[[0, -1]] >= 254).all()
    (own,) = render_listing(SHOPIFY, ITEM, [source], ON)
    rgb = np.asarray(decoded(own.data).convert("RGB")).astype(int)
    assert np.abs(rgb[-1] - gradient.bottom).max() <= 2
    assert np.abs(rgb[0] - gradient.top).max() <= 2


def test_etsy_is_not_shown_a_product_a_model_drew() -> None:
    listing = render_listing(
        PACKS["etsy"], ITEM, [packshot(), scene(digital_source_type="trainedAlgorithmicMedia")], ON
    )
    assert [image.role for image in listing] == ["main"]
    assert "does not allow pictures in which a model drew the product" in listing.left_out[0]


def test_googles_coming_size_is_announced_before_it_refuses() -> None:
    small = scene("tiny", 480, 480)
    (_, image) = render_listing(
        load_packs({"channels/g.toml": 'name = "google.shopping"\n[listing]\nscenes_as = "additional"'})[
            "google.shopping"
        ],
        ITEM,
        [packshot(), small],
        ON,
    )
    assert any("from 2027-01-31" in note for note in image.notes)
    later = render_listing(
        load_packs({"channels/g.toml": 'name = "google.shopping"\n[listing]\nscenes_as = "additional"'})[
            "google.shopping"
        ],
        ITEM,
        [packshot(), small],
        date(2027, 1, 31),
    )
    assert len(later) == 1
    assert "needs 500 × 500" in later.left_out[0]


def test_a_square_channel_gets_scenes_cropped_around_the_product_or_not_at_all() -> None:
    place = ((0.5, 0.0, 800.0), (0.0, 0.5, 200.0))
    known = scene(cutout_rgba=CUTOUT, transform=place)
    listing = render_listing(PACKS["walmart"], ITEM, [packshot(), known, scene("unknown")], ON)
    assert [(i.width, i.height) for i in listing] == [(1200, 1200), (1200, 1200)]
    assert "cropping would cut the product" in listing.left_out[0]


def test_a_file_too_large_is_coded_lower_and_then_made_smaller_and_at_last_left_out() -> None:
    busy = cv2.GaussianBlur(
        np.random.default_rng(1).integers(0, 256, (900, 900, 3), dtype=np.uint8), (0, 0), 1.2
    )
    whole = fit.encode_within(busy, fit.Bounds(900), 92, 74)
    assert whole is not None
    assert whole.quality == 92
    tight = fit.encode_within(busy, fit.Bounds(900, max_bytes=int(len(whole.data) * 0.6)), 92, 74)
    assert tight is not None
    assert 74 <= tight.quality < 92
    tighter = fit.encode_within(busy, fit.Bounds(900, max_bytes=len(whole.data) // 8), 92, 74)
    assert tighter is not None
    assert tighter.width < 900
    assert len(tighter.data) <= len(whole.data) // 8
    bounds = fit.Bounds(900, max_bytes=3000, min_width=500, min_height=500)
    assert fit.encode_within(busy, bounds, 92, 74) is None


def test_a_picture_that_is_all_grain_is_listed_too() -> None:
    grain = np.random.default_rng(2).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    listing = render_listing(AMAZON, ITEM, [packshot(), scene(rgb=grain)], ON)
    assert [image.role for image in listing] == ["main", "additional"]
    assert decoded(listing[1].data).size == (700, 700)


@given(
    box=st.tuples(st.integers(20, 4000), st.integers(20, 4000)),
    aspect=st.sampled_from([1.0, 0.6944, 1.5]),
    fill=st.floats(0.5, 0.95),
    target=st.integers(300, 3000),
    floor=st.sampled_from([0, 100, 500]),
    upscale=st.floats(1, 2),
)
def test_a_frame_has_the_aspect_and_never_enlarges_beyond_what_is_permitted(
    box, aspect, fill, target, floor, upscale
) -> None:
    bounds = fit.Bounds(target, min_width=floor, min_height=floor, advised=1000, max_megapixels=20)
    assume(target >= floor)
    width, height = fit.frame_for(*box, aspect, fill, bounds, upscale)
    assert width >= floor
    assert height >= floor
    assert abs(width - height * aspect) <= max(1, aspect) + 1
    enlarged = fill * min(width / box[0], height / box[1])
    if min(width, height) > floor + 1:
        assert max(width, height) <= max(target, 1) + 2
        assert enlarged <= upscale * (1 + 3 / min(width, height))


@given(
    width=st.integers(8, 90),
    height=st.integers(8, 90),
    aspect=st.sampled_from([1.0, 0.7, 1.4]),
    box=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
)
@settings(deadline=None)
def test_a_crop_has_the_aspect_and_keeps_the_whole_product(width, height, aspect, box) -> None:
    x0, x1 = sorted((box[0] * width, box[2] * width))
    y0, y1 = sorted((box[1] * height, box[3] * height))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.uint8)
    rgb = np.dstack([columns, rows, rows])
    cropped = fit.crop_to_aspect(rgb, aspect, (x0, y0, x1, y1))
    if cropped is None:
        air = 0.06 * min(width, height)
        assert (
            x1 - x0 + air > min(width, height * aspect) - 1 or y1 - y0 + air > min(height, width / aspect) - 1
        )
        return
    h, w = cropped.shape[:2]
    assert abs(w - h * aspect) <= max(1, aspect) or abs(w / h / aspect - 1) < 0.01
    assert cropped[0, 0, 0] <= x0 + 1
    assert cropped[0, 0, 1] <= y0 + 1
    assert cropped[-1, -1, 0] >= x1 - 2
    assert cropped[-1, -1, 1] >= y1 - 2


@given(sku=st.text(min_size=1, max_size=40), other=st.text(min_size=1, max_size=40))
def test_any_two_skus_have_different_plain_file_names(sku: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+", safe_name(sku))
    assert (safe_name(sku) == safe_name(other)) == (sku == other)


def test_every_channel_gives_the_same_bytes_twice_within_its_own_limits() -> None:
    sources = [
        packshot(),
        scene(width=1300, height=1000, cutout_rgba=CUTOUT, transform=((0.4, 0, 400.0), (0, 0.4, 200.0))),
    ]
    for pack in PACKS.values():
        first, again = (render_listing(pack, ITEM, sources, ON) for _ in range(2))
        assert [i.data for i in first] == [i.data for i in again]
        assert first, pack.name
        for image in first:
            limits = pack.limits(ON, ITEM.category, image.role)
            photo = decoded(image.data)
            assert photo.size == (image.width, image.height)
            assert photo.format == "JPEG"
            assert "jpeg" in limits["formats"]
            assert len(image.data) <= limits.get("max_bytes", 1e9)
            assert photo.info["icc_profile"]
            low, high = limits.get("min_px", (0, 0)), limits.get("max_px", (10**6, 10**6))
            assert all(a <= b <= c for a, b, c in zip(low, photo.size, high, strict=True))
            if "aspect" in limits:
                assert photo.width / photo.height == pytest.approx(limits["aspect"], rel=0.01)
            if pack.listing.name_pattern:
                assert re.fullmatch(pack.listing.name_pattern, image.file_name)


def proof(rgb: np.ndarray, **changes) -> dict[str, bool]:
    """Which rules the finished file passes on Amazon's main picture."""
    limits = {**AMAZON.limits(ON), **changes}
    bounds = fit.Bounds.of(limits, set(), 2000)
    data = provenance.embed(encode_jpeg(rgb), "algorithmicallyEnhanced")
    found = prove(data, AMAZON.rules(ON), bounds, limits, "algorithmicallyEnhanced", "a.jpg")
    return {finding.rule: finding.passed for finding in found}


def test_the_finished_file_is_measured_once_more_and_each_fault_is_seen() -> None:
    white = np.full((600, 600, 3), 255, np.uint8)
    assert set(proof(white).items()) == {
        ("resolution", True),
        ("file_format", True),
        ("background", True),
        ("provenance", True),
    }
    grey = white.copy()
    grey[:16] = 250
    assert not proof(grey)["background"]
    assert not proof(white[:400])["resolution"]
    assert not proof(white, max_px=(590, 590))["resolution"]
    assert not proof(white, max_bytes=100)["file_format"]
    assert not proof(white, formats=("png",))["file_format"]


def test_a_file_that_fails_its_proof_is_not_listed() -> None:
    own = 'name = "amazon.main"\n[[rules]]\nid = "formats"\nvalue = ["png"]'
    listing = render_listing(load_packs({"channels/a.toml": own})["amazon.main"], ITEM, [packshot()], ON)
    assert len(listing) == 0
    assert "The file is JPEG" in listing.left_out[0]


def test_alternative_text_says_what_is_shown_and_stays_short() -> None:
    assert alt_text("Mug", packshot()) == "Mug"
    assert alt_text("Mug", packshot(view="back")) == "Mug, back view"
    assert alt_text("Mug", scene("oak_counter")) == "Mug, scene: oak counter"
    long = alt_text("word " * 80, scene())
    assert len(long) <= 125
    assert long.endswith("…, scene: counter")


def test_an_identifier_of_another_kind_is_tried_before_the_sku() -> None:
    assert legal_identifier(PACKS["zalando"], "S1", {"gtin": "4006381333931"}) == ("4006381333931", "")
    assert legal_identifier(PACKS["zalando"], "S1", {}) == ("S1", "")
