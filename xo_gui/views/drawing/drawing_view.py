"""Drawing view: the canvas, its tools, and the sliders of the drawing's transform."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from engine.data import NO_CLASS, ExampleInput, class_phrase
from engine.documents import Document
from engine.drawings import (
    WHOLE_FRAME,
    Box,
    Drawing,
    DrawingTransform,
    box_of_pixels,
    render,
)
from engine.explain import Explanation
from engine.runtime import Snapshot
from xo_gui.app import TEXT_PX, current_theme
from xo_gui.views.data import InputView, label_keys
from xo_gui.views.drawing.attribution_overlay import AttributionOverlay
from xo_gui.views.drawing.canvas import DEFAULT_PEN, MAX_PEN, MAX_SIDE, MIN_PEN, PEN_FACTOR, Canvas
from xo_gui.views.drawing.canvas_painting import cell_image
from xo_gui.widgets import (
    CheckBox,
    CompactButton,
    SliderRow,
    TransformSliders,
    WrappingRow,
    elided_text,
    menu_text,
    slider_grid,
)

_GAP, _SMALL_GAP = 10, 4
_MAX_EXAMPLE_WIDTH = 110  # logical pixels of a class's name
_PICTURE_SIDE = 576
_PEN_STEPS = 500  # slider steps to the frame's side


class DrawingView(InputView):
    """The panel of the drawing: `previewed` during a stroke, `edited` at its end and for every other change."""

    name = "canvas"

    title = "Drawing"

    def __init__(self, parent: QWidget | None = None, seed: int = 0) -> None:
        """seed: of the examples."""
        super().__init__(parent, seed)
        self._before: Document | None = None  # the last one without an unfinished stroke
        self._labels: tuple[str, ...] = ()
        self.example_buttons: dict[str, QPushButton] = {}
        self._named_rows: list[WrappingRow] = []
        self.named_buttons: dict[tuple[str, str], QPushButton] = {}
        self._offered: tuple[str, tuple[str, ...], tuple[int, ...]] | None = None  # what the examples are of
        self.canvas = Canvas(self)
        self.overlay = AttributionOverlay(self.canvas)
        self._make_buttons()
        self._make_sliders()
        self._make_choices()
        self._lay_out()
        self.canvas.stroke_changed.connect(self._preview)
        self.canvas.stroke_done.connect(self._stroke_done)
        self.canvas.stroke_cancelled.connect(self._stroke_cancelled)
        self.canvas.clear_requested.connect(self.clear)
        self.canvas.pen_changed.connect(self._show_pen)
        self.canvas.cropped.connect(self._cropped)
        self._show_pen()

    # --- construction

    def _make_buttons(self) -> None:
        tip = self.tr("Draw with the left button (P)")
        self.pen_button = self._button(self.tr("Pen"), tip, self.use_pen)
        tip = self.tr("Erase with the left button (E); the right button always erases")
        self.eraser_button = self._button(self.tr("Eraser"), tip, self.use_eraser)
        # No exclusive QButtonGroup, because Tab would skip the unchecked tool.
        for button in (self.pen_button, self.eraser_button):
            button.setCheckable(True)
        tip = self.tr("Clear the canvas (Del); it can be undone")
        self.clear_button = self._button(self.tr("Clear"), tip, self.clear)
        tip = self.tr("Swap ink and background of the picture")
        self.invert_button = self._button(self.tr("Invert"), tip, self.invert, self.tr("Invert picture"))
        tip = self.tr("Choose the part of the picture to keep")
        self.crop_button = self._button(self.tr("Crop"), tip, self.crop, self.tr("Crop picture"))
        for button, action in ((self.invert_button, "invert"), (self.crop_button, "crop")):
            button.setCheckable(True)
            button.setProperty("action", action)

    def _make_example_buttons(self) -> None:
        """Make a button for an example of each label and for each named one, in the Tab order of those before."""
        document = self._document
        assert document is not None
        named = document.kind.named_examples(document.models[0].network.input_shape)
        self.example_buttons = {label: self._example_button(label) for label in document.example_labels}
        heading = QLabel(self.tr("Example:"))
        heading.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.examples.set_widgets((heading, *self.example_buttons.values()))
        self.named_buttons = {
            (label, name): self._named_button(label, name, example)
            for label, examples in named.items()
            for name, example in examples.items()
            if name
        }
        for row in self._named_rows:
            row.hide()
            row.deleteLater()
        self._named_rows = []
        for label in named:
            mark = QLabel(label)
            mark.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            variants = [button for (of, _), button in self.named_buttons.items() if of == label]
            self._named_rows.append(WrappingRow((mark, *variants), self, fills=False))
            self._named_column.addWidget(self._named_rows[-1])
        buttons = [*self.example_buttons.values(), *self.named_buttons.values()]
        chain = [self.clear_button, *buttons, self.pen_row.slider]
        for before, after in pairwise(chain):
            self.setTabOrder(before, after)

    def _example_button(self, label: str) -> QPushButton:
        """Its text is a phrase, since a letter alone is the key that saves the drawing as this class."""
        phrase, letter = class_phrase(label), label_keys(self._labels).get(label)
        if label == NO_CLASS:
            tip = self.tr("Put something on the canvas that is of none of the classes")
        else:
            tip = self.tr("Put an example of {0} on the canvas, another one with each click").format(phrase)
        if letter is not None:
            keys = self.tr("{0} (Ctrl+Shift+{1}). The key {1} alone saves your drawing as {2}.")
            tip = keys.format(tip, letter, phrase)
        text = menu_text(elided_text(phrase, _MAX_EXAMPLE_WIDTH, TEXT_PX))
        button = self._button(text, tip, lambda: self.load_example(label), self.tr("Example of {0}").format(phrase))
        button.setStyleSheet("padding: 5px 7px; min-width: 10px")
        return button

    def _named_button(self, label: str, name: str, example: ExampleInput[Any]) -> QPushButton:
        tip = self.tr("{0}, on the canvas").format(example.caption)
        button = CompactButton(name, tip, lambda: self.load_named_example(label, name), self, (3, 4), small=True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setAccessibleName(example.caption)
        return button

    def _make_sliders(self) -> None:
        self._pen_box = QWidget(self)
        self.pen_row = SliderRow(self.tr("pen size"), "\u221210.0 %", self._pen_box)
        self.pen_row.slider.setRange(round(MIN_PEN * _PEN_STEPS), round(MAX_PEN * _PEN_STEPS))
        self.pen_row.set_help(self.tr("How wide the pen and the eraser draw ([ and ])"))
        grid = slider_grid(self._pen_box)
        grid.setContentsMargins(0, 0, 0, _GAP)
        self.pen_row.add_to_grid(grid, 0)
        self.pen_row.slider.valueChanged.connect(self._pen_slid)
        self.pen_row.reset.connect(self._reset_pen)
        self.sliders = TransformSliders(self)
        self.sliders.moved.connect(self._transform_changed)
        # The rows are in two grids: a common label width aligns them.
        width = max(row.label.sizeHint().width() for row in (self.pen_row, *self.sliders.rows.values()))
        for row in (self.pen_row, *self.sliders.rows.values()):
            row.label.setMinimumWidth(width)

    def _make_choices(self) -> None:
        self.fit_box = CheckBox(self.tr("Fit to frame"), self)
        self._explain(self.fit_box, self.tr("Centre and size the drawing before the network sees it"))
        self.fit_box.toggled.connect(self._fit)
        self.reset_button = self._button(
            self.tr("Reset"), self.tr("Reset the transform of the drawing"), self.reset_transform
        )
        self.reset_button.setAccessibleName(self.tr("Reset transform"))
        self.reset_button.setStyleSheet("padding: 1px 8px")
        policy = self.reset_button.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.reset_button.setSizePolicy(policy)
        self.pixels_box = CheckBox(self.tr("Show the network's pixels"), self)
        self._explain(self.pixels_box, self.tr("Show the drawing exactly as the network sees it"))
        self.pixels_box.toggled.connect(self.canvas.set_pixels_shown)

    def _lay_out(self) -> None:
        tools = (self.pen_button, self.eraser_button, self.clear_button)
        self.buttons = WrappingRow(tools, self, fills=False)
        self.examples, self._named_column = WrappingRow((), self, fills=False), QVBoxLayout()
        self._named_column.setSpacing(_SMALL_GAP)
        self.picture_box = QWidget(self)
        row = QHBoxLayout(self.picture_box)
        row.setContentsMargins(0, _SMALL_GAP, 0, 0)
        row.setSpacing(_SMALL_GAP)
        row.addWidget(self.invert_button, 1)
        row.addWidget(self.crop_button, 1)
        last = QHBoxLayout()
        last.addWidget(self.fit_box)
        last.addStretch()
        last.addWidget(self.reset_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.canvas, 1)
        column.addSpacing(_GAP)
        column.addWidget(self.buttons)
        column.addSpacing(_SMALL_GAP)
        column.addWidget(self.examples)
        column.addSpacing(_SMALL_GAP)
        column.addLayout(self._named_column)
        column.addWidget(self.picture_box)
        column.addSpacing(_GAP)
        column.addWidget(self._pen_box)
        column.addWidget(self.sliders)
        column.addSpacing(_GAP)
        column.addLayout(last)
        column.addSpacing(_SMALL_GAP)
        column.addWidget(self.pixels_box)
        column.addStretch()

    def _button(self, text: str, tip: str, on_click: object | None, name: str = "") -> QPushButton:
        """on_click: None for a button of a group."""
        button = QPushButton(text, self)
        # A click leaves the focus on the canvas.
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setAccessibleName(name or text)
        self._explain(button, tip)
        if on_click is not None:
            button.clicked.connect(on_click)
        return button

    @staticmethod
    def _explain(widget: QWidget, text: str) -> None:
        widget.setToolTip(text)
        widget.setStatusTip(text)

    # --- what is shown

    def set_document(self, document: Document) -> None:
        """Show the Document's drawing, transform and options without emitting; nothing while its input is no
        drawing, which a view of its own shows then."""
        super().set_document(document)
        if self._document is None:
            self.canvas.drop_stroke()
            return
        drawing = self._drawing
        offered = document.kind.name, document.labels, document.models[0].network.input_shape
        if offered != self._offered:
            self._offered, self._labels = offered, document.labels
            self._make_example_buttons()
        self.canvas.set_document(document)
        if not self.canvas.is_drawing or drawing is not self.canvas.current_drawing:
            self._before = document
        transform = drawing.transform
        self.sliders.show_transform(transform)
        self.reset_button.setVisible(not transform.is_identity)
        self.picture_box.setVisible(drawing.image is not None and not self.shows_example)
        self._show_picture_buttons()
        before = self.fit_box.blockSignals(True)
        self.fit_box.setChecked(document.fit_to_frame)
        self.fit_box.blockSignals(before)
        self._pen_box.setVisible(not self.canvas.grid)
        self.pixels_box.setVisible(not self.canvas.grid or document.fit_to_frame)

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Show the attribution map, and describe the prediction for screen readers."""
        text, source = self.tr("blank"), snapshot.input.source
        if snapshot.predictions and isinstance(source, Drawing) and not source.is_empty:
            prediction = snapshot.predictions[0]
            network, top = prediction.model.network, int(prediction.votes.argmax())
            vote = float(prediction.votes[top])
            text = f"{100 * vote:.0f} %" if network.vote == "softmax" else f"{vote:.2f}"
            text = f"{network.classes[top]}, {text}"
        explanation = snapshot.result_of_type(Explanation)
        explained = explanation.query.model if explanation is not None else 0
        predictions, fit = snapshot.predictions, self._document is not None and self._document.fit_to_frame
        classes = predictions[explained].model.network.classes if explained < len(predictions) else ()
        self.overlay.show_result(None if fit else explanation, classes)
        if self.canvas.accessibleDescription() != text:
            self.canvas.setAccessibleDescription(text)

    # --- menu actions

    def end_stroke(self) -> None:
        """Finish the current stroke as an edit of its own, before another edit."""
        self.canvas.finish_stroke()

    def use_pen(self) -> None:
        self.canvas.set_erasing(False)

    def use_eraser(self) -> None:
        self.canvas.set_erasing(True)

    def pen_bigger(self) -> None:
        self.canvas.set_pen_diameter(self.canvas.pen_diameter * PEN_FACTOR)

    def pen_smaller(self) -> None:
        self.canvas.set_pen_diameter(self.canvas.pen_diameter / PEN_FACTOR)

    def reset_transform(self) -> None:
        if not self._drawing.transform.is_identity:
            self._edit(self._drawing.with_transform(DrawingTransform()), self.tr("Reset transform"))

    def invert(self) -> None:
        """Swap ink and background of the picture; without one, only say so."""
        self.end_stroke()
        if self._has_picture():
            transform = self._drawing.transform
            self._transform_changed(replace(transform, invert=not transform.invert), self.tr("Invert"), "")
        self._show_picture_buttons()

    def crop(self) -> None:
        """Let the user choose the part of the picture to keep, or cancel that; without a picture, only say so."""
        if self.canvas.is_cropping:
            self.canvas.end_crop()
        elif self._has_picture():
            self.canvas.start_crop()
            keys = self.tr("Arrows move the rectangle, with Shift they size it; Enter crops, Esc cancels.")
            self.message.emit(self.tr("Drag over the part to keep. {0}").format(keys))
        self._show_picture_buttons()

    def _has_picture(self) -> bool:
        has_picture = self._drawing.image is not None
        if not has_picture:
            self.message.emit(self.tr("There is no picture to invert or crop: open, paste or drop one."))
        return has_picture

    def _cropped(self, box: Box | None) -> None:
        """Use the chosen part; None: keep what is shown."""
        drawing = self._drawing
        if box is None or drawing.image is None:
            self.message.emit(self.tr("Nothing was cropped."))
        else:
            # The part fills the frame, so where the whole was moved, and its size, no longer matter.
            crop = box_of_pixels(drawing.image, box)
            transform = replace(drawing.transform, crop=crop, shift_x=0.0, shift_y=0.0, size=1.0)
            if transform != drawing.transform:
                self._transform_changed(transform, self.tr("Crop"), "")
            self.message.emit(self.tr("The picture is cropped; Reset shows all of it again."))
        self._show_picture_buttons()

    def _show_picture_buttons(self) -> None:
        transform = self._drawing.transform
        self.invert_button.setChecked(transform.invert)
        self.crop_button.setChecked(self.canvas.is_cropping or transform.crop != WHOLE_FRAME)

    @property
    def key_widget(self) -> QWidget:
        return self.canvas

    def to_image(self) -> QImage:
        """An image of the drawing in the theme's colours for saving and copying; cells stay sharp."""
        drawing, grid = self.canvas.current_drawing, self.canvas.grid
        shown = render(drawing, grid or _PICTURE_SIDE)
        return cell_image(shown, current_theme(), grid * (_PICTURE_SIDE // grid) if grid else _PICTURE_SIDE)

    # --- input

    def _edit(self, drawing: Drawing, text: str, merge: str = "") -> None:
        if self._document is not None:
            self.edited.emit(self._document.with_source(drawing), text, merge)

    def _preview(self, drawing: Drawing) -> None:
        if self._document is not None:
            self.previewed.emit(self._document.with_source(drawing))

    def _stroke_done(self, drawing: Drawing) -> None:
        erased = drawing.strokes[-1].erase
        self._edit(drawing, self.tr("Erase") if erased else self.tr("Pen stroke"))

    def _stroke_cancelled(self) -> None:
        if self._document is not None and self._before is not None:
            self.previewed.emit(self._document.with_input(self._before.input))

    def _transform_changed(self, transform: DrawingTransform, text: str, merge: str) -> None:
        self._edit(self._drawing.with_transform(transform), text, merge)

    def _fit(self, fit: bool) -> None:
        if self._document is not None:
            self.edited.emit(replace(self._document, fit_to_frame=fit), self.tr("Fit to frame"), "")

    def _pen_slid(self, place: int) -> None:
        self.canvas.set_pen_diameter(place / _PEN_STEPS)

    def _reset_pen(self) -> None:
        self.canvas.set_pen_diameter(DEFAULT_PEN)

    def _show_pen(self) -> None:
        self.pen_button.setChecked(not self.canvas.is_erasing)
        self.eraser_button.setChecked(self.canvas.is_erasing)
        self.pen_row.show_value(
            round(self.canvas.pen_diameter * _PEN_STEPS), f"{100 * self.canvas.pen_diameter:.0f} %"
        )

    @property
    def _drawing(self) -> Drawing:
        """The Document's drawing, an empty one while its input is none."""
        source = Drawing() if self._document is None else self._document.input.source
        assert isinstance(source, Drawing)
        return source

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Limit the height of the square canvas to the panel's width."""
        self.canvas.setMaximumHeight(min(self.width(), MAX_SIDE))
        super().resizeEvent(event)
