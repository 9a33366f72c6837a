"""Generator page: how the drawings are made that training learns from: live examples, and every setting as a
slider. It draws none."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QSpinBox, QVBoxLayout, QWidget

from engine.data.labelled_drawings import NEITHER
from engine.data.pool import PoolSettings
from engine.data.xo.generator import EACH, Samples
from engine.data.xo.settings import XOSettings
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.state.commands import Intent, LearnFrom
from xo_gui.views.setting_rows import SettingRows
from xo_gui.views.sliders import SliderRow
from xo_gui.views.thumbnails import WORDS, Thumbnails, Tile, scrolled

COUNTS: Final = (100, 200, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
MOST_VALUES: Final = 1 << 27  # pixels of all examples; as float32 they take 512 MiB
_EXAMPLE: Final = 32  # pixels, for a drawing
_COLUMN: Final = 240  # pixels, for a setting's name, slider and value
_LARGEST_SEED: Final = 999_999


class GeneratorPage(QWidget):
    """Emits as a View does: edited, wished."""

    edited = Signal(object, str, str)
    wished = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._intent: Intent | None = None
        self._samples: Samples | None = None
        tip = self.tr("Put this drawing on the canvas")
        self.wall = Thumbnails(self.tr("Examples by these settings"), tip, self, side=_EXAMPLE)
        self.wall.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.wall.setFixedHeight(_EXAMPLE + WORDS + 2)
        self.wall.picked.connect(self._put)
        self._make_counts()
        self.rows = SettingRows((self.count_row, self.held_row))
        self.rows.moved.connect(self._moved)
        self._make_last()
        self._lay_out()

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_document(self, document: Document) -> None:
        """What a drawing that is picked changes."""
        self._document = document

    def show_intent(self, intent: Intent) -> None:
        """The settings as they are wished for."""
        before, self._intent = self._intent, intent
        if before is None or (before.data, before.usual) != (intent.data, intent.usual):
            self._show_data(intent)
        if not self.seed_box.hasFocus():
            blocked = self.seed_box.blockSignals(True)
            self.seed_box.setValue(intent.data.seed)
            self.seed_box.blockSignals(blocked)

    def _show_data(self, intent: Intent) -> None:
        data = intent.data
        if intent.usual is not None:
            self.rows.usual = intent.usual.drawing
            self.reset_button.setEnabled(replace(data, seed=intent.usual.seed) != intent.usual)
        self.rows.show_settings(data.drawing)
        room = sum(count * data.drawing.side**2 <= MOST_VALUES for count in COUNTS)
        for row, count in ((self.count_row, data.count), (self.held_row, data.held_out)):
            before = row.slider.blockSignals(True)
            row.slider.setRange(0, max(room - 1, 0))
            row.slider.blockSignals(before)
            near = min(range(len(COUNTS)), key=lambda at: abs(COUNTS[at] - count))
            row.show_value(near, f"{count:,}".replace(",", " "))
        side = data.drawing.side
        self.side.setText(self.tr("{0} × {0} pixels, as the network reads").format(side))

    def show_samples(self, samples: Samples | None) -> None:
        """Drawings by the settings."""
        if samples is not None and samples is not self._samples:
            self._samples = samples
            self._fill()

    def _fill(self) -> None:
        """As many of each as there is room for in a row."""
        if self._samples is None:
            return
        each = min(max(self.wall.columns // 3, 1), EACH)
        examples = self._samples.examples
        places = [kind * EACH + at for kind in range(3) for at in range(each)]
        names = (*examples.classes, NEITHER)
        self.wall.show_tiles([Tile(examples.images[at, 0], names[examples.labels[at]]) for at in places])

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.wall.set_theme(theme)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The width decides on the number of columns, and of examples."""
        super().resizeEvent(event)
        self.rows.arrange(min(max(self.width() // _COLUMN, 1), 3))
        self._fill()

    # -- what the person does ----------------------------------------------------------------------------------

    def _wish(self, data: PoolSettings) -> None:
        if self._intent is not None and data != self._intent.data:
            self.wished.emit(LearnFrom(data))

    def _moved(self, settings: XOSettings) -> None:
        if self._intent is not None:
            self._wish(replace(self._intent.data, drawing=settings))

    def _count_slid(self, place: int) -> None:
        if self._intent is not None:
            self._wish(replace(self._intent.data, count=COUNTS[place]))

    def _held_slid(self, place: int) -> None:
        if self._intent is not None:
            self._wish(replace(self._intent.data, held_out=COUNTS[place]))

    def _seed_chosen(self, seed: int) -> None:
        if self._intent is not None:
            self._wish(replace(self._intent.data, seed=seed))

    def _reset_counts(self) -> None:
        intent = self._intent
        if intent is not None and intent.usual is not None:
            usual = intent.usual
            name = self.sender().objectName()
            self._wish(replace(intent.data, **{name: getattr(usual, name)}))

    def _reset(self) -> None:
        if self._intent is not None and self._intent.usual is not None:
            self._wish(replace(self._intent.usual, seed=self._intent.data.seed))

    def _put(self, at: int) -> None:
        if self._document is not None:
            drawing = Drawing(image=self.wall.tiles[at].picture)
            self.edited.emit(self._document.with_drawing(drawing), self.tr("Generated drawing"), "")

    # -- what it is made of ------------------------------------------------------------------------------------

    def _make_counts(self) -> None:
        self.count_row = self._row("count", self.tr("learn from"), self._count_slid)
        self.count_row.explain(self.tr("How many generated drawings an epoch has"))
        self.held_row = self._row("held_out", self.tr("hold out"), self._held_slid)
        self.held_row.explain(
            self.tr("How many further drawings the network is judged by; it never learns from them")
        )

    def _row(self, name: str, text: str, slot: object) -> SliderRow:
        row = SliderRow(text, "32 000", self)
        row.setObjectName(name)
        row.slider.setMinimumWidth(44)
        for label in (row.label, row.value):
            label.setFont(font(SMALL_PX))
        row.slider.setRange(0, len(COUNTS) - 1)
        row.slider.setPageStep(1)
        row.slider.valueChanged.connect(slot)
        row.reset.connect(self._reset_counts)
        return row

    def _make_last(self) -> None:
        self.side = QLabel(self)
        self.side.setFont(font(SMALL_PX))
        self.side.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.side.setWordWrap(True)
        self.seed_box = QSpinBox(self)
        self.seed_box.setRange(0, _LARGEST_SEED)
        self.seed_box.setKeyboardTracking(False)
        self.seed_box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.seed_box.setAccessibleName(self.tr("Seed of the drawings"))
        tip = self.tr("The number that the drawings follow: the same one gives the same drawings")
        self.seed_box.setToolTip(tip)
        self.seed_box.setStatusTip(tip)
        self.seed_box.valueChanged.connect(self._seed_chosen)
        self.reset_button = QPushButton(self.tr("Reset all"), self)
        tip = self.tr("Every setting of the drawings and their numbers as at first")
        self.reset_button.setToolTip(tip)
        self.reset_button.setStatusTip(tip)
        self.reset_button.setStyleSheet("padding: 3px 8px")
        self.reset_button.clicked.connect(self._reset)

    def _lay_out(self) -> None:
        last = QHBoxLayout()
        label = QLabel(self.tr("seed"), self)
        label.setFont(font(SMALL_PX))
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        label.setBuddy(self.seed_box)
        self.seed_box.setMaximumWidth(120)
        last.addWidget(label)
        last.addWidget(self.seed_box, 1)
        last.addWidget(self.reset_button)
        last.addStretch()
        last.setContentsMargins(0, 0, 8, 0)
        inside = QWidget(self)
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.rows)
        column.addWidget(self.side)
        column.addLayout(last)
        column.addStretch()
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        whole.addWidget(self.wall)
        area = scrolled(inside, self)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        whole.addWidget(area, 1)
