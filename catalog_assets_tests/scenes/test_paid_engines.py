"""Each vendor's engine against its double: what is sent, what comes back, what every fault becomes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from catalog_assets.scenes.contract import EngineError, Reference
from catalog_assets.scenes.engines.openai import OpenAIEngine
from catalog_assets.scenes.models import model_table
from catalog_assets.scenes.paid import StillRunningError
from catalog_assets.scenes.picture import decode
from catalog_assets.storage.store import sha256
from catalog_assets_tests.doubles.fal import FalDouble
from catalog_assets_tests.doubles.google import GoogleDouble
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.doubles.server import Double, FaultKind, once
from catalog_assets_tests.scenes.buying import SPECS, environment, maker, product_png, request

DOUBLES: dict[str, type[Double]] = {"openai": OpenAIDouble, "google": GoogleDouble, "fal": FalDouble}
KEY = "sk-canary-0123456789abcdef"


def call(vendor: str, double: Double, spec: str | None = None, key: str = KEY, **changes: Any):
    engine = maker(environment(vendor, double.url, key))(spec or SPECS[vendor])
    return engine.call(request(**changes), lambda _: None)


def failure(vendor: str, fault: FaultKind | None = None, key: str = KEY, **changes: Any) -> EngineError:
    with DOUBLES[vendor](plan=once(fault) if fault else lambda *_: None) as double:
        with pytest.raises(EngineError) as caught:
            call(vendor, double, key=key, **changes)
        assert KEY not in str(caught.value)
        return caught.value


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_picture_comes_back_with_its_exact_price(vendor: str):
    with DOUBLES[vendor]() as double:
        reply = call(vendor, double)
        assert reply.cost.usd == double.billed > 0
        assert decode(reply.data).shape[2] == 3
        assert reply.request_id == double.bill[0].request_id


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_quote_is_never_below_the_bill(vendor: str):
    for references in (1, 3):
        data = product_png()
        many = tuple(Reference("product", data, sha256(data)) for _ in range(references))
        for quality in ("draft", "final"):
            with DOUBLES[vendor]() as double:
                engine = maker(environment(vendor, double.url, KEY))(SPECS[vendor])
                asked = request(references=many, quality=quality, width=1600, height=1200)
                engine.call(asked, lambda _: None)
                assert engine.quote(asked).usd >= double.billed


@pytest.mark.parametrize("vendor", DOUBLES)
@pytest.mark.parametrize(
    ("fault", "kind", "billed"),
    [
        ("rate_limited", "rate_limited", False),
        ("rate_limited_silent", "rate_limited", False),
        ("quota", "out_of_credit", False),
        ("refused", "refused", False),
        ("server_error", "transient", False),
        ("dropped", "unknown_outcome", True),
        ("truncated_json", "unknown_outcome", True),
    ],
)
def test_each_fault_becomes_the_kind_that_says_what_to_do(
    vendor: str, fault: FaultKind, kind: str, billed: bool
):
    error = failure(vendor, fault)
    assert error.kind == kind
    if fault == "rate_limited":
        assert error.retry_after == pytest.approx(0.05)
    if kind == "refused":
        assert error.categories
    assert billed or error.cost is None or error.cost.usd == 0


@pytest.mark.parametrize("vendor", ["openai", "google"])
def test_a_picture_that_breaks_off_is_lost_but_booked_at_its_price(vendor: str):
    with DOUBLES[vendor](plan=once("truncated_picture")) as double:
        with pytest.raises(EngineError, match=r"whole picture|damaged") as caught:
            call(vendor, double)
        assert caught.value.kind == "unknown_outcome"
        assert caught.value.cost is not None
        assert caught.value.cost.usd == double.billed


def test_fal_downloads_a_broken_file_again_instead_of_paying_again():
    with FalDouble(plan=once("truncated_picture")) as double:
        assert decode(call("fal", double).data).size
        assert len(double.bill) == 1


def test_a_refusal_of_googles_finished_picture_is_booked_at_what_was_used():
    with GoogleDouble(plan=once("refused_output")) as double:
        with pytest.raises(EngineError) as caught:
            call("google", double)
        assert (caught.value.kind, caught.value.stage) == ("refused", "output")
        assert caught.value.cost is not None
        assert caught.value.cost.usd == double.billed


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_picture_of_another_size_is_taken_because_it_is_paid_for(vendor: str):
    with DOUBLES[vendor](plan=once("wrong_size")) as double:
        assert decode(call(vendor, double).data).size


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_refused_key_ends_the_engine_and_is_not_repeated_in_the_text(vendor: str):
    wrong = "sk-wrong-key-9876543210zyxw"
    error = failure(vendor, key=wrong)
    assert error.ends_engine
    assert wrong not in str(error)
    assert environment(vendor, "", "").keys() & set(str(error).replace("(", " ").split())


@pytest.mark.parametrize("vendor", DOUBLES)
def test_a_missing_key_is_named_before_anything_is_sent(vendor: str):
    with DOUBLES[vendor]() as double:
        engine = maker({k: v for k, v in environment(vendor, double.url, "").items() if v})(SPECS[vendor])
        with pytest.raises(EngineError, match="_KEY is not set") as caught:
            engine.call(request(), lambda _: None)
    assert caught.value.ends_engine
    assert double.calls == []


@pytest.mark.parametrize("vendor", DOUBLES)
def test_no_network_is_one_sentence_and_costs_nothing(vendor: str):
    with DOUBLES[vendor]() as double:
        pass
    engine = maker(environment(vendor, double.url, KEY))(SPECS[vendor])
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        engine.call(request(), lambda _: None)
    assert caught.value.kind == "transient"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prompt": "  "}, "empty prompt"),
        ({"prompt": "x" * 32_001}, "32001 characters"),
        ({"width": 0}, "no picture size"),
        ({"width": 4000, "height": 500}, "too narrow"),
        ({"quality": "ultra"}, "no quality 'ultra'"),
        ({"references": (Reference("product", b"GIF89a", "0"),)}, "no PNG or JPEG"),
        ({"options": {"loras": [{"path": "x"}]}}, "LoRA|no option"),
        ({"options": {"nonsense": 1}}, "no option nonsense"),
    ],
)
def test_what_cannot_work_is_refused_before_it_is_sent(changes: dict[str, Any], says: str):
    with OpenAIDouble() as double, pytest.raises(EngineError, match=says):
        call("openai", double, **changes)
    assert double.calls == []


@pytest.mark.parametrize(
    ("spec", "changes", "says"),
    [
        ("google/nano-banana-2.1", {"mask": product_png()}, "masks"),
        ("fal/flux-1.1-pro", {}, "lock mode inpaint"),
        ("fal/nano-banana-2", {"alpha": True}, "transparent"),
        ("fal/flux-kontext", {"references": ()}, "without a reference"),
        ("fal/flux-kontext", {"references": request().references * 2}, "2 references"),
    ],
)
def test_a_missing_capability_is_named_before_spending(spec: str, changes: dict[str, Any], says: str):
    engine = maker({"FAL_KEY": KEY, "GOOGLE_API_KEY": KEY})(spec)
    with pytest.raises(EngineError, match=says) as caught:
        engine.check(request(**changes))
    assert caught.value.kind == "unsupported"


def test_a_wrong_base_address_is_named():
    engine = maker({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "api.openai.com"})(SPECS["openai"])
    with pytest.raises(EngineError, match="OPENAI_BASE_URL is not a web address"):
        engine.check(request())


def test_an_unknown_model_at_the_server_ends_the_engine():
    with (
        OpenAIDouble() as double,
        pytest.raises(EngineError, match=r"does not know gpt-image-2\.5-flare-2026-09-08") as caught,
    ):
        call("openai", double, "openai/gpt-image-2.5-flare-2026-09-08")
    assert caught.value.ends_engine


def test_openai_gets_a_mask_beside_its_picture_and_several_references_by_role():
    data = product_png()
    two = (Reference("canvas", data, "1"), Reference("style", product_png(1), "2"))
    with OpenAIDouble() as double:
        assert call("openai", double, references=two, mask=data).data
        assert call("openai", double, references=(), lock="plate").data
        assert call("openai", double, "openai/gpt-image-1.5", width=1000, height=1500).data


def test_azure_is_reached_by_deployment_and_its_own_key_header():
    env = environment("azure", "", KEY)
    with OpenAIDouble(profile="azure") as double:
        engine = maker({**env, "AZURE_OPENAI_ENDPOINT": double.url})("azure/gpt-image-2")
        reply = engine.call(request(), lambda _: None)
        assert reply.cost.usd == double.billed
        assert "/deployments/gpt-image-2/" in double.calls[0].path


@pytest.mark.parametrize("profile", ["vllm-omni", "sglang", "sd-server"])
def test_own_servers_take_seeds_and_cost_nothing(profile: Any):
    with OpenAIDouble(profile=profile) as double:
        engine = maker({"OPENAI_BASE_URL": f"{double.url}/v1"})(f"{profile}/flux-2-klein-4b")
        asked = request(seed=7, options={"num_inference_steps": 28})
        reply = engine.call(asked, lambda _: None)
        assert (reply.cost.usd, engine.quote(asked).usd) == (Decimal(0), Decimal(0))
        with pytest.raises(EngineError, match="transparent"):
            engine.check(request(alpha=True))


def test_an_own_server_without_an_address_is_refused():
    with pytest.raises(EngineError, match="OPENAI_BASE_URL is not set"):
        maker({})("vllm-omni/klein").check(request())


def test_seedream_gets_a_size_it_draws_and_flux_pro_only_backdrops():
    env = {"FAL_KEY": KEY}
    with FalDouble() as double:
        make = maker({**env, "CATALOG_FAL_QUEUE_URL": double.url})
        for spec, changes in (
            ("fal/seedream-5-lite", {}),
            ("fal/seedream-5-lite", {"lock": "plate", "references": ()}),
            ("fal/flux-1.1-pro", {"lock": "plate", "references": ()}),
            ("fal/flux-kontext", {}),
            ("fal/qwen-image-edit-inpaint", {"mask": product_png()}),
        ):
            engine = make(spec)
            reply = engine.call(request(**changes), lambda _: None)
            assert reply.cost.usd == double.bill[-1].usd
            assert engine.quote(request(**changes)).usd == reply.cost.usd


def test_a_fal_job_is_fetched_by_another_process_without_paying_again():
    jobs: list[Any] = []
    with FalDouble() as double:
        env = environment("fal", double.url, KEY)
        first = maker(env)(SPECS["fal"]).call(request(), jobs.append)
        again = maker(env)(SPECS["fal"]).resume(request(), jobs[0])
        assert again.data == first.data
        assert len(double.bill) == 1


def test_a_paid_engine_draws_only_through_the_drawer():
    with pytest.raises(EngineError, match=r"Drawer\.draw_scene"):
        maker({})(SPECS["openai"]).draw(request())


def test_a_doubles_product_defects_are_visible_in_the_picture():
    with OpenAIDouble() as double:
        good = decode(call("openai", double).data)
    for defect in ("shifted", "stretched", "recoloured", "garbled"):
        with OpenAIDouble(defect=defect) as double:
            assert np.abs(decode(call("openai", double).data).astype(int) - good).max() > 20


def test_an_openai_answer_without_usage_is_booked_at_the_quote(tmp_path: Path):
    engine, model = model_table().find(SPECS["openai"])
    reader = OpenAIEngine(engine, model, {})
    import base64
    import json

    body = json.dumps({"data": [{"b64_json": base64.b64encode(product_png()).decode()}]}).encode()
    quote = reader.quote(request())
    reply = reader.read_reply(body, {}, quote)
    assert (reply.cost, reply.cost_basis) == (quote, "price table")


HOSTED = [m.spec for m in model_table().models if m.engine in ("openai", "google", "fal") and m.locks]


@pytest.mark.parametrize("spec", HOSTED)
def test_every_model_of_the_table_draws_against_its_vendors_own_rules_and_price_list(spec: str):
    vendor = spec.split("/")[0]
    _, model = model_table().find(spec)
    if spec.endswith(("gpt-image-1-mini", "chatgpt-image-latest", "gpt-image-1", "dall-e-3", "dall-e-2")):
        pytest.skip("the double does not keep models that are gone")
    mask = cv2.imencode(".png", np.zeros((96, 96, 4), np.uint8))[1].tobytes()
    with DOUBLES[vendor]() as double:
        engine = maker(environment(vendor, double.url, KEY))(spec)
        asked = [{}] if model.edits and not model.needs_mask else []
        if "plate" in model.locks:
            asked.append({"lock": "plate", "references": ()})
        if model.mask:
            asked.append({"mask": mask})
        if model.alpha:
            asked.append({"alpha": True})
        if model.lora:
            asked[-1]["options"] = {
                "loras": [{"path": "https://example.org/brand.safetensors", "scale": 1.0}]
            }
        for changes in asked:
            request_ = request(**changes)
            reply = engine.call(request_, lambda _: None)
            assert decode(reply.data).shape[2] == 3
            assert double.bill[-1].usd <= engine.quote(request_).usd, "a quote is a ceiling"
            assert reply.cost.usd >= double.bill[-1].usd
            if reply.cost_basis == "usage":
                assert reply.cost.usd == double.bill[-1].usd


def test_a_refusal_of_a_finished_picture_says_so_whatever_the_vendor():
    for vendor in DOUBLES:
        error = failure(vendor, "refused_output")
        assert (error.kind, error.stage) == ("refused", "output")
    error = failure("fal", "refused_blackened")
    assert (error.kind, error.categories) == ("refused", ("nsfw",))
    assert error.cost is not None
    assert error.cost.usd == Decimal("0.06")


def test_googles_limit_per_minute_is_not_taken_for_an_empty_purse():
    error = failure("google", "rate_limited")
    assert error.kind == "rate_limited"
    assert error.retry_after == pytest.approx(0.05)
    assert failure("google", "quota").kind == "out_of_credit"


def test_a_job_at_fal_survives_a_wrong_key_and_is_fetched_with_the_right_one():
    jobs: list[Any] = []
    with FalDouble() as double:
        first = maker(environment("fal", double.url, KEY))(SPECS["fal"]).call(request(), jobs.append)
        with pytest.raises(StillRunningError, match="set the key it was sent with"):
            maker(environment("fal", double.url, "another-key"))(SPECS["fal"]).resume(request(), jobs[0])
        again = maker(environment("fal", double.url, KEY))(SPECS["fal"]).resume(request(), jobs[0])
        assert (again.data, len(double.bill)) == (first.data, 1)
        double.jobs.clear()
        with pytest.raises(EngineError, match="no longer knows job") as lost:
            maker(environment("fal", double.url, KEY))(SPECS["fal"]).resume(request(), jobs[0])
        assert lost.value.kind == "unknown_outcome"


def test_own_servers_get_masks_and_loras_in_their_own_manner():
    mask = cv2.imencode(".png", np.zeros((96, 96, 4), np.uint8))[1].tobytes()
    with OpenAIDouble(profile="sd-server") as double:
        engine = maker({"OPENAI_BASE_URL": f"{double.url}/v1"})("sd-server/klein")
        assert engine.call(request(mask=mask), lambda _: None).data
    loras = [{"name": "brand", "path": "/loras/brand.safetensors", "scale": 1.0}]
    with OpenAIDouble(profile="vllm-omni") as double:
        engine = maker({"OPENAI_BASE_URL": f"{double.url}/v1"})("vllm-omni/klein")
        asked = request(options={"loras": loras})
        assert engine.call(asked, lambda _: None).data
        assert engine.fields(asked, engine.check(asked))["extra_body"]["lora"] == json.dumps(loras[0])
        with pytest.raises(EngineError, match="masks"):
            engine.check(request(mask=mask))
    with OpenAIDouble(profile="sglang") as double:
        engine = maker({"OPENAI_BASE_URL": f"{double.url}/v1"})("sglang/klein")
        with pytest.raises(EngineError, match="1 LoRAs"):
            engine.check(request(options={"loras": loras}))
