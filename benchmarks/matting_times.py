"""What cutouts cost: seconds, CPU seconds and memory, by method, runtime and number of threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from matting_methods import ALONE, ran
from PIL import Image


def runtimes() -> list[str]:
    """What the networks can run on here."""
    from catalog_assets.weights import WeightsError, runtime_for

    found: list[str] = []
    for wish in ("onnxruntime", "openvino", "openvino-bf16"):
        try:
            runtime_for(wish)
        except WeightsError:
            continue
        found.append(wish)
    return found


def times(rows: list[dict[str, Any]], count: int, scratch: Path, model: str) -> dict[str, dict[str, float]]:
    """Seconds, CPU seconds and peak memory per method on photos spread over all groups, the network included."""
    picked = [rows[i] for i in np.linspace(0, len(rows) - 1, count).round().astype(int)]
    area = sum(Image.open(row["photo"]).width * Image.open(row["photo"]).height for row in picked) / 1e6
    ways = [("rembg", ""), ("rembg, alpha matting", "")]
    ours = ("ours", ALONE) if "+" in model else ("ours",)
    ways += [(method, runtime) for runtime in runtimes() for method in ours]
    out: dict[str, dict[str, float]] = {}
    for method, runtime in ways:
        folder = scratch / f"times_{len(out)}"
        _, report = ran(method, picked, folder, model=model, runtime=runtime or "auto")
        seconds, cpu = (sum(row[key] for row in report["rows"]) for key in ("seconds", "cpu"))
        out[f"{method}, {runtime}" if runtime else method] = {
            "seconds_per_mp": round(seconds / area, 3),
            "cpu_seconds_per_mp": round(cpu / area, 3),
            "cpu_seconds_per_photo": round(cpu / count, 3),
            "looks_per_photo": round(sum(len(row.get("looks", "1")) for row in report["rows"]) / count, 2),
            "peak_mb": round(report["peak_mb"]),
        }
    for facts in out.values():
        facts["cpu_by_rembg"] = round(
            facts["cpu_seconds_per_photo"] / out["rembg"]["cpu_seconds_per_photo"], 2
        )
    return out


def times_table(found: dict[str, dict[str, float]]) -> str:
    """The times as Markdown."""
    keys = list(found["rembg"])
    lines = [
        "| | " + " | ".join(key.replace("_", " ") for key in keys) + " |",
        "|" + " --- |" * (len(keys) + 1),
    ]
    lines += [
        f"| {way} | " + " | ".join(str(facts[key]) for key in keys) + " |" for way, facts in found.items()
    ]
    return "\n".join(lines)


def large(rows: list[dict[str, Any]], scratch: Path, model: str) -> dict[str, float]:
    """Seconds and peak memory of one photo of 24 megapixels."""
    row = next(row for row in rows if row["name"] == "FH-MUG-001/hero")
    photo = scratch / "large.jpg"
    Image.open(row["photo"]).convert("RGB").resize((5657, 4243), Image.Resampling.BICUBIC).save(
        photo, quality=90
    )
    _, report = ran("ours", [row | {"photo": str(photo)}], scratch / "large", model=model)
    facts = report["rows"][0]
    return {
        "megapixels": 24.0, "seconds": round(facts["seconds"], 2), "cpu_seconds": round(facts["cpu"], 2),
        "peak_mb": round(report["peak_mb"]),
    }  # fmt: skip


def threads(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Seconds and CPU seconds of one look, by runtime, threads of an answer and callers at once."""
    from catalog_assets.imaging.decode import decode_photo

    rgb = decode_photo(Path(rows[0]["photo"]).read_bytes()).rgb
    out: list[dict[str, Any]] = []
    for runtime in runtimes():
        for count, callers in ((1, 1), (2, 1), (1, 2), (2, 2)):
            answer = _session(runtime, count, callers)
            with ThreadPoolExecutor(callers) as pool:
                list(pool.map(answer, [rgb] * callers))
                wall, cpu = time.perf_counter(), time.process_time()
                list(pool.map(answer, [rgb] * 4))
            out.append(
                {"runtime": runtime, "threads": count, "callers": callers,
                 "seconds": round((time.perf_counter() - wall) / 4, 3),
                 "cpu_seconds": round((time.process_time() - cpu) / 4, 3)}
            )  # fmt: skip
    return out


def _session(runtime: str, count: int, callers: int) -> Callable[[np.ndarray], np.ndarray]:
    from catalog_assets.weights import existing_file, runtime_for
    from catalog_assets.weights.runtime import new_rembg_session, rembg_session_over
    from catalog_assets.weights.session import RembgPredictor

    on, file = runtime_for(runtime), existing_file("u2net")
    assert file is not None
    if on.name == "onnxruntime":
        return RembgPredictor("u2net", new_rembg_session("u2net", count)).predict
    from catalog_assets.weights.openvino_network import OpenVinoNetwork

    network = OpenVinoNetwork(file, 320, on.precision, count, callers)
    return RembgPredictor("u2net", rembg_session_over("u2net", network)).predict
