"""Drawing variations: each changes one property only."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.xo import VALUES_PER_PROPERTY, DrawingVariations, baseline, drawing_properties, measure_drawing
from engine.data.xo.variations import transform_for
from engine.drawings import Drawing, render

SIDE = 40


@pytest.fixture(scope="module")
def varied() -> DrawingVariations:
    return DrawingVariations(SIDE, 12, (7, 0))


def box(picture: np.ndarray) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of the ink, as fractions of the frame, with subpixel edges."""
    found = []
    for axis in (0, 1):
        profile = (picture.max(axis=axis) + 1) / 2
        inked = np.flatnonzero(profile > 0.02)
        first, last = inked[0], inked[-1]
        found += [(first + 1 - profile[first]) / len(profile), (last + profile[last]) / len(profile)]
    return tuple(found)


def test_as_usual_they_are_centred_of_one_size_and_the_same_whatever_is_varied(varied: DrawingVariations) -> None:
    middle = varied.pictures("shift", 0.0)
    for each in drawing_properties(SIDE):
        assert len(each.values) == VALUES_PER_PROPERTY == len(set(each.values))
        assert each.baseline in each.values
        np.testing.assert_array_equal(varied.pictures(each.name, each.baseline), middle)
    for picture in middle:
        left, right, top, bottom = box(picture)
        assert (left + right) / 2 == pytest.approx(0.5, abs=0.02)
        assert (top + bottom) / 2 == pytest.approx(0.5, abs=0.02)
        assert max(right - left, bottom - top) == pytest.approx(baseline(SIDE).size, abs=0.05)
    assert varied.labels.tolist() == [0, 1] * 6


@pytest.mark.parametrize("name", ["shift", "size", "rotation", "thickness", "noise"])
def test_a_drawing_of_them_put_on_a_canvas_is_the_same_picture(varied: DrawingVariations, name: str) -> None:
    (found,) = (each for each in drawing_properties(SIDE) if each.name == name)
    for value in (found.values[0], found.values[7], found.values[-1]):
        pictures = varied.pictures(name, value)
        for place in (0, 5):
            np.testing.assert_allclose(render(varied.source(place, name, value), SIDE), pictures[place], atol=2e-5)


def test_each_property_changes_what_it_is_called(varied: DrawingVariations) -> None:
    before, after = (box(varied.pictures("shift", value)[0]) for value in (0.0, 0.12))
    assert after[0] - before[0] == pytest.approx(0.12, abs=0.01)
    assert after[2] - before[2] == pytest.approx(0.0, abs=0.01)

    for value in (0.25, 1.0):
        left, right, top, bottom = box(varied.pictures("size", value)[1])
        assert max(right - left, bottom - top) == pytest.approx(value, abs=0.06)

    thin, wide = (varied.pictures("thickness", value)[0] for value in (0.03, 0.09))
    assert (wide + 1).sum() == pytest.approx(3 * (thin + 1).sum(), rel=0.2)

    clean, noisy = varied.pictures("noise", 0.0), varied.pictures("noise", 0.3)
    grey = (clean > -0.2) & (clean < 0.2)  # where clipping takes nothing away
    assert (noisy - clean)[grey].std() == pytest.approx(0.3, rel=0.25)

    turned = transform_for("rotation", 30.0, baseline(SIDE))
    assert turned.rotate == 30.0


def test_the_same_seed_gives_the_same_drawings_and_another_others(varied: DrawingVariations) -> None:
    again, other = DrawingVariations(SIDE, 12, (7, 0)), DrawingVariations(SIDE, 12, (7, 1))
    np.testing.assert_array_equal(again.pictures("noise", 0.5), varied.pictures("noise", 0.5))
    assert not np.array_equal(other.pictures("shift", 0.0), varied.pictures("shift", 0.0))


@pytest.mark.parametrize("side", [4, 9, 116])
def test_every_size_of_picture_has_values_to_go_through(side: int) -> None:
    for each in drawing_properties(side):
        assert np.diff(each.values).min() > 0
        assert each.baseline in each.values
    assert DrawingVariations(side, 2, (1,)).pictures("size", baseline(side).size).shape == (2, side, side)


def test_there_are_no_other_properties() -> None:
    with pytest.raises(ValueError, match="colour"):
        transform_for("colour", 1.0, baseline(SIDE))


@pytest.mark.parametrize("place", [2, 3])
def test_what_was_varied_is_measured_on_the_drawing_and_nothing_else_has_changed(
    varied: DrawingVariations, place: int
) -> None:
    look = baseline(SIDE)
    for name, value in (("shift", 0.12), ("size", 0.4), ("size", 0.85), ("rotation", -24.0), ("thickness", 0.09)):
        drawing = varied.source(place, name, value)
        found = measure_drawing(drawing, render(drawing, SIDE))
        expected = {"shift": 0.0, "size": look.size, "rotation": 0.0, "thickness": look.pen_width} | {name: value}
        assert found["noise"] == 0
        for other in expected:
            if (name, other) != ("rotation", "size"):  # what is turned fills another box
                near = 0.02 if other == "thickness" else 0.06
                assert found[other] == pytest.approx(expected[other], abs=near), (name, value, other)
        pens = np.concatenate([stroke.path(drawing.transform)[:, 2] for stroke in drawing.strokes])
        if name == "size":
            usually = np.concatenate([stroke.path()[:, 2] for stroke in drawing.strokes])
            assert np.median(pens) == pytest.approx(np.median(usually), abs=0.005), "the pen stays as thick"


def test_of_a_blank_drawing_nothing_is_known_and_of_a_picture_no_pen() -> None:
    assert measure_drawing(Drawing(), np.full((9, 9), -1, np.float32)) == {}
    picture = np.full((9, 9), -1, np.float32)
    picture[2:5, 3:9] = 1
    found = measure_drawing(Drawing(image=picture), picture)
    assert set(found) == {"shift", "size", "rotation"}
    assert found["shift"] == pytest.approx(1.5 / 9)
    assert found["size"] == pytest.approx(6 / 9)
