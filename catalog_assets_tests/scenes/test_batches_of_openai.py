"""OpenAI's Batch API: half the price, and a restart at any point loses nothing and pays nothing twice."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from catalog_assets.scenes.contract import EngineError
from catalog_assets.scenes.engines import openai_batch
from catalog_assets.scenes.engines.openai_batch import OpenAIBatches
from catalog_assets.scenes.paid import StillRunningError
from catalog_assets.storage.store import Store
from catalog_assets_tests.doubles.openai import OpenAIDouble
from catalog_assets_tests.scenes.buying import SPECS, drawer, environment, maker, product_png, request, spent

SPEC = SPECS["openai"]


def batches(tmp_path: Path, double: OpenAIDouble, **more: Any) -> OpenAIBatches:
    """As a fresh process would make them."""
    env = environment("openai", double.url, double.key)
    return OpenAIBatches(maker(env)(SPEC), drawer(tmp_path, env, **more).purchases)


def requests(count: int = 5, **more: Any):
    return [request(f"SKU-{n}", **more) for n in range(count)]


def test_a_batch_is_sent_waited_for_and_fetched_by_other_processes_at_half_the_price(tmp_path: Path):
    with OpenAIDouble() as double:
        sent = batches(tmp_path, double).submit([*requests(), request("P", lock="plate", references=())])
        assert (sent.sent, sent.already_there, len(sent.tags)) == (6, 0, 2)
        assert len([name for name in double.files if name]) >= 2
        double.batch_polls_until_done = 99
        first = batches(tmp_path, double).collect()
        assert (first.drawn, first.waiting) == (0, 6)
        double.batch_polls_until_done = 0
        second = batches(tmp_path, double).collect()
        assert (second.drawn, second.waiting, second.failed) == (6, 0, {})
        assert spent(Store(str(tmp_path))) == double.billed
        assert batches(tmp_path, double).collect().drawn == 0
        env = environment("openai", double.url, double.key)
        calls = len(double.calls)
        for asked in requests():
            drawn = drawer(tmp_path, env).draw_scene(asked, (SPEC, "studio"))
            assert drawn.outcome == "reused"
        assert len(double.calls) == calls


def test_a_picture_in_a_running_batch_is_not_bought_elsewhere(tmp_path: Path):
    with OpenAIDouble() as double:
        of = batches(tmp_path, double)
        of.submit(requests(2))
        double.batch_polls_until_done = 99
        with pytest.raises(StillRunningError, match="in progress"):
            drawer(tmp_path, environment("openai", double.url, double.key)).draw_scene(
                requests(2)[0], (SPEC, "studio")
            )
        again = batches(tmp_path, double).submit(requests(2))
        assert (again.sent, again.already_there) == (0, 2)
        assert len(double.bill) == 2


def test_a_batch_whose_creation_was_never_answered_is_found_by_its_tag(tmp_path: Path, monkeypatch):
    with OpenAIDouble() as double:
        run = double._batch_api

        def forget(request: Any, path: str, headers: Any) -> Any:
            answer = run(request, path, headers)
            return (0, None, {}) if request.method == "POST" and path == "/batches" else answer

        monkeypatch.setattr(double, "_batch_api", forget)
        assert batches(tmp_path, double).submit(requests(3)).sent == 3
        monkeypatch.setattr(double, "_batch_api", run)
        double.batch_polls_until_done = 0
        assert batches(tmp_path, double).collect().drawn == 3
        assert len(double.bill) == 3
        assert spent(Store(str(tmp_path))) == double.billed


def test_a_batch_that_was_never_created_is_given_back_and_sent_again(tmp_path: Path, monkeypatch):
    with OpenAIDouble() as double:
        of = batches(tmp_path, double)
        monkeypatch.setattr(of.engine, "client", _killed_before_create(of.engine.client))
        with pytest.raises(KeyboardInterrupt):
            of.submit(requests(3))
        assert batches(tmp_path, double).collect().waiting == 3, "it may have been created a moment ago"
        monkeypatch.setattr(openai_batch, "GRACE_SECONDS", 0)
        collected = batches(tmp_path, double).collect()
        assert len(collected.failed) == 3
        assert spent(Store(str(tmp_path))) == 0
        double.batch_polls_until_done = 0
        assert batches(tmp_path, double).submit(requests(3)).sent == 3
        assert batches(tmp_path, double).collect().drawn == 3
        assert len(double.bill) == 3


def _killed_before_create(client: Any) -> Any:
    def made() -> Any:
        one = client()

        def killed(**_: Any) -> None:
            raise KeyboardInterrupt

        one.batches.create = killed
        return one

    return made


def test_refusals_inside_a_batch_are_settled_as_refusals(tmp_path: Path):
    with OpenAIDouble(plan=lambda _body, _times: "refused") as double:
        batches(tmp_path, double).submit(requests(2, mask=product_png()))
        double.batch_polls_until_done = 0
        collected = batches(tmp_path, double).collect()
        assert len(collected.failed) == 2
        assert all("refused the picture (violence)" in why for why in collected.failed.values())
        assert double.bill == []
        assert spent(Store(str(tmp_path))) == 0


def test_trouble_while_fetching_settles_nothing(tmp_path: Path):
    with OpenAIDouble() as double:
        batches(tmp_path, double).submit(requests(2))
        double.batch_polls_until_done = 0
        url, double.url = double.url, "http://127.0.0.1:9"
        assert batches(tmp_path, double).collect().waiting == 2
        double.url = url
        assert batches(tmp_path, double).collect().drawn == 2
        assert spent(Store(str(tmp_path))) == double.billed


def test_what_the_budget_does_not_cover_is_left_out_and_said(tmp_path: Path):
    with OpenAIDouble() as double:
        sent = batches(tmp_path, double, day="0.05").submit(requests(5))
        assert 0 < sent.sent < 5
        assert len(sent.not_sent) == 5 - sent.sent
        assert all("CATALOG_BUDGET_USD" in why for why in sent.not_sent.values())
        assert double.billed < Decimal("0.05")


def test_an_upload_that_fails_gives_the_money_back(tmp_path: Path):
    with OpenAIDouble() as double:
        of = batches(tmp_path, double)
    with pytest.raises(EngineError, match="cannot be reached"):
        of.submit(requests(3))
    standings = of.purchases.ledger.standings(of.purchases.ledger.today()).values()
    assert sum(standing.micro for standing in standings) == 0


def test_a_model_without_batches_is_refused(tmp_path: Path):
    engine = maker({"OPENAI_API_KEY": "x"})("openai/gpt-image-2.6-flare")
    with pytest.raises(EngineError, match="takes no batches"):
        OpenAIBatches(engine, drawer(tmp_path, {}).purchases)
