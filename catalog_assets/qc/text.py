"""Label text as a person reads it: the expected lines, and text where none belongs.

The photo decides what can be expected: a catalogue line that cannot be read on this view's photo is on
another face of the pack, too small, or too curved, and is not held against the picture. A line that is
legible in the photo must read the same in the picture. OCR is a noisy reader, so a different reading only
counts where the pixels of that line differ too; garbled letters that OCR reads over are caught by
``label_pixels``. CER: edit distance over length (Levenshtein 1966), on case-folded NFKC text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from catalog_assets.qc.alignment import resample, scale_of
from catalog_assets.qc.case import Case, TextLine, TextReaderUnavailable
from catalog_assets.qc.findings import Box, Finding
from catalog_assets.qc.lines import PrintedLine, find_lines, readable
from catalog_assets.qc.print import LineDifference, Print, line_difference, photo_print, print_pixels

_READ_HEIGHT = 52
_LEGIBLE_PX = 9.0
"""Letters lower than this in the picture are compared as pixels only."""

_SAME = 0.10
"""Difference of structure below which two strips are the same print and need no second reading."""

_RECOGNISED = 0.45
"""A reading within this CER of a catalogue line is that line."""


@dataclass(frozen=True, slots=True)
class _Line:
    index: int
    line: PrintedLine
    photo_text: str
    photo_confidence: float
    expected: str | None


def text_findings(case: Case) -> list[Finding]:
    """``label_text``, ``label_pixels`` and ``extra_text``: they share one finding and one reading of lines."""
    found = photo_print(case.cut)
    stray = stray_lines(case)
    try:
        lines, stray_texts, note = _read(case, found, stray)
    except TextReaderUnavailable as error:
        return _without_reader(case, found, str(error))
    findings = label_text(case, found, lines, note)
    findings.extend(print_pixels(case, found, [entry.index for entry in lines]))
    findings.extend(_extra_text(case, stray, stray_texts))
    return findings


def _without_reader(case: Case, found: Print, why: str) -> list[Finding]:
    """Print is still compared as pixels; reading it is owed."""
    findings: list[Finding] = []
    if case.expect.label_lines:
        chosen = [i for i, line in enumerate(found.lines) if line.glyphs >= 4 and line.contrast >= 35]
        findings.append(
            case.unmeasured("label_text", why, "Install what is named, then check again.", unit="CER")
        )
        findings.extend(print_pixels(case, found, chosen))
    return findings


def _read(
    case: Case, found: Print, stray: list[tuple[PrintedLine, np.ndarray]]
) -> tuple[list[_Line], list[TextLine | None], str]:
    """Read the photo's lines and the strays; say which of the photo's lines are print."""
    if case.read_text is None:
        raise TextReaderUnavailable("Print was not read: no text reader was given.")
    expected = [text for text in case.expect.label_lines if fold(text)]
    no_print = case.expect.label_known and not expected
    candidates = [] if no_print else found.lines
    if not candidates and not stray:
        return [], [], ""
    texts, stray_texts = _texts(case, found, candidates, stray)
    note = _other_scripts(case, expected)
    lines: list[_Line] = []
    for index, (line, reading) in enumerate(zip(candidates, texts, strict=True)):
        text, confidence = (reading.text, reading.confidence) if reading else ("", 0.0)
        match = min(expected, key=lambda e: cer(text, e), default=None)
        if match is not None and cer(text, match) <= _RECOGNISED:
            lines.append(_Line(index, line, text, confidence, match))
        elif confidence >= 0.6 and len(fold(text)) >= 4:
            lines.append(_Line(index, line, text, confidence, None))
    if lines and expected:
        lines.extend(_among(candidates, {entry.index for entry in lines}))
    return lines, stray_texts, note


def _texts(
    case: Case, found: Print, candidates: list[PrintedLine], stray: list[tuple[PrintedLine, np.ndarray]]
) -> tuple[list[TextLine | None], list[TextLine | None]]:
    """Readings of the photo's lines, known from the product's picture before where there was one, and of strays."""
    assert case.read_text is not None
    languages = _latin(case.expect.languages)
    strips = [readable(strip, line.dark) for line, strip in stray]
    read = case.read_text
    fresh: list[list[TextLine | None]] = []

    def at_once() -> list[TextLine | None]:
        # Starting the reader costs more than a crop: strays are read along.
        own = [readable(line.strip(found.grey, _READ_HEIGHT), line.dark) for line in candidates]
        readings = [_joined(lines) for lines in read([*own, *strips], languages)]
        fresh.append(readings[len(own) :])
        return readings[: len(own)]

    texts = case.cut.once(("texts", read, len(candidates), tuple(languages)), at_once)
    if fresh:
        return texts, fresh[0]
    return texts, [_joined(lines) for lines in read(strips, languages)] if strips else []


def _among(candidates: list[PrintedLine], known: set[int]) -> list[_Line]:
    """Lines that were not read but stand among lines that were: print in a script or size OCR cannot read."""
    boxes = np.array([candidates[i].box for i in known])
    x0, y0 = boxes[:, :2].min(axis=0) - 10
    x1, y1 = boxes[:, 2:].max(axis=0) + 10
    strongest = max(candidates[i].contrast for i in known)
    extra: list[_Line] = []
    for i, line in enumerate(candidates):
        a, b, c, d = line.box
        if i not in known and a >= x0 and b >= y0 and c <= x1 and d <= y1 and line.contrast > 0.4 * strongest:
            extra.append(_Line(i, line, "", 0.0, None))
    return extra


def _latin(languages: Sequence[str]) -> list[str]:
    return [code for code in languages if code[:2] not in _OTHER] or ["en"]


_OTHER = {"ja": "Japanese", "zh": "Chinese", "ko": "Korean", "ar": "Arabic", "he": "Hebrew", "th": "Thai",
          "ru": "Russian", "uk": "Ukrainian", "bg": "Bulgarian", "el": "Greek", "hi": "Hindi"}  # fmt: skip


def _other_scripts(case: Case, expected: Sequence[str]) -> str:
    """Name the expected lines in other scripts that cannot be read here, with the reader's own reason."""
    assert case.read_text is not None
    foreign = [text for text in expected if _script_share(text) > 0.5]
    codes = [code for code in case.expect.languages if code[:2] in _OTHER]
    if not foreign or not codes:
        return ""
    try:
        case.read_text([np.full((_READ_HEIGHT, 200), 255, np.uint8)], codes)
    except TextReaderUnavailable as error:
        return f" {', '.join(repr(t) for t in foreign)} was compared as pixels only: {error}"
    return ""


def _script_share(text: str) -> float:
    letters = [c for c in text if c.isalpha()]
    return sum("LATIN" not in unicodedata.name(c, "LATIN") for c in letters) / max(len(letters), 1)


def _joined(lines: list[TextLine]) -> TextLine | None:
    if not lines:
        return None
    text = " ".join(line.text for line in lines)
    return TextLine(text, float(np.mean([line.confidence for line in lines])), lines[0].box)


def label_text(case: Case, found: Print, lines: list[_Line], note: str) -> list[Finding]:
    """Highest character error rate of a legible line."""
    assert case.read_text is not None
    limit = case.limits.label_cer
    pair = case.pair(1400)
    wanted: list[tuple[_Line, LineDifference]] = []
    for entry in lines:
        if not entry.photo_text or (entry.expected is None and entry.photo_confidence < 0.75):
            continue
        difference = line_difference(case, pair, found, entry.line)
        if difference.letter_px >= _LEGIBLE_PX:
            wanted.append((entry, difference))
    if not wanted:
        return []
    suspects = [(entry, d) for entry, d in wanted if d.share > _SAME]
    readings: list[TextLine | None] = []
    if suspects:
        whole = resample(
            _luma(case.picture.rgb), _to_grey(case, found), (found.grey.shape[1], found.grey.shape[0])
        )
        strips = [readable(entry.line.strip(whole, _READ_HEIGHT), entry.line.dark) for entry, _ in suspects]
        readings = [_joined(r) for r in case.read_text(strips, _latin(case.expect.languages))]
    worst, message, box = 0.0, "", None
    for (entry, difference), reading in zip(suspects, readings, strict=True):
        text = reading.text if reading else ""
        expected = entry.expected or entry.photo_text
        rate = min(cer(text, expected), cer(text, entry.photo_text))
        if entry.expected is None and fold(entry.photo_text) in fold(text):
            rate = 0.0  # this time letters of the neighbours were read along
        lost = _lost_numbers(expected, entry.photo_text, text)
        if lost:
            rate = max(rate, 2 * limit)
        # OCR stumbles over honest letters too: the more alike the pixels, the less a reading counts.
        rate *= (
            float(np.clip((difference.share - _SAME) / max(case.limits.label_difference - _SAME, 0.05), 0, 1))
            ** 2
        )
        if rate > worst:
            worst, box = rate, difference.box
            message = f"{expected!r} reads {text!r} in the picture"
            message += f"; the number {lost[0]} is not exact." if lost else "."
    good = worst <= limit
    return [
        case.finding(
            "label_text",
            good,
            worst,
            limit,
            "CER",
            f"{len(wanted)} legible lines read as in the photo.{note}" if good else message + note,
            "Put the photo's own label back, or draw the scene again.",
            None if good else box,
        )
    ]


def _to_grey(case: Case, found: Print) -> np.ndarray:
    from catalog_assets.qc.alignment import chain, invert

    assert case.match is not None
    return chain(found.to_grey, invert(case.match.transform))


def _luma(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _lost_numbers(expected: str, photo: str, picture: str) -> list[str]:
    """Numbers of the expected line that OCR read in the photo and does not read in the picture."""
    wanted = re.findall(r"\d+(?:[.,]\d+)?", unicodedata.normalize("NFKC", expected))
    return [n for n in wanted if n in photo and n not in picture]


def fold(text: str) -> str:
    """Letters and digits only, NFKC, case-folded, typographic variants made one."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in plain if c.isalnum() or c in "%&€$£")


def cer(read: str, expected: str) -> float:
    """Character error rate of ``read`` against ``expected`` on folded text, at most 1."""
    from rapidfuzz.distance import Levenshtein

    a, b = fold(read), fold(expected)
    if not b:
        return 0.0 if not a else 1.0
    return min(1.0, Levenshtein.distance(a, b) / len(b))


# --- text where none belongs -----------------------------------------------------------------------------


def stray_lines(case: Case) -> list[tuple[PrintedLine, np.ndarray]]:
    """Lines of print outside the product, with their strips, strongest first.

    Only looked for where text is not allowed or the picture is a packshot or a generated scene.
    """
    assert case.match is not None
    rgb = case.picture.rgb
    scale = min(1.0, 1100 / max(rgb.shape[:2]))
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    grey = _luma(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb)
    transform = case.match.transform * scale
    alpha = resample(case.cut.rgba[..., 3], transform, size)
    reach = max(5, round(0.03 * scale_of(transform) * max(case.cut.rgba.shape[:2])))
    outside = cv2.dilate((alpha > 8).astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) == 0
    plain = case.plain is not None
    lines = find_lines(grey, outside, 6.0 if plain else 16.0)
    lines = [line for line in lines if line.glyphs >= 4][:6]
    full = _luma(rgb) if lines else grey
    found: list[tuple[PrintedLine, np.ndarray]] = []
    for line in lines:
        native = line.mapped(1 / scale)
        found.append((native, native.strip(full, _READ_HEIGHT)))
    return found


def _extra_text(
    case: Case, stray: list[tuple[PrintedLine, np.ndarray]], readings: Sequence[TextLine | None]
) -> list[Finding]:
    allowed = bool(case.channels) and all(c.text_allowed for c in case.channels) and case.expect.kind == "any"
    if allowed:
        return []
    texts: list[tuple[str, float, Box]] = []
    for (line, _), reading in zip(stray, readings, strict=True):
        if reading is None:
            continue
        letters = fold(reading.text)
        if len(letters) >= 4 and reading.confidence >= 0.55 and len(letters) >= 0.6 * line.glyphs:
            texts.append((reading.text, reading.confidence, line.box))
    count = float(sum(len(fold(t[0])) for t in texts))
    shown = ", ".join(repr(t[0]) for t in texts[:3])
    return [
        case.finding(
            "extra_text",
            not texts,
            count,
            0.0,
            "characters",
            f"There is text beside the product: {shown}."
            if texts
            else "There is no text beside the product.",
            "Remove the text or the watermark.",
            texts[0][2] if texts else None,
        )
    ]
