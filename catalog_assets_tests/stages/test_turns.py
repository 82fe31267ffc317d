"""Turns at the processor: few compute, many wait."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from catalog_assets.stages.turns import Turns


def test_those_who_wait_outside_let_others_compute_and_never_too_many_do():
    turns, lock = Turns(2), threading.Lock()
    outside = threading.Barrier(12, timeout=10)
    computing, most = 0, 0

    def enter(step: int) -> None:
        nonlocal computing, most
        with lock:
            computing += step
            most = max(most, computing)

    def work(_: int) -> None:
        with turns.taken():
            enter(1)
            enter(-1)
            with turns.aside():
                outside.wait()  # only passes when all twelve are outside at once
            enter(1)
            enter(-1)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert most <= 2


def test_a_thread_without_a_turn_steps_aside_for_nobody_and_nesting_takes_one_turn():
    turns = Turns(1)
    with turns.aside():
        pass
    with turns.taken(), turns.taken():
        pass
    with turns.taken():
        pass
