"""The model table, sizes, texts without keys, wording and routing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_assets.cli.engines import listing
from catalog_assets.scenes.contract import EngineError
from catalog_assets.scenes.engines import engine_for
from catalog_assets.scenes.engines.vendor import seconds_of
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.prompts import category_of, compose, prompt_version, rephrase
from catalog_assets.scenes.routing import PassRate, bundled_rules, route
from catalog_assets.scenes.scrub import scrub
from catalog_assets.scenes.sizes import legal_size, recompose
from catalog_assets_tests.scenes.buying import product_png, request

TODAY = date(2026, 11, 21)
ENV = {"OPENAI_API_KEY": "x", "GOOGLE_API_KEY": "x", "FAL_KEY": "x"}


# ---- the table ---------------------------------------------------------------------------------------


def test_every_model_is_found_by_its_own_names_and_has_a_price():
    table = model_table()
    for model in table.models:
        for name in (model.id, *model.aliases, *model.snapshots):
            engine, found = table.find(f"{model.engine}/{name}" if name else model.engine)
            assert engine.name == model.engine
            assert found.price == model.price
        assert model.price.kind == "free" or model.typical_price() > 0


def test_every_model_a_rule_or_a_successor_names_exists_and_lives():
    table = model_table()
    specs = [spec for rule in bundled_rules().rules for spec in rule.chain]
    specs += [f"{model.engine}/{model.successor}" for model in table.models if model.successor]
    for spec in specs:
        assert not table.find(spec)[1].ended(TODAY), spec


def test_an_ended_model_is_refused_with_its_successor_named():
    with pytest.raises(EngineError, match=r"switched off on 2026-10-23; use openai/gpt-image-2\.5-sunburst"):
        engine_for("openai/gpt-image-1", today=TODAY)
    with pytest.raises(EngineError, match="switched off on 2026-12-01"):
        engine_for("openai/gpt-image-1.5", today=date(2026, 12, 1))
    engine_for("openai/gpt-image-1.5", today=date(2026, 11, 30))


def test_a_model_that_ends_within_thirty_days_warns():
    model = model_table().find("openai/gpt-image-1.5")[1]
    assert "in 10 days" in model.warning(TODAY)
    assert model.warning(date(2026, 10, 1)) == ""
    rows = {row["spec"]: row for row in listing(model_table(), {}, TODAY)}
    assert rows["openai/gpt-image-1.5"]["status"] == "ending"
    assert rows["openai/dall-e-2"]["status"] == "ended"
    assert "gpt-image-2.5-flare" in rows["openai/dall-e-2"]["warning"]


def test_the_listing_says_whether_a_key_is_there_and_never_what_it_is():
    rows = listing(model_table(), {"OPENAI_API_KEY": "sk-canary-12345678"}, TODAY)
    present = {row["engine"]: row["key_present"] for row in rows}
    assert present["openai"]
    assert present["studio"]
    assert not present["fal"]
    assert "canary" not in str(rows)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("opnai/gpt-image-2", "no engine named 'opnai'"),
        ("openai/gpt-image-2.5-flair", "did you mean gpt-image-2.5-flare"),
        ("fal/", "did you mean"),
        ("vllm-omni", "needs a model name"),
    ],
)
def test_an_unknown_engine_or_model_is_one_sentence_with_the_nearest_name(spec: str, says: str):
    with pytest.raises(EngineError, match=says):
        model_table().find(spec)


def test_quality_names_are_not_carried_from_one_family_to_another():
    table = model_table()
    two, flare = table.find("openai/gpt-image-2")[1], table.find("openai/gpt-image-2.5-flare")[1]
    assert (two.quality_name("final"), flare.quality_name("final")) == ("medium", "high")
    assert two.quality_name("draft") == flare.quality_name("draft") == "low"
    assert table.find("google/nano-banana-2.1")[1].quality_name("max") == ""
    with pytest.raises(EngineError, match="no quality 'max'"):
        two.quality_name("max")


# ---- sizes -------------------------------------------------------------------------------------------

MODELS = [model for model in model_table().models if not model.ratios and model.style != "ratio"]


@given(st.sampled_from(MODELS), st.integers(64, 6000), st.integers(64, 6000))
def test_every_size_is_refused_or_snapped_to_one_the_vendor_accepts(model, width, height):
    try:
        size = legal_size(model, width, height)
    except EngineError as error:
        if error.kind != "bad_input":
            raise
        return
    if model.sizes:
        assert (size.width, size.height) in model.sizes
        return
    assert size.width % model.multiple_of == size.height % model.multiple_of == 0
    assert model.min_pixels <= size.width * size.height <= model.max_pixels
    assert max(size.width, size.height) <= model.max_edge
    assert max(size.width / size.height, size.height / size.width) <= model.max_ratio
    assert min(size.width, size.height) >= model.min_edge


def test_known_traps_of_openais_size_rule():
    model = model_table().find("openai/gpt-image-2")[1]
    for asked, drawn in (
        ((1920, 1080), (1920, 1088)),
        ((1080, 1350), (1088, 1360)),
        ((2048, 2048), (2048, 2048)),
    ):
        size = legal_size(model, *asked)
        assert (size.width, size.height) == drawn
    assert legal_size(model, 768, 768).width ** 2 >= 655_360
    assert legal_size(model, 3000, 3000).width ** 2 <= 8_294_400


def test_googles_ratio_and_tier_reach_the_wanted_size():
    model = model_table().find("google/nano-banana-2.1")[1]
    size = legal_size(model, 1600, 2000)
    assert (size.ratio, size.tier) == ("4:5", "2K")
    assert legal_size(model, 1024, 1024).tier == "1K"
    assert legal_size(model, 9000, 9000).tier == "4K"


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_recomposing_gives_exactly_the_size_asked_for(have_w, have_h, width, height):
    picture = np.full((have_h, have_w, 3), 7, np.uint8)
    out = recompose(picture, width, height)
    assert out.shape == (height, width, 3)
    assert (out == 7).all()


def test_recomposing_cuts_the_middle_and_does_not_stretch():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[40:60, 90:110] = 255
    out = recompose(picture, 50, 50)
    ys, xs = np.nonzero(out[..., 0] > 127)
    assert abs((xs.max() - xs.min()) - (ys.max() - ys.min())) <= 1


# ---- texts without keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefghijklmnop.",
        "Incorrect API key provided: sk-pr**********mnop.",
        "header Authorization: Bearer abcdefghijklmnopqrstuv",
        "Key 12345678-1234-1234-1234-123456789abc:0123456789abcdef0123456789abcdef",
        "x-goog-api-key=AIzaSyA-secret-secret-secret-secret",
        "API key not valid: AIzaSyDabcdefghijklmnop",
    ],
)
def test_keys_of_every_vendors_shape_are_removed(text: str):
    clean = scrub(text, {})
    for secret in ("abcdefghijklmnop", "mnop", "abcdefghijklmnopqrstuv", "0123456789abcdef", "secret"):
        assert secret not in clean


def test_a_live_key_is_removed_whatever_its_shape_and_pictures_too():
    text = scrub(f"it said hunter2hunter2 {'QUJD' * 100}", {"FAL_KEY": "hunter2hunter2"})
    assert "hunter2" not in text
    assert "QUJDQUJD" not in text
    assert len(scrub("x y " * 500)) <= 400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20", 20), ("1.5s", 1.5), ("6m0s", 360), ("120ms", 0.12), ("1h1m", 3660), ("soon", None), (None, None)],
)
def test_waits_are_read_in_every_form_vendors_send(text: str | None, seconds: float | None):
    assert seconds_of(text) == seconds


# ---- wording -----------------------------------------------------------------------------------------

ROW = {
    "title": "Solitaire ring",
    "category": "Jewellery > Rings",
    "stone": "0.5 ct diamond",
    "finish": "satin gold",
}


def test_a_request_restates_what_must_not_change():
    prompt = compose("{title} on linen, morning light", ROW, "inpaint", roles=("canvas", "style"))
    assert prompt.category == "jewellery"
    assert prompt.version == prompt_version()
    for words in (
        "Solitaire ring on linen",
        "Change only",
        "Keep exactly",
        "0.5 ct diamond",
        "satin gold",
        "Image 2 is a style",
    ):
        assert words in prompt.text
    assert "{" not in prompt.text


def test_a_plate_is_drawn_empty_and_never_names_the_product():
    prompt = compose("{title} on an oak counter", ROW, "plate")
    assert "Solitaire" not in prompt.text
    assert "a clear empty place on an oak counter" in prompt.text
    assert "No people" in prompt.text


@pytest.mark.parametrize("lock", ["plate", "inpaint", "free"])
def test_a_template_without_a_prompt_and_unknown_placeholders_still_make_a_request(lock):
    for scene in ("", "{title} {weather} {nonsense}"):
        assert "{" not in compose(scene, {"title": "Chair"}, lock).text


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("Kitchen > Coffee Dark Roast tin", "packaging"), ("Wine glasses", "glass"), ("Oak chair", "furniture"),
        ("Linen shirt", "apparel"), ("Goat cheese", "food"), ("Silver earrings", "jewellery"), ("Gadget", ""),
    ],
)  # fmt: skip
def test_a_products_words_choose_the_wording(words: str, category: str):
    assert category_of(words) == category


def test_rephrasing_exchanges_words_that_alarm_and_always_changes_the_request():
    assert "naked" not in rephrase("A naked flame in a shot of a knife")
    assert rephrase("A vase") != "A vase"


# ---- routing -----------------------------------------------------------------------------------------


def test_the_first_fitting_rule_decides_and_the_studio_ends_every_chain():
    for asked, first in (
        (request(alpha=True), "openai/gpt-image-2.5-flare"),
        (request(mask=product_png()), "openai/gpt-image-2.5-sunburst"),
        (request(options={"reproducible": True}, seed=1), "fal/flux-2"),
        (request(lock="plate", references=()), "openai/gpt-image-2.5-flare"),
        (request(references=request().references * 5), "google/nano-banana-2.1"),
        (request(), "openai/gpt-image-2.5-flare"),
    ):
        chosen = route(asked, today=TODAY, env=ENV)
        assert (chosen.chain[0], chosen.chain[-1]) == (first, "studio")
        assert chosen.reason
    assert route(request(), text=True, env=ENV).chain[0] == "openai/gpt-image-2.5-sunburst"


def test_engines_that_lack_something_drop_out_with_the_reason():
    chosen = route(request(), env={"GOOGLE_API_KEY": "x"}, today=TODAY)
    assert chosen.chain == ("google/nano-banana-2.1", "studio")
    assert any("OPENAI_API_KEY is not set" in why for why in chosen.dropped)
    cheap = route(request(quality="final"), env=ENV, price_ceiling=Decimal("0.05"), today=TODAY)
    assert "openai/gpt-image-2.5-flare" not in cheap.chain
    assert any("above the ceiling" in why for why in cheap.dropped)


def test_an_engine_that_fails_too_often_by_our_own_reports_is_asked_last():
    rates = {"openai/gpt-image-2.5-flare": PassRate(3, 30)}
    chosen = route(request(), env=ENV, pass_rates=rates, today=TODAY)
    assert chosen.chain[-2] == "openai/gpt-image-2.5-flare"
    assert any("3 of 30" in why for why in chosen.dropped)
    few = route(request(), env=ENV, pass_rates={"openai/gpt-image-2.5-flare": PassRate(0, 5)}, today=TODAY)
    assert few.chain[0] == "openai/gpt-image-2.5-flare"


def test_an_engine_that_was_asked_for_comes_first_and_the_studio_stands_alone():
    assert route(request(), "google/nano-banana-pro", today=TODAY).chain[0] == "google/nano-banana-pro"
    assert route(request(), "studio").chain == ("studio",)
