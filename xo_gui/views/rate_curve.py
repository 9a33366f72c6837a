"""Rate curve: the learning rate over the whole run, small, and where in it training stands. It changes nothing."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.training.recipe import Recipe
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.views.network.layer_labels import number

_POINTS: Final = 160
_CURVE: Final = 30  # pixels
_WORDS: Final = 15
_DOT: Final = 3.5


class RateCurve(QWidget):
    """From the first step at the left to the last one at the right, from 0 at the foot to the greatest rate."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._recipe: Recipe | None = None
        self._steps_an_epoch, self._now = 1, 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Learning rate over the run"))
        tip = self.tr(
            "The learning rate over the run, as schedule and epochs have it; the dot is where training is"
        )
        self.setToolTip(tip)
        self.setStatusTip(tip)

    def sizeHint(self) -> QSize:
        """A low strip, and a line of words."""
        return QSize(120, _CURVE + _WORDS)

    def show_run(self, recipe: Recipe, steps_an_epoch: int, now: int) -> None:
        """recipe: of the run; now: how many steps are made."""
        state = (recipe, max(1, steps_an_epoch), now)
        if state != (self._recipe, self._steps_an_epoch, self._now):
            self._recipe, self._steps_an_epoch, self._now = state
            self.setAccessibleDescription(self.words)
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    @property
    def words(self) -> str:
        """The rate of the next step, and where in the run that is."""
        if self._recipe is None:
            return ""
        return self.tr("now {0} · step {1} of {2}").format(
            f"{self._rate(self._now / self._last):.3g}", number(self._now), number(self._last)
        )

    @property
    def _last(self) -> int:
        """How many steps the run has, if nothing else ends it."""
        return self._steps_an_epoch * (1 if self._recipe is None else self._recipe.epochs)

    def _rate(self, done: float) -> float:
        recipe = self._recipe
        return 0.0 if recipe is None else recipe.optimizer.rate * recipe.schedule.factor(min(done, 1.0))

    def paintEvent(self, event: QPaintEvent) -> None:
        """The curve, what lies behind in strong, and a dot."""
        if self._recipe is None:
            return
        painter, theme = QPainter(self), self._theme
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shares = [place / _POINTS for place in range(_POINTS + 1)]
        rates = [self._rate(share) for share in shares]
        top, wide, high = max(rates) or 1.0, self.width() - 2 * _DOT, _CURVE - 2 * _DOT
        points = [
            QPointF(_DOT + wide * share, _DOT + high * (1 - rate / top))
            for share, rate in zip(shares, rates, strict=True)
        ]
        done = min(self._now / self._last, 1.0)
        here = QPointF(_DOT + wide * done, _DOT + high * (1 - self._rate(done) / top))
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.drawLine(QPointF(0, _CURVE - 0.5), QPointF(self.width(), _CURVE - 0.5))
        painter.setPen(QPen(QColor(theme.quiet), 1.2))
        painter.drawPolyline(QPolygonF(points))
        self._paint_stop(painter, wide)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.text))
        painter.drawEllipse(here, _DOT, _DOT)
        painter.setFont(font(SMALL_PX))
        painter.setPen(QColor(theme.quiet))
        box = QRectF(0, _CURVE, self.width(), _WORDS)
        words = painter.fontMetrics().elidedText(self.words, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)

    def _paint_stop(self, painter: QPainter, wide: float) -> None:
        """A dashed line where a limit of steps ends the run before its epochs do."""
        steps = None if self._recipe is None else self._recipe.steps
        if steps is not None and steps < self._last:
            painter.setPen(QPen(QColor(self._theme.quiet), 1, Qt.PenStyle.DashLine))
            x = _DOT + wide * steps / self._last
            painter.drawLine(QPointF(x, 0), QPointF(x, _CURVE))
