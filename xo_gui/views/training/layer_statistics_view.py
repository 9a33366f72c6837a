"""The Distributions panel: histograms of each layer's weights, values and gradients, gradient norms, dead features.

The engine computes the statistics only while the panel is visible.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from engine.runtime import AnyQuery, LayerStatisticsQuery, Snapshot
from engine.training import NetworkStatistics
from xo_gui.app import SMALL_PX, font
from xo_gui.views.training.histogram_rows import HistogramHeader, HistogramRows
from xo_gui.views.view import View
from xo_gui.widgets import HeaderButton


class LayerStatisticsView(View):
    """A row per layer: weights, values, gradients, and the gradient norm over time. Hovering, or the arrow keys,
    shows the numbers."""

    title = "Distributions"
    is_throttled = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: NetworkStatistics | None = None
        self.rows = HistogramRows(self)
        self.rows.cell_text_changed.connect(self._show_cell_text)
        self._create_header()
        self.value = QLabel(self)
        self.value.setFont(font(SMALL_PX))
        self.value.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.value.setWordWrap(True)
        self._area = area = QScrollArea(self)
        area.setWidget(self.rows)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setStyleSheet("QScrollArea, QScrollArea > QWidget > QWidget { background: transparent; }")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(self._top_row)
        column.addWidget(self._column_names)
        column.addWidget(area, 1)
        column.addWidget(self.value)
        self.setFocusProxy(self.rows)
        self.rows.row_selected.connect(self._scroll_to)
        self._show_cell_text("")
        self._update_header()

    def sizeHint(self) -> QSize:
        return QSize(300, 200)

    # -- display -----------------------------------------------------------------------------------------------

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if not snapshot.predictions:
            return
        statistics = snapshot.result(LayerStatisticsQuery())
        if statistics is not None and statistics.network != snapshot.predictions[0].model.network:
            statistics = None
        if statistics is not self._shown:
            self._shown = statistics
            self.rows.set_statistics(statistics)
            self._update_header()

    def _update_header(self) -> None:
        statistics = self._shown
        has_rows = statistics is not None and bool(statistics.rows)
        text = ""
        if statistics is not None and has_rows:
            text = self.tr("step {0} · {1} held-out drawings").format(statistics.point.step, statistics.examples)
        self._source.setText(text)
        self._column_names.setVisible(has_rows)
        self.log_button.setVisible(has_rows)
        self.value.setVisible(has_rows)

    def _show_cell_text(self, text: str) -> None:
        self.value.setText(text or self.tr("Point at a layer to read its numbers."))

    def _scroll_to(self, top: int, bottom: int) -> None:
        self._area.ensureVisible(0, (top + bottom) // 2, 0, (bottom - top) // 2)

    def queries(self) -> frozenset[AnyQuery]:
        return frozenset({LayerStatisticsQuery()})

    # -- layout ------------------------------------------------------------------------------------------------

    def _create_header(self) -> None:
        tip = self.tr("Logarithmic counts: rare values can be seen beside frequent ones")
        self.log_button = HeaderButton(self.tr("log"), tip, self, self.tr("Logarithmic counts"))
        self.log_button.setCheckable(True)
        self.log_button.toggled.connect(self.rows.set_log)
        self._source = QLabel(self)
        self._source.setWordWrap(True)
        self._source.setFont(font(SMALL_PX))
        self._source.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._source.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._top_row = QHBoxLayout()
        self._top_row.setSpacing(4)
        self._top_row.addWidget(self._source, 1)
        self._top_row.addWidget(self.log_button)
        self._column_names = HistogramHeader(self.rows, self)
