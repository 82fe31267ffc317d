"""A photo of 24 megapixels stays within 1.5 GB."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json
from pathlib import Path
import cv2, numpy as np
from catalog_assets.imaging.encode import encode_png
from catalog_assets.imaging.matting import make_cutout

rgb = np.full((4000, 6000, 3), (190, 185, 170), np.uint8)
rng = np.random.default_rng(0)
rgb[::2] += rng.integers(0, 9, (2000, 6000, 3), dtype=np.uint8)
cv2.circle(rgb, (3000, 2000), 1600, (40, 70, 150), -1, cv2.LINE_AA)
blue = lambda picture: cv2.GaussianBlur((picture[..., 2] > picture[..., 0] + 30).astype(np.float32), (0, 0), 1)
made = make_cutout(rgb, blue)
png = encode_png(made.rgba)
alpha = made.rgba[..., 3] > 127
rows, columns = np.ogrid[:4000, :6000]
true = (columns - 3000) ** 2 + (rows - 2000) ** 2 <= 1600**2
print(json.dumps({
    # Of this program alone; ru_maxrss would count the process that started it.
    "peak_mb": int(next(l for l in Path("/proc/self/status").open() if l.startswith("VmHWM")).split()[1]) / 1024,
    "iou": float((alpha & true).sum() / (alpha | true).sum()),
    "png": len(png),
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads its peak memory from /proc")
def test_a_photo_of_24_megapixels_is_cut_out_within_its_memory_and_to_the_pixel() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["peak_mb"] < 1500
    assert facts["iou"] > 0.999
    assert facts["png"] > 10_000
