"""Reports written as JSON and read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.bench import BenchReport, read_report, report_json
from engine.bench.contender import BenchError
from engine.bench.report import BenchRow, ParityResult, Roofline, ScalingCurve
from engine.formats import FileError
from tests.engine.bench.made_up import MACHINE, report, row, timing


def full() -> BenchReport:
    base = report()
    measured = (timing("this engine, CPU", "engine", 1e-5, 1.0),)
    photo = BenchRow("photo", "9 × 9", 1, 50, measured, growth=None, roofline=Roofline(3, 100, 50, 1e-6))
    curve = ScalingCurve("pixels", (1, 4), (10, 40), (1.0, 3.0), (0.9, 2.9), (1.1, 3.1), 1.0, 0.79)
    return BenchReport(
        base.day,
        MACHINE,
        (row(torch={"PyTorch": 3.0}), photo),
        (curve,),
        (ParityResult("ReLU", "outputs", 0.0, 0.0),),
        ("A note.",),
    )


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(report_json(full()))
    assert read_report(tmp_path / "r.json") == full()


def test_the_file_holds_plain_names_that_programs_can_look_for() -> None:
    data = json.loads(report_json(full()))
    assert data["version"] == 1
    assert data["day"] == "2026-11-24"
    assert data["machine"]["processor"] == "Abacus"
    other = data["rows"][0]["timings"][1]
    assert (other["name"], other["family"], other["times"]["median"]) == ("PyTorch", "pytorch", 3.0)
    assert data["rows"][1]["growth"] is None
    assert data["curves"][0]["multiplies"] == [10, 40]


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"rows": 3}'])
def test_anything_else_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises((BenchError, FileError), match=r"^[^\n]*r\.json [^\n]*\.$"):
        read_report(tmp_path / "r.json")


def test_another_version_is_refused(tmp_path: Path) -> None:
    data = json.loads(report_json(full())) | {"version": 2}
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(BenchError, match="another version"):
        read_report(tmp_path / "r.json")


def test_pytorchs_best_is_its_fastest_and_nobody_elses() -> None:
    best = row(torch={"1 thread": 3.0, "2 threads": 2.5}, yardstick=0.1).best_pytorch
    assert best is not None
    assert best.name == "2 threads"
    assert row().best_pytorch is None
