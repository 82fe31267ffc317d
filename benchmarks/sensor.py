"""What a look of the inventory sensor costs with 1 000, 10 000 and 100 000 SKUs known, by what changed.

    python benchmarks/sensor.py --known 1000 10000 100000
    python benchmarks/sensor.py --known 1000 10000 100000 --s3       # a real S3 server on loopback
    python benchmarks/sensor.py --known 1000 10000 100000 --bucket   # a bucket in memory, for as many keys

One process as the code server has it: the first look reads everything, then looks with nothing changed, then looks
after 200 photos were replaced, until all of them are asked for. Writes ``benchmarks/results/sensor.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "benchmarks" / "results" / "sensor.json"
CHANGED = 200


def measure(known: int, base: str, looks_at_rest: int) -> dict[str, Any]:
    """Looks in this process, over an inventory that is filled first."""
    import dagster as dg
    from dagster_aws.s3 import S3Resource

    from benchmarks.shares import resident_mb
    from catalog_assets.definitions import build_defs
    from catalog_assets.orchestration.partitions import RANGE_END, RANGE_START
    from catalog_assets.orchestration.resources import LineResource
    from catalog_assets.orchestration.sensors import sensors
    from catalog_assets.storage.store import Store

    skus = [f"S{n:06d}" for n in range(known)]
    inventory = Store(f"{base}/inventory")
    if not inventory.remote:
        _fill(Path(inventory.base), skus, _photo(base))
        _age(Path(base) / "inventory")
    resource = LineResource(inventory=inventory.base, store=f"{base}/store", s3=S3Resource())
    sensor, defs = sensors(30)[0], build_defs({"line": resource})
    found: dict[str, Any] = {"known": known, "start_mb": round(resident_mb())}
    with dg.DagsterInstance.ephemeral() as instance:
        cursor: str | None = None
        cpu = 0.0

        def look() -> tuple[float, Any]:
            nonlocal cursor, cpu
            before = time.process_time()
            with dg.build_sensor_context(
                instance, cursor, resources={"line": resource}, definitions=defs
            ) as context:
                began = time.perf_counter()
                result = sensor(context)
                took = time.perf_counter() - began
                cursor = result.cursor if isinstance(result, dg.SensorResult) else context.cursor
            cpu = time.process_time() - before
            return took, result

        found["first_s"], result = look()
        found["first_cpu_s"] = cpu
        for request in result.dynamic_partitions_requests:
            instance.add_dynamic_partitions("sku", list(request.partition_keys))
        quiet, used = list[float](), 0.0
        for _ in range(looks_at_rest):
            quiet.append(look()[0])
            used += cpu
        found["nothing_s"], found["nothing_max_s"] = median(quiet), max(quiet)
        found["nothing_cpu_s"] = used / looks_at_rest
        found["nothing_mb"] = round(resident_mb())
        step = max(1, known // CHANGED)
        changed = skus[::step][:CHANGED]
        for sku in changed:
            _put(inventory, _photo(base).format(sku), b"other")
        if not inventory.remote:
            _age(Path(base) / "inventory", changed)
        asked, seen, looks, spent, most = 0, set[str](), 0, list[float](), 0.0
        while not seen.issuperset(changed) and looks < 500:
            took, result = look()
            looks += 1
            spent.append(took)
            most = max(most, cpu)
            if isinstance(result, dg.SensorResult):
                for request in result.run_requests or ():
                    if request.run_config:
                        asked_for = request.run_config["ops"]["carry"]["config"]["skus"]
                    elif RANGE_START in request.tags:
                        first, last = request.tags[RANGE_START], request.tags[RANGE_END]
                        asked_for = [s for s in changed if first <= s <= last]
                    else:
                        continue
                    asked += 1
                    seen.update(asked_for)
        found |= {
            "changed_s": sum(spent),
            "changed_max_s": max(spent),
            "changed_max_cpu_s": most,
            "looks": looks,
            "runs_asked_for": asked,
        }
        found["all_found"] = seen.issuperset(changed)
        found["mb"] = round(resident_mb())
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}


def _photo(base: str) -> str:
    """Where a SKU's photo lies; a bucket has no folders, and the server's listing is quicker without."""
    return "photos/{}.jpg" if "://" in base else "photos/{}/hero.jpg"


def _fill(folder: Path, skus: list[str], photo: str) -> None:
    """An inventory as files."""
    (folder / "photos").mkdir(parents=True)
    for sku in skus:
        path = folder / photo.format(sku)
        if "/hero" in photo:
            path.parent.mkdir()
        path.write_bytes(b"1")
    (folder / "catalog.csv").write_text("sku,title\n" + "\n".join(f"{s},Thing {s}" for s in skus))


def _put(inventory: Any, name: str, data: bytes) -> None:
    if inventory.remote:
        inventory.write(name, data)
        return
    path = Path(inventory.base) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(".part")
    part.write_bytes(data)
    part.replace(path)


def _age(folder: Path, skus: list[str] | None = None) -> None:
    """Write times of an hour ago: a photo written this second would still be being copied."""
    then = time.time() - 3600 + (0 if skus is None else 60)
    photos = folder / "photos"
    for path in [photos / sku for sku in skus] if skus else list(photos.iterdir()):
        os.utime(path / "hero.jpg", (then, then))
        os.utime(path, (then, then))
    os.utime(photos, (then, then))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--known", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--s3", action="store_true", help="on an S3 server on loopback")
    parser.add_argument("--bucket", action="store_true", help="on benchmarks/bucket.py")
    parser.add_argument("--looks", type=int, default=20, help="with nothing changed")
    parser.add_argument("--base", help="of one measurement")
    arguments = parser.parse_args()
    if arguments.base:
        print(json.dumps(measure(arguments.known[0], arguments.base, arguments.looks)))
        return
    kind = "s3" if arguments.s3 else "bucket" if arguments.bucket else "folder"
    for known in arguments.known:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            base, environment = folder, {**os.environ, "PYTHONPATH": str(ROOT)}
            if kind != "folder":
                environment |= stack.enter_context(_s3(kind, Path(folder), known))
                base = "s3://bench"
            command = [
                sys.executable,
                __file__,
                "--known",
                str(known),
                "--base",
                base,
                "--looks",
                str(arguments.looks),
            ]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(kind, found, flush=True)
        results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        results.setdefault(kind, {})[str(known)] = found
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


@contextlib.contextmanager
def _s3(kind: str, folder: Path, known: int) -> Generator[dict[str, str]]:
    """A server that holds the inventory, and the environment a client needs."""
    from catalog_assets_tests.conftest import _listens, free_port, wait_for

    port, control = free_port(), free_port()
    rclone = str(Path(sys.executable).with_name("rclone"))
    if kind == "s3":
        # Its memory: from a folder it would read every file again for each page it lists, to tell the hash.
        command = [rclone, "serve", "s3", ":memory:", "--addr", f"127.0.0.1:{port}", "--config", os.devnull]
        command += ["--auth-key", "key,secret", "--rc", f"--rc-addr=127.0.0.1:{control}", "--rc-no-auth"]
    else:
        command = [sys.executable, str(Path(__file__).with_name("bucket.py"))]
        command += ["--port", str(port), "--keys", str(known)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for("the S3 server to listen", lambda: _listens(port))
        if kind == "s3":
            _fill(folder / "bench" / "inventory", [f"S{n:06d}" for n in range(known)], _photo("s3://"))
            copy = [rclone, "rc", f"--url=http://127.0.0.1:{control}/", "sync/copy"]
            subprocess.run(
                [*copy, f"srcFs={folder}", "dstFs=:memory:"], check=True, stdout=subprocess.DEVNULL
            )
        yield {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
