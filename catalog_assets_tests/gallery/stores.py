"""Stores in the layout the stages write, made without running them."""

import json

import numpy as np

from catalog_assets.catalogue.inventory import FileStat, Inventory, PhotoFile
from catalog_assets.catalogue.item import Item
from catalog_assets.catalogue.snapshot import Snapshot, Snapshots
from catalog_assets.imaging.encode import encode_jpeg, encode_png, thumbnail
from catalog_assets.qc.findings import Finding
from catalog_assets.storage.manifest import Manifest, Record
from catalog_assets.storage.store import Store, sha256

SECONDS = {"raw_photo": 0.3, "cutout": 1.5, "packshot": 0.6, "scenes": 1.2, "qc_report": 2.0, "listing": 0.4}


def catalogue(store: Store, items: list[Item]) -> None:
    """Publish a snapshot with these rows."""
    photos = {i.sku: (PhotoFile("hero", FileStat(f"photos/{i.sku}/hero.jpg", 1, "t")),) for i in items}
    Snapshots(store).publish(
        Snapshot.of(Inventory(items={i.sku: i for i in items}, photos=photos, problems=[]))
    )


def product(seed: int, side: int) -> np.ndarray:
    """A coloured disc on transparency."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    alpha = np.clip((0.35 - np.hypot(x, y)) * side / 2, 0, 1) * 255
    rng = np.random.default_rng(seed)
    rgb = np.empty((side, side, 3), np.uint8)
    rgb[:] = rng.integers(30, 220, 3)
    return np.dstack([rgb, alpha.astype(np.uint8)])


def over(rgba: np.ndarray, ground: tuple[int, int, int]) -> np.ndarray:
    alpha = rgba[..., 3:].astype(float) / 255
    return (rgba[..., :3] * alpha + np.array(ground) * (1 - alpha)).astype(np.uint8)


class Maker:
    """Writes the stages' files of one SKU; ``variety`` different products serve all SKUs."""

    def __init__(self, store: Store, side: int = 320, variety: int = 4) -> None:
        self.store, self.manifest = store, Manifest(store)
        self.side, self.variety = side, variety
        self._cache: dict[tuple[str, int], tuple[bytes, bytes]] = {}

    def _coded(self, kind: str, seed: int) -> tuple[bytes, bytes]:
        key = (kind, seed % self.variety)
        if key not in self._cache:
            rgba = product(seed % self.variety, self.side)
            if kind == "cutout":
                self._cache[key] = encode_png(rgba), thumbnail(rgba, checker=True)
            else:
                ground = {"raw_photo": (150, 140, 120), "packshot": (255, 255, 255), "scenes": (90, 70, 50)}
                rgb = over(rgba, ground[kind])
                self._cache[key] = encode_jpeg(rgb), thumbnail(rgb)
        return self._cache[key]

    def stage(
        self, sku: str, stage: str, seed: int = 0, names: tuple[str, ...] = ("hero",), **record
    ) -> None:
        """One finished stage with its pictures, thumbnails and record; ``facts`` go to every picture."""
        facts, files, table = record.pop("facts", {}), {}, {}
        for name in names:
            if stage in ("qc_report", "listing"):
                continue
            suffix = ".png" if stage == "cutout" else ".jpg"
            file, thumb = f"{stage}/{sku}/{name}{suffix}", f"thumbs/{sku}/{stage}-{name}.jpg"
            data, small = self._coded(stage, seed)
            for path, content in ((file, data), (thumb, small)):
                self.store.write(path, content)
                files[path] = sha256(content)
            table[name] = {"file": file, **facts}
        metadata = {"scenes" if stage == "scenes" else "views": table}
        plain = {"outcome": "done", "seconds": SECONDS[stage], "files": files, "metadata": metadata}
        self.manifest.put(Record(sku, stage, "print", **{**plain, **record}))

    def report(self, sku: str, verdict: str, pictures: list[dict], reasons: tuple[str, ...] = ()) -> None:
        """A QC report and its record."""
        findings = [f for p in pictures for f in p["findings"]]
        document = {
            "sku": sku,
            "verdict": verdict,
            "reasons": list(reasons),
            "pictures": pictures,
            "findings": findings,
        }
        data = json.dumps(document).encode()
        self.store.write(f"qc_report/{sku}.json", data)
        held = {"outcome": "held", "reasons": list(reasons)} if reasons else {}
        self.stage(sku, "qc_report", files={f"qc_report/{sku}.json": sha256(data)}, metadata={}, **held)

    def listed(self, sku: str, seed: int = 0, scenes: tuple[str, ...] = ("counter", "shelf")) -> None:
        """All six stages, everything well."""
        for stage in ("raw_photo", "cutout", "packshot"):
            self.stage(sku, stage, seed)
        self.stage(sku, "scenes", seed, scenes, facts={"engine": "studio", "model": "", "cost_usd": 0.0})
        good = [finding("silhouette", True), finding("fill", True)]
        self.report(
            sku,
            "pass",
            [
                {"kind": "packshot", "name": "packshot hero", "view": "hero", "findings": good},
                *({"kind": "scene", "name": f"scene {s}", "view": "hero", "findings": good} for s in scenes),
            ],
        )
        name = f"listing/shopify/{sku}/{sku}.jpg"
        self.store.write(name, self._coded("packshot", seed)[0])
        facts = name.replace(f"{sku}.jpg", "listing.json")
        self.store.write(facts, b"{}")
        notes = {"notes": [f"amazon.main: {sku} has no ASIN."]}
        self.stage(sku, "listing", files={name: "x", facts: "y"}, metadata=notes)


def finding(rule: str, passed: bool, message: str = "It is as it should be.", **changes) -> dict:
    plain = Finding(
        rule, passed, "block", 0.93, 0.97, "IoU", message, "Take the photo again.", (40, 40, 160, 160)
    )
    return {**plain.to_json(), **changes}
