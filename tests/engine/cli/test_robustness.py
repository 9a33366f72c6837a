"""`xo robustness`: its table, JSON and plot."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import engine.explain.robustness
from engine.backends import choose_backend
from engine.charts import PLOT_HEIGHT, PLOTS_TOP, Plot, small_multiples_chart
from engine.cli.main import main
from engine.documents import shipped_model
from engine.explain import RobustnessTest

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.explain.robustness, "ROUNDS", 1)


def test_the_table_and_the_json_hold_the_numbers_that_were_tried(capsys: pytest.CaptureFixture[str]) -> None:
    model = shipped_model("walkthrough")
    trial = RobustnessTest(model.network, model.parameters, choose_backend("cpu"))
    while not trial.is_done:
        trial.advance()
    found = trial.result()
    assert main(["robustness", "--preset", "walkthrough", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["drawings"] == 20
    assert [each["name"] for each in told["properties"]] == ["shift", "size", "rotation", "thickness", "noise"]
    for row, each in enumerate(told["properties"]):
        assert each["network"] == pytest.approx((found.network_correct[row] / 20).tolist())
        assert each["whole_image"] == pytest.approx((found.template_correct[row] / 20).tolist())
    assert main(["robustness", "--preset", "walkthrough"]) == 0
    printed = capsys.readouterr().out
    shares = " | ".join(f"{5 * int(count)}" for count in found.network_correct[0])
    assert f"| network | {shares} |" in printed
    assert "| [0] |" in printed


def test_the_picture_has_both_curves_of_every_property(tmp_path: Path) -> None:
    file = tmp_path / "curves.svg"
    assert main(["robustness", "--preset", "walkthrough", "--svg", str(file)]) == 0
    root = ElementTree.parse(file).getroot()
    curves = [path for path in root.iter(f"{SVG}path") if path.get("stroke-linejoin")]
    assert len(curves) == 10
    words = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    for word in ("shift", "size", "rotation", "thickness", "noise", "network", "template matching", "chance"):
        assert word in words


def test_a_curve_ends_where_its_shares_are_and_leaves_out_what_is_not_known() -> None:
    nan = float("nan")
    svg = small_multiples_chart("t", "s", ["one"], [Plot("p", ("a", "b", "c"), ([0.0, 1.0, nan, 0.5, 0.25],))], 0.5)
    (curve,) = [p for p in ElementTree.fromstring(svg).iter(f"{SVG}path") if p.get("stroke-linejoin")]
    pieces = curve.get("d", "").split("M")[1:]
    heights = [[float(point.split()[1]) for point in piece.split("L")] for piece in pieces]
    low = PLOTS_TOP + PLOT_HEIGHT
    assert heights == [[low, PLOTS_TOP], [low - PLOT_HEIGHT / 2, low - PLOT_HEIGHT / 4]]
    with pytest.raises(ValueError, match="1 curves"):
        small_multiples_chart("t", "s", ["one"], [Plot("p", ("a", "b", "c"), ([0.0], [1.0]))], 0.5)


def test_an_unknown_preset_is_refused_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robustness", "--preset", "nothing"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
