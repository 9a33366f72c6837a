"""Charts with logarithmic axes: positions of ticks, curves and labels."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from engine.charts import HEIGHT, LABEL_SPACING, TOP, WIDTH, ChartLine, LogAxis, log_chart, tick_text

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*lines: ChartLine, lowest: float = 1e-3) -> ElementTree.Element:
    return ElementTree.fromstring(log_chart("A < B", "both & more", "so much", "error", lines, lowest))


def points(picture: ElementTree.Element) -> list[list[tuple[float, float]]]:
    return [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in picture.iter(f"{SVG}polyline")
    ]


def test_each_power_of_ten_is_as_wide_as_the_next() -> None:
    axis = LogAxis(1, 1000, 100, 400)
    assert [axis(value) for value in (1, 10, 100, 1000)] == pytest.approx([100, 200, 300, 400])
    assert axis.ticks() == [1, 10, 100, 1000]
    assert LogAxis(3, 60, 0, 1).ticks() == [5, 10, 20, 50]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (2.1, 4.9, [3, 4]),
        (5.5, 9.5, [6, 7, 8, 9]),
        (0.0112, 0.0148, [0.012, 0.014]),
        (1.2341, 1.2346, [1.2342, 1.2344, 1.2346]),
        (1e-12, 1e4, [1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1, 100, 1e4]),
    ],
)
def test_a_logarithmic_axis_has_at_least_two_labels(low: float, high: float, ticks: list[float]) -> None:
    axis = LogAxis(low, high, 0, 1)
    assert axis.ticks() == pytest.approx(ticks)
    assert len({tick_text(tick) for tick in axis.ticks()} - {"0."}) >= 2


def test_what_lies_beyond_an_axis_is_put_on_its_edge() -> None:
    axis = LogAxis(1, 100, 0, 10)
    assert (axis(0), axis(0.01), axis(1e9)) == (0, 0, 10)


def test_curves_fall_to_the_right_where_errors_do() -> None:
    (curve,) = points(drawn(ChartLine("one", [0, 10, 100, 1000], [1, 1, 0.1, 0])))
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = curve
    assert x0 == x1 < x2 < x3
    assert x3 - x2 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 == y1 < y2 < y3
    assert y3 - y2 == pytest.approx(2 * (y2 - y1), abs=0.2)  # 0 is drawn at the lowest, 0.001
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in curve)


@pytest.mark.parametrize("ends", [(0, 0, 0.5, 0.0011), (1, 1, 1, 1)])
def test_names_do_not_cover_each_other_and_stay_beside_the_curves(ends: tuple[float, ...]) -> None:
    lines = [ChartLine(f"curve {place}", [1, 10], [1, end]) for place, end in enumerate(ends)]
    picture = drawn(*lines)
    heights = sorted(
        float(text.get("y")) for text in picture.iter(f"{SVG}text") if (text.text or "").startswith("curve")
    )
    assert len(heights) == 4
    assert all(below - above >= LABEL_SPACING - 0.2 for above, below in pairwise(heights))
    assert TOP <= heights[0] < heights[-1] < HEIGHT


def test_words_are_written_as_they_are() -> None:
    picture = drawn(ChartLine("x > y", [1, 2], [1, 2]))
    words = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"A < B", "both & more", "x > y", "so much", "error"} <= set(words)
    assert "≤ 0.001" in words


@pytest.mark.parametrize(
    ("value", "words"), [(1e-6, "0.000001"), (0.5, "0.5"), (1, "1"), (20_000, "20,000"), (3e6, "3 million")]
)
def test_numbers_as_people_write_them(value: float, words: str) -> None:
    assert tick_text(value) == words


def test_a_single_place_is_no_curve() -> None:
    with pytest.raises(ValueError, match=r"two or more different x\.$"):
        drawn(ChartLine("dot", [0, 5, 5], [1, 1, 1]))
