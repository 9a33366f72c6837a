"""Contenders: one that computes something else is an error, one that cannot run is left out with a note."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import HostArray
from engine.bench.contender import BenchError, Contender, ContenderEntry, check_contenders, no_op

EXPECTED = {"maps": np.array([[1.0, -2.0]], np.float32), "scores": np.array([100.0], np.float32)}


def someone(name: str, result: dict[str, HostArray] | None) -> Contender:
    return Contender(name, "pytorch", no_op, None if result is None else lambda: result)


def against(result: dict[str, HostArray], tolerance: float = 1e-4) -> list[Contender]:
    return check_contenders(
        someone("engine", EXPECTED), [ContenderEntry("other", lambda: someone("other", result))], tolerance
    )[0]


def test_the_same_within_tolerance_is_kept() -> None:
    near = {"maps": EXPECTED["maps"] + np.float32(1e-4), "scores": EXPECTED["scores"] + np.float32(9e-3)}
    assert [contender.name for contender in against(near)] == ["engine", "other"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"maps": EXPECTED["maps"] + np.float32(3e-4)},
            r"^other computes something else: its maps is off by 0\.0003",
        ),
        ({"maps": EXPECTED["maps"] * np.float32(np.nan)}, "its maps is off by nan"),
        ({"maps": EXPECTED["maps"].T}, r"its maps is \(2, 1\), not \(1, 2\)\.$"),
        ({"votes": np.zeros(1)}, "only one side has votes"),
    ],
)
def test_something_else_is_an_error(changed: dict[str, HostArray], words: str) -> None:
    with pytest.raises(BenchError, match=words):
        against(EXPECTED | changed)


def test_whoever_cannot_compute_is_left_out_with_a_sentence() -> None:
    def broken() -> Contender:
        raise RuntimeError("no compiler found.\nand a page more")

    kept, notes = check_contenders(someone("engine", EXPECTED), [ContenderEntry("compiled", broken)], 1e-4)
    assert [contender.name for contender in kept] == ["engine"]
    assert notes == ["compiled did not run: no compiler found."]


def test_the_engine_itself_must_compute() -> None:
    def broken() -> dict[str, HostArray]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        check_contenders(Contender("engine", "engine", no_op, broken), [], 1e-4)


def test_an_interruption_is_no_failure_of_a_partner() -> None:
    def interrupted() -> Contender:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_contenders(someone("engine", EXPECTED), [ContenderEntry("other", interrupted)], 1e-4)


def test_a_yardstick_has_nothing_to_compare() -> None:
    kept, _ = check_contenders(
        someone("engine", EXPECTED), [ContenderEntry("rod", lambda: someone("rod", None))], 1e-4
    )
    assert [contender.name for contender in kept] == ["engine", "rod"]


def test_a_partner_is_prepared_before_it_computes() -> None:
    prepared: list[str] = []
    other = Contender(
        "other", "pytorch", no_op, lambda: EXPECTED if prepared else {}, before=lambda: prepared.append("threads")
    )
    assert (
        len(check_contenders(someone("engine", EXPECTED), [ContenderEntry("other", lambda: other)], 1e-4)[0]) == 2
    )
