import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.catalogue.rows import CatalogueError, read_catalogue


def rows(text: str, file: str = "catalog.csv"):
    return read_catalogue(text.encode(), file)


def test_the_columns_of_the_design_are_read():
    found = rows(
        "sku,title,color,label_text,language,price,height_mm,Shelf\n"
        'A1,"Mug, 300 ml",green,FERN | 300 ml,en;de,"12,50",92,B7\n'
    ).items["A1"]
    assert found.title == "Mug, 300 ml"
    assert found.colour == "green"
    assert found.label_lines == ("FERN", "300 ml")
    assert found.languages == ("en", "de")
    assert found.price == 12.5
    assert found.height_mm == 92
    assert found.extra == {"shelf": "B7"}


def test_a_bad_row_is_named_with_its_number_and_the_rest_goes_on():
    catalogue = rows("sku,title\nA,one\nB/2,two\nC,three\n")
    assert list(catalogue.items) == ["A", "C"]
    (problem,) = catalogue.problems
    assert problem.row == 3
    assert problem.column == "sku"
    assert problem.rejected
    assert "B/2" in str(problem)
    assert "slash" in str(problem)
    assert "row 3" in str(problem)


def test_a_sku_given_twice_is_kept_once_even_in_another_case():
    catalogue = rows("sku,title\nMug,one\nmug,two\n")
    assert catalogue.items["Mug"].title == "one"
    assert "already in row 2" in str(catalogue.problems[0])


def test_a_bad_value_is_ignored_and_named_but_its_sku_goes_on():
    catalogue = rows("sku,price,height_mm,gtin\nA,cheap,-4,123\n")
    assert catalogue.items["A"].price is None
    assert {p.column for p in catalogue.problems} == {"price", "height_mm", "gtin"}
    assert not any(p.rejected for p in catalogue.problems)
    assert "'cheap' is not a number" in str(catalogue.problems[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [("12.50", 12.5), ("12,50", 12.5), ("1.299,00", 1299), ("1,299.00", 1299), ("€ 9", 9), ("1,299", 1299)],
)
def test_prices_are_read_as_sellers_type_them(text: str, value: float):
    assert rows(f'sku,price\nA,"{text}"\n').items["A"].price == value


def test_a_gtin_with_a_wrong_check_digit_is_named():
    catalogue = rows("sku,gtin\nA,4006381333931\nB,4006381333932\n")
    assert catalogue.items["A"].gtin == "4006381333931"
    assert catalogue.items["B"].gtin == ""
    assert "last digit" in str(catalogue.problems[0])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_the_encodings_spreadsheets_write_are_read(encoding: str):
    data = "sku;title\nA;Größe 5 €\n".encode(encoding)
    assert read_catalogue(data, "catalog.csv").items["A"].title == "Größe 5 €"


def test_a_row_with_too_many_cells_is_named_and_read():
    catalogue = rows("sku,title\nA,Mug, big\n")
    assert catalogue.items["A"].title == "Mug"
    assert "row 2" in str(catalogue.problems[0])
    assert "quotation marks" in str(catalogue.problems[0])


@pytest.mark.parametrize(
    ("text", "row", "titles"),
    [
        ('A,"Plate 12\nB,Cup\nC,Pan\n', 2, {"A": "Plate 12", "B": "Cup", "C": "Pan"}),
        ('A,Cup\nB,"Plate 12\nC,"Pan"\nD,Pot\n', 3, {"A": "Cup", "B": "Plate 12", "C": "Pan", "D": "Pot"}),
        ('A,Cup\nB,"Pan', 3, {"A": "Cup", "B": "Pan"}),
    ],
)
def test_a_quotation_mark_that_is_not_closed_takes_no_other_row_with_it(text, row, titles):
    catalogue = rows("sku,title\n" + text)
    assert {sku: item.title for sku, item in catalogue.items.items()} == titles
    (problem,) = catalogue.problems
    assert problem.row == row
    assert "quotation marks" in problem.message


def test_a_value_over_several_lines_is_one_value():
    text = 'sku,title,story\r\nA,Mug,"Says ""hi"",\r\nthen\r\nnothing"\r\n\r\nB,Pan,"x"'
    catalogue = rows(text)
    assert catalogue.items["A"].extra["story"] == 'Says "hi",\r\nthen\r\nnothing'
    assert catalogue.items["B"].extra["story"] == "x"
    assert not catalogue.problems


@pytest.mark.parametrize("mark", ["", '"'])
def test_a_value_that_is_far_too_long_is_named_and_the_rest_is_read(mark: str):
    long = mark + "y" * 200_000 + mark
    catalogue = rows(f"sku,title,story\nA,Mug,\nB,Cup,{long}\nC,Pan,\n")
    assert {sku: item.title for sku, item in catalogue.items.items()} == {"A": "Mug", "B": "Cup", "C": "Pan"}
    assert catalogue.items["B"].extra == {}
    (problem,) = catalogue.problems
    assert (problem.row, problem.column) == (3, "story")
    assert "200000 characters" in problem.message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"title,price\nMug,3\n", "no column 'sku'"),
        (b"", "no column 'sku'"),
        (b"PK\x03\x04\x00\x00\x00 an xlsx", "not a text file"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_with_the_remedy(data: bytes, said: str):
    with pytest.raises(CatalogueError, match=said):
        read_catalogue(data, "catalog.csv")


def test_parquet_is_read_like_csv():
    buffer = io.BytesIO()
    pl.DataFrame({"SKU": ["A"], "price": [2.5], "title": [None]}).write_parquet(buffer)
    item = read_catalogue(buffer.getvalue(), "catalog.parquet").items["A"]
    assert (item.price, item.title) == (2.5, "")


def test_a_damaged_parquet_file_is_refused():
    with pytest.raises(CatalogueError, match="Parquet"):
        read_catalogue(b"PAR1 but not really", "catalog.parquet")


CURRENT = (
    "Title,URL handle,Vendor,Product category,SKU,Barcode,Option1 name,Option1 value,Price,"
    "Product image URL,Image position,Variant image URL,Tags\n"
    "Mug,mug,Fern,Kitchen > Mugs,MUG-S,4006381333931,Size,Small,9.50,https://cdn.example/a/mug.jpg?v=1,1,,clay\n"
    ",mug,,,MUG-L,,Size,Large,12.50,,,https://cdn.example/a/mug-l.jpg,\n"
    ",mug,,,,,,,,https://cdn.example/a/mug2.jpg,2,,\n"
    "Bowl,bowl,Fern,Kitchen,,,Title,Default Title,8.00,https://cdn.example/bowl.png,1,,\n"
)
LEGACY = (
    "Handle,Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Barcode,"
    "Image Src,Image Position,Variant Image\n"
    "mug,Mug,<p>Nice</p>,Fern,Mugs,Size,Small,'MUG-S,9.50,,https://cdn.example/mug.jpg,1,\n"
    "mug,,,,,,Large,MUG-L,12.50,,,,https://cdn.example/mug-l.jpg\n"
    "mug,,,,,,,,,,https://cdn.example/mug2.jpg,2,\n"
)


def test_a_current_shopify_export_is_read_as_it_is():
    items = rows(CURRENT).items
    assert set(items) == {"MUG-S", "MUG-L", "bowl"}
    assert items["MUG-S"].title == items["MUG-L"].title == "Mug"
    assert items["MUG-S"].photo == "mug.jpg"
    assert items["MUG-L"].photo == "mug-l.jpg"
    assert items["MUG-S"].category == "Kitchen > Mugs"
    assert items["MUG-S"].gtin == "4006381333931"
    assert items["MUG-S"].extra["tags"] == "clay"
    assert items["bowl"].price == 8


def test_a_legacy_shopify_export_is_read_as_it_is():
    items = rows(LEGACY).items
    assert set(items) == {"MUG-S", "MUG-L"}
    assert items["MUG-S"].category == "Mugs"
    assert items["MUG-S"].extra["description"] == "Nice"


cells = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.fixed_dictionaries({"sku": cells, "title": cells, "price": cells}), max_size=12))
def test_any_table_is_read_or_named_but_never_raises(table: list[dict[str, str]]):
    catalogue = read_catalogue(
        pl.DataFrame(table, schema=["sku", "title", "price"]).write_csv().encode(), "catalog.csv"
    )
    assert all(sku == item.sku for sku, item in catalogue.items.items())
    assert len(catalogue.items) <= len(table)
