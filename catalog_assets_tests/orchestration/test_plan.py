"""What a run says of the rows and photos it leaves out."""

from pathlib import Path

from catalog_assets.orchestration.run_line import LineRun
from catalog_assets.settings import Settings
from catalog_assets.storage.store import Store


def test_everything_left_out_is_told_of_skus_that_go_on_as_well(tmp_path: Path):
    inventory = Store(tmp_path / "i")
    for name in ("A/hero.jpg", "A/hero.png", "B.jpg"):
        inventory.write(f"photos/{name}", b"1")
    rows = "sku,title,photo\nA,One,\nA,Two,\nB,Bee,missing.jpg\nC,Sea,\nD/1,x,\nD/1,y,\n"
    inventory.write("catalog.csv", rows.encode())
    run = LineRun(Settings(inventory=inventory.base, store=str(tmp_path / "s")))
    run.plan()
    assert run.skus == ["A", "B"]
    assert set(run.rejected) == {"C", "D/1"}
    said = "\n".join(run.notes)
    assert "row 3, column sku: the SKU 'A' is already in row 2" in said
    assert "'missing.jpg' of SKU B is not in the inventory; the photo folder is used instead" in said
    assert "photos/A/hero.png: photos/A/hero.jpg is the same view" in said
    assert len(run.notes) == 4, "the second row of D/1 is the fourth"
