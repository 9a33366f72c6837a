"""`xo bench` from end to end, with as little measuring as possible."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.bench import parity as parity_of
from engine.bench import suite
from engine.bench import suite as partners
from engine.bench.cases import TINY
from engine.bench.contender import Contender, ContenderEntry
from engine.bench.report import ParityResult
from engine.cli.main import main

QUICK = ["bench", "--device", "cpu", "--seconds", "0.02"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny net alone, without other contenders, installed or not."""
    monkeypatch.setattr(suite, "REFERENCE_NETS", (TINY,))
    monkeypatch.setattr(suite, "hanuschkin_net", lambda: replace(TINY, name="hanuschkin", epoch=1400))
    monkeypatch.setattr(partners.torch_contender, "torch_version", lambda: None)
    monkeypatch.setattr(partners.onnx_contender, "onnx_version", lambda: None)


def test_a_table_on_stdout_progress_on_stderr_and_both_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, data = tmp_path / "page.md", tmp_path / "data.json"
    words = ["--rows", "live,train,hanuschkin", "--markdown", str(page), "--json", str(data)]
    assert main([*QUICK, *words]) == 0
    out, err = capsys.readouterr()
    assert "Live pass" in out
    assert "the reference work / this engine" in out
    assert "hanuschkin, 1,400 pictures" in out
    assert "pip install torch" in out
    assert err.splitlines() == [
        "row 1 of 3: live tiny",
        "row 2 of 3: train tiny",
        "row 3 of 3: train hanuschkin",
    ]
    assert "### Training step" in page.read_text("utf-8")
    rows = json.loads(data.read_bytes())["rows"]
    assert [(row["kind"], row["net"]) for row in rows] == [
        ("live", "tiny"),
        ("train", "tiny"),
        ("train", "hanuschkin"),
    ]
    for row in rows:
        assert [timing["family"] for timing in row["timings"]] == ["engine", "yardstick"]
        assert row["timings"][0]["times"] == {"median": 1.0, "low": 1.0, "high": 1.0}


def test_only_the_rows_that_are_asked_for_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--rows", "train"]) == 0
    assert capsys.readouterr().err == "row 1 of 1: train tiny\n"


def test_a_partner_that_does_not_run_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Contender:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(partners, "available_contenders", lambda *_: [ContenderEntry("PyTorch compiled", broken)])
    assert main([*QUICK, "--rows", "live"]) == 0
    assert "PyTorch compiled did not run: no compiler." in capsys.readouterr().out


def test_the_curves_are_drawn_beside_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.bench import suite as scaling

    cases = tuple(replace(scaling.BASE_CASE, side=side, features=1) for side in (4, 8))
    monkeypatch.setattr(scaling, "CURVES", (("pixels", lambda case: case.side**2, cases),))
    (tmp_path / "pictures").mkdir()
    words = ["--rows", "scale", "--pictures", str(tmp_path / "pictures"), "--markdown", str(tmp_path / "page.md")]
    assert main([*QUICK, *words]) == 0
    assert (tmp_path / "pictures/cost.svg").read_text("utf-8").startswith("<svg ")
    assert "(pictures/cost.svg)" in (tmp_path / "page.md").read_text("utf-8")


@pytest.mark.parametrize(("factor", "code", "word"), [(1000.0, 1, "SLOWER"), (0.001, 0, "fine")])
def test_against_an_earlier_report(
    factor: float, code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An earlier engine that was a thousand times faster, or slower, than this one, beside the same reference
    work."""
    path = tmp_path / "before.json"
    assert main([*QUICK, "--rows", "live", "--json", str(path)]) == 0
    data: Any = json.loads(path.read_bytes())
    times = data["rows"][0]["timings"][1]["times"]
    data["rows"][0]["timings"][1]["times"] = {name: value * factor for name, value in times.items()}
    path.write_text(json.dumps(data))
    capsys.readouterr()
    assert main([*QUICK, "--rows", "live", "--against", str(path)]) == code
    assert f"{word:<6}  live tiny" in capsys.readouterr().out


def test_numbers_that_differ_are_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "parity", lambda *_: iter([ParityResult("ReLU", "outputs", 1.0, 1e5)]))
    assert main([*QUICK, "--rows", "parity"]) == 1
    out, err = capsys.readouterr()
    assert "DIFFERS: outputs" in out
    assert err.splitlines()[-1] == "xo: 1 of 1 comparisons with NumPy differ."


def test_the_processor_against_itself_is_fine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = parity_of.LAYER_CASES[:2]
    monkeypatch.setattr(suite, "parity", lambda *sides: parity_of.parity(*sides, few, [TINY]))
    assert main([*QUICK, "--rows", "parity"]) == 0
    assert "4 of 4" in capsys.readouterr().out


def test_without_a_gpu_it_says_in_one_sentence_why_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(["bench", "--device", "gpu"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("xo: The GPU cannot be used: CuPy")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [["--rows", "live,speed"], ["--seconds", "0"], ["--seconds", "soon"], ["--device", "tpu"], ["--margin", "-1"]],
)
def test_wrong_words_are_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["bench", *words])
    assert raised.value.code == 2
    assert "usage: xo bench" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--markdown", "--pictures"])
def test_a_place_that_is_not_there_is_refused_before_anything_is_measured(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite.BenchSuite, "report", lambda self: pytest.fail("it measured"))
    assert main([*QUICK, option, str(tmp_path / "missing" / "file")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_an_earlier_report_that_is_none_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite.BenchSuite, "report", lambda self: pytest.fail("it measured"))
    (tmp_path / "old.json").write_text("{}")
    assert main([*QUICK, "--against", str(tmp_path / "old.json")]) == 1
    assert "is no report of xo bench" in capsys.readouterr().err
