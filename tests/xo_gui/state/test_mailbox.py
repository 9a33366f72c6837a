"""Mailbox: the slot that two threads share."""

from __future__ import annotations

import threading

from xo_gui.state.mailbox import Mailbox


def test_the_latest_item_wins_and_is_taken_once() -> None:
    box: Mailbox[int] = Mailbox()
    assert box.take() is None
    assert box.put(1) is True
    assert box.put(2) is False
    assert box.take() == 2
    assert box.take() is None
    assert box.put(3) is True


def test_close_wakes_a_waiting_thread() -> None:
    box: Mailbox[int] = Mailbox()
    got: list[int | None] = []
    waiter = threading.Thread(target=lambda: got.append(box.wait()))
    waiter.start()
    box.close()
    waiter.join(5)
    assert got == [None]


def test_a_slow_taker_sees_rising_numbers_and_always_the_last() -> None:
    box: Mailbox[int] = Mailbox()
    seen: list[int] = []

    def take_all() -> None:
        while (item := box.wait()) is not None:
            seen.append(item)
            if item == 20_000:
                return

    taker = threading.Thread(target=take_all)
    taker.start()
    for number in range(1, 20_001):
        box.put(number)
    taker.join(20)
    assert seen[-1] == 20_000
    assert seen == sorted(set(seen))
