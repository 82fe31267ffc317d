"""The line against a bare loop, on three databases, on one worker and two, and where its seconds go.

    python benchmarks/pipeline.py real --inventory ../shared/data/catalog_real --count 9 --skip 0
    python benchmarks/pipeline.py many --inventory catalog_assets/sample --count 500
    python benchmarks/pipeline.py bulk --count 2000 --ways sqlite,postgres
    python benchmarks/pipeline.py table

Every way runs in a process of its own and adds to ``benchmarks/results/pipeline.json``; parts (``--skip``) are summed,
so that a long comparison can be cut into short ones. A way with one worker gets one core and nothing else: the thread
that reports to Dagster shares it with the work. So two of them run at once where there are two cores.

``many`` repeats the photos smaller and with changed bytes, makes a small packshot and one small scene for one channel,
and asks the network once per distinct picture: the less work a SKU is, the harder for what surrounds it. ``bulk`` goes
on with drawn photos, pictures of a few hundred pixels and a stand-in for the network, and seven of its eight photos are
held at intake: what is left is mostly the line.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import io
import json
import os
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "benchmarks" / "results" / "pipeline.json"
_writing = threading.Lock()
WAYS = ("bare", "bare-lean", "sqlite", "postgres", "sqlite-2")
"""The bare loop, whole and without pictures for people; the line on SQLite and on PostgreSQL, and on two workers."""
SIDES = {"many": 256, "bulk": 256}
"""Pixels of packshots and scenes."""
DISTINCT = 7
"""Products that ``many`` repeats; none with print on it, so that no program for reading it is started."""
SCENES = "scenes:\n  - {{name: counter, plate: oak_counter, prompt: '{{title}}', size: {0}x{0}}}\n"
SMALL_BRAND = "limits: {min_side: 100}\n"


class Remembered:
    """The network, asked once per distinct picture; a picture that looks the same gets the same answer."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._known: list[tuple[np.ndarray, np.ndarray]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        """Coarse alpha, (H, W) float32 in [0, 1]."""
        small = cv2.resize(rgb, (24, 24), interpolation=cv2.INTER_AREA).astype(np.float32)
        for seen, alpha in self._known:
            if np.abs(seen - small).mean() < 1.0:
                return np.asarray(cv2.resize(alpha, (rgb.shape[1], rgb.shape[0])), np.float32)
        alpha = self._network.predict(rgb)
        self._known.append((small, cv2.resize(alpha, (320, 320))))
        return alpha


class Standin:
    """A network that sees everything darker than the ground of :func:`drawn`."""

    sees = 320

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        """Coarse alpha, (H, W) float32 in [0, 1]."""
        darker = 245 - rgb.min(axis=2).astype(np.float32)
        return np.clip((darker - 12) / 24, 0, 1)


def drawn(number: int, side: int = 512) -> bytes:
    """A photo of a box with a disc on it, in colours of its own, as JPEG."""
    colour = [int(c) for c in np.random.default_rng(number).integers(40, 180, 3)]
    image = np.full((side, side, 3), 245, np.uint8)
    cv2.rectangle(image, (side // 4, side // 4), (3 * side // 4, 3 * side // 4), colour, -1)
    cv2.circle(image, (side // 2, side // 2), side // 6, [255 - c for c in colour], -1)
    return cv2.imencode(".jpg", cv2.GaussianBlur(image, (3, 3), 0), [cv2.IMWRITE_JPEG_QUALITY, 95])[
        1
    ].tobytes()


def synthetic(folder: Path, count: int) -> Path:
    """An inventory of drawn photos; seven of eight are too small for intake and go through the stages as held."""
    (folder / "photos").mkdir(parents=True)
    rows = ["sku,title,category"]
    for number in range(count):
        (folder / f"photos/S{number:05d}.jpg").write_bytes(drawn(number, 320 if number % 8 else 512))
        rows.append(f"S{number:05d},Box {number},Home > Boxes")
    (folder / "catalog.csv").write_text("\n".join(rows))
    (folder / "scenes.yaml").write_text(SCENES.format(SIDES["bulk"]))
    (folder / "brand.yaml").write_text(SMALL_BRAND)
    return folder


def stock(source: Path, folder: Path, count: int, skip: int, side: int, one_scene: bool) -> Path:
    """An inventory of ``count`` SKUs; beyond the source's own they repeat, with bytes of their own."""
    rows = [r for r in csv.DictReader((source / "catalog.csv").open(encoding="utf-8")) if "/" not in r["sku"]]
    rows = [r for r in rows if not r.get("label_text")][:DISTINCT] if one_scene else rows
    (folder / "photos").mkdir(parents=True)
    text = io.StringIO()
    out = csv.DictWriter(text, ["sku", "title", "category"], extrasaction="ignore")
    out.writeheader()
    for n in range(skip, skip + count):
        own = rows[n % len(rows)]["sku"]
        row = {**rows[n % len(rows)], "sku": f"{n:05d}"}
        data = (source / (row.get("photo") or f"photos/{own}/hero.jpg")).read_bytes()
        if side:
            with Image.open(io.BytesIO(data)) as image:
                small = image.convert("RGB")
                smaller = side / min(small.size)
                small = small.resize((round(small.width * smaller), round(small.height * smaller)))
                small.putpixel((0, 0), (n % 256, n // 256 % 256, 0))
                buffer = io.BytesIO()
                small.save(buffer, "JPEG", quality=92)
                data = buffer.getvalue()
        (folder / "photos" / f"{row['sku']}.jpg").write_bytes(data)
        out.writerow(row)
    (folder / "catalog.csv").write_text(text.getvalue(), encoding="utf-8")
    if one_scene:
        (folder / "scenes.yaml").write_text(SCENES.format(SIDES["many"]))
        (folder / "brand.yaml").write_text(SMALL_BRAND)
    return folder


def cell(kind: str, way: str, inventory: Path, store: Path) -> dict[str, Any]:
    """One way in this process; seconds count from a loaded network on."""
    from benchmarks.bare_loop import BareLoop
    from benchmarks.shares import Shares, peak_mb
    from catalog_assets.orchestration.run_line import LineRun
    from catalog_assets.settings import load_settings

    begun = time.perf_counter()
    settings = load_settings(environ={}).with_(
        inventory=str(inventory), store=str(store), workers=2 if way.endswith("-2") else 1
    )
    if kind != "real":
        settings = settings.with_(channels=("etsy",))
        _small_packshots(SIDES[kind])
    run = LineRun(settings)
    run.plan()
    if kind == "bulk":
        run.line.__dict__["predictor"] = Standin()
    network = run.line.predictor
    if kind == "many":
        run.line.__dict__["predictor"] = Remembered(network)
    start = time.perf_counter() - begun
    peaks: dict[int, float] = {}
    done = 0

    def count(stage: str, _step: object) -> None:
        nonlocal done
        if stage == "listing":
            done += 1
            if done % 50 == 0:
                peaks[done] = peak_mb()

    began, cpu = time.perf_counter(), _cpu()
    with Shares(0.02) as shares:
        if way.startswith("bare"):
            run.line.prepare(run.skus)
            loop, outcomes = BareLoop(run.line, store, lean=way.endswith("lean")), list[str]()
            for sku in run.skus:
                entry = run.line.entry(sku)
                assert entry is not None
                try:
                    outcomes.append(loop.sku(sku, entry))
                except Exception as error:  # a SKU that breaks fails alone, in the line as well
                    print(sku, type(error).__name__, error, file=sys.stderr)
                    outcomes.append("failed")
                count("listing", None)
            loop.sum_up()
        else:
            run.go(count)
            outcomes = [result.outcome for result in run.results().values()]
    seconds, cpu = time.perf_counter() - began, _cpu() - cpu
    found: dict[str, Any] = {
        "skus": len(outcomes),
        "seconds": round(seconds, 2),
        "cpu": round(cpu, 2),
        "start": round(start, 2),
        "outcomes": {name: outcomes.count(name) for name in sorted(set(outcomes))},
        "peak_mb": round(peak_mb()),
        "peaks_mb": {str(n): round(mb) for n, mb in peaks.items()},
        "step_seconds": {step: round(spent, 2) for step, spent in shares.seconds.most_common()},
    }
    if not way.startswith("bare"):
        began, cpu = time.perf_counter(), _cpu()
        again = LineRun(settings)
        again.plan()
        again.go()
        found["again_seconds"] = round(time.perf_counter() - began, 2)
        found["again_cpu"] = round(_cpu() - cpu, 2)
        found["again_unchanged"] = sum(result.unchanged for result in again.results().values())
    return found


def _small_packshots(side: int) -> None:
    """Let packshots be as small as scenes, for the line and the bare loop alike."""
    from catalog_assets.imaging.packshot import PackshotSpec

    values = {"width": side, "height": side, "min_side": side}
    fields = [field.name for field in dataclasses.fields(PackshotSpec)]
    PackshotSpec.__init__.__defaults__ = tuple(
        values.get(name, default)
        for name, default in zip(fields, PackshotSpec.__init__.__defaults__ or (), strict=True)
    )


def _cpu() -> float:
    """CPU seconds of this process and of the programs it started (tesseract)."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(k).ru_utime + resource.getrusage(k).ru_stime for k in kinds)


def compare(name: str, arguments: argparse.Namespace) -> None:
    """Run the ways, each in its own process, and add what they took to the results."""
    many = name == "many"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inventory, side = folder / "inventory", arguments.side if many else 0
        if name == "bulk":
            synthetic(inventory, arguments.count)
        else:
            stock(arguments.inventory, inventory, arguments.count, arguments.skip, side, many)
        ways = arguments.ways.split(",")
        cores = arguments.cores or sorted(os.sched_getaffinity(0))
        free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for core in cores:
            free.put(core)

        def single(way: str) -> None:
            core = free.get()
            try:
                _way(name, way, inventory, folder, arguments, {core})
            finally:
                free.put(core)

        with ThreadPoolExecutor(min(len(cores), 2)) as pool:
            list(pool.map(single, [way for way in ways if not way.endswith("-2")]))
        for way in ways:
            if way.endswith("-2"):
                _way(name, way, inventory, folder, arguments, set(cores[:2]))
        if {"bare", "sqlite"} <= set(ways):
            from benchmarks.bare_loop import undelivered

            for side, files in undelivered(folder / "sqlite", folder / "bare").items():
                print(f"{side} delivered {len(files)} files: {', '.join(files[:12])}", flush=True)


def _way(
    name: str, way: str, inventory: Path, folder: Path, arguments: argparse.Namespace, cores: set[int]
) -> None:
    """One way on some cores, in a process and a Dagster instance of its own."""
    from catalog_assets_tests.doubles.postgres import dagster_yaml, postgres_server

    home = folder / f"home-{way}"
    home.mkdir()
    with contextlib.ExitStack() as stack:
        config = (ROOT / "dagster.yaml").read_text()
        if way.startswith("postgres"):
            config = dagster_yaml(stack.enter_context(postgres_server()))
        (home / "dagster.yaml").write_text(config)
        command = [sys.executable, __file__, "cell", "--kind", name, "--way", way]
        command += ["--inventory", str(inventory), "--store", str(folder / way)]
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "BENCHMARK_CORES": ",".join(map(str, cores)),
        }
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    part = json.loads(done.stdout.splitlines()[-1])
    with _writing:
        _add(name, way, f"{arguments.skip}+{arguments.count}", part)
    print(name, way, {k: v for k, v in part.items() if k != "step_seconds"}, flush=True)


def _add(name: str, way: str, part: str, found: dict[str, Any]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results.setdefault(name, {}).setdefault(way, {})[part] = found
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def table() -> None:
    """The results as tables; ratios against the bare loop over the parts that both have."""
    results = json.loads(RESULTS.read_text())
    for name, ways in results.items():
        print(f"\n{name}: way, SKUs, SKUs/min, of bare (wall), of bare (CPU), again %, peak MB")
        for way in WAYS:
            parts = ways.get(way, {})
            shared = [p for p in parts if p in ways.get("bare", {})]
            if not parts:
                continue
            mine, bare = _sum(parts, shared or list(parts)), _sum(ways.get("bare", {}), shared)
            wall = f"{bare['seconds'] / mine['seconds']:.3f}" if shared else "–"
            cpu = f"{bare['cpu'] / mine['cpu']:.3f}" if shared else "–"
            again = f"{100 * mine['again_seconds'] / mine['seconds']:.1f}" if mine["again_seconds"] else "–"
            peak = max(p["peak_mb"] for p in parts.values())
            pace = 60 * mine["skus"] / mine["seconds"]
            print(f"{way:10} {mine['skus']:5.0f} {pace:7.1f} {wall:>7} {cpu:>7} {again:>6} {peak:6}")
        for way in ("sqlite", "bare"):
            steps: dict[str, float] = {}
            for part in ways.get(way, {}).values():
                for step, spent in part["step_seconds"].items():
                    steps[step] = steps.get(step, 0.0) + spent
            total = sum(steps.values()) or 1.0
            shares = ", ".join(
                f"{s} {v / total:.1%}" for s, v in sorted(steps.items(), key=lambda kv: -kv[1])
            )
            print(f"  steps of {way}: {shares}")


def _sum(parts: dict[str, Any], names: list[str]) -> dict[str, float]:
    keys = ("skus", "seconds", "cpu", "again_seconds")
    return {key: sum(parts[name].get(key, 0) for name in names) for key in keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("real", "many", "bulk", "table", "cell"))
    parser.add_argument("--inventory", type=Path)
    parser.add_argument("--count", type=int, default=9)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--side", type=int, default=512, help="shorter side of the photos of `many`")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument(
        "--cores", type=int, nargs="*", help="to use; all unless given. Servers are not bound to them"
    )
    parser.add_argument("--way", help="of `cell`")
    parser.add_argument("--store", type=Path, help="of `cell`")
    parser.add_argument("--kind", default="real", help="of `cell`")
    arguments = parser.parse_args()
    if arguments.what == "table":
        table()
    elif arguments.what == "cell":
        os.sched_setaffinity(0, {int(core) for core in os.environ["BENCHMARK_CORES"].split(",")})
        print(json.dumps(cell(arguments.kind, arguments.way, arguments.inventory, arguments.store)))
    else:
        compare(arguments.what, arguments)


if __name__ == "__main__":
    main()
