"""Canvas painting: the settled line, cached pixmaps, and cells that fill a square."""

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication

from engine.drawings import Drawing, DrawingTransform, Stroke, smooth_path
from xo_gui.app import DARK
from xo_gui.views.drawing.canvas_painting import DrawingPixmap, PenStroke, cell_image, paint_cells


@pytest.mark.parametrize("every", [1, 2, 5])
def test_the_settled_parts_and_the_tail_are_the_whole_line(every: int) -> None:
    pen, rng = PenStroke(DrawingTransform()), np.random.default_rng(0)
    places = np.cumsum(rng.normal(0, 0.03, (40, 2)), axis=0) + 0.5
    parts = []
    for count, (x, y) in enumerate(places.tolist(), 1):
        pen.add(x, y, 0.05)
        if count % every == 0:
            parts.append(pen.take_settled())
    parts.append(pen.take_settled())
    line_so_far = np.concatenate(parts)
    together = line_so_far[np.append(True, np.abs(np.diff(line_so_far, axis=0)).max(axis=1) > 1e-6)]
    whole = smooth_path(pen.stroke().points)
    np.testing.assert_allclose(together, whole[:-1], atol=1e-6)
    np.testing.assert_allclose(pen.tail()[-1], whole[-1], atol=1e-6)


def test_incremental_and_full_painting_are_identical(qapp: QApplication) -> None:
    rng = np.random.default_rng(1)
    strokes = tuple(
        Stroke(np.column_stack([rng.random((5, 2)), np.full(5, 0.05)]).astype(np.float32), erase=bool(k % 3 == 2))
        for k in range(6)
    )
    grown, fresh = DrawingPixmap(), DrawingPixmap()
    for count in range(7):
        pixmap = grown.pixmap(Drawing(strokes[:count]), DARK, 200, 1.0)
    assert pixmap.toImage() == fresh.pixmap(Drawing(strokes), DARK, 200, 1.0).toImage()
    turned = replace(Drawing(strokes), transform=DrawingTransform(rotate=20))
    assert (
        grown.pixmap(turned, DARK, 200, 1.0).toImage() != fresh.pixmap(Drawing(strokes), DARK, 200, 1.0).toImage()
    )


@pytest.mark.parametrize("pixels", [9, 100, 226, 501])
def test_cells_fill_the_square_to_the_pixel(pixels: int) -> None:
    picture = np.where(np.arange(81).reshape(9, 9) % 2, 1, -1).astype(np.float32)
    image = cell_image(picture, DARK, pixels)
    assert (image.width(), image.height()) == (pixels, pixels)
    for x, y in ((0, 0), (pixels - 1, 0), (pixels // 2, pixels // 3), (pixels // 5, pixels - 1)):
        wanted = DARK.ink if picture[y * 9 // pixels, x * 9 // pixels] == 1 else DARK.canvas
        assert image.pixelColor(x, y) == QColor(wanted)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("side", [9, 32])
def test_painted_cells_are_those_of_the_image(qapp: QApplication, side: int, ratio: float) -> None:
    picture = np.random.default_rng(0).uniform(-1, 1, (side, side)).astype(np.float32)
    screen = QImage(400, 400, QImage.Format.Format_RGB32)
    screen.setDevicePixelRatio(ratio)
    painter = QPainter(screen)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    paint_cells(painter, QPointF(4, 2), picture, DARK, 341)
    painter.end()
    screen.setDevicePixelRatio(1)
    painted = screen.copy(round(4 * ratio), round(2 * ratio), 341, 341)
    assert painted == cell_image(picture, DARK, 341)
