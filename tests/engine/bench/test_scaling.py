"""The cost of a convolution as it grows."""

from __future__ import annotations

import pytest

from engine.backends import choose_backend
from engine.bench import suite
from engine.bench.suite import BASE_CASE, CURVES, ConvolutionCase, log_log_slope, scaling_curves

CPU = choose_backend("cpu")


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_the_slope_is_the_power_of_a_power_law(power: float) -> None:
    xs = [1, 3, 10, 64]
    assert log_log_slope(xs, [7 * x**power for x in xs]) == pytest.approx(power)


@pytest.mark.parametrize(("of", "number", "cases"), CURVES, ids=[of for of, *_ in CURVES])
def test_multiplies_grow_in_proportion_to_what_is_varied(
    of: str, number: object, cases: tuple[ConvolutionCase, ...]
) -> None:
    assert callable(number)
    at = [number(case) for case in cases]
    assert len(set(at)) == len(at) >= 7
    assert [case.multiplies * at[0] for case in cases] == [cases[0].multiplies * each for each in at]


def test_multiplies_of_a_case_by_hand() -> None:
    # Every value of 16 maps of 64 x 64 takes 5 x 5 products from each of 8 maps.
    assert BASE_CASE.multiplies == 16 * 64 * 64 * 5 * 5 * 8
    assert ConvolutionCase(batch=3).multiplies == 3 * BASE_CASE.multiplies


def test_a_curve_is_measured_and_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = (ConvolutionCase(side=8, size=1, features=1), ConvolutionCase(side=16, size=1, features=1))
    monkeypatch.setattr(suite, "CURVES", (("pixels", lambda case: case.side**2, cases),))
    (found,) = scaling_curves(CPU, 0.01)
    assert (found.of, found.at, found.multiplies) == ("pixels", (64, 256), (512, 2048))
    assert found.multiplies_slope == pytest.approx(1)
    assert all(
        0 < low <= median <= high for low, median, high in zip(found.low, found.seconds, found.high, strict=True)
    )
