"""How the past is cut into pieces."""

from __future__ import annotations

from ccserver.demo.history import BLOCK, RETENTION, blocks, first_moment

NOW = 1_800_000_000


def test_the_newest_hour_comes_first_and_the_oldest_may_be_shorter() -> None:
    start = NOW - 2 * BLOCK - 600
    assert list(blocks(start, NOW, lambda: NOW)) == [
        (NOW - BLOCK, NOW),
        (NOW - 2 * BLOCK, NOW - BLOCK),
        (start, NOW - 2 * BLOCK),
    ]


def test_an_interrupted_history_goes_on_where_it_stopped() -> None:
    whole = list(blocks(NOW - 5 * BLOCK, NOW, lambda: NOW))
    assert list(blocks(NOW - 5 * BLOCK, whole[1][0], lambda: NOW)) == whole[2:]


def test_hours_the_store_would_refuse_are_left_out() -> None:
    start = first_moment(NOW, RETENTION)
    a_day_later = NOW + 24 * 3600
    assert list(blocks(start, NOW - BLOCK, lambda: NOW))[-1][0] == start
    assert all(
        begin >= a_day_later - RETENTION for begin, _ in blocks(start, NOW - BLOCK, lambda: a_day_later)
    )
    assert list(blocks(start, NOW - BLOCK, lambda: NOW + 3 * 24 * 3600)) == []


def test_no_history_has_no_pieces() -> None:
    assert first_moment(NOW, 0) == NOW
    assert list(blocks(NOW, NOW, lambda: NOW)) == []
