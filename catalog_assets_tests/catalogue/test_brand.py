from pathlib import Path

import pytest

from catalog_assets.catalogue.brand import Brand, BrandError, load_brand
from catalog_assets.catalogue.house import Houses
from catalog_assets.imaging.grounds import Gradient
from catalog_assets.storage.store import Store


def test_every_key_has_a_default():
    assert load_brand("", "brand.yaml") == Brand()
    assert Brand().ground == (255, 255, 255)


def test_the_example_of_the_readme_is_read():
    brand = load_brand(
        'name: Fernhill & Co\npalette: {primary: "#2E4A3B"}\nbackground: "#fafafa"\n'
        "limits: {colour_delta_e: 4.0, fill: [0.7, 0.8]}\n",
        "brand.yaml",
    )
    assert brand.ground == (250, 250, 250)
    assert brand.limits.colour_delta_e == 4.0
    assert brand.limits.fill == (0.7, 0.8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backgroud: '#fff'", "did you mean 'background'"),
        ("limits: {color_delta_e: 3}", "did you mean 'limits.colour_delta_e'"),
        ("background: white", "is not a colour: write it as #RRGGBB"),
        ("limits: {fill: [0.9, 0.8]}", "limits.fill"),
        ("background: {from: '#FFFFFF'}", "is neither a colour nor a gradient"),
        ("background: {from: '#FFFFFF', to: grey}", "'grey' is not a colour"),
        ("background: {from: '#FFFFFF', to: 12}", "is neither a colour nor a gradient"),
        ("background: [255, 255, 255]", "is neither a colour nor a gradient"),
        ("packshot: {reflexion: 0.3}", "did you mean 'packshot.reflection'"),
        ("packshot: {reflection: 1.5}", "packshot.reflection is 1.5"),
        ("packshot: {collection_scale: perhaps}", "packshot.collection_scale"),
        ("logo: ../secret.png", "inside the inventory"),
        ("- a\n- b", "should hold keys"),
        ("a: [", "not valid YAML"),
        ("limits: {label_cer: lots}", "label_cer"),
    ],
)
def test_a_wrong_brand_file_is_refused_naming_key_and_remedy(text: str, said: str):
    with pytest.raises(BrandError, match=r"brand\.yaml") as caught:
        load_brand(text, "brand.yaml")
    assert said in str(caught.value)


def test_a_background_may_be_a_gradient():
    brand = load_brand('background: {from: "#fff", to: "#e9ecef"}', "brand.yaml")
    assert brand.ground == Gradient((255, 255, 255), (233, 236, 239))
    assert brand.ground_in_words == "#FFFFFF to #E9ECEF"
    assert Brand().ground_in_words == "#FFFFFF"


def test_the_last_valid_brand_stays_in_force(tmp_path: Path):
    inventory, houses = Store(tmp_path / "inventory"), Houses(Store(tmp_path / "store"))
    inventory.write("brand.yaml", b"background: '#101010'\n")
    houses.publish(inventory)
    inventory.write("brand.yaml", b"background: [")
    with pytest.raises(BrandError):
        houses.publish(inventory)
    house = houses.load()
    assert house is not None
    assert house.brand.background == "#101010"


def test_a_logo_that_is_missing_or_broken_is_named(tmp_path: Path):
    inventory, houses = Store(tmp_path / "inventory"), Houses(Store(tmp_path / "store"))
    inventory.write("brand.yaml", b"logo: brand/logo.png\n")
    with pytest.raises(BrandError, match=r"brand/logo\.png.*not in the inventory"):
        houses.publish(inventory)
    inventory.write("brand/logo.png", b"no picture")
    with pytest.raises(BrandError, match="cannot be read"):
        houses.publish(inventory)
