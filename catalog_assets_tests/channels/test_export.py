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


def test_shopify_gets_one_row_per_image_with_positions_and_the_title_once() -> None:
    rows = list(csv.DictReader(io.StringIO(write_channel_export("shopify", [MUG, BARE]).decode())))
    assert [row["Image position"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["Title"] for row in rows] == ['Mug, "large"', "", "", ""]
    assert {row["URL handle"] for row in rows} == {"fh-1"}
    assert rows[0]["Product image URL"] == BASE + "B000123456.MAIN.jpg"
    assert rows[1]["Image alt text"] == "alt of B000123456.PT01.jpg"


def test_google_gets_one_main_one_lifestyle_and_an_unquoted_list() -> None:
    text = write_channel_export("google", [MUG]).decode()
    head, line = text.splitlines()
    assert head.split("\t") == ["id", "image_link", "additional_image_link", "lifestyle_image_link"]
    sku, main, additional, lifestyle = line.split("\t")
    assert (sku, main, lifestyle) == ("FH-1", BASE + "B000123456.MAIN.jpg", BASE + "B000123456.PT01.jpg")
    assert additional.split(",") == [BASE + "B000123456.PT02.jpg", BASE + "B000123456.PT09.jpg"]
    assert '"' not in text


def test_google_never_gets_more_than_ten_additional_pictures_and_a_comma_is_written_as_code() -> None:
    many = ExportRow("S", images=(image("a.jpg", "main"), *(image(f"x,{n}.jpg") for n in range(14))))
    cells = write_channel_export("google", [many]).decode().splitlines()[1].split("\t")
    assert len(cells[2].split(",")) == 10
    assert "x%2C0.jpg" in cells[2]


def test_amazon_gets_each_file_with_its_slot() -> None:
    rows = list(csv.DictReader(io.StringIO(write_channel_export("amazon", [MUG]).decode())))
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
def test_a_row_google_would_refuse_is_named(row: ExportRow, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        write_channel_export("google", [row])


def test_an_unknown_feed_is_named() -> None:
    with pytest.raises(ExportError, match="'otto'; known are amazon, google, shopify"):
        write_channel_export("otto", [])


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\t\0"), min_size=1, max_size=30))
def test_any_name_survives_into_an_ascii_address_and_a_readable_row(name: str) -> None:
    row = ExportRow("S", name, images=(image("a.jpg", "main", url=BASE + name.replace("#", ""), alt=name),))
    text = write_channel_export("shopify", [row]).decode()
    (read,) = csv.DictReader(io.StringIO(text))
    assert read["Product image URL"].isascii()
    assert read["Image alt text"] == name
