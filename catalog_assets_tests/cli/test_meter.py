"""Throughput and remaining time, with a clock of our own."""

from catalog_assets.cli.meter import Meter


def test_remaining_time_is_the_mean_of_each_stage_at_the_pace_so_far():
    now = [0.0]
    meter = Meter(["shoot", "list"], skus=4, clock=lambda: now[0])
    assert meter.seconds_left() is None
    now[0] = 6.0
    # Two at a time: 12 s of work in 6 s.
    for stage, seconds in (("shoot", 4.0), ("shoot", 4.0), ("list", 2.0), ("list", 2.0)):
        meter.finished(stage, seconds)
    assert meter.ended == 2
    assert meter.per_minute() == 20.0
    assert meter.seconds_left() == 6.0
    assert meter.text() == "2 of 4 SKUs, 20.0 a minute, about 6 s left"


def test_failed_and_unchanged_skus_are_counted_but_not_as_work():
    now = [0.0]
    meter = Meter(["shoot", "list"], skus=3, clock=lambda: now[0])
    now[0] = 10.0
    meter.finished("shoot", 0.1, failed=True)
    for stage in ("shoot", "list"):
        meter.finished(stage, 9.0, unchanged=True)
    meter.finished("shoot", 5.0)
    assert meter.seconds_left() is None  # no list has been timed yet
    meter.finished("list", 5.0)
    assert meter.ended == 3
    assert meter.text() == "3 of 3 SKUs, 12.0 a minute, summing up"
