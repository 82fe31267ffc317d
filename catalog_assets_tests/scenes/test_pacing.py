"""The limiter, on a clock that only moves when somebody waits."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from catalog_assets.scenes.contract import EngineError
from catalog_assets.scenes.pacing import Limiter
from catalog_assets.scenes.paid import Pace
from catalog_assets.scenes.retry import RetryPolicy


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def limiter(**limits: float) -> tuple[Limiter, Clock]:
    clock = Clock()
    return Limiter(clock=clock, sleep=clock.sleep, **limits), clock  # pyright: ignore[reportArgumentType]


def leave(of: Limiter, clock: Clock, count: int, tokens: int = 0) -> list[float]:
    times: list[float] = []
    for _ in range(count):
        with of.slot(tokens):
            times.append(clock.now)
    return times


def test_requests_use_almost_all_of_the_limit_and_never_more():
    of, clock = limiter(images_per_minute=60)
    times = leave(of, clock, 300)
    for start in times:
        assert sum(start <= at < start + 60 for at in times) <= 60
    assert 300 / (times[-1] - times[0]) * 60 >= 0.97 * 60


def test_tokens_are_a_limit_of_their_own():
    of, clock = limiter(images_per_minute=600, tokens_per_minute=6000)
    times = leave(of, clock, 21, tokens=1000)
    assert 190 <= times[-1] - times[0] <= 210


def test_a_429_holds_everybody_off_for_as_long_as_the_vendor_says():
    of, clock = limiter(images_per_minute=6000)
    leave(of, clock, 1)
    of.throttled(20.0)
    [at] = leave(of, clock, 1)
    assert at >= 1020


def test_without_retry_after_the_wait_is_ten_seconds():
    of, clock = limiter()
    of.throttled(None)
    assert leave(of, clock, 1)[0] >= 1010


def test_headers_teach_the_limit_and_a_429_lowers_it_until_they_prove_right():
    of, clock = limiter(images_per_minute=5)
    of.learn(Pace(images_per_minute=50))
    assert of.images_per_minute == 50
    leave(of, clock, 3)
    of.throttled(1.0)
    assert of.images_per_minute == pytest.approx(40)
    of.throttled(1.0)
    assert of.images_per_minute == pytest.approx(40), "one burst of 429s counts once"
    of.learn(Pace(images_per_minute=50))
    assert of.images_per_minute == pytest.approx(40)
    clock.now += 120
    for _ in range(10):
        of.learn(Pace(images_per_minute=50))
    assert of.images_per_minute == 50


def test_those_who_wait_go_faster_as_soon_as_a_header_says_so():
    of = Limiter(images_per_minute=2)
    left: list[float] = []

    def go(_: int) -> None:
        with of.slot():
            left.append(time.monotonic())

    with ThreadPoolExecutor(8) as pool:
        begun = time.monotonic()
        waiting = [pool.submit(go, n) for n in range(8)]
        waiting[0].result(5)
        of.learn(Pace(images_per_minute=6000))
        for one in waiting:
            one.result(5)
    assert len(left) == 8
    assert left[-1] - begun < 4.0, "not the half minute each of them first had to wait for the one before"


@pytest.mark.parametrize("too_fast", [1.5, 2.0, 6.0])
def test_without_headers_the_first_429_is_the_last(too_fast: float):
    limit = 60
    of, clock = limiter(images_per_minute=limit * too_fast)
    window: list[float] = []
    refused = 0
    for _ in range(400):
        with of.slot():
            window = [at for at in window if at > clock.now - 60]
            if len(window) >= limit:
                refused += 1
                of.throttled(1.0)
            else:
                window.append(clock.now)
                of.learn(Pace())
    assert refused == 1
    assert 399 / (clock.now - 1000.0) * 60 >= 0.97 * limit


def test_an_empty_window_is_waited_out():
    of, clock = limiter(images_per_minute=600)
    of.learn(Pace(images_per_minute=600, remaining=0, reset_seconds=30))
    assert leave(of, clock, 1)[0] >= 1030


def test_processes_that_share_an_account_share_its_pace():
    of, clock = limiter(images_per_minute=60)
    of.sharers = 4
    times = leave(of, clock, 16)
    assert 60 <= times[-1] - times[0] <= 61


@pytest.mark.parametrize(
    ("kind", "times", "move"),
    [
        ("transient", 3, "retry"), ("transient", 4, "next_engine"), ("rate_limited", 8, "retry"),
        ("rate_limited", 9, "next_engine"), ("refused", 1, "rephrase"), ("refused", 2, "next_family"),
        ("unknown_outcome", 1, "free_only"), ("out_of_credit", 1, "stop_engine"),
        ("bad_input", 1, "next_engine"), ("unsupported", 1, "next_engine"),
    ],
)  # fmt: skip
def test_the_policy_says_what_follows_each_kind(kind, times: int, move: str):
    assert RetryPolicy().after(EngineError(kind, ""), {kind: times}) == move


def test_a_refused_key_stops_the_engine_whatever_the_kind():
    assert RetryPolicy().after(EngineError("unsupported", "", ends_engine=True), {}) == "stop_engine"


def test_waits_double_and_stay_below_the_longest():
    policy = RetryPolicy(first_wait=1, longest_wait=8)
    waits = [policy.wait(EngineError("transient", ""), n) for n in range(1, 8)]
    assert 0.75 <= waits[0] <= 1
    assert 1.5 <= waits[1] <= 2
    assert max(waits) <= 8
    assert policy.wait(EngineError("rate_limited", ""), 1) == 0
