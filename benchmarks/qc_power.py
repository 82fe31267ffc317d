"""The power of quality control: recall on planted defects at a known rate of false alarms.

    python benchmarks/qc_power.py --cache DIR [--per 4] [--only halo] [--seconds 420] [--part 1/2]

Packshots and studio scenes are made from the products of ``qc_pictures.py``; for every picture with a planted
defect there is an honest one. Every picture is checked without being told where the product is (but for "off
the ground", which is about just that). Pictures and results are kept in the cache folder, results by the code
that made them, so that a run may stop after ``--seconds`` and go on later, in several processes (``--part``).
The table of what is there is printed and kept in ``benchmarks/results/qc_power.json``, which says how many
pictures were planned.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from qc_defects import FAMILIES, Family, Product, benign
from qc_pictures import LOGO, ROOT, WHITE, make, products
from qc_scores import caught, markdown, summary, use_of

from catalog_assets.imaging.decode import decode_photo
from catalog_assets.ocr import tesseract_reader
from catalog_assets.qc.alignment import scale_of
from catalog_assets.qc.check import Expectation, Picture, check_picture
from catalog_assets.qc.rules import Limits

_WRONG = "wrong product"


@dataclass(frozen=True)
class Job:
    """One picture to make and check."""

    family: Family | None
    severity: int
    number: int

    @property
    def name(self) -> str:
        """The job's name in the cache."""
        kind = self.family.name.replace(" ", "_") if self.family else "honest"
        return f"{kind}-{self.severity + 1}-{self.number:04d}"


def jobs(per: int, only: str, severities: str) -> Iterator[Job]:
    """Round by round, so that a part of the work is a smaller table of everything."""
    honest = 0
    for number in range(per):
        for family in FAMILIES:
            for severity in range(4):
                yield Job(None, 0, honest)
                honest += 1
                if only in family.name and str(severity + 1) in severities:
                    yield Job(family, severity, number)


class Bench:
    """Makes and checks pictures, remembering both."""

    def __init__(self, cache: Path, store: Path | None, side: int, seed: int) -> None:
        self.cache, self.side, self.seed = cache, side, seed
        self.products = products(store)
        self.code = _code()
        self.loaded: list[Product] = []
        for folder in (cache / "pictures", cache / "results" / self.code):
            folder.mkdir(parents=True, exist_ok=True)

    def row(self, job: Job) -> dict[str, Any] | None:
        """The result, from the cache or None."""
        path = self._result(job)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def do(self, job: Job) -> dict[str, Any]:
        """Make the picture where there is none, check it, keep the result."""
        data, facts = self.picture(job)
        product = next(p for p in self.products if p.name == facts["against"])
        self._keep(product)
        row = {
            "job": job.name,
            "family": job.family.name if job.family else "honest",
            "severity": job.severity,
            "number": job.number,
            **facts,
            **examine(product, data, facts),
        }
        path = self._result(job)
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(row), encoding="utf-8")
        partial.replace(path)
        return row

    def picture(self, job: Job) -> tuple[bytes, dict[str, Any]]:
        """The picture of a job and what it shows."""
        planted = inspect.getsource(job.family.plant) if job.family else inspect.getsource(benign)
        key = hashlib.sha256(f"{planted}|{self.side}|{self.seed}".encode()).hexdigest()[:10]
        path = self.cache / "pictures" / f"{job.name}-{key}.jpg"
        note = path.with_suffix(".json")
        if not note.exists():
            data, facts = self._make(job)
            path.write_bytes(data)
            note.write_text(json.dumps(facts), encoding="utf-8")
        return path.read_bytes(), json.loads(note.read_text(encoding="utf-8"))

    def _make(self, job: Job) -> tuple[bytes, dict[str, Any]]:
        index = FAMILIES.index(job.family) if job.family else 999
        for attempt in range(400):
            rng = np.random.default_rng([self.seed, index, job.severity, job.number, attempt])
            product = self._choose(job, rng)
            if product is None:
                continue
            self._keep(product)
            scene = (job.family is None or job.family.scene) and bool(rng.random() < 0.5)
            shot = job.family.plant(product, job.severity, rng) if job.family else benign(product, rng)
            if shot is None:
                continue
            if shot.template or shot.asked != WHITE:
                scene = shot.template is not None
            scene = scene and not shot.packshot_only
            made = make(product, shot, scene, rng, self.side)
            # A photo enlarged beyond what the brand allows fails rightly; nothing else is shown by such a picture.
            if made is None or scale_of(made[1]) > Limits().upscale:
                continue
            against = product
            if job.family and job.family.name == _WRONG:
                others = [
                    p for p in self.products if p.collection == product.collection and p.sku != product.sku
                ]
                against = others[int(rng.integers(len(others)))]
            return made[0], {
                "product": product.name,
                "against": against.name,
                "source": product.source,
                "scene": scene,
                "asked": shot.asked,
                "transform": made[1].tolist() if shot.hint else None,
            }
        raise SystemExit(f"nothing could be made for {job.name}")

    def _choose(self, job: Job, rng: np.random.Generator) -> Product | None:
        """Half of the pictures show the sample's products, which carry print and known sizes."""
        module = job.family.plant.__module__ if job.family else ""
        pool = self.products
        if module.endswith("printed"):
            logo = job.family is not None and "logo" in job.family.name
            pool = [p for p in pool if (p.logo if logo else p.lines)]
        elif rng.random() < 0.5:
            pool = [p for p in pool if p.source == "sample"]
        return pool[int(rng.integers(len(pool)))] if pool else None

    def _keep(self, product: Product) -> None:
        """A few products stay in memory."""
        if product in self.loaded:
            self.loaded.remove(product)
        self.loaded.append(product)
        while len(self.loaded) > 8:
            self.loaded.pop(0).forget()

    def _result(self, job: Job) -> Path:
        return self.cache / "results" / self.code / f"{job.name}.json"


def _code() -> str:
    """Hash of what judges: quality control and reading."""
    parts = [
        p.read_bytes()
        for folder in ("qc", "ocr")
        for p in sorted((ROOT / "catalog_assets" / folder).glob("*.py"))
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


@lru_cache(maxsize=1)
def _logo() -> np.ndarray:
    return np.asarray(Image.open(LOGO).convert("RGBA"))


def examine(product: Product, data: bytes, facts: dict[str, Any]) -> dict[str, Any]:
    """Check one picture; what the scores need of the report."""
    picture = decode_photo(data)
    hint = facts["transform"]
    start = _cpu()
    report = check_picture(
        Picture(product.name, picture.rgb, picture.facts),
        product.rgba,
        photo_rgb=product.photo,
        expect=Expectation(
            kind="scene" if facts["scene"] else "packshot",
            label_lines=product.label,
            languages=product.languages,
            background_rgb=tuple(facts["asked"]),
            logo_rgba=_logo() if product.source == "sample" else None,
            transform_hint=np.array(hint) if hint else None,
            label_known=product.source == "sample",
            material=product.material,
            category=product.category,
        ),
        read_text=tesseract_reader(),
    )
    seconds = _cpu() - start
    findings = [f.to_json() for f in report.findings]
    return {
        "verdict": report.verdict,
        "failed": [f["rule"] for f in findings if not f["passed"]],
        "unmeasured": [f["rule"] for f in findings if f["measured"] is None],
        "use": {f["rule"]: round(use_of(f), 4) for f in findings},
        "uses": {f["rule"]: f["uses"] for f in findings if "uses" in f},
        "said": [f["message"] for f in findings if not f["passed"]],
        "confidence": report.registration.confidence,
        "timings": report.to_json()["timings_ms"],
        "seconds": round(seconds, 3),
        "megapixels": picture.rgb.shape[0] * picture.rgb.shape[1] / 1e6,
    }


def _cpu() -> float:
    """CPU seconds of this process and of the tesseracts it started."""
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def sheets(bench: Bench, rows: list[dict[str, Any]], todo: list[Job], folder: Path) -> None:
    """Missed defects (most severe first) and false alarms, twenty to a sheet."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {job.name: job for job in todo}
    missed = sorted(
        (r for r in rows if r["family"] != "honest" and not caught(r)), key=lambda r: -r["severity"]
    )
    alarms = [r for r in rows if r["family"] == "honest" and caught(r)]
    for name, chosen in (("missed", missed[:20]), ("false_alarms", alarms[:20])):
        if not chosen:
            continue
        tile, columns = 380, 5
        high = (len(chosen) + columns - 1) // columns
        sheet = Image.new("RGB", (columns * tile, high * (tile + 60)), "white")
        draw = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(15)
        for i, row in enumerate(chosen):
            image = Image.fromarray(decode_photo(bench.picture(named[row["job"]])[0]).rgb)
            image.thumbnail((tile - 6, tile - 6))
            x, y = (i % columns) * tile, (i // columns) * (tile + 60)
            sheet.paste(image, (x, y + 56))
            top = sorted(row["use"].items(), key=lambda pair: -pair[1])[:3]
            title = f"{row['family']} {row['severity'] + 1}  {row['product']}"
            draw.text((x + 4, y + 2), title, fill="black", font=font)
            draw.text((x + 4, y + 20), " ".join(f"{k} {v:.2f}" for k, v in top), fill="black", font=font)
            said = (row["said"] or [""])[0][:52].encode("latin-1", "replace").decode("latin-1")
            draw.text((x + 4, y + 38), said, fill=(160, 0, 0), font=font)
        sheet.save(folder / f"{name}.png")


def into_page(page: Path, table: str) -> None:
    """Replace what stands between ``<!-- power -->`` and ``<!-- /power -->``."""
    before, rest = page.read_text(encoding="utf-8").split("<!-- power -->", 1)
    after = rest.split("<!-- /power -->", 1)[1]
    page.write_text(f"{before}<!-- power -->\n{table}\n<!-- /power -->{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for pictures and results")
    parser.add_argument("--store", type=Path, default=None, help="store with cutouts of real photos")
    parser.add_argument("--per", type=int, default=4, help="pictures per family and severity")
    parser.add_argument("--side", type=int, default=1200, help="pixels of a picture's side")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="families whose name contains this")
    parser.add_argument("--severities", default="1234", help="which of the four severities")
    parser.add_argument("--no-honest", action="store_true", help="leave the honest pictures out")
    parser.add_argument("--part", default="1/1", help="this process's share of the work, as 1/2")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this long; run again to go on")
    parser.add_argument("--sheets", type=Path, default=None, help="folder for contact sheets of the worst")
    parser.add_argument("--table", action="store_true", help="only the table of what is in the cache")
    parser.add_argument(
        "--docs", type=Path, default=None, help="put the table into this page, after <!-- power -->"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "qc_power.json")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    bench = Bench(args.cache, args.store, args.side, args.seed)
    todo = [j for j in jobs(args.per, args.only, args.severities) if j.family or not args.no_honest]
    which, of = (int(v) for v in args.part.split("/"))
    stop = time.monotonic() + args.seconds
    for job in todo[which - 1 :: of]:
        if args.table or time.monotonic() > stop:
            break
        row = bench.row(job)
        if row is None:
            row = bench.do(job)
            if os.environ.get("QC_POWER_VERBOSE"):
                worst = sorted(((u, r) for r, u in row["use"].items()), reverse=True)[:2]
                print(
                    job.name, row["against"], row["scene"], row["verdict"], row["failed"], worst, flush=True
                )
    rows = [row for job in todo if (row := bench.row(job)) is not None]
    report = summary(rows, [f.name for f in FAMILIES], {f.name: f.rules for f in FAMILIES})
    report["planned"] = len(todo)
    report["settings"] = {
        "per": args.per,
        "side": args.side,
        "seed": args.seed,
        "products": len(bench.products),
    }
    print(markdown(report))
    if args.sheets:
        sheets(bench, rows, todo, args.sheets)
    if args.docs:
        into_page(args.docs, markdown(report))
    if not args.only and not args.no_honest and args.severities == "1234":
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if len(rows) < len(todo):
        print(f"{len(rows)} of {len(todo)} pictures are done; run again to go on.", file=sys.stderr)


if __name__ == "__main__":
    main()
