"""What was chosen by measurement: threads or processes, how hard to compress, and what a cutout costs beside rembg.

    python benchmarks/choices.py workers --inventory ../shared/data/catalog_real --count 6
    python benchmarks/choices.py encoders --cutouts STORE/cutout
    python benchmarks/choices.py rembg --inventory ../shared/data/catalog_real --count 12

``rembg`` needs its command line; ``pip install --target FOLDER 'rembg[cpu,cli]'`` and ``--rembg FOLDER/bin/rembg`` keep
it apart. Writes ``benchmarks/results/choices.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "benchmarks" / "results" / "choices.json"
PIPELINE = ROOT / "benchmarks" / "pipeline.py"


def start(command: Sequence[str], cores: set[int], folder: Path, **more: str) -> subprocess.Popen[str]:
    """A program on some cores, one thread for each answer of the network."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DAGSTER_HOME": str(folder)}
    environment |= {"BENCHMARK_CORES": ",".join(map(str, cores)), **more}
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", folder / "dagster.yaml")
    return subprocess.Popen(
        ["taskset", "-c", ",".join(map(str, cores)), *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def workers(source: Path, count: int) -> dict[str, Any]:
    """The same SKUs on two threads of one process, and on two processes with a thread each."""
    from benchmarks.pipeline import stock

    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stock(source, folder / "all", count, 0, 0, False)
        for part in (0, 1):
            stock(source, folder / f"part{part}", count // 2, part * (count // 2), 0, False)

        def cell(way: str, inventory: str, on: set[int]) -> subprocess.Popen[str]:
            command = [
                sys.executable,
                str(PIPELINE),
                "cell",
                "--way",
                way,
                "--inventory",
                str(folder / inventory),
            ]
            return start(
                [*command, "--store", str(folder / f"store-{inventory}")], on, folder / f"home-{inventory}"
            )

        threads = json.loads(cell("sqlite-2", "all", set(cores)).communicate()[0].splitlines()[-1])
        both = [cell("sqlite", f"part{n}", {core}) for n, core in enumerate(cores)]
        parts = [json.loads(process.communicate()[0].splitlines()[-1]) for process in both]
    return {
        "two threads": {key: threads[key] for key in ("skus", "seconds", "cpu", "peak_mb")},
        "two processes": {
            "skus": sum(part["skus"] for part in parts),
            "seconds": max(part["seconds"] for part in parts),
            "cpu": round(sum(part["cpu"] for part in parts), 2),
            "peak_mb": sum(part["peak_mb"] for part in parts),
        },
    }


def encoders(cutouts: Path, count: int) -> dict[str, Any]:
    """Milliseconds and size of a cutout as PNG by level, and of a picture as JPEG."""
    import cv2
    import numpy as np
    from PIL import Image

    from catalog_assets.imaging.encode import encode_jpeg, encode_png

    cv2.setNumThreads(1)
    pictures = []
    for file in sorted(cutouts.rglob("hero.png"))[:count]:
        with Image.open(file) as image:
            pictures.append(np.array(image.convert("RGBA")))
    found: dict[str, Any] = {"cutouts": len(pictures)}
    found["megapixels"] = round(sum(p.shape[0] * p.shape[1] for p in pictures) / 1e6, 1)
    for level in (1, 3, 6, 9):
        took, sizes = [], []
        for rgba in pictures:
            began = time.process_time()
            sizes.append(len(encode_png(rgba, level=level)))
            took.append(time.process_time() - began)
        found[f"png level {level}"] = _per_picture(took, sizes)
    took, sizes = [], []
    for rgba in pictures:
        rgb = np.ascontiguousarray(rgba[..., :3])
        began = time.process_time()
        sizes.append(len(encode_jpeg(rgb, quality=93)))
        took.append(time.process_time() - began)
    found["jpeg 93"] = _per_picture(took, sizes)
    return found


def _per_picture(took: list[float], sizes: list[int]) -> dict[str, float]:
    return {"ms": round(1000 * sum(took) / len(took), 1), "kb": round(sum(sizes) / len(sizes) / 1000, 1)}


def rembg(
    source: Path, count: int, rounds: int, skip: int, program: Path, runtimes: Sequence[str]
) -> dict[str, Any]:
    """Whole programs over one folder with one model on one core: ``rembg p``, and the line up to its cutouts."""
    from benchmarks.pipeline import stock

    core = {max(os.sched_getaffinity(0))}
    aside = program.parent.parent  # where `pip install --target` put both the program and its packages
    more = {"PYTHONPATH": str(aside)} if (aside / "rembg").is_dir() else {}
    line = str(Path(sys.executable).with_name("catalog-assets"))
    ways = (
        {f"line, {runtime}": runtime for runtime in runtimes} if len(runtimes) > 1 else {"line": runtimes[0]}
    )
    parts: dict[str, list[dict[str, float]]] = {name: [] for name in ("rembg p", "rembg p -a", *ways)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stock(source, folder / "inventory", count, skip, 0, False)
        photos = str(folder / "inventory/photos")
        for number in range(rounds):
            for name, flags in (("rembg p", []), ("rembg p -a", ["-a"])):
                out = folder / f"{name}{number}"
                command = [str(program), "p", "-m", "u2net", *flags, photos, str(out)]
                parts[name].append(_spent(command, core, folder / "home", **more))
                _expect(name, out, count)
            for name, runtime in ways.items():
                store = folder / f"store{number}{runtime}"
                command = [line, "run", str(folder / "inventory"), f"--store={store}", "--stage=cutout"]
                own = {"CATALOG_WORKERS": "1", "CATALOG_MATTE_RUNTIME": runtime}
                parts[name].append(_spent(command, core, folder / f"home{number}{runtime}", **own))
                made = len(list((store / "cutout").rglob("*.png")))
    found: dict[str, Any] = {"photos": count, "rounds": parts, "cutouts of the line": made}
    for name, spent in parts.items():
        found[name] = {
            "photos_per_minute": round(60 * count / median(part["seconds"] for part in spent), 1),
            "cpu_s_a_photo": round(median(part["cpu"] for part in spent) / count, 2),
        }
    for way in ways:
        for name in ("rembg p", "rembg p -a"):
            ratio = found[way]["cpu_s_a_photo"] / found[name]["cpu_s_a_photo"]
            found[f"cpu of the {way} by {name}"] = round(ratio, 2)
    return found


def _expect(name: str, out: Path, count: int) -> None:
    made = len(list(out.glob("*.png")))
    if made != count:
        raise RuntimeError(f"{name} made {made} of {count} cutouts: is its command line installed?")


def _spent(command: Sequence[str], core: set[int], home: Path, **more: str) -> dict[str, float]:
    """Wall and CPU seconds of a program and of what it started."""
    began = time.perf_counter()
    process = start(command, core, home, **more)
    assert process.stdout is not None
    process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu": round(usage.ru_utime + usage.ru_stime, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("workers", "encoders", "rembg"))
    parser.add_argument("--inventory", type=Path)
    parser.add_argument("--cutouts", type=Path)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rembg", type=Path, default=Path(sys.executable).with_name("rembg"))
    parser.add_argument(
        "--runtimes", nargs="+", default=["auto"], help="of the line, as CATALOG_MATTE_RUNTIME"
    )
    arguments = parser.parse_args()
    if arguments.what == "workers":
        found = workers(arguments.inventory, arguments.count)
    elif arguments.what == "encoders":
        found = encoders(arguments.cutouts, arguments.count)
    else:
        own = (arguments.inventory, arguments.count, arguments.rounds, arguments.skip)
        found = rembg(*own, arguments.rembg, arguments.runtimes)
    print(json.dumps(found, indent=1))
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results[arguments.what] = found
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
