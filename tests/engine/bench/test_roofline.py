"""The roofline: the least time that work can take."""

from __future__ import annotations

import pytest

from engine.backends import choose_backend
from engine.bench.cases import LARGE, TINY, hanuschkin_net
from engine.bench.suite import DeviceLimits, live_bytes, measure_limits, roofline, train_bytes, train_multiplies

CPU = choose_backend("cpu")


def test_calls_add_up_and_of_bytes_and_multiplies_the_longer_counts() -> None:
    device = DeviceLimits(call_seconds=1e-6, bytes_per_second=1e9, multiplies_per_second=1e12)
    assert roofline(device, 10, 2_000_000, 10).seconds == pytest.approx(10e-6 + 2e-3)
    assert roofline(device, 10, 10, 4 * 10**9).seconds == pytest.approx(10e-6 + 4e-3)


def test_what_a_net_moves_and_multiplies_by_hand() -> None:
    # Maps of 9 x 9, three of 7 x 7 twice, three of 3 x 3 twice, a list of 2; 3 * (9 + 1) + 2 * (27 + 1) parameters.
    maps, learnt = 81 + 147 + 147 + 27 + 27 + 2, 30 + 56
    assert live_bytes(TINY.network) == 4 * (2 * maps + learnt)
    assert train_bytes(TINY) == 4 * (4 * 64 * maps + 6 * learnt)
    convolution, dense = 3 * 49 * 9, 54
    assert train_multiplies(TINY) == 64 * (2 * convolution + 3 * dense)


def test_the_first_layer_with_parameters_has_no_gradient_in_its_input() -> None:
    for net in (LARGE, hanuschkin_net()):
        costs = [cost.multiplies for cost in net.network.costs]
        first = next(count for count in costs if count)
        assert train_multiplies(net) == 64 * (3 * sum(costs) - first)


def test_a_device_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.bench.suite.VALUES", {"cpu": 1 << 16})
    monkeypatch.setattr("engine.bench.suite.ROWS", {"cpu": 64})
    found = measure_limits(CPU, 0.01)
    # Any machine starts a call within a millisecond, and moves and multiplies more than a million values a second.
    assert 0 < found.call_seconds < 1e-3
    assert found.bytes_per_second > 1e6
    assert found.multiplies_per_second > 1e6
