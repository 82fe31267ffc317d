import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.catalogue.sku import IllegalSku, valid_sku


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4058NB/09", "a slash"),
        ("A,B", "a comma"),
        ("A|B", "a vertical bar"),
        ("A\\B", "a backslash"),
        ("a\tb", "control character"),
        ("..", "dot"),
        ("a..b", "dot"),
        (".hidden", "dot"),
        ("", "empty"),
        ("   ", "empty"),
        ("x" * 101, "101 characters"),
        ("CON", "Windows"),
        ("nul.txt", "Windows"),
        ("a\u200bb", "control character"),
    ],
)
def test_an_unsafe_sku_is_refused_and_the_message_says_why(text: str, said: str):
    with pytest.raises(IllegalSku, match=said):
        valid_sku(text)


@pytest.mark.parametrize("text", ["FH-MUG-001", "304.096.29", "Tasse grün", "x" * 100, "日本-1", "a b", "#1"])
def test_a_safe_sku_stays_what_the_seller_calls_it(text: str):
    assert valid_sku(f"  {text} ") == text


def test_composed_and_decomposed_letters_are_one_sku():
    assert valid_sku("Café") == valid_sku("Café")


@given(st.text(max_size=120))
def test_whatever_is_accepted_is_one_path_part_and_one_partition_key(text: str):
    try:
        sku = valid_sku(text)
    except IllegalSku:
        return
    assert not set(sku) & set(',|/\\:*?"<>')
    assert sku not in (".", "..")
    assert 0 < len(sku) <= 100
    assert valid_sku(sku) == sku
