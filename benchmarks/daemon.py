"""What a person waits for with the UI and its daemon running.

    python benchmarks/daemon.py latency --inventory ../shared/data/catalog_real --drops 5
    python benchmarks/daemon.py pages --known 100000
    python benchmarks/daemon.py ticks --known 100000 [--postgres]

``latency`` starts ``catalog-assets ui`` with its default intervals, drops one photo at a time into the folder and
waits for its listing. ``pages`` and ``ticks`` fill a Dagster instance (SQLite, or a PostgreSQL that is started for it)
with that many SKUs, each through every stage; ``pages`` times what the UI's pages ask its web server, ``ticks`` what
the automation sensor takes. All write ``benchmarks/results/daemon.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "benchmarks" / "results" / "daemon.json"
STAGES = ("raw_photo", "cutout", "packshot", "scenes", "qc_report", "listing")

RUNS = """{ runsOrError(limit: 60) { ... on Runs { results {
    runId status creationTime startTime endTime assetSelection { path } tags { key value } } } } }"""
TICKS = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { ... on RepositoryLocation {
    repositories { sensors { name sensorState { ticks(limit: 3) { timestamp endTimestamp status } } } } } } } } } }"""
PAGES = {
    "asset page": """{ assetNodes(assetKeys: [{path: ["%s"]}]) {
        partitionStats { numMaterialized numFailed numPartitions numMaterializing }
        assetMaterializations(limit: 50) { timestamp partition metadataEntries { label } } } }""",
    "partitions page": """{ assetNodes(assetKeys: [{path: ["%s"]}]) {
        partitionKeysByDimension { name partitionKeys }
        assetPartitionStatuses { ... on DefaultPartitionStatuses {
            materializedPartitions failedPartitions unmaterializedPartitions } } } }""",
    "one SKU": """{ assetNodes(assetKeys: [{path: ["%s"]}]) {
        latestMaterializationByPartition(partitions: ["S000500"]) { timestamp } } }""",
    "lineage": """{ assetNodes { assetKey { path }
        partitionStats { numMaterialized numFailed numPartitions numMaterializing } } }""",
}


def latency(source: Path, drops: int) -> dict[str, Any]:
    """Seconds from a photo's arrival to its listing, and what they are made of."""
    from catalog_assets.storage.manifest import Manifest
    from catalog_assets.storage.store import Store
    from catalog_assets_tests.conftest import free_port, wait_for
    from catalog_assets_tests.end_to_end.serving import ask, serving

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inventory, port = folder / "inventory", free_port()
        (inventory / "photos").mkdir(parents=True)
        rows = [
            r for r in csv.DictReader((source / "catalog.csv").open(encoding="utf-8")) if "/" not in r["sku"]
        ]
        rows = rows[: drops + 1]
        with (inventory / "catalog.csv").open("w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, ["sku", "title", "category"], extrasaction="ignore")
            out.writeheader()
            out.writerows(rows)
        manifest = Manifest(Store(folder / "store"))
        command = [str(Path(sys.executable).with_name("catalog-assets")), "ui", f"--inventory={inventory}"]
        command += [f"--store={folder / 'store'}", f"--home={folder / 'home'}", f"--port={port}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("CATALOG_", "DAGSTER_"))}
        environment["PYTHONPATH"] = str(ROOT)
        address, found = f"http://127.0.0.1:{port}", list[dict[str, float | str]]()
        with serving(command, address, environment, folder / "log", seconds=120):
            for number, row in enumerate(rows):
                time.sleep(7 * number % 30)  # at another moment between two looks each time
                sku = row["sku"]
                begun = time.time()
                (inventory / "photos" / sku).mkdir()
                shutil.copyfile(
                    source / (row.get("photo") or f"photos/{sku}/hero.jpg"),
                    inventory / f"photos/{sku}/hero.jpg",
                )
                wait_for(f"{sku} to be listed", lambda sku=sku: manifest.get("listing", sku) is not None, 400)
                took = time.time() - begun
                records = [manifest.get(stage, sku) for stage in STAGES]
                runs = ask(address, RUNS)["runsOrError"]["results"]
                own = [
                    r for r in runs if any(t["value"] == sku for t in r["tags"]) and r["creationTime"] > begun
                ]
                first = min(own, key=lambda r: r["creationTime"])
                work = sum(record.seconds for record in records if record)
                sensor, queue = first["creationTime"] - begun, first["startTime"] - first["creationTime"]
                part = {"sku": sku, "seconds": took, "noticed": sensor, "run_start": queue, "stages": work}
                part |= {"rows": took - sensor - queue - work}
                part["outcome"] = records[-1].outcome if records[-1] else "none"
                print({k: round(v, 1) if isinstance(v, float) else v for k, v in part.items()}, flush=True)
                found.append(part)
            _quiet(address)  # runs which automation asks for afterwards are counted as well
            runs = ask(address, RUNS)["runsOrError"]["results"]
            for part in found:
                part["runs"] = sum(any(t["value"] == part["sku"] for t in r["tags"]) for r in runs)
    rest = found[1:]  # the first finds an empty store: the brand is read, the catalogue is new
    keys = ("seconds", "noticed", "run_start", "stages", "rows")
    return {
        "drops": [{k: round(v, 2) if isinstance(v, float) else v for k, v in part.items()} for part in found],
        "median": {key: round(median(float(part[key]) for part in rest), 1) for key in keys},
    }


def _quiet(address: str) -> None:
    """Wait until automation has looked twice with no run under way: what the last run caused is asked for by then."""
    from catalog_assets_tests.conftest import wait_for
    from catalog_assets_tests.end_to_end.serving import ask

    ended = {"SUCCESS", "FAILURE", "CANCELED"}

    def looked(since: float) -> bool:
        entries = ask(address, TICKS)["workspaceOrError"]["locationEntries"]
        sensors = entries[0]["locationOrLoadError"]["repositories"][0]["sensors"]
        automation = next(sensor for sensor in sensors if sensor["name"] == "automation")
        ticks = automation["sensorState"]["ticks"]
        return any(tick["timestamp"] > since and tick["endTimestamp"] for tick in ticks)

    def at_rest() -> bool:
        runs = ask(address, RUNS)["runsOrError"]["results"]
        return all(run["status"] in ended for run in runs)

    rests = 0
    while rests < 2:
        since = time.time()
        wait_for("automation to look", lambda since=since: looked(since), 300)
        rests = rests + 1 if at_rest() else 0


def pages(known: int, postgres: bool) -> dict[str, Any]:
    """Seconds of the UI's questions, with so many SKUs through every stage."""
    from catalog_assets_tests.conftest import free_port
    from catalog_assets_tests.end_to_end.serving import ask, serving

    found: dict[str, Any] = {"known": known}
    with _filled(known, found, postgres) as home:
        port = free_port()
        command = [sys.executable, "-m", "dagster_webserver", "-w", "workspace.yaml", "-p", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        address = f"http://127.0.0.1:{port}"
        with serving(command, address, environment, home / "log", seconds=120):
            for page, query in PAGES.items():
                spent = list[float]()
                for stage in ("listing", "listing", "cutout", "cutout", "cutout"):
                    began = time.perf_counter()
                    ask(address, query % stage if "%s" in query else query)
                    spent.append(time.perf_counter() - began)
                found[page] = {"first_s": round(spent[0], 2), "median_s": round(median(spent), 2)}
    return found


def ticks(known: int, postgres: bool) -> dict[str, Any]:
    """Seconds of the automation sensor's ticks with so many SKUs through every stage, as a code server spends them.

    A tick with nothing known yet, two with nothing changed, one with 200 photos made anew, and two after it.
    """
    import dagster as dg

    from benchmarks.shares import peak_mb, resident_mb
    from catalog_assets.definitions import build_defs
    from catalog_assets.orchestration.sensors import sensors

    found: dict[str, Any] = {"known": known, "ticks": []}
    with _filled(known, found, postgres), dg.DagsterInstance.get() as instance:
        defs, cursor, before = build_defs(), None, resident_mb()
        automation = next(sensor for sensor in sensors(30) if sensor.name == "automation")
        changed = [f"S{n:06d}" for n in range(0, known, max(1, known // 200))][:200]
        for number in range(6):
            for sku in changed if number == 3 else ():
                instance.report_runless_asset_event(dg.AssetMaterialization("raw_photo", partition=sku))
            began, cpu = time.perf_counter(), time.process_time()
            with dg.build_sensor_context(instance, cursor, definitions=defs) as context:
                result = automation.evaluate_tick(context)
            tick = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
            cursor = result.cursor
            asked = [request.asset_graph_subset for request in result.run_requests or ()]
            tick = {key: round(spent, 2) for key, spent in tick.items()}
            tick["asked_for"] = sum(s.num_partitions_and_non_partitioned_assets for s in asked if s)
            found["ticks"].append({**tick, "cursor_kb": len(cursor or "") // 1000})
            found["mb"] = [round(before), round(peak_mb())]
            print(found["ticks"][-1], flush=True)
    return found


@contextlib.contextmanager
def _filled(known: int, found: dict[str, Any], postgres: bool) -> Generator[Path]:
    """A Dagster home, in ``DAGSTER_HOME``, that knows so many SKUs and every stage of them."""
    import dagster as dg

    from catalog_assets_tests.doubles.postgres import dagster_yaml, postgres_server

    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        home = Path(temporary)
        config = (ROOT / "dagster.yaml").read_text()
        if postgres:
            config = dagster_yaml(stack.enter_context(postgres_server()))
        (home / "dagster.yaml").write_text(config)
        os.environ["DAGSTER_HOME"] = str(home)
        skus = [f"S{n:06d}" for n in range(known)]
        with dg.DagsterInstance.get() as instance:
            began = time.perf_counter()
            for start in range(0, known, 10_000):
                instance.add_dynamic_partitions("sku", skus[start : start + 10_000])
            for name in ("catalog", "brand", "insights", "consistency"):
                instance.report_runless_asset_event(dg.AssetMaterialization(name))
            for stage in STAGES:
                instance.report_runless_asset_event(dg.AssetMaterialization(stage, partition=skus[0]))
            log: Any = instance.event_log_storage
            with log.index_connection() as connection:
                _repeat(connection, skus, "id INTEGER" if not postgres else "id SERIAL")
            found["filling_s"] = round(time.perf_counter() - began, 1)
            counted = len(instance.get_materialized_partitions(dg.AssetKey("listing")))
            if counted != known:
                raise RuntimeError(f"{counted} of {known} SKUs are materialized: the rows were not repeated")
        yield home


def _repeat(connection: Any, skus: Sequence[str], number: str) -> None:
    """Copy the first SKU's rows for every other SKU: Dagster's own rows, written by the hundred thousand."""
    import sqlalchemy as db

    columns = [column["name"] for column in db.inspect(connection).get_columns("event_logs")]
    columns.remove("id")
    connection.execute(db.text(f"CREATE TEMP TABLE other ({number} PRIMARY KEY, sku TEXT)"))
    other = db.table("other", db.column("sku"))
    for start in range(1, len(skus), 10_000):
        connection.execute(other.insert(), [{"sku": sku} for sku in skus[start : start + 10_000]])
    first = skus[0]
    taken = [
        "other.sku"
        if name == "partition"
        else f"replace(event, '{first}', other.sku)"
        if name == "event"
        else f'"{name}"'
        for name in columns
    ]
    into = ", ".join(f'"{name}"' for name in columns)
    rows = f"SELECT {', '.join(taken)} FROM event_logs, other WHERE partition = '{first}'"
    connection.execute(db.text(f"INSERT INTO event_logs ({into}) {rows}"))
    connection.execute(db.text("DROP TABLE other"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("latency", "pages", "ticks"))
    parser.add_argument("--inventory", type=Path)
    parser.add_argument("--drops", type=int, default=5)
    parser.add_argument("--known", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL that is started for it")
    arguments = parser.parse_args()
    if arguments.what == "latency":
        found = latency(arguments.inventory, arguments.drops)
    else:
        found = (pages if arguments.what == "pages" else ticks)(arguments.known, arguments.postgres)
    print(json.dumps(found), flush=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results[arguments.what + ("-postgres" if arguments.postgres else "")] = found
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
