"""Cost curves as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from engine.bench import cost_chart
from engine.bench.report import ScalingCurve

SPACE = "{http://www.w3.org/2000/svg}"


def curve(of: str = "pixels", seconds: tuple[float, ...] = (0.002, 0.004, 0.1)) -> ScalingCurve:
    low, high = (tuple(factor * value for value in seconds) for factor in (0.9, 1.2))
    return ScalingCurve(of, (1, 10, 100), (5, 50, 500), seconds, low, high, 1.0, 0.876)


def drawn(*curves: ScalingCurve) -> ElementTree.Element:
    return ElementTree.fromstring(cost_chart(curves, "Cost & size", "below"))


def test_it_is_a_picture_with_a_title_and_both_slopes_of_every_curve() -> None:
    root = drawn(curve("pixels"), curve("features < 9"))
    assert root.tag == f"{SPACE}svg"
    texts = [text.text for text in root.iter(f"{SPACE}text")]
    assert "Cost & size" in texts
    assert "Cost against features < 9" in texts
    assert texts.count("slope: multiplies 1.00, time 0.88") == 2


def test_points_go_right_and_up_and_lie_inside_the_picture() -> None:
    root = drawn(curve())
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    (panel,) = root.iter(f"{SPACE}g")
    points = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in panel.iter(f"{SPACE}circle")]
    assert len(points) == 3
    assert sorted(points) == points
    assert sorted(points, key=lambda point: -point[1]) == points
    assert all(0 < x < width and 0 < y < height for x, y in points)
    # 1 to 10 and 10 to 100 are equally far apart on a logarithmic axis.
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)


def test_the_line_of_the_multiplies_is_straight_and_meets_the_last_point() -> None:
    (panel,) = drawn(curve()).iter(f"{SPACE}g")
    dashed, solid = panel.iter(f"{SPACE}polyline")
    line = [tuple(map(float, point.split(","))) for point in dashed.attrib["points"].split()]
    assert line[1][1] - line[0][1] == pytest.approx(line[2][1] - line[1][1], abs=0.2)
    assert dashed.attrib["points"].split()[-1] == solid.attrib["points"].split()[-1]


def test_times_all_alike_are_drawn_too() -> None:
    flat = ScalingCurve("x", (1, 2), (5, 5), (0.01, 0.01), (0.01, 0.01), (0.01, 0.01), 0.0, 0.0)
    assert len(list(drawn(flat).iter(f"{SPACE}circle"))) == 2 + 1  # and the one of the legend
