"""The picture a collection is held to: the first accepted one of each template, sent along with later requests.

Drawn sets drift: every request is answered by a model that has not seen the others. What the studio draws
agrees by its template's fixed values; what models draw is shown the collection's anchor (role ``anchor``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from catalog_assets.imaging.encode import encode_jpeg
from catalog_assets.scenes.contract import Reference, SceneRequest
from catalog_assets.storage.fingerprint import fingerprint
from catalog_assets.storage.store import Store, sha256

SIDE = 1024


@dataclass(frozen=True, slots=True)
class Anchor:
    """``sku`` whose picture it is, ``file`` in the store, ``data`` a JPEG of at most :data:`SIDE` pixels."""

    sku: str
    file: str
    data: bytes

    def on(self, request: SceneRequest, line: str) -> SceneRequest:
        """The request with the anchor as its last reference, and the line that says what it is for."""
        reference = Reference("anchor", self.data, sha256(self.data), "image/jpeg")
        return replace(
            request, prompt=f"{request.prompt}\n{line}", references=(*request.references, reference)
        )


def read_anchor(store: Store, collection: str, scene: str) -> Anchor | None:
    """The anchor of a collection and scene; None where there is none yet."""
    facts = store.read_or_none(f"{_name(collection, scene)}.json") if collection else None
    if facts is None:
        return None
    known: dict[str, Any] = json.loads(facts)
    data = store.read_or_none(str(known["file"]))
    return None if data is None else Anchor(str(known["sku"]), str(known["file"]), data)


def anchor_for(store: Store, sku: str, collection: str, scene: str) -> Anchor | None:
    """The anchor this SKU's scene is drawn with, decided once.

    The decision is kept beside the candidates: an anchor that appears later must not change a request that
    has been paid for.
    """
    decided = f"candidates/{sku}/{scene}/anchor.json"
    data = store.read_or_none(decided)
    if data is not None:
        file = json.loads(data)["file"]
        held = store.read_or_none(file) if file else None
        return None if held is None else Anchor(str(json.loads(data)["from"]), file, held)
    anchor = read_anchor(store, collection, scene)
    if anchor is not None and anchor.sku == sku:
        anchor = None
    facts = {"file": anchor.file if anchor else "", "from": anchor.sku if anchor else ""}
    store.write(decided, json.dumps(facts).encode())
    return anchor


def set_anchor(store: Store, collection: str, scene: str, sku: str, rgb: NDArray[np.uint8]) -> None:
    """Make an accepted picture the anchor, where the collection has none; of several at once the first wins."""
    name = _name(collection, scene)
    if not collection or store.exists(f"{name}.json"):
        return
    with Image.fromarray(rgb) as image:
        image.thumbnail((SIDE, SIDE))
        data = encode_jpeg(np.asarray(image, dtype=np.uint8), quality=88)
    file = f"{name}-{sha256(data)[:16]}.jpg"
    store.write(file, data)
    facts = {"collection": collection, "scene": scene, "sku": sku, "file": file}
    store.create(f"{name}.json", json.dumps(facts, ensure_ascii=False).encode())


def _name(collection: str, scene: str) -> str:
    # A collection may be named with anything; its fingerprint is a safe file name.
    return f"anchors/{fingerprint(collection=collection)[:16]}/{scene}"
