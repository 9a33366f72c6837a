"""Generator page: how the drawings are made that training learns from: live examples, and every setting as a
slider. It draws none."""

from __future__ import annotations

from dataclasses import Field, fields, replace
from typing import Any, Final

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, Signal
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from engine.data.labelled_drawings import NEITHER
from engine.data.pool import PoolSettings
from engine.data.xo.generator import EACH, Samples
from engine.data.xo.settings import XOSettings
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.state.commands import Intent, LearnFrom
from xo_gui.widgets.sliders import RangeSlider, SliderRow, ThinSlider
from xo_gui.widgets.thumbnails import WORDS, Thumbnails, Tile, scrolled

_PLACES: Final = 200
_LEAST_SLIDER: Final = 44  # pixels
_MINUS = "\u2212"

# Of the network, not of the generator: it is not chosen here.
GIVEN: Final = ("side",)


def tr(text: str) -> str:
    """`text` in the user's language."""
    return QCoreApplication.translate("SettingRows", text)


def names() -> dict[str, str]:
    """What a person reads for each setting."""
    return {
        "pen_width": tr("pen width"), "size": tr("size"), "position": tr("position"), "cut": tr("cut off"),
        "cut_depth": tr("cut depth"), "rotation": tr("rotation"), "aspect": tr("width:height"), "shear": tr("lean"),
        "bend": tr("bend"), "wobble": tr("wobble"), "arms": tr("arms of X"), "curve": tr("curve of X"),
        "one_stroke": tr("X in one line"), "gap": tr("gap of O"), "drift": tr("drift of O"),
        "lumps": tr("lumps of O"), "hook": tr("hooks"), "pressure": tr("pressure"), "softness": tr("softness"),
        "noise": tr("noise"), "coarse": tr("in squares"), "neither": tr("neither"),
    }  # fmt: skip


def value_text(setting: Field[Any], value: Any) -> str:
    """A setting's value or range in words: "2 to 14 %", "-38 to 38°"."""
    unit = setting.metadata["unit"]
    factor, digits, tail = (100, 0, " %") if unit.startswith("of ") else (1, 2, "")
    if unit == "degrees":
        digits, tail = 0, "°"
    elif unit == "pixels":
        digits, tail = 1, " px"
    elif factor == 100 and setting.metadata["most"] <= 0.15:
        digits = 1
    parts = value if isinstance(value, tuple) else (value,)
    written = [f"{abs(factor * part):.{digits}f}" for part in parts]
    signed = [
        f"{_MINUS}{text}" if part < 0 and float(text) else text for text, part in zip(written, parts, strict=True)
    ]
    return tr("{0} to {1}").format(*signed) + tail if len(signed) == 2 else signed[0] + tail


class SettingRow(QObject):
    """One setting: a slider with one handle, or two where it is a range. moved(value). A double click on the name
    or the value asks for a reset."""

    moved = Signal(object)
    reset = Signal()

    def __init__(self, setting: Field[Any], name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setting, self.name = setting, name
        self._value: Any = setting.default
        least, most = setting.metadata["least"], setting.metadata["most"]
        self._least, self._step = least, (most - least) / _PLACES
        self.slider: RangeSlider | ThinSlider
        if isinstance(setting.default, tuple):
            self.slider = RangeSlider(_PLACES, parent)
            self.slider.moved.connect(self._range_moved)
        else:
            self.slider = ThinSlider(parent)
            self.slider.setRange(0, _PLACES)
            self.slider.setPageStep(_PLACES // 10)
            self.slider.valueChanged.connect(self._slid)
        self.label, self.value = QLabel(name, parent), QLabel(parent)
        for label in (self.label, self.value):
            label.setFont(font(SMALL_PX))
        self.slider.setMinimumWidth(_LEAST_SLIDER)
        self._dress()

    def show_value(self, value: Any) -> None:
        """Show this value, telling nobody."""
        self._value = value
        text = value_text(self.setting, value)
        if isinstance(self.slider, RangeSlider):
            self.slider.show_places(self._place(value[0]), self._place(value[1]))
        else:
            before = self.slider.blockSignals(True)
            self.slider.setValue(self._place(value))
            self.slider.blockSignals(before)
        if text != self.value.text():
            self.value.setText(text)
            self.slider.setAccessibleDescription(text)

    def _dress(self) -> None:
        metadata = self.setting.metadata
        tip = (
            tr("{0} In shares {1}; double-click the name to reset.")
            if metadata["unit"].startswith("of ")
            else tr("{0} In {1}; double-click the name to reset.")
        )
        tip = tip.format(metadata["text"], metadata["unit"])
        self.label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.label.setBuddy(self.slider)
        ends = metadata["least"], metadata["most"]
        widest = value_text(self.setting, ends if isinstance(self.setting.default, tuple) else metadata["most"])
        self.value.setMinimumWidth(self.value.fontMetrics().horizontalAdvance(widest))
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.slider.setAccessibleName(self.name)
        self.slider.setObjectName(self.setting.name)
        for widget in (self.label, self.slider, self.value):
            widget.setToolTip(tip)
            widget.setStatusTip(tip)
        for label in (self.label, self.value):
            label.installEventFilter(self)

    def _place(self, value: float) -> int:
        place: int = round((value - self._least) / self._step)
        return place

    def _at(self, place: int) -> float:
        # Rounded, because what is shown and what is learnt from should be the same short number.
        return float(f"{self._least + place * self._step:.4g}")

    def _slid(self, place: int) -> None:
        self._tell(self._at(place))

    def _range_moved(self, low: int, high: int) -> None:
        """The handle that was not moved keeps its value, also between two places."""
        before_low, before_high = self._value
        after_low = before_low if low == self._place(before_low) else self._at(low)
        after_high = before_high if high == self._place(before_high) else self._at(high)
        self._tell((min(after_low, after_high), max(after_low, after_high)))

    def _tell(self, value: Any) -> None:
        self.show_value(value)
        self.moved.emit(value)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A double click on name or value."""
        if event.type() == QEvent.Type.MouseButtonDblClick:
            self.reset.emit()
            return True
        return super().eventFilter(watched, event)


class SettingRows(QWidget):
    """All settings, in one column of rows or, where there is room, in several. moved(settings)."""

    moved = Signal(object)

    def __init__(self, first: tuple[SliderRow, ...] = (), parent: QWidget | None = None) -> None:
        """first: rows that are not settings, above them."""
        super().__init__(parent)
        self._first = first
        self._settings, self.usual = XOSettings(), XOSettings()
        self.rows: dict[str, SettingRow] = {}
        called = names()
        for setting in fields(XOSettings):
            if setting.name not in GIVEN:
                row = SettingRow(setting, called.get(setting.name, setting.name), self)
                row.setObjectName(setting.name)
                row.moved.connect(self._moved)
                row.reset.connect(self._reset)
                self.rows[setting.name] = row
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 8, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(3)
        self._columns = 0
        self.arrange(1)
        self.show_settings(self._settings)

    def arrange(self, columns: int) -> None:
        """In so many columns of rows, read downwards."""
        if columns == self._columns:
            return
        self._columns = columns
        for column in range(12):
            self._grid.setColumnStretch(column, 0)
            self._grid.setColumnMinimumWidth(column, 0)
        rows: list[SliderRow | SettingRow] = [*self._first, *self.rows.values()]
        lines = [(row.label, row.slider, row.value) for row in rows]
        high = -(-len(lines) // columns)
        for place, line in enumerate(lines):
            column, at = divmod(place, high)
            for across, widget in enumerate(line):
                self._grid.addWidget(widget, at, 4 * column + across)
        for column in range(columns):
            self._grid.setColumnStretch(4 * column + 1, 1)
            if column:
                self._grid.setColumnMinimumWidth(4 * column - 1, 8)

    def show_settings(self, settings: XOSettings) -> None:
        """Show these, telling nobody."""
        self._settings = settings
        for name, row in self.rows.items():
            row.show_value(getattr(settings, name))

    def _moved(self, value: object) -> None:
        self._tell(self.sender().objectName(), value)

    def _reset(self) -> None:
        name = self.sender().objectName()
        self._tell(name, getattr(self.usual, name))

    def _tell(self, name: str, value: Any) -> None:
        settings = replace(self._settings, **{name: value})
        self.show_settings(settings)
        self.moved.emit(settings)


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
