"""Reports as text and Markdown."""

from __future__ import annotations

import msgspec
import pytest

from engine.bench import report_markdown, report_text
from engine.bench.report import BenchRow, ParityResult, Roofline, ScalingCurve, duration_text
from tests.engine.bench.made_up import MACHINE, report, row, timing


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.567e-7, "0.46 µs"),
        (5.214e-6, "5.21 µs"),
        (1.1734e-4, "117 µs"),
        (9.996e-4, "1.00 ms"),
        (0.0235, "23.5 ms"),
        (21.31, "21.3 s"),
        (360.8, "361 s"),
    ],
)
def test_durations_have_three_digits_and_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_contenders_go_down_and_nets_across_with_pytorchs_best_at_the_end() -> None:
    first = row("tiny", torch={"PyTorch, 1 thread": 3.0, "PyTorch, 2 threads": 2.5})
    second = row("large", torch={"PyTorch, 1 thread": 1.5})
    lines = report_markdown(report(first, second)).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table == [
        "|  | tiny | large |",
        "| --- | --: | --: |",
        "| this engine, CPU | 10.0 µs | 10.0 µs |",
        "| PyTorch, 1 thread | 30.0 µs (3.00×) | 15.0 µs (1.50×) |",
        "| PyTorch, 2 threads | 25.0 µs (2.50×) |  |",
        "| PyTorch's best / this engine | 2.50× (2.45× to 2.55×) | 1.50× (1.47× to 1.53×) |",
    ]


def test_without_pytorch_the_yardstick_stands_there() -> None:
    assert "the reference work / this engine | 5.00×" in report_markdown(report(row()))
    assert "the reference work / this engine | 0.0012×" in report_markdown(report(row(yardstick=0.0012)))


def test_training_is_told_in_pictures_a_second_and_epochs() -> None:
    timings = (timing("this engine, CPU", "engine", 0.5, 1.0), timing("PyTorch", "pytorch", 1.0, 2.0))
    text = report_text(report(BenchRow("train", "hanuschkin", 64, 1, timings, epoch=1400)))
    assert "128" in text
    assert "64 (2.00×)" in text
    line = next(line for line in text.splitlines() if "1,400 pictures" in line)
    assert line.split()[-4:] == ["10.9", "s", "21.9", "s"]


def test_the_machine_its_versions_and_the_day_are_named() -> None:
    text = report_text(report(row()))
    for word in ("2026-11-24", "Abacus", "2 cores", "BEADS", "hands (chosen)", "Python 3.11", "load 0.25"):
        assert word in text
    assert "CAUTION" not in text


def test_a_variable_that_changes_speeds_is_warned_of() -> None:
    given = report(row())
    spoilt = msgspec.structs.replace(
        given, machine=msgspec.structs.replace(MACHINE, variables={"OMP_NUM_THREADS": "1"})
    )
    assert "CAUTION, environment variables that change speeds are set: OMP_NUM_THREADS=1." in report_text(spoilt)


def test_every_comparison_that_differs_is_listed_and_of_the_rest_the_nearest() -> None:
    cases = (
        ParityResult("ReLU", "outputs", 1e-6, 0.1),
        ParityResult("Tanh", "outputs", 4e-6, 0.4),
        ParityResult("Conv2D", "outputs", 0.5, 50.0),
        ParityResult("ReLU", "gradients", 0.0, 0.0),
    )
    text = report_markdown(msgspec.structs.replace(report(), parity=cases))
    assert "| outputs | 2 of 3 | 5.0e-01 | 50.00 | Conv2D |" in text
    assert "| DIFFERS: outputs |  | 5.0e-01 | 50.00 | Conv2D |" in text
    assert "| gradients | 1 of 1 | 0.0e+00 | 0.00 |  |" in text


def test_curves_floors_memory_notes_and_pictures() -> None:
    curve = ScalingCurve("pixels", (1, 4096), (10, 40), (1e-3, 3e-3), (1e-3, 3e-3), (1e-3, 3e-3), 1.0, 0.789)
    timings = (timing("this engine, CPU", "engine", 0.5, 1.0),)
    photo = BenchRow(
        "photo",
        "4 × 4",
        1,
        5_000_000,
        timings,
        growth=133_000_000,
        roofline=Roofline(12, 2_000_000, 5_000_000, 0.1),
    )
    given = msgspec.structs.replace(report(photo), curves=(curve,), notes=("PyTorch is missing.",))
    text = report_markdown(given, ["pictures/cost.svg"])
    assert "| pixels | 1 to 4,096 | 1.000 | 0.79 | 1.00 ms to 3.00 ms |" in text
    assert "| photo 4 × 4 | 12 | 2.00 MB | 5.00 M | 100 ms | 5.00× |" in text
    assert "a process grows by 133 MB" in text
    assert "(pictures/cost.svg)" in text
    assert "- PyTorch is missing." in text
