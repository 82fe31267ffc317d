"""Reading print with tesseract: a system installation where there is one, else the one from the wheel.

    reader = tesseract_reader()
    reader([crop_a, crop_b], ["en", "de"])     # one process, lines of both crops

Quality control itself is pure and takes any callable of this form.
"""

from catalog_assets.ocr.tesseract import languages, tesseract_reader

__all__ = ["languages", "tesseract_reader"]
