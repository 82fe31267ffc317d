"""Feed fragments read back as the channels read them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.channels.export import ExportError, ExportImage, ExportRow, write_channel_export

BASE = "https://cdn.example.com/"


def image(name: str, role: str = "additional", **changes) -> ExportImage:
    return ExportImage(name, role, **{"alt": f"alt of {name}", "url": BASE + name, **changes})


MUG = ExportRow(
    "FH-1",
    'Mug, "large"',
    asin="B000123456",
    images=(
        image("B000123456.MAIN.jpg", "main"),
        image("B000123456.PT01.jpg", "lifestyle"),
        image("B000123456.PT02.jpg"),
        image("B000123456.PT09.jpg"),
    ),
)
BARE = ExportRow("FH-2", "nothing listed")


def written(feed: str, *rows: ExportRow) -> str:
    export = write_channel_export(feed, rows)
    assert not export.refused
    return export.data.decode()


def shown(text: str) -> list[tuple[str, str, str, str]]:
    """Handle, title, file and position of each of Shopify's rows."""
    columns = ("URL handle", "Title", "Product image URL", "Image position")
    rows = csv.DictReader(io.StringIO(text))
    return [tuple(row[c].removeprefix(BASE) for c in columns) for row in rows]


def test_shopify_gets_one_row_per_image_with_positions_and_the_title_once() -> None:
    rows = list(csv.DictReader(io.StringIO(written("shopify", MUG, BARE))))
    assert [row["Image position"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["Title"] for row in rows] == ['Mug, "large"', "", "", ""]
    assert {row["URL handle"] for row in rows} == {"fh-1"}
    assert rows[0]["Product image URL"] == BASE + "B000123456.MAIN.jpg"
    assert rows[1]["Image alt text"] == "alt of B000123456.PT01.jpg"


def test_variants_of_one_shopify_product_share_its_handle_title_and_numbering() -> None:
    def variant(sku: str, *names: str, title: str = "Oak mug") -> ExportRow:
        return ExportRow(sku, title, handle="oak-mug", images=[image(n, "main") for n in names])

    other = ExportRow("Z", "", handle="bowl", images=[image("z.jpg", "main")])
    assert shown(written("shopify", variant("M", "m1", "m2"), other, variant("L", "l1"))) == [
        ("oak-mug", "Oak mug", "m1", "1"),
        ("oak-mug", "", "m2", "2"),
        ("oak-mug", "", "l1", "3"),
        ("bowl", "", "z.jpg", "1"),
    ]


def test_skus_without_a_handle_of_their_own_never_end_up_in_one_product_or_in_none() -> None:
    rows = [ExportRow(sku, images=[image("x.jpg", "main")]) for sku in ("A.1", "A-1", "产品", "B")]
    rows.append(ExportRow("C", handle="b", images=[image("x.jpg", "main")]))
    export = write_channel_export("shopify", rows)
    assert [row[0] for row in shown(export.data.decode())] == ["b"]
    assert {sku: "shopify_handle" in why for sku, why in export.refused.items()} == dict.fromkeys(
        ("A.1", "A-1", "产品", "B"), True
    )
    assert "'a-1'" in export.refused["A.1"]


def test_google_gets_one_main_one_lifestyle_and_an_unquoted_list() -> None:
    text = written("google", MUG)
    head, line = text.splitlines()
    assert head.split("\t") == ["id", "image_link", "additional_image_link", "lifestyle_image_link"]
    sku, main, additional, lifestyle = line.split("\t")
    assert (sku, main, lifestyle) == ("FH-1", BASE + "B000123456.MAIN.jpg", BASE + "B000123456.PT01.jpg")
    assert additional.split(",") == [BASE + "B000123456.PT02.jpg", BASE + "B000123456.PT09.jpg"]
    assert '"' not in text


def test_google_never_gets_more_than_ten_additional_pictures_and_a_comma_is_written_as_code() -> None:
    many = ExportRow("S", images=(image("a.jpg", "main"), *(image(f"x,{n}.jpg") for n in range(14))))
    cells = written("google", many).splitlines()[1].split("\t")
    assert len(cells[2].split(",")) == 10
    assert "x%2C0.jpg" in cells[2]


def test_amazon_gets_each_file_with_its_slot() -> None:
    rows = list(csv.DictReader(io.StringIO(written("amazon", MUG))))
    assert [row["attribute"] for row in rows] == [
        "main_product_image_locator",
        "other_product_image_locator_1",
        "other_product_image_locator_2",
        "",
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ExportRow("S", images=(image("a.jpg", "main", url=""),)), "no public address"),
        (ExportRow("S", images=(image("a.jpg", "main", url="file:///a.jpg"),)), "no public address"),
        (ExportRow("S", images=(image("a.jpg", "main", url=BASE + "a" * 2000),)), "longer than 2000"),
        (ExportRow("S", images=(image("a.jpg"),)), "no main picture"),
        (ExportRow("S\tT", images=(image("a.jpg", "main"),)), "tab"),
    ],
)
def test_a_row_google_would_refuse_is_named_and_the_others_are_written(row: ExportRow, words: str) -> None:
    export = write_channel_export("google", [row, MUG])
    assert words in export.refused[row.sku]
    assert [line.split("\t")[0] for line in export.data.decode().splitlines()] == ["id", "FH-1"]


def test_an_unknown_feed_is_named() -> None:
    with pytest.raises(ExportError, match="'otto'; known are amazon, google, shopify"):
        write_channel_export("otto", [])


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\t\0"), min_size=1, max_size=30))
def test_any_name_survives_into_an_ascii_address_and_a_readable_row(name: str) -> None:
    row = ExportRow("S", name, images=(image("a.jpg", "main", url=BASE + name.replace("#", ""), alt=name),))
    text = written("shopify", row)
    (read,) = csv.DictReader(io.StringIO(text))
    assert read["Product image URL"].isascii()
    assert read["Image alt text"] == name
