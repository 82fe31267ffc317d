import hashlib
import json

import cv2
import numpy as np
import pytest

from catalog_assets.imaging.encode import encode_jpeg, encode_png
from catalog_assets.scenes.certificate import make_certificate, verify_certificate
from catalog_assets.scenes.engines.studio import StudioEngine
from catalog_assets_tests.products import SAMPLE, scene_request


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def made():
    """A certified scene: (picture, cutout file, photo file, certificate, rgb)."""
    return certified(relight=False)


def certified(relight: bool, quality: int = 92):
    request = scene_request("FH-TIN-002", "oak_counter", size=(800, 800), relight=relight)
    image = StudioEngine().draw(request)
    cutout = encode_png(request.views[0].rgba)
    photo = SAMPLE.joinpath("photos", "FH-TIN-002", "hero.jpg").read_bytes()
    picture = encode_jpeg(image.rgb, quality=quality)
    assert image.transform is not None
    certificate = make_certificate(
        rgb=image.rgb,
        image_sha256=digest(picture),
        cutout_rgba=request.views[0].rgba,
        cutout_sha256=digest(cutout),
        photo_sha256=digest(photo),
        transform=image.transform,
        relit=image.relit,
        digital_source_type=image.digital_source_type,
    )
    return picture, cutout, photo, json.loads(json.dumps(certificate)), image.rgb


def failed(findings) -> list[str]:
    return [f.message for f in findings if not f.passed]


def test_a_lock_without_relighting_changes_no_pixel(made):
    certificate = made[3]
    assert certificate["changed_px"] == 0
    assert certificate["delta_e_max"] == 0
    assert certificate["mask_px"] > 10_000


def test_files_alone_verify(made):
    picture, cutout, photo, certificate, _ = made
    findings = verify_certificate(picture, cutout, certificate, photo=photo, colour_delta_e=5.0)
    assert failed(findings) == []
    assert {f.rule for f in findings} == {"certificate"}
    assert len(findings) == 4


def test_a_relit_picture_states_its_difference_and_verifies():
    picture, cutout, _, certificate, _ = certified(relight=True)
    assert certificate["relit"]
    assert certificate["changed_px"] > 0
    assert certificate["delta_e_max"] <= 5.0
    assert failed(verify_certificate(picture, cutout, certificate, colour_delta_e=5.0)) == []
    (message,) = failed(verify_certificate(picture, cutout, certificate, colour_delta_e=0.5))
    assert "the brand allows 0.5" in message


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_a_re_encoded_picture_verifies_within_the_tolerances(made, quality: int):
    _, cutout, _, certificate, rgb = made
    again = encode_jpeg(rgb, quality=quality)
    assert failed(verify_certificate(again, cutout, certificate)) == []


def tamper_letter(rgb: np.ndarray) -> np.ndarray:
    out = rgb.copy()
    cv2.putText(out, "X", (390, 500), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (30, 30, 30), 2, cv2.LINE_AA)
    return out


def tamper_hue(rgb: np.ndarray) -> np.ndarray:
    out = rgb.copy()
    out[350:560, 330:470, 0] = np.clip(out[350:560, 330:470, 0].astype(int) + 14, 0, 255)
    return out


def tamper_shift(rgb: np.ndarray) -> np.ndarray:
    return np.roll(rgb, 3, axis=1)


@pytest.mark.parametrize("tamper", [tamper_letter, tamper_hue, tamper_shift])
def test_a_tampered_picture_fails_and_says_so(made, tamper):
    _, cutout, _, certificate, rgb = made
    (message,) = failed(verify_certificate(encode_jpeg(tamper(rgb), quality=92), cutout, certificate))
    assert "picture was changed" in message


def test_a_cropped_or_resized_picture_fails_and_says_so(made):
    _, cutout, _, certificate, rgb = made
    (message,) = failed(verify_certificate(encode_jpeg(rgb[:700]), cutout, certificate))
    assert "another size" in message


def test_a_tampered_cutout_fails_and_says_so(made):
    picture, cutout, photo, certificate, _ = made
    (message,) = failed(verify_certificate(picture, cutout + b"\0", certificate, photo=photo))
    assert "not the certified cutout" in message


def test_another_photo_fails_and_says_so(made):
    picture, cutout, _, certificate, _ = made
    (message,) = failed(verify_certificate(picture, cutout, certificate, photo=b"another"))
    assert "not the certified photo" in message


@pytest.mark.parametrize("key", ["transform", "delta_e_max", "cutout_sha256", "relit", "engine", "mask_px"])
def test_a_tampered_certificate_fails_and_says_so(made, key: str):
    picture, cutout, _, certificate, _ = made
    value = certificate[key]
    changed = {**certificate, key: (not value) if isinstance(value, bool) else f"{value}1"}
    (message,) = failed(verify_certificate(picture, cutout, changed))
    assert "certificate was changed" in message


def test_an_incomplete_certificate_is_named(made):
    picture, cutout, _, certificate, _ = made
    (message,) = failed(
        verify_certificate(picture, cutout, {k: v for k, v in certificate.items() if k != "seal"})
    )
    assert "seal is missing" in message


def test_a_picture_that_cannot_be_read_is_no_proof(made):
    _, cutout, _, certificate, _ = made
    findings = verify_certificate(b"nothing", cutout, certificate)
    assert "cannot be read" in failed(findings)[0]
    assert findings[-1].measured is None
