"""Duplicates across SKUs, and pictures that stand out of their collection."""

from __future__ import annotations

import dataclasses

import numpy as np

from catalog_assets.qc.consistency import PictureFacts, outliers, picture_facts
from catalog_assets.qc.duplicate import (
    bits_apart,
    duplicate_finding,
    look_of,
    near_duplicates,
    near_pairs,
    perceptual_hash,
)
from catalog_assets_tests.qc.products import compose, cutout, jpeg


def test_a_recompressed_picture_is_a_duplicate_and_another_product_is_not():
    tin, oil = compose(cutout("FH-TIN-002")).rgb, compose(cutout("FH-OIL-003")).rgb
    hashes = {
        "A/hero": look_of(tin),
        "B/hero": look_of(jpeg(tin, 70)[::2, ::2]),
        "C/hero": look_of(oil),
    }
    found = near_duplicates(hashes)
    assert set(found) == {"A/hero", "B/hero"}
    assert found["A/hero"][0][0] == "B/hero"
    finding = duplicate_finding("A/hero", found["A/hero"])
    assert not finding.passed
    assert finding.severity == "warn"
    assert "B/hero" in finding.message
    assert duplicate_finding("C/hero", []).passed


def test_the_background_does_not_make_duplicates():
    a, b = cutout("FH-TIN-002"), cutout("FH-MUG-001")
    assert bits_apart(perceptual_hash(a[..., :3], a[..., 3]), perceptual_hash(b[..., :3], b[..., 3])) > 12


def test_two_colourways_of_one_design_are_no_duplicates():
    rgba = cutout("FH-MUG-001")
    other = rgba.copy()
    other[..., 0] = rgba[..., 2]
    other[..., 2] = rgba[..., 0] // 2
    looks = {"A": look_of(rgba[..., :3], rgba[..., 3]), "B": look_of(other[..., :3], other[..., 3])}
    assert bits_apart(looks["A"].phash, looks["B"].phash) <= 8
    assert near_duplicates(looks, limit_bits=8) == {}


def test_the_index_finds_the_pairs_that_comparing_everything_finds():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2**63, 3000).astype(np.uint64)
    values[1500:1600] = values[:100]
    for i in range(1500, 1600):
        for bit in rng.choice(64, i % 9, replace=False):
            values[i] ^= np.uint64(1) << np.uint64(bit)
    apart = np.bitwise_count(values[:, None] ^ values[None])
    everything = [(int(i), int(j)) for i, j in zip(*np.nonzero(apart <= 6), strict=True) if i < j]
    assert len(everything) > 70
    assert near_pairs(values, 6) == everything


_USUAL = PictureFacts("S", "packshot", "Hearth", "packshot", 0.85, 0.9, 0.07, 99.0, 0.0, 0.0, 0.4)


def test_the_odd_one_out_is_named_and_small_differences_are_not():
    rng = np.random.default_rng(2)
    members = [
        dataclasses.replace(_USUAL, sku=f"S{i}", fill=0.85 + rng.normal() * 0.004, white_b=rng.normal() * 0.3)
        for i in range(8)
    ]
    assert outliers(members) == []
    odd = dataclasses.replace(_USUAL, sku="ODD", fill=0.6, white_b=7.0, shadow_side=-0.6)
    found = outliers([*members, odd])
    assert {o.sku for o in found} == {"ODD"}
    assert {o.measure for o in found} == {"fill", "white_b", "shadow_side"}
    assert any("smaller" in o.message for o in found)


def test_collections_and_small_groups_are_left_apart():
    others = [dataclasses.replace(_USUAL, sku=f"T{i}", collection="Grove", fill=0.5) for i in range(3)]
    members = [dataclasses.replace(_USUAL, sku=f"S{i}") for i in range(5)]
    assert outliers([*members, *others]) == []


def test_facts_of_a_packshot_are_measured():
    rgba = cutout("FH-MUG-001")
    picture = compose(rgba, fill=0.7)
    facts = picture_facts(
        picture.rgb, rgba[..., 3], picture.transform,
        sku="FH-MUG-001", picture="packshot", collection="Hearth", kind="packshot", height_mm=92,
    )  # fmt: skip
    assert abs(facts.fill - 0.7) < 0.01
    assert facts.white_l > 99
    assert facts.shadow_side is None
    assert facts.scale_px_per_mm is not None
