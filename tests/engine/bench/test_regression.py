"""What counts as slower than before, with invented numbers."""

from __future__ import annotations

import msgspec
import pytest

from engine.bench import compare_reports, regression_text
from engine.bench.timing import Quartiles
from tests.engine.bench.made_up import report, row


def slower(before: float, now: float, margin: float = 0.15, wide: float = 0.02) -> bool:
    old, new = (report(row(torch={"PyTorch": times}, wide=wide)) for times in (before, now))
    (change,) = compare_reports(old, new, margin)
    return change.slower


@pytest.mark.parametrize(
    ("now", "expected"), [(4.0, False), (3.45, False), (3.35, True), (2.0, True), (9.0, False)]
)
def test_a_row_is_slower_when_its_ratio_falls_by_more_than_the_margin(now: float, expected: bool) -> None:
    assert slower(4.0, now) is expected


def test_the_margin_can_be_chosen() -> None:
    assert slower(4.0, 3.6, margin=0.05)
    assert not slower(4.0, 3.6, margin=0.2)


def test_a_ratio_within_the_noise_proves_nothing() -> None:
    assert slower(4.0, 3.2, wide=0.1)
    assert not slower(4.0, 3.2, wide=0.2)


def test_the_times_themselves_do_not_matter() -> None:
    fast = row(torch={"PyTorch": 4.0})
    timings = tuple(msgspec.structs.replace(each, seconds=Quartiles(1.0, 1.0, 1.0)) for each in fast.timings)
    (change,) = compare_reports(report(fast), report(msgspec.structs.replace(fast, timings=timings)))
    assert not change.slower


def test_pytorchs_best_mode_is_compared_whichever_it_is() -> None:
    before = row(torch={"1 thread": 3.0, "2 threads": 5.0})
    now = row(torch={"1 thread": 4.5, "2 threads": 2.9})
    (change,) = compare_reports(report(before), report(now))
    assert (change.against, change.before.median, change.now.median, change.slower) == ("PyTorch", 3.0, 2.9, False)


def test_without_pytorch_on_both_sides_the_yardstick_is_compared() -> None:
    before, now = row(torch={"PyTorch": 3.0}, yardstick=10.0), row(yardstick=6.0)
    (change,) = compare_reports(report(before), report(now))
    assert (change.against, change.slower) == ("the reference work", True)
    assert change.factor == pytest.approx(0.6)


def test_rows_of_one_report_alone_are_left_out() -> None:
    assert [
        change.row for change in compare_reports(report(row("tiny"), row("old")), report(row("new"), row("tiny")))
    ] == ["live tiny"]


def test_the_slower_rows_are_named_first_with_both_ratios_and_the_margin() -> None:
    before = report(row("fine", torch={"PyTorch": 3.0}), row("worse", torch={"PyTorch": 4.0}))
    now = report(row("fine", torch={"PyTorch": 3.0}), row("worse", torch={"PyTorch": 2.0}))
    lines = regression_text(compare_reports(before, now, 0.15), 0.15).splitlines()
    assert "more than 15%" in lines[0]
    assert lines[1] == "  SLOWER  live worse: 2.00 times PyTorch's speed, was 4.00 (-50%)"
    assert lines[2] == "  fine    live fine: 3.00 times PyTorch's speed, was 3.00 (+0%)"
