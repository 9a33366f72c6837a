"""Layer strip widget: shows the values of every layer as strips of columns, one strip for each prediction.

It is the base of the network view and the compare view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPointF, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QScrollBar, QToolTip, QWidget

from engine.nn import ChannelRanges, Network, Prediction
from engine.runtime import AnyQuery, DeadFeaturesQuery, Snapshot
from xo_gui.app import TEXT_PX, current_theme, font, theme_service
from xo_gui.state import CellRef, Selection, TrainingSettings
from xo_gui.views.network.colour_limits import LimitAdapter
from xo_gui.views.network.dead_features import DeadFeatureMarks
from xo_gui.views.network.folding import FoldState, can_turn, pager_part_at
from xo_gui.views.network.layer_labels import foldable_layers
from xo_gui.views.network.layout import Box, ColumnLayout, StripLayout
from xo_gui.views.network.map_zoom import MapZoom
from xo_gui.views.network.strip_painting import (
    FOOTER_SPACE,
    HEADER_SPACE,
    HeaderTarget,
    StripPainter,
    click_hint,
    clip_left_of,
    paint_cell_summary,
    paint_selection,
    predictions_text,
)
from xo_gui.views.network.strip_state import StripModel
from xo_gui.views.network.toolbar import LayerSearch, StripControls
from xo_gui.views.network.trace import has_cell
from xo_gui.views.network.value_text import CellSummary, cell_summary, weight_summary
from xo_gui.views.view import View
from xo_gui.widgets import tooltip_text

# A weight: the model, the layer, and its (feature, channel, row, column).
WeightRef = tuple[int, int, tuple[int, int, int, int]]

MARGIN, TOP, UNDER_TABS, READOUT_HEIGHT = 16.0, 28.0, 6.0, 24.0
# Update intervals of times and descriptions, slow enough to be read; longer while training runs, because painting
# slows it down.
SLOW_TEXT_MS, TRAINING_SLOW_TEXT_MS = 700, 2000


class LayerStripWidget(View):
    """Shows every layer as a column of tiles, from the input to the votes, of one or more models.

    folds_changed(name, folds): the user has folded or unfolded layers of the first model; `folds` as `remembered`.
    remembered: the ids of the layers folded (True) or unfolded before, by the name of the model.
    """

    folds_changed = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme_service.changed.connect(self._discard_images)
        self._strips: list[StripModel] = []
        self._networks: list[Network] = []
        self._generation = -1
        self._fold_state = FoldState()
        self.remembered: Mapping[str, Mapping[str, bool]] = {}
        self._hovered: CellRef | None = None
        self._pinned: CellRef | None = None
        self._animating = False
        self._weight: WeightRef | None = None
        self._header: HeaderTarget | None = None
        self._pointed = -1.0, -1.0
        self._pressed: tuple[CellRef | None, StripModel | None] = None, None
        self._by_keyboard = False
        self._top_row_width = 0
        self._strips_bottom = 0.0  # where the scroll bar, or the line at the bottom, begins
        self._static_pixmap: QPixmap | None = None
        self._limit_adapter = LimitAdapter()
        self._live = False
        self._dead_marks = DeadFeatureMarks(self, self._first_strip)
        self._visible_maps = VisibleMaps(self)
        self._visible_maps.changed.connect(self.visible_maps_changed)
        self._controls = StripControls(self)
        self._controls.changed.connect(self._apply_limits)
        self._controls.collapse_requested.connect(self._fold_state.collapse)
        self._controls.collapse_requested.connect(self._lay_out)
        self._search = LayerSearch(self, self._controls)
        self._search.closed.connect(self._lay_out)
        self._map_zoom = MapZoom(self, self._selected_cell, lambda: self._pressed, self._map_area)
        self._bar = StripScrollBar(MARGIN, self)
        self._bar.valueChanged.connect(self._scrolled)
        self._slow_text_timer = QTimer(self)
        self._slow_text_timer.setSingleShot(True)
        self._slow_text_timer.setInterval(SLOW_TEXT_MS)
        self._slow_text_timer.timeout.connect(self._update_slow_texts)
        # The cached pixmap covers the widget, so that no background needs painting.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Network"))

    def sizeHint(self) -> QSize:
        return QSize(1000, 690)

    def minimumSizeHint(self) -> QSize:
        return QSize(420, 300)

    def top_row_width(self) -> int:
        """The width of the controls of the colours, or of the search that lies over them."""
        widgets = [widget for widget in (self._controls, self._search) if not widget.isHidden()]
        return int(max((widget.sizeHint().width() for widget in widgets), default=-MARGIN) + MARGIN)

    # --- what is shown

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Show the predictions of a snapshot; keep the last image if it has none."""
        predictions = self._shown_predictions(snapshot)
        if not predictions:
            return
        replaced = snapshot.generation != self._generation
        adapt = replaced or (snapshot.settled and not self._limit_adapter.is_on_hold(snapshot.training))
        self._generation = snapshot.generation
        if self._networks != [prediction.model.network for prediction in predictions]:
            self._networks = [reading.model.network for reading in predictions]
            self._reset_strips(predictions)
        elif self._update_strips(predictions, adapt, replaced):
            self._static_pixmap = None
        if not self._slow_text_timer.isActive():
            running = snapshot.training is not None and snapshot.training.state == "running"
            self._slow_text_timer.start(TRAINING_SLOW_TEXT_MS if running else SLOW_TEXT_MS)
        statistics = snapshot.result(DeadFeaturesQuery()) if self._live else None
        self._dead_marks.update(statistics, snapshot.predictions[0].model.network)
        self._map_zoom.refresh()
        self.update(self._map_area())

    def queries(self) -> frozenset[AnyQuery]:
        return frozenset({DeadFeaturesQuery()})

    def _shown_predictions(self, snapshot: Snapshot) -> tuple[Prediction, ...]:
        """The predictions that get a strip."""
        return snapshot.predictions[:1]

    def _make_strips(self, predictions: Sequence[Prediction]) -> list[StripModel]:
        """Create the strips for predictions of other networks."""
        return [StripModel(prediction) for prediction in predictions]

    def _update_strips(self, predictions: Sequence[Prediction], adapt: bool, replaced: bool) -> bool:
        """Show other values of the same networks; returns whether a legend has changed."""
        changed = [
            strip.update(prediction, adapt, replaced)
            for strip, prediction in zip(self._strips, predictions, strict=True)
        ]
        return any(changed)

    def event(self, event: QEvent) -> bool:
        """Show the whole name of a class, which its column has little space for, as a tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tooltip_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def tooltip_at(self, place: QPointF) -> str:
        """The name of the class whose vote is at this place, "" elsewhere."""
        cell = hit_test(self._strips, place.x() + self._bar.value(), place.y()).cell
        if cell is None:
            return ""
        network = self._strips[cell.model_index].prediction.model.network
        is_vote = cell.layer == len(network.layers)
        return tooltip_text(network.classes[cell.channel]) if is_vote else ""

    def set_training(self, settings: TrainingSettings) -> None:
        self._live = settings.live

    def _map_area(self) -> QRect:
        """The area that changes with the values: all below the row of tabs and controls."""
        return QRect(0, int(self._top + UNDER_TABS), self.width(), self.height())

    def _first_strip(self) -> tuple[StripLayout, float] | None:
        layout = self._strips[0].layout if self._strips else None
        return None if layout is None else (layout, self._bar.value())

    def set_selection(self, selection: Selection) -> None:
        if selection != Selection(self._hovered, self._pinned, self._animating):
            pin_changed = selection.pinned != self._pinned
            self._hovered, self._pinned, self._animating = selection.hovered, selection.pinned, selection.animating
            if pin_changed:
                self._keep_in_view()
            self.update()

    def _discard_images(self) -> None:
        for strip in self._strips:
            strip.clear_images()
        self._static_pixmap = None
        self.update()

    def selected_summary(self) -> CellSummary | None:
        """The summary of the selected value or weight for the line at the bottom; None if nothing is selected."""
        if self._weight is not None:
            model, layer, place = self._weight
            return weight_summary(self._strips[model].prediction, layer, place)
        cell, strip = self._selected_cell()
        return None if cell is None or strip is None else cell_summary(strip.prediction, cell)

    def _reset_strips(self, predictions: Sequence[Prediction]) -> None:
        """Reset everything for other networks."""
        self._strips = self._make_strips(predictions)
        model = predictions[0].model
        kept = self.remembered.get(model.name, {})
        ids = enumerate(model.network.names)
        self._fold_state.reset({layer: kept[name] for layer, name in ids if name in kept})
        self._weight = self._header = None
        self._map_zoom.dismiss()
        self._search.show_network(predictions[0].model.network)
        self._apply_limits()
        self._lay_out()
        self._update_slow_texts()

    def _report_folds(self) -> None:
        """Report what the user has folded of the first model."""
        model = self._strips[0].prediction.model
        names, choices = model.network.names, self._fold_state.fold_choices
        folds = {names[layer]: is_folded for layer, is_folded in choices.items() if layer < len(names)}
        self.folds_changed.emit(model.name, folds)

    def _apply_limits(self) -> None:
        for strip in self._strips:
            strip.set_limits(self._controls.mode, self._controls.gain)
        self._static_pixmap = None
        self.update()

    def _update_slow_texts(self) -> None:
        """Update the texts that change slowly: times, and the description for screen readers."""
        self._static_pixmap = None
        self.update()
        self.setAccessibleDescription(
            "; ".join(filter(None, (predictions_text(self._strips), self._dead_marks.summary())))
        )

    # --- layout

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()
        self._keep_in_view()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.LanguageChange):
            self._lay_out()

    def _lay_out(self) -> None:
        self._controls.overview_button.setVisible(self._fold_state.expanded is not None)
        self._place_top_row()
        width = self.width() - 2 * MARGIN
        top, scroll = self._top + UNDER_TABS, 0 if self._bar.isHidden() else 12
        self._strips_bottom = self.height() - READOUT_HEIGHT - scroll
        widest = self._layout_strips(Box(MARGIN, top, width, self._strips_bottom - top))
        if self._bar.update_range(widest, width, self.height() - READOUT_HEIGHT):
            self._lay_out()
            return
        self._scrolled()

    def _place_top_row(self) -> None:
        self._search.place_at(self.width() - MARGIN, self._top, self.width() - 2 * MARGIN)
        self._controls.fit_to(self.width() - 2 * MARGIN)
        size = self._controls.sizeHint()
        self._controls.setGeometry(int(self.width() - MARGIN - size.width()), int(self._top) - 22, size.width(), 22)
        if self.top_row_width() != self._top_row_width:
            self._top_row_width = self.top_row_width()
            self.updateGeometry()

    def _layout_strips(self, area: Box) -> float:
        """Lay the strips out in `area`; returns the width of the widest."""
        inner = Box(
            area.x, round(area.y + HEADER_SPACE), area.width, round(area.height - HEADER_SPACE - FOOTER_SPACE)
        )
        return max((self._layout_strip(strip, inner).width for strip in self._strips), default=0.0)

    def _layout_strip(self, strip: StripModel, area: Box) -> StripLayout:
        return strip.update_layout(area, self.devicePixelRatioF(), self._fold_state)

    @property
    def _top(self) -> float:
        """The top of the strips; in a tall panel it lines up with the other panels' titles."""
        return TOP + min(max(self.height() - 700, 0), 4)

    def _scrolled(self) -> None:
        """Update the visible maps after scrolling."""
        self._static_pixmap = None
        self.update()
        self._visible_maps.update_span(self._strips, self._bar.value(), self._bar.value() + self.width())

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the cached static parts, then the values, then the marks of the selected cell."""
        ratio = self.devicePixelRatioF()
        if any(strip.layout is None or strip.layout.ratio != ratio for strip in self._strips):
            self._lay_out()
        if self._static_pixmap is None:
            self._static_pixmap = self._paint_static(ratio)
        with QPainter(self) as painter:
            painter.drawPixmap(0, 0, self._static_pixmap)
            painter.save()
            painter.setClipRect(QRectF(MARGIN - 3, TOP, self.width() - 2 * MARGIN + 6, self._strips_bottom - TOP))
            painter.translate(-self._bar.value(), 0)
            for strip in self._strips:
                self._painter_of(painter, strip).paint_values()
            self._clip_to_uncovered(painter)
            self._dead_marks.paint(painter, current_theme())
            self._paint_selection(painter)
            painter.restore()
            self._paint_readout(painter)

    def _clip_to_uncovered(self, painter: QPainter) -> None:
        """Paint nothing of other columns over votes that lie over them."""
        cell, strip = self._selected_cell()
        layout = (strip or self._strips[0]).layout if self._strips else None
        of = layout.column_of(cell.layer) if cell is not None and layout is not None else None
        is_vote = of is not None and of.display.kind == "votes"
        if layout is not None and layout.covered_from is not None and not is_vote:
            clip_left_of(painter, layout.covered_from)

    def _scroll_to_column(self, strip: StripModel, column: ColumnLayout | None) -> None:
        """Scroll a column of a strip into the view beside the votes, which are always in view."""
        room = strip.layout.votes_room if strip.layout else 0.0
        if not room or (column is not None and column.display.kind != "votes"):
            self._bar.scroll_to_column(column, self.width() - room)

    def _painter_of(self, painter: QPainter, strip: StripModel) -> StripPainter:
        return StripPainter(painter, current_theme(), strip)

    def _paint_static(self, ratio: float) -> QPixmap:
        pixmap = QPixmap(QSize(round(self.width() * ratio), round(self.height() * ratio)))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(QColor(current_theme().background))
        with QPainter(pixmap) as painter:
            self._paint_waiting(painter)
            painter.setClipRect(QRectF(MARGIN - 3, TOP, self.width() - 2 * MARGIN + 6, self._strips_bottom - TOP))
            painter.translate(-self._bar.value(), 0)
            for at, strip in enumerate(self._strips):
                pointed = self._header if self._header and self._header.model_index == at else None
                self._painter_of(painter, strip).paint_static(pointed, self._search.match)
        return pixmap

    def _paint_waiting(self, painter: QPainter) -> None:
        if not self._strips:
            painter.setPen(QColor(current_theme().secondary_text))
            painter.setFont(font(TEXT_PX))
            text = self.tr("Loading the network…")
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, text)

    def _paint_selection(self, painter: QPainter) -> None:
        cell, strip = self._selected_cell()
        if cell is not None and strip is not None and self._weight is None:
            paint_selection(painter, strip, cell, current_theme(), self._animating and cell == self._pinned)

    def _paint_readout(self, painter: QPainter) -> None:
        """Paint the line at the bottom: place, value and receptive field, or a hint."""
        theme = current_theme()
        if self.hasFocus() and self._by_keyboard:
            painter.setPen(QPen(QColor(theme.o), 1.0))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5), 4, 4)
        line = self.selected_summary() or (
            CellSummary(click_hint(self._strips, self._header), "") if self._strips else None
        )
        if line is not None:
            paint_cell_summary(painter, theme, line, MARGIN, self.width() - MARGIN, self.height() - 9.0)

    # --- selection

    def _selected_cell(self) -> tuple[CellRef | None, StripModel | None]:
        """The hovered cell, or else the pinned one, and its strip; None where there is no such cell."""
        for cell in Selection(self._hovered, self._pinned, self._animating).cells:
            if cell.model_index < len(self._strips):
                strip = self._strips[cell.model_index]
                if has_cell(strip.prediction.model.network, cell):
                    return cell, strip
        return None, None

    def _keep_in_view(self) -> None:
        """Keep the pinned cell visible after a resize, or when it was pinned in another panel."""
        if (
            self._pinned is not None
            and self._selected_cell()[1] is not None
            and self._pinned.model_index < len(self._strips)
        ):
            self._scroll_to(self._pinned)

    def _scroll_to(self, cell: CellRef) -> None:
        """Make a cell visible: expand its run, turn to its page, scroll."""
        layout = self._strips[cell.model_index].layout
        if layout is not None and self._fold_state.reveal(layout, cell.layer, cell.channel):
            self._lay_out()
        strip = self._strips[cell.model_index]
        self._scroll_to_column(strip, strip.layout.column_of(cell.layer) if strip.layout else None)


class StripScrollBar(QScrollBar):
    """The horizontal scroll bar of the strips, hidden if everything fits."""

    def __init__(self, margin: float, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._margin = margin
        self.setAccessibleName(self.tr("Scroll the network"))
        self.hide()

    def update_range(self, content: float, width: float, bottom: float) -> bool:
        """Set the range for content of this width and place the bar; returns whether it was shown or hidden."""
        needed = content > width + 0.5
        self.setGeometry(int(self._margin), int(bottom - 11), int(width), 10)
        self.setRange(0, max(0, round(content - width)))
        self.setPageStep(int(width))
        self.setSingleStep(40)
        if needed != self.isHidden():
            return False
        self.setVisible(needed)
        return True

    def scroll_by_wheel(self, event: QWheelEvent) -> None:
        """Scroll by a wheel event in either direction."""
        delta = event.angleDelta().x() or event.angleDelta().y()
        if self.isHidden() or not delta:
            event.ignore()
            return
        self.setValue(self.value() - delta)

    def scroll_to_column(self, column: ColumnLayout | None, width: float) -> None:
        """Scroll as little as makes a column visible in `width`, its left edge with priority."""
        if column is not None and not self.isHidden():
            low, high = round(column.right - width + self._margin), round(column.x - self._margin)
            self.setValue(min(max(self.value(), low), high))


class VisibleMaps(QObject):
    """Tracks which maps are visible. changed(maps): (Network, Wanted) for each model; empty for a hidden widget."""

    changed = Signal(object)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._strips: Sequence[StripModel] = ()
        self._is_shown = False
        self._last: tuple[tuple[Network, ChannelRanges], ...] = ()
        widget.installEventFilter(self)

    def update_span(self, strips: Sequence[StripModel], left: float, right: float) -> None:
        """Set the visible span of the strips, from `left` to `right`."""
        self._strips = strips
        for strip in strips:
            strip.set_visible_span((left, right))
        if self._is_shown:
            self._notify()

    def _notify(self) -> None:
        maps = tuple(
            (strip.prediction.model.network, strip.visible_maps() if self._is_shown else {})
            for strip in self._strips
        )
        if maps != self._last:
            self._last = maps
            self.changed.emit(maps)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self._is_shown = event.type() == QEvent.Type.Show
            self._notify()
        return super().eventFilter(watched, event)


@dataclass(frozen=True)
class HitResult:
    """What lies at a point: at most one of a cell, a weight and a clickable header."""

    cell: CellRef | None = None
    weight: WeightRef | None = None
    header: HeaderTarget | None = None


def hit_test(strips: Sequence[StripModel], x: float, y: float) -> HitResult:
    """Find what lies at a point in strip coordinates."""
    for model, strip in enumerate(strips):
        column = strip.layout.column_at(x) if strip.layout else None
        if strip.layout is None or column is None:
            continue
        in_header, display = (
            strip.decorations.header and -HEADER_SPACE <= y - strip.layout.area.y < -8,
            column.display,
        )
        if display.kind == "group":
            is_inside = in_header or column.tile(0).contains(x, y)
            return HitResult(header=HeaderTarget(model, display.layer) if is_inside else None)
        part = pager_part_at(column, column.y - HEADER_SPACE, x, y) if strip.decorations.header else None
        if part is not None and can_turn(column, part):
            return HitResult(header=HeaderTarget(model, display.layer, part))
        if place := column.cell_at(x, y):
            return HitResult(cell=CellRef(column.display.layer, *place, model_index=model))
        if weight := column.weight_at(x, y):
            return HitResult(weight=(model, column.display.layer, weight))
        if in_header:
            relu = foldable_layer_of(strip, column)
            return HitResult(header=None if relu is None else HeaderTarget(model, display.layer, folds=relu))
    return HitResult()


def centre_cell(strips: Sequence[StripModel], weight: WeightRef) -> CellRef:
    """The centre of the map that the kernel of this weight produces."""
    model, layer, (feature, *_) = weight
    shape = strips[model].prediction.model.network.shapes[layer]
    return CellRef(layer, feature, shape[1] // 2, shape[2] // 2, model)


def foldable_layer_of(strip: StripModel, column: ColumnLayout) -> int | None:
    """The layer, such as a ReLU, that a click on this column's header folds or unfolds; None for none."""
    layer = column.display.layers[-1]
    return layer if layer in foldable_layers(strip.prediction.model.network) else None


def header_of_cell(strip: StripModel, cell: CellRef) -> HeaderTarget | None:
    """The header of the column that shows a cell, None if it folds nothing."""
    column = strip.layout.column_of(cell.layer) if strip.layout else None
    relu = foldable_layer_of(strip, column) if column is not None else None
    return (
        None if column is None or relu is None else HeaderTarget(cell.model_index, column.display.layer, folds=relu)
    )
