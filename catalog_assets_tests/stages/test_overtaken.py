"""Two runs on one SKU: whoever is overtaken by a newer photo goes back, and nothing of the old one stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from catalog_assets.settings import Settings
from catalog_assets.stages.line import Line
from catalog_assets.stages.stage import Made, Stage, finished, perform
from catalog_assets.stages.stream import TURNS_BACK, Stream
from catalog_assets.storage.manifest import Manifest, Record

NAMES = ("raw_photo", "cutout", "packshot", "listing")


class Copied(Stage):
    """Hands on the words of the stage before; the first one takes them from ``photo``."""

    version = "1"

    def __init__(self, name: str, photo: Callable[[], str]) -> None:
        self.name = name
        self.photo = photo
        self.made: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def _words(self, line: Line, sku: str) -> str:
        at = NAMES.index(self.name)
        return finished(line, NAMES[at - 1], sku).metadata["words"] if at else self.photo()

    def inputs(self, line: Line, sku: str) -> Mapping[str, Any]:
        return {"words": self._words(line, sku)}

    def make(self, line: Line, sku: str) -> Made:
        words = self._words(line, sku)
        self.made.append(words)
        self.meanwhile()
        made = Made(metadata={"words": words})
        self.put(line, made, f"{self.name}/{sku}.txt", words.encode())
        return made


class Shop:
    """A SKU whose photo is ``old``, on its way in one run, and the stages of another run with the ``new`` one."""

    def __init__(self, folder: Path) -> None:
        (folder / "inventory" / "photos").mkdir(parents=True)
        (folder / "inventory" / "photos" / "A.jpg").write_bytes(b"x")
        settings = Settings(inventory=f"{folder}/inventory", store=f"{folder}/store", workers=1)
        self.line, self._other = Line(settings), Line(settings)
        self.stages = {name: Copied(name, lambda: "old") for name in NAMES}
        self.others = {name: Copied(name, lambda: "new") for name in NAMES}

    def other(self, *names: str) -> None:
        """The other run does these stages."""
        for name in names:
            assert perform(self.others[name], self._other, "A").outcome == "done"

    def go(self) -> None:
        """Our run, from the photo to the listing."""
        with Stream(self.line, list(self.stages.values()), {"A": "raw_photo"}) as stream:
            assert [step.outcome for step in stream.steps("listing", ["A"])] == ["done"]

    def stored(self) -> dict[str, str]:
        """What lies in the store in the end."""
        return {name: self.line.store.read(f"{name}/A.txt").decode() for name in NAMES}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def once(action: Callable[[], object]) -> Callable[[], object]:
    """The action at the first call, nothing at later ones."""
    left = [action]
    return lambda: left.pop()() if left else None


@pytest.mark.parametrize("stage", ["cutout", "packshot"])
def test_a_photo_replaced_under_way_is_the_one_that_is_published(shop: Shop, stage: str):
    shop.stages[stage].meanwhile = once(lambda: shop.other("raw_photo"))
    shop.go()
    assert shop.stored() == dict.fromkeys(NAMES, "new")
    assert shop.stages["cutout"].made == ["old", "new"]
    assert shop.stages["listing"].made == ["new"]


def test_the_others_finished_line_is_found_and_not_made_again_where_it_holds(shop: Shop):
    # The whole other run happens during our packshot, which then lies over the other's.
    shop.stages["packshot"].meanwhile = once(lambda: shop.other(*NAMES))
    shop.go()
    assert shop.stored() == dict.fromkeys(NAMES, "new")
    assert shop.stages["cutout"].made == ["old"]
    assert shop.stages["packshot"].made == ["old", "new"]
    assert shop.stages["listing"].made == []


def test_a_cutout_of_the_old_photo_written_over_ours_is_made_anew(shop: Shop):
    # Now ours is the newer run; the other one wrote its cutout late.
    stale = Copied("cutout", lambda: "")
    stale._words = lambda line, sku: "older"  # type: ignore[method-assign]
    shop.stages["packshot"].meanwhile = once(lambda: perform(stale, Line(shop.line.settings), "A"))
    shop.go()
    assert shop.stored() == dict.fromkeys(NAMES, "old")


def test_the_same_made_twice_is_no_reason_to_go_back(shop: Shop):
    def again() -> None:
        manifest = Manifest(shop.line.store)
        for name in ("raw_photo", "cutout"):
            record = manifest.get(name, "A")
            assert record is not None
            record.seconds += 1
            manifest.put(record)

    shop.stages["packshot"].meanwhile = again
    shop.go()
    assert {name: stage.made for name, stage in shop.stages.items()} == {name: ["old"] for name in NAMES}


def test_two_that_never_agree_come_to_an_end(shop: Shop):
    numbers = iter(range(100))
    manifest = Manifest(shop.line.store)

    def other_photo() -> None:
        words = f"photo {next(numbers)}"
        manifest.put(Record("A", "raw_photo", words, "done", metadata={"words": words}))

    shop.stages["cutout"].meanwhile = other_photo
    shop.go()
    assert len(shop.stages["cutout"].made) == 1 + TURNS_BACK
    assert shop.stages["listing"].made == [f"photo {TURNS_BACK - 1}"]
