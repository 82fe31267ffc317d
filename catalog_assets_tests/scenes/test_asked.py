"""One request for a whole chain: each engine is asked for what it can take, and the chain is chosen by that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from catalog_assets.scenes.asked import as_asked
from catalog_assets.scenes.contract import Reference, SceneRequest
from catalog_assets.scenes.models import ModelSpec, model_table
from catalog_assets.scenes.routing import route
from catalog_assets.scenes.steps import anchor_line
from catalog_assets_tests.scenes.buying import product_png

ENV = {"OPENAI_API_KEY": "a", "GOOGLE_API_KEY": "b", "FAL_KEY": "c"}


def inpaint() -> SceneRequest:
    """Canvas, product and a collection's anchor, as the scenes stage sends them."""
    png = product_png()
    references = tuple(Reference(role, png, "0" * 64) for role in ("canvas", "product", "anchor"))
    return SceneRequest(
        "A1", "counter", "On a counter." + "\n" + anchor_line(3), 1024, 1024, lock="inpaint",
        references=references, mask=png,
    )  # fmt: skip


def model(spec: str) -> ModelSpec:
    return model_table().find(spec)[1]


@pytest.mark.parametrize(
    ("spec", "roles", "mask"),
    [
        ("openai/gpt-image-2.5-flare", ["canvas", "product", "anchor"], True),
        ("google/nano-banana-2.1", ["canvas", "product", "anchor"], False),
        ("fal/flux-kontext", ["canvas"], False),
        ("fal/qwen-image-edit-inpaint", ["canvas"], True),
    ],
)
def test_each_engine_is_asked_for_what_it_can_take(spec: str, roles: list[str], mask: bool):
    asked = as_asked(inpaint(), model(spec))
    assert [reference.role for reference in asked.references] == roles
    assert (asked.mask is not None) == mask
    assert ("same collection" in asked.prompt) == ("anchor" in roles)
    assert as_asked(asked, model(spec)) == asked


def test_what_a_picture_cannot_do_without_stays_for_the_engine_to_refuse():
    free = replace(inpaint(), lock="free", references=inpaint().references[1:2] * 3, mask=None)
    assert len(as_asked(free, model("fal/flux-kontext")).references) == 3


def test_the_chain_of_an_inpainting_is_chosen_by_canvas_and_product_not_by_all_views():
    asked = replace(inpaint(), references=(), mask=None)
    sent = (1024 * 1024, 900 * 900)
    chosen = route(asked, env={"FAL_KEY": "c"}, sent=sent)
    assert chosen.chain == ("fal/nano-banana-2", "fal/qwen-image-edit-inpaint", "studio")
    first = route(asked, "fal/qwen-image-edit-inpaint", env=ENV, sent=sent)
    assert first.chain[0] == "fal/qwen-image-edit-inpaint"
    # All five views of a product would have been a reason for another rule.
    assert route(asked, env=ENV, sent=sent).reason == "The everyday chain."
    views = replace(asked, references=inpaint().references[1:2] * 5)
    assert route(views, env=ENV).reason == "Many references are combined."
