"""Rasterizing: exact where possible, elsewhere true to area, position and thickness."""

import time
from dataclasses import replace

import numpy as np
import pytest

from engine.drawings import (
    WHOLE_FRAME,
    Box,
    Drawing,
    DrawingTransform,
    FloatArray,
    PenPaths,
    Stroke,
    area_resample,
    box_of_pixels,
    fit_to_frame,
    grid_cells,
    ink_bounds,
    ink_share,
    pen_coverage,
    render,
)


def stroke(*points: tuple[float, float], width: float = 0.08, erase: bool = False, grid: int = 0) -> Stroke:
    return Stroke(np.array([(x, y, width) for x, y in points], np.float32), erase, grid)


def an_x(width: float = 0.08) -> Drawing:
    return Drawing((stroke((0.3, 0.3), (0.7, 0.7), width=width), stroke((0.7, 0.3), (0.3, 0.7), width=width)))


def centroid(picture: np.ndarray) -> tuple[float, float]:
    share = (picture.astype(np.float64) + 1) / 2
    ticks = (np.arange(len(picture)) + 0.5) / len(picture)
    return float((share.sum(0) * ticks).sum() / share.sum()), float((share.sum(1) * ticks).sum() / share.sum())


def extent(picture: np.ndarray, axis: int) -> float:
    return float((picture.max(axis=axis) > 0).sum() / len(picture))


# --- the pixel canvas


def test_a_grid_stroke_fills_whole_cells_and_nothing_else() -> None:
    drawing = Drawing((stroke((0.5 / 9, 0.5 / 9), (4.5 / 9, 4.5 / 9), grid=9, width=0.5),))
    expected = np.full((9, 9), -1, np.float32)
    expected[range(5), range(5)] = 1
    picture = render(drawing, 9)
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture, expected)


def test_a_fast_mouse_leaves_no_holes() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        k = int(rng.integers(3, 40))
        found = grid_cells(stroke(*rng.uniform(0, 1, (6, 2)).tolist(), grid=k))
        steps = np.abs(np.diff(found, axis=0)).sum(axis=1)
        assert steps.max(initial=0) <= 2  # to the side, or through a corner within rounding
        assert (steps == 2).mean() < 0.02


def test_cells_are_those_that_the_line_passes() -> None:
    rng = np.random.default_rng(4)
    points = rng.uniform(0, 1, (5, 2)).astype(np.float32)
    found = {tuple(cell) for cell in grid_cells(stroke(*points.tolist(), grid=13)).tolist()}
    t = np.linspace(0, 4, 200_001)
    walked = np.column_stack([np.interp(t, range(5), points[:, axis].astype(float)) for axis in (1, 0)]) * 13
    assert found == {tuple(cell) for cell in np.unique(np.floor(walked).astype(int), axis=0).tolist()}


def test_cells_are_erased_whole_and_in_order() -> None:
    fill, empty = stroke((0.1, 0.3), (0.9, 0.3), grid=4), stroke((0.6, 0.3), grid=4, erase=True)
    assert render(Drawing((fill, empty)), 4)[1].tolist() == [1, 1, -1, 1]
    assert render(Drawing((fill, empty, fill)), 4)[1].tolist() == [1, 1, 1, 1]
    base = np.full((4, 4), 0.25, np.float32)
    assert render(Drawing((empty,), base), 4)[1].tolist() == [0.25, 0.25, -1, 0.25]


def test_cells_outside_the_frame_are_left_out() -> None:
    assert ink_share(render(Drawing((stroke((-0.5, 0.1), (1.5, 0.1), grid=4),)), 4)) == 0.25
    assert ink_share(render(Drawing((stroke((-0.5, 0.1), grid=4),)), 4)) == 0


def test_the_pixel_canvas_at_another_side_is_its_area() -> None:
    drawing = Drawing((stroke((0.1, 0.1), (0.9, 0.7), grid=9),))
    fine = render(drawing, 9)
    np.testing.assert_array_equal(render(drawing, 18), fine.repeat(2, 0).repeat(2, 1))
    np.testing.assert_allclose(render(drawing, 3), fine.reshape(3, 3, 3, 3).mean(axis=(1, 3)), atol=1e-6)


# --- pens


@pytest.mark.parametrize("width", [0.01, 0.02, 0.05, 0.11])
@pytest.mark.parametrize("y", [0.5, 0.51, 0.4837])
def test_a_line_covers_its_length_times_its_width(width: float, y: float) -> None:
    side = 64
    share = ink_share(render(Drawing((stroke((0.03, y), (0.97, y), width=width),)), side))
    middle = (render(Drawing((stroke((-1, y), (2, y), width=width),)), side) + 1) / 2
    assert middle.sum(axis=0) == pytest.approx(width * side, rel=1e-3)
    assert share == pytest.approx(0.94 * width + np.pi * width**2 / 4, rel=0.03)


@pytest.mark.parametrize("degrees", [7, 31, 38, 52, 80])
def test_a_sloping_line_covers_its_area_too(degrees: float) -> None:
    dx, dy = 0.45 * np.cos(np.radians(degrees)), 0.45 * np.sin(np.radians(degrees))
    share = ink_share(render(Drawing((stroke((0.5 - dx, 0.5 - dy), (0.5 + dx, 0.5 + dy), width=0.04),)), 64))
    assert share == pytest.approx(0.9 * 0.04 + np.pi * 0.04**2 / 4, rel=0.02)


@pytest.mark.parametrize("side", [9, 32])
@pytest.mark.parametrize("reach", [0.03, 1.0])
def test_every_pixel_has_the_coverage_that_its_distance_gives(side: int, reach: float) -> None:
    """The formula, pixel by pixel, without patches."""
    rng = np.random.default_rng(9)
    for _ in range(10):
        start, width = rng.uniform(0, 1, 2), rng.uniform(0.02, 0.2)
        made = stroke(tuple(start), tuple(start + rng.uniform(-reach, reach, 2)), width=width)
        a, b = made.points[:, :2].astype(float) * side
        y, x = np.indices((side, side)) + 0.5
        along = np.clip(((x - a[0]) * (b - a)[0] + (y - a[1]) * (b - a)[1]) / ((b - a) @ (b - a)), 0, 1)
        distance = np.hypot(x - a[0] - along * (b - a)[0], y - a[1] - along * (b - a)[1])
        radius = width * side / 2
        share = np.minimum(distance + 0.5, radius) - np.maximum(distance - 0.5, -radius)
        np.testing.assert_allclose(render(Drawing((made,)), side), 2 * np.clip(share, 0, 1) - 1, atol=1e-4)


def test_a_dot_is_round() -> None:
    picture = render(Drawing((stroke((0.5, 0.5), width=0.5),)), 64)
    assert ink_share(picture) == pytest.approx(np.pi / 16, rel=0.02)
    assert picture[32, 32] == 1
    assert picture[17, 17] == -1  # a square would reach this corner
    np.testing.assert_allclose(picture, picture.T, atol=1e-6)


def test_a_pen_that_is_pressed_harder_leaves_a_wider_line() -> None:
    points = np.array([[0.1, 0.5, 0.02], [0.9, 0.5, 0.2]], np.float32)
    share = (render(Drawing((Stroke(points),)), 64) + 1) / 2
    assert share[:, 12].sum() < 4 < 8 < share[:, 52].sum()


def test_where_the_frame_cuts_a_line_the_rest_is_as_before() -> None:
    """The picture of a part of the frame equals that part of the picture."""
    whole = render(Drawing((stroke((0.3, 0.1), (0.8, 0.9)),)), 64)
    shifted = render(Drawing((stroke((0.8, 0.1), (1.3, 0.9)),)), 64)
    np.testing.assert_allclose(shifted[:, 32:], whole[:, :32], atol=1e-5)


def test_an_eraser_takes_away_only_what_came_before() -> None:
    pen, eraser = stroke((0.1, 0.5), (0.9, 0.5), width=0.2), stroke((0.5, 0.1), (0.5, 0.9), width=0.2, erase=True)
    erased = render(Drawing((pen, eraser)), 32)
    assert erased[16, 16] == -1
    assert erased[16, 5] == 1
    np.testing.assert_array_equal(render(Drawing((pen, eraser, pen)), 32)[16], render(Drawing((pen,)), 32)[16])


def test_a_batch_draws_each_picture_as_it_is_drawn_alone() -> None:
    rng = np.random.default_rng(5)
    paths = [np.column_stack([rng.uniform(0, 1, (2, 2)), [0.03 * i, 0.05]]).astype(np.float32) for i in range(1, 6)]
    pictures = np.array([0, 2, 2, 3, 0])
    batch = pen_coverage(PenPaths(np.concatenate(paths), np.full(5, 2), pictures, 5), 24)
    assert not batch[[1, 4]].any()
    for i in range(5):
        strokes = tuple(Stroke(path) for path, picture in zip(paths, pictures, strict=True) if picture == i)
        np.testing.assert_allclose(2 * batch[i] - 1, render(Drawing(strokes), 24), atol=1e-5)


def test_softness_blurs_the_edge_and_keeps_the_ink() -> None:
    path = np.array([[-1, 0.503, 0.2], [2, 0.503, 0.2]], np.float32)
    paths = PenPaths(np.tile(path, (3, 1)), np.full(3, 2), np.arange(3), 3)
    hard, area, soft = pen_coverage(paths, 32, np.array([0, 1, 4], np.float32))
    grey = [int(((column > 0.01) & (column < 0.99)).sum()) for column in (hard[:, 9], area[:, 9], soft[:, 9])]
    assert grey[0] == 0 < grey[1] <= 2 < grey[2]
    assert soft.sum() == pytest.approx(area.sum(), rel=0.01)


# --- images


def test_an_image_of_the_right_size_passes_through_to_the_last_bit() -> None:
    image = np.random.default_rng(6).uniform(-1, 1, (32, 32)).astype(np.float32)
    picture = render(Drawing(image=image), 32)
    assert picture.tobytes() == image.tobytes()
    with_stroke = render(Drawing((stroke((0.1, 0.1)),), image), 32)
    assert with_stroke[16:].tobytes() == image[16:].tobytes()


@pytest.mark.parametrize("side", [5, 9, 32, 50])
def test_area_averaging_keeps_the_mean(side: int) -> None:
    image = np.random.default_rng(7).uniform(-1, 1, (23, 23)).astype(np.float32)
    assert area_resample(image, side).mean() == pytest.approx(image.mean(), abs=1e-5)


def test_what_is_not_square_is_shown_whole_and_centred() -> None:
    picture = area_resample(np.ones((10, 20), np.float32), 8)
    np.testing.assert_array_equal(picture[2:6], 1)
    np.testing.assert_array_equal(picture[[0, 1, 6, 7]], -1)
    tall = area_resample(np.ones((3, 2), np.float32), 3)  # half a pixel of padding at each side
    np.testing.assert_allclose(tall, [[0, 1, 0]] * 3, atol=1e-6)


# --- transforms, alike for strokes, images and cells


def as_strokes() -> Drawing:
    return an_x()


def as_image() -> Drawing:
    return Drawing(image=render(an_x(), 200))


def as_cells() -> Drawing:
    return Drawing(
        (stroke((0.31, 0.3), (0.7, 0.7), grid=40), stroke((0.7, 0.31), (0.3, 0.7), grid=40)),
    )


@pytest.mark.parametrize(("make", "width"), [(as_strokes, 0.08), (as_image, 0.08), (as_cells, 0.025)])
def test_transforms_move_the_ink_where_they_should(make, width: float) -> None:
    drawing, side = make(), 64
    before = render(drawing, side)
    moved = render(drawing.with_transform(DrawingTransform(shift_x=0.15, shift_y=-0.1)), side)
    x, y = centroid(before)
    assert centroid(moved) == pytest.approx((x + 0.15, y - 0.1), abs=0.004)
    assert ink_share(moved) == pytest.approx(ink_share(before), rel=0.03)
    small = render(drawing.with_transform(DrawingTransform(size=0.5)), side)
    assert extent(small, 0) == pytest.approx(extent(before, 0) / 2, abs=0.04)
    assert ink_share(small) == pytest.approx(ink_share(before) / 4, rel=0.1)
    turned = render(drawing.with_transform(DrawingTransform(rotate=45)), side)
    assert extent(turned, 0) == pytest.approx(0.4 * 2**0.5 + width, abs=0.04)
    assert turned[31:33, 20].max() > 0 > -0.9 > turned[22, 22]


@pytest.mark.parametrize("make", [as_strokes, as_image, as_cells])
def test_thickening_adds_ink_and_thinning_takes_it(make) -> None:
    drawing = make()
    amounts = [
        ink_share(render(drawing.with_transform(DrawingTransform(thicken=t)), 64))
        for t in (-0.03, 0.001, 0.05, 0.1)
    ]
    assert amounts == sorted(amounts)
    length = 2 * 0.4 * 2**0.5
    assert amounts[2] - amounts[1] == pytest.approx(length * 0.05, rel=0.2)


def test_an_erased_cell_closes_as_the_ink_around_it_thickens() -> None:
    cut, inked = (stroke((0.45, 0.45), grid=10, erase=True),), np.ones((10, 10), np.float32)
    gaps = []
    for thicken in (0.0, 0.04, 0.08):
        row = render(Drawing(cut, inked, DrawingTransform(thicken=thicken)), 100)[45]
        gaps.append((row[20:80] < 0).sum() / 100)
    assert gaps == pytest.approx([0.1, 0.06, 0.02], abs=0.011)


def test_an_image_is_thickened_evenly_all_round() -> None:
    dot = np.full((64, 64), -1, np.float32)
    dot[31:33, 31:33] = 1
    picture = render(Drawing(image=dot, transform=DrawingTransform(thicken=0.5)), 64)
    row, column = np.nonzero(picture > 0)
    reach = np.hypot(row - 31.5, column - 31.5).max()
    assert reach == pytest.approx(17, abs=1.5)
    assert ink_share(picture) == pytest.approx(np.pi * 17**2 / 64**2, rel=0.08)


def test_thin_lines_do_not_vanish_when_an_image_shrinks() -> None:
    image = np.full((400, 400), -1, np.float32)
    image[:, 200] = 1
    for shift in np.linspace(0, 0.01, 6):
        picture = render(Drawing(image=image, transform=DrawingTransform(size=0.2, shift_x=float(shift))), 32)
        assert ink_share(picture) == pytest.approx(0.2**2 / 400, rel=0.15)


def test_a_tiny_transform_does_not_make_an_image_jump() -> None:
    image = np.random.default_rng(8).uniform(-1, 1, (16, 16)).astype(np.float32)
    near = render(Drawing(image=image, transform=DrawingTransform(shift_x=1e-5)), 16)
    np.testing.assert_allclose(near, image, atol=0.01)


def test_bending_an_image_and_its_strokes_agree() -> None:
    transform = DrawingTransform(bend=0.5, rotate=20, size=1.2, shift_x=0.05)
    drawn = render(an_x().with_transform(transform), 64)
    warped = render(as_image().with_transform(transform), 64)
    # Warping also bends the pen, hence the tolerance; without bending the difference is five times as large.
    assert np.abs(drawn - warped).mean() < 0.04
    assert np.abs(render(an_x().with_transform(replace(transform, bend=0.0)), 64) - warped).mean() > 0.15


def test_fitting_centres_the_ink_and_fills_most_of_the_frame() -> None:
    for drawing in (
        an_x().with_transform(DrawingTransform(size=0.3, shift_x=0.3, rotate=15)),
        Drawing((stroke((0.05, 0.1), (0.2, 0.14)),)),
        as_image().with_transform(DrawingTransform(size=0.4, shift_y=-0.2, thicken=0.02)),
    ):
        picture = render(fit_to_frame(drawing), 128)
        columns, rows = np.flatnonzero(picture.max(axis=0) > 0), np.flatnonzero(picture.max(axis=1) > 0)
        for inked in (columns, rows):
            assert (inked[0] + inked[-1] + 1) / 2 == pytest.approx(64, abs=1.5)
        assert max(np.ptp(columns), np.ptp(rows)) + 1 == pytest.approx(0.8 * 128, abs=3)
    assert fit_to_frame(drawing).transform.thicken == 0.02


def test_a_blank_drawing_is_blank_and_is_not_fitted() -> None:
    blank = Drawing((stroke((0.5, 0.5), erase=True),))
    assert ink_share(render(blank, 32)) == 0
    assert fit_to_frame(blank) is blank


def test_a_picture_needs_a_side() -> None:
    with pytest.raises(ValueError, match="side"):
        render(Drawing(), 0)


def test_speed_is_printed() -> None:
    t = np.linspace(0.15, 0.85, 76)
    x = Drawing((stroke(*zip(t, t, strict=True)), stroke(*zip(1 - t, t, strict=True))))
    start = time.perf_counter()
    for _ in range(20):
        render(x, 32)
    print(f"render of an X of 150 segments at side 32: {(time.perf_counter() - start) * 50:.2f} ms")


# --- inverting and cropping


def photograph() -> FloatArray:
    """Dark ground that was taken for ink, with a light X in its right half, in a wide picture."""
    image = np.ones((40, 80), np.float32)
    ticks = np.arange(20)
    image[10 + ticks, 50 + ticks] = image[10 + ticks, 69 - ticks] = -1
    return image


def test_an_inverted_image_is_its_own_opposite_and_its_margins_stay_blank() -> None:
    drawing = Drawing(image=photograph(), transform=DrawingTransform(invert=True))
    picture = render(drawing, 80)
    np.testing.assert_array_equal(picture[20:60], -photograph())
    assert (picture[:20] == -1).all()
    assert (picture[60:] == -1).all()
    moved = render(drawing.with_transform(replace(drawing.transform, rotate=30, size=0.7)), 80)
    assert 0.002 < ink_share(moved) < 0.005


def test_a_cropped_image_fills_the_frame_and_shows_nothing_else() -> None:
    drawing = Drawing(image=photograph())
    box = box_of_pixels(photograph(), (50 / 80, 30 / 80, 70 / 80, 50 / 80))
    picture = render(drawing.with_transform(DrawingTransform(crop=box)), 20)
    np.testing.assert_array_equal(picture, photograph()[10:30, 50:70])
    tall = DrawingTransform(crop=box_of_pixels(photograph(), (50 / 80, 30 / 80, 60 / 80, 50 / 80)))
    picture = render(drawing.with_transform(tall), 20)
    np.testing.assert_array_equal(picture[:, 5:15], photograph()[10:30, 50:60])
    assert (picture[:, :5] == -1).all()
    assert (picture[:, 15:] == -1).all()


def test_strokes_and_cells_move_with_the_cropped_image_and_stay_ink() -> None:
    points = np.array([[0.7, 0.4, 0.05], [0.8, 0.6, 0.05]], np.float32)
    crop = DrawingTransform(crop=(0.5, 0.25, 1.0, 0.75), invert=True)
    whole = render(Drawing((Stroke(points),)), 128)
    cropped = render(Drawing((Stroke(points),), transform=crop), 128)
    near = area_resample(whole[32:96, 64:], 128)
    assert np.abs(cropped - near).mean() < 0.02
    cells = Drawing((Stroke(points, grid=8),))
    whole, cropped = render(cells, 16), render(cells.with_transform(crop), 16)
    np.testing.assert_allclose(cropped, area_resample(whole[4:12, 8:], 16), atol=0.3)


@pytest.mark.parametrize("crop", [(0.5, 0.0, 0.5, 1.0), (-0.1, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, float("nan"))])
def test_a_crop_is_a_part_of_the_frame(crop: Box) -> None:
    with pytest.raises(ValueError, match="transform's"):
        DrawingTransform(crop=crop)


def test_a_crop_is_of_whole_pixels_and_again_of_the_same() -> None:
    image = photograph()
    box = box_of_pixels(image, (0.301, 0.3, 0.52, 0.4))
    assert box == box_of_pixels(image, box) == (24 / 80, 24 / 80, 42 / 80, 32 / 80)
    assert box_of_pixels(image, (0.0, 0.2, 1.0, 0.9)) == WHOLE_FRAME


def test_the_bounds_of_ink_are_where_it_is_more_than_half() -> None:
    for value, found in ((0.2, True), (0.0, False), (-0.2, False)):
        picture = np.full((10, 10), -1, np.float32)
        picture[4:7, 2:5] = value
        assert (ink_bounds(picture) is not None) == found
