"""The ways to cut out that are compared, each in a process of its own."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

REPO = Path(__file__).resolve().parent.parent
ALONE = "ours, first network alone"


def remembered(
    predict: Callable[[np.ndarray], np.ndarray], folder: Path
) -> Callable[[np.ndarray], np.ndarray]:
    """The same network, asked once per picture."""
    folder.mkdir(parents=True, exist_ok=True)

    def answer(rgb: np.ndarray) -> np.ndarray:
        key = hashlib.md5(np.ascontiguousarray(rgb).tobytes() + str(rgb.shape).encode()).hexdigest()
        file = folder / f"{key}.npy"
        if not file.exists():
            np.save(file, np.round(predict(rgb) * 255).astype(np.uint8))
        return np.load(file).astype(np.float32) / 255

    return answer


class Asked:
    """A network of the benchmark: its answers remembered where a folder is named, and counted."""

    def __init__(self, name: str, looks: str, runtime: str = "auto") -> None:
        from catalog_assets.weights import MODELS, matte_session, runtime_for

        def answer(rgb: np.ndarray) -> np.ndarray:  # the session is made when something is really asked
            return matte_session(name, runtime=runtime, keep_scratch=True).predict(rgb)

        self.name, self.sees, self.times = name, MODELS[name].input_px, 0
        self._answer = remembered(answer, Path(looks) / runtime_for(runtime).named(name)) if looks else answer

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        """The network's answer."""
        self.times += 1
        return self._answer(rgb)


def work(method: str, rows: list[dict[str, Any]], out: Path, looks: str, model: str, runtime: str) -> None:
    """Run one method over all photos in this process; cutouts and times go to ``out``."""
    if method in ("ours", ALONE):
        from catalog_assets.imaging.decode import decode_photo
        from catalog_assets.imaging.encode import encode_png
        from catalog_assets.imaging.matting import CutoutHints, make_cutout
        from catalog_assets.weights import networks

        first, second = networks(model)
        network = Asked(first, looks, runtime)
        another = Asked(second, looks, runtime) if second and method == "ours" else None

        def cut(row: dict[str, Any], data: bytes) -> tuple[bytes, dict[str, Any]]:
            hints = CutoutHints(row["material"], row["category"])
            heard = another.times if another else 0
            made = make_cutout(
                decode_photo(data).rgb, network.predict, hints, sees=network.sees, another=another
            )
            facts = {"confidence": made.confidence, "flags": made.flags, "verdict": made.verdict}
            facts |= {"looks": made.method["looks"], "reasons": made.reasons}
            return encode_png(made.rgba), facts | ({"asked": another.times - heard} if another else {})
    else:
        import rembg

        rembg_session = rembg.new_session("u2net")
        matting = method == "rembg, alpha matting"

        def cut(row: dict[str, Any], data: bytes) -> tuple[bytes, dict[str, Any]]:
            return rembg.remove(data, session=rembg_session, alpha_matting=matting), {}

    cut(rows[0], Path(rows[0]["photo"]).read_bytes())  # warm
    report: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        data = Path(row["photo"]).read_bytes()
        wall, cpu = time.perf_counter(), time.process_time()
        png, facts = cut(row, data)
        times = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        (out / f"{index}.png").write_bytes(png)
        report.append(times | facts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (out / "report.json").write_text(json.dumps({"rows": report, "peak_mb": peak}), encoding="utf-8")


def ran(
    method: str,
    rows: list[dict[str, Any]],
    out: Path,
    looks: str = "",
    model: str = "u2net",
    runtime: str = "auto",
) -> tuple[Path, dict[str, Any]]:
    """One method over photos in a process of its own, and what it reports."""
    out.mkdir()
    listing = out / "rows.json"
    listing.write_text(json.dumps(rows), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, __file__, method, str(listing), str(out)]
    command += ["--looks", looks, "--model", model, "--runtime", runtime]
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
    return out, json.loads((out / "report.json").read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method")
    parser.add_argument("listing", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--looks", default="")
    parser.add_argument("--model", default="u2net")
    parser.add_argument("--runtime", default="auto")
    args = parser.parse_args()
    rows = json.loads(args.listing.read_text(encoding="utf-8"))
    work(args.method, rows, args.out, args.looks, args.model, args.runtime)


if __name__ == "__main__":
    main()
