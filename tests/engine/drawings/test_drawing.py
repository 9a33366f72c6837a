"""Drawings: transforms, smoothing, immutability."""

import numpy as np
import pytest

from engine.drawings import MIN_PEN_DIAMETER, WHOLE_FRAME, Drawing, DrawingTransform, Stroke, smooth_path


def line(*points: tuple[float, float], width: float = 0.05) -> np.ndarray:
    return np.array([(x, y, width) for x, y in points], np.float32)


@pytest.mark.parametrize(
    ("transform", "where"),
    [
        (DrawingTransform(shift_x=0.1), (0.9, 0.5)),
        (DrawingTransform(shift_y=-0.1), (0.8, 0.4)),
        (DrawingTransform(size=0.5), (0.65, 0.5)),
        (DrawingTransform(rotate=90), (0.5, 0.8)),  # clockwise on the screen: right becomes bottom
        (DrawingTransform(rotate=90, shift_x=0.1), (0.6, 0.8)),
        (DrawingTransform(bend=0.5), (0.8, 0.5 + 0.3**2 - 1 / 12)),
    ],
)
def test_a_transform_moves_a_point_as_it_says(transform: DrawingTransform, where: tuple[float, float]) -> None:
    assert transform.forward(np.array([[0.8, 0.5]], np.float32))[0] == pytest.approx(where, abs=1e-6)


def test_there_and_back_is_where_it_was() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 1.5, (200, 2)).astype(np.float32)
    for _ in range(20):
        a, b, size, turn, bend = rng.uniform([-0.5, -0.5, 0.2, -180, -1], [0.5, 0.5, 3, 180, 1])
        for crop in (WHOLE_FRAME, (0.2, 0.5, 0.6, 1.0)):
            transform = DrawingTransform(a, b, size, turn, bend, crop=crop)
            np.testing.assert_allclose(transform.inverse(transform.forward(points)), points, atol=1e-4)


def test_only_the_default_transform_is_the_identity() -> None:
    assert DrawingTransform().is_identity
    assert not DrawingTransform(thicken=0.01).is_identity


def test_size_and_thickness_scale_the_pen_but_never_to_nothing() -> None:
    stroke = Stroke(line((0.2, 0.5), (0.8, 0.5), width=0.1))
    assert stroke.transformed(DrawingTransform(size=0.5)).points[:, 2] == pytest.approx(0.05)
    assert stroke.transformed(DrawingTransform(size=2, thicken=0.03)).points[:, 2] == pytest.approx(0.23)
    assert stroke.transformed(DrawingTransform(thicken=-1)).points[:, 2] == pytest.approx(MIN_PEN_DIAMETER)


def test_an_eraser_gets_thinner_where_ink_gets_thicker() -> None:
    stroke = Stroke(line((0.2, 0.5), (0.8, 0.5), width=0.1), erase=True)
    assert stroke.transformed(DrawingTransform(thicken=0.03)).points[:, 2] == pytest.approx(0.07)


def test_a_straight_line_becomes_an_arc_when_bent() -> None:
    path = Stroke(line((0.1, 0.5), (0.9, 0.5))).path(DrawingTransform(bend=0.5))
    assert len(path) > 20
    assert path[0, 1] == pytest.approx(path[-1, 1], abs=1e-5)
    assert path[len(path) // 2, 1] == pytest.approx(path[0, 1] - 0.4**2, abs=1e-3)


def test_smoothing_keeps_both_ends_and_the_middle_of_each_step() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 1, (9, 3)).astype(np.float32)
    curve = smooth_path(points)
    np.testing.assert_array_equal(curve[[0, -1]], points[[0, -1]])
    middles = (points[:-1] + points[1:]) / 2
    nearest = np.abs(curve[:, None] - middles).max(axis=2).min(axis=0)
    assert nearest.max() < 1e-6


def test_smoothing_leaves_no_corner_and_spends_nothing_on_straight_parts() -> None:
    corner = smooth_path(line((0.1, 0.1), (0.5, 0.1), (0.5, 0.5)))
    way = np.diff(corner[:, :2], axis=0)
    turn = np.abs(np.diff(np.unwrap(np.arctan2(way[:, 1], way[:, 0]))))
    assert turn.max() < np.radians(20)
    straight = smooth_path(line(*((x, 0.3) for x in np.linspace(0.1, 0.9, 30))))
    assert len(straight) <= 31
    np.testing.assert_allclose(straight[:, 1], 0.3, atol=1e-6)


def test_few_points_are_not_smoothed() -> None:
    for count in (1, 2):
        points = line((0.1, 0.2), (0.3, 0.4))[:count]
        np.testing.assert_array_equal(smooth_path(points), points)


def test_what_was_drawn_cannot_be_altered() -> None:
    points, image = line((0.1, 0.1), (0.9, 0.9)), np.zeros((4, 4), np.float32)
    drawing = Drawing((Stroke(points),), image)
    points[0], image[0] = 0.7, 1
    assert drawing.strokes[0].points[0, 0] == np.float32(0.1)
    assert drawing.image is not None
    assert drawing.image[0, 0] == 0
    for array in (drawing.strokes[0].points, drawing.image):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_new_stroke_or_transform_leaves_the_old_drawing_as_it_was() -> None:
    old = Drawing((Stroke(line((0.5, 0.5))),), np.zeros((2, 2), np.float32))
    more, moved = old.with_stroke(Stroke(line((0.1, 0.1)))), old.with_transform(DrawingTransform(size=2))
    assert (len(old.strokes), len(more.strokes)) == (1, 2)
    assert old.transform.is_identity
    assert moved.strokes == old.strokes
    assert moved.image is old.image
    assert old.cleared().is_empty
    assert not old.is_empty


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Stroke(np.zeros((0, 3), np.float32)), r"\(n, 3\)"),
        (lambda: Stroke(np.zeros((3, 2), np.float32)), r"\(n, 3\)"),
        (lambda: Stroke(np.full((1, 3), np.nan, np.float32)), "finite"),
        (lambda: Stroke(np.zeros((1, 3), np.float32), grid=-1), "grid"),
        (lambda: Drawing(image=np.zeros((2, 2, 3), np.float32)), r"\(H, W\)"),
        (lambda: Drawing(image=np.full((2, 2), 255, np.float32)), "-1"),
        (lambda: DrawingTransform(size=0), "size"),
        (lambda: DrawingTransform(bend=float("nan")), "finite"),
        (lambda: Stroke(np.zeros((1, 3), np.float32), grid=4).transformed(DrawingTransform()), "pixel canvas"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(build, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build()
