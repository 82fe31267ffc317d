"""Which engine reads packaging better: lines of the sample catalogue, cut out along their true boxes.

    python benchmarks/qc_ocr.py

RapidOCR (PP-OCRv4 on ONNX, weights inside its wheel) takes part where ``rapidocr_onnxruntime`` is installed.
Prints one row per engine: mean character error rate, lines read without an error, CPU seconds per line.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from PIL import Image, ImageOps

from catalog_assets.ocr import tesseract_reader
from catalog_assets.qc.lines import readable
from catalog_assets.qc.text import cer

SAMPLE = Path(__file__).resolve().parent.parent / "catalog_assets" / "sample"
_HEIGHT = 52
_FIRST_CJK = 0x3000


def lines() -> tuple[list[np.ndarray], list[str]]:
    """Crops made readable as quality control makes them, and what they say."""
    crops: list[np.ndarray] = []
    texts: list[str] = []
    for entry in json.loads((SAMPLE / "truth" / "truth.json").read_text(encoding="utf-8"))["photos"]:
        if entry["intake_flag"] != "ok":
            continue
        photo = ImageOps.exif_transpose(Image.open(SAMPLE / entry["photo"])).convert("L")
        grey = np.asarray(photo)
        for line in entry["label_text"]:
            x0, y0, x1, y1 = (int(v) for v in line["box"])
            latin = all(ord(c) < _FIRST_CJK for c in line["text"])
            if line["visible"] < 0.99 or y1 - y0 < 10 or not latin:
                continue
            pad = max(2, (y1 - y0) // 5)
            crop = grey[max(0, y0 - pad) : y1 + pad, max(0, x0 - pad) : x1 + pad]
            scale = _HEIGHT / crop.shape[0]
            how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
            crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=how)
            middle = float(np.median(crop))
            crops.append(readable(crop, middle - float(crop.min()) > float(crop.max()) - middle))
            texts.append(line["text"])
    return crops, texts


def row(name: str, read: list[str], texts: list[str], seconds: float) -> str:
    rates = np.array([cer(text, expected) for text, expected in zip(read, texts, strict=True)])
    return (
        f"| {name} | {rates.mean():.2f} | {(rates == 0).sum()} of {len(texts)} | {seconds / len(texts):.4f} |"
    )


def _cpu() -> float:
    return sum(os.times()[:4])


def main() -> None:
    cv2.setNumThreads(1)
    crops, texts = lines()
    print("| engine | mean CER | lines exact | CPU s per line |\n| --- | --- | --- | --- |")
    start = _cpu()
    answers = tesseract_reader()(crops, ["en"])
    read = [" ".join(line.text for line in answer) for answer in answers]
    print(row("tesseract", read, texts, _cpu() - start))
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError:
        return
    engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    engine(np.full((_HEIGHT, 200, 3), 255, np.uint8), use_det=False, use_cls=False)
    start = _cpu()
    read = []
    for crop in crops:
        found, _ = engine(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), use_det=False, use_cls=False)
        read.append(found[0][0] if found else "")
    print(row("RapidOCR (PP-OCRv4)", read, texts, _cpu() - start))


if __name__ == "__main__":
    main()
