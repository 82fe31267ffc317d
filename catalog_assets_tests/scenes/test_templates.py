import csv
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.scenes.templates import SceneTemplate, TemplateError, default_templates, load_templates
from catalog_assets_tests.products import rows

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "catalog_real" / "catalog.csv"


def test_the_example_of_the_manual_loads():
    text = """
scenes:
  - name: counter
    plate: oak_counter
    prompt: "{title} on an oak counter, soft morning light from the left"
    lock: plate
    engine: auto
    categories: [kitchen]
    size: 2048x2048
    variations: 1
    rounds: 3
    budget_usd: 0.50
"""
    (template,) = load_templates(text, "scenes.yaml")
    assert template.pixel_size() == (2048, 2048)
    assert template.applies_to("Kitchen > Mugs")
    assert not template.applies_to("Jewellery > Rings")


def test_one_definition_gives_every_ratio():
    template = SceneTemplate(name="a", plate="oak_counter", aspects=("1:1", "4:5", "16:9", "9:16"))
    for aspect, (width, height) in template.all_sizes().items():
        across, up = (int(n) for n in aspect.split(":"))
        assert width / height == pytest.approx(across / up, rel=0.01)
        assert 1.9e6 < width * height < 2.7e6


def test_ratios_alone_are_for_the_built_in_scenes():
    templates = load_templates('aspects: ["1:1", "9:16"]', "scenes.yaml")
    assert [t.name for t in templates] == [t.name for t in default_templates()]
    assert all(list(t.all_sizes()) == ["1:1", "9:16"] for t in templates)
    with pytest.raises(TemplateError, match=r"scenes\.yaml.*ratio"):
        load_templates("aspects: [wide]", "scenes.yaml")


def test_ratios_beside_the_scenes_are_for_those_that_name_none():
    text = """
aspects: ["4:5"]
scenes: [{name: a, plate: p}, {name: b, plate: p, aspect: "16:9"}, {name: c, plate: p, size: 900x900}]
"""
    assert [t.pixel_size() for t in load_templates(text, "s")] == [(1440, 1800), (2048, 1152), (900, 900)]


@given(st.floats(0.3, 3.3))
def test_any_sensible_ratio_is_given_about_two_and_a_half_megapixels(ratio: float):
    width, height = SceneTemplate(name="a", plate="p", aspect=f"{ratio:.3f}:1").pixel_size()
    assert 2.3e6 < width * height < 2.8e6
    assert width / height == pytest.approx(ratio, rel=0.02)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("scenes: [{name: a, plate: p, colour: red}]", "'colour' is not known"),
        ("scenes: [{name: a}]", "needs a plate or a prompt"),
        ("scenes: [{name: 'a/b', plate: p}]", "file name"),
        ("scenes: [{name: a, plate: p, size: big}]", "2048x2048"),
        ("scenes: [{name: a, plate: p, aspect: '9'}]", "4:5"),
        ("scenes: [{name: a, plate: p}, {name: a, plate: q}]", "twice"),
        ('scenes: [{name: a, plate: p, aspects: ["1:1", "4:5"]}, {name: a-4x5, plate: q}]', "twice"),
        ("scenes: [{name: a, prompt: 'a {titel}'}]", "{titel}"),
        ("scenes: []", "needs a list"),
        ("scenes: [", "not valid YAML"),
        ("scenes: [{name: a, plate: p, fill: 3}]", "'fill'"),
    ],
)
def test_a_wrong_template_is_named_with_file_key_and_remedy(text: str, says: str):
    with pytest.raises(TemplateError) as caught:
        load_templates(text, "scenes.yaml")
    assert says in str(caught.value)
    assert "scenes.yaml" in str(caught.value)


def test_every_category_of_the_sample_has_at_least_three_scenes():
    for row in rows().values():
        assert sum(t.applies_to(row["category"], row["material"]) for t in default_templates()) >= 3, row


@pytest.mark.skipif(not REAL.exists(), reason="the public test catalogue is not at hand")
def test_every_category_of_the_real_catalogue_has_at_least_three_scenes():
    with REAL.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert sum(t.applies_to(row["category"]) for t in default_templates()) >= 3, row["category"]


def test_a_product_without_a_category_still_gets_a_scene():
    assert any(t.applies_to("") for t in default_templates())


def test_the_built_in_scenes_are_part_of_the_package():
    assert files("catalog_assets.scenes").joinpath("default_scenes.yaml").is_file()
