"""Numbers of candidates: no two attempts ever share one, also on S3 servers that settle no race."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from catalog_assets.scenes.candidates import Candidates
from catalog_assets.scenes.ledger import new_id
from catalog_assets.storage.store import Store


def race(base: str, racers: int, rounds: int) -> list[int]:
    """What numbers ``racers`` that know nothing of each other take for the same scene."""
    barrier = threading.Barrier(racers)

    def take(number: int) -> list[int]:
        mine = Candidates(Store(base))
        taken: list[int] = []
        for _ in range(rounds):
            barrier.wait()
            opened = mine.open(
                "A", "counter", engine="x/y", request={"by": number}, request_hash="h",
                intent=new_id(datetime.now(UTC)), day="2026-11-21",
            )  # fmt: skip
            taken.append(opened.n)
        return taken

    with ThreadPoolExecutor(racers) as pool:
        return [n for taken in pool.map(take, range(racers)) for n in taken]


def test_attempts_that_are_opened_at_once_get_numbers_of_their_own(tmp_path: Path):
    assert sorted(race(str(tmp_path), 4, 5)) == list(range(1, 21))


@pytest.mark.s3
def test_a_server_without_conditional_writes_gives_no_number_twice(s3_address: str):
    base = f"{s3_address}/store"
    numbers = race(base, 3, 4)
    assert len(set(numbers)) == len(numbers) == 12
    stored = Candidates(Store(base)).all("A", "counter")
    assert [one.n for one in stored] == sorted(numbers), "each has its own papers"
    assert not [name for name in Store(base).listing("candidates") if name.endswith(".claim")]
