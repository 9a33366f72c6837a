"""The drawing panel with a session: every change is one undo command, and showing a document edits nothing."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QPushButton, QSlider, QWidget
from pytestqt.qtbot import QtBot

from engine.data.xo import ARTICLE_PICTURES
from engine.documents import DEFAULT, WALKTHROUGH, Document
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing, DrawingTransform, Stroke, ink_share, render
from engine.nn import Model
from engine.runtime import Runner
from xo_gui.app import DARK
from xo_gui.state import Session
from xo_gui.views.data import label_keys
from xo_gui.views.drawing import DrawingView
from xo_gui.widgets.sliders import signed_with_unit

LEFT = Qt.MouseButton.LeftButton
SMOOTH = Model("Default", DEFAULT.network, DEFAULT.network.initial_parameters(0))
PIXELS = Model("Walk-through", WALKTHROUGH.network, handmade_parameters())
FIELDS = ("shift_x", "shift_y", "size", "rotate", "bend", "thicken")


class Desk:
    """A drawing panel connected to a session as in the window, with its recorded signals."""

    def __init__(self, model: Model) -> None:
        self.view = DrawingView()
        self.session = Session(Document.blank(model))
        self.edits: list[tuple[str, str]] = []
        self.previews: list[Document] = []
        self.said: list[str] = []
        self.view.edited.connect(self.edit)
        self.view.previewed.connect(self.preview)
        self.view.message.connect(self.said.append)
        self.view.stated.connect(lambda statement: self.said.append(statement.text))
        self.session.changed.connect(self.tell)
        self.tell()

    def edit(self, document: Document, text: str, merge: str) -> None:
        self.edits.append((text, merge))
        self.session.edit(document, text, merge)

    def preview(self, document: Document) -> None:
        self.previews.append(document)
        self.session.preview(document)

    def tell(self) -> None:
        self.view.set_document(self.session.document)

    def open_photograph(self) -> None:
        self.session.edit(self.session.document.with_source(Drawing(image=a_photograph())), "Open")

    @property
    def drawing(self) -> Drawing:
        return self.session.document.input.source

    def at(self, x: float, y: float) -> QPoint:
        frame = self.view.canvas.frame()
        return QPointF(frame.left() + x * frame.width(), frame.top() + y * frame.width()).toPoint()

    def stroke(self, button: Qt.MouseButton = LEFT, release: bool = True) -> None:
        canvas = self.view.canvas
        QTest.mousePress(canvas, button, pos=self.at(0.3, 0.3))
        drag(canvas, QPointF(self.at(0.7, 0.7)), button)
        if release:
            QTest.mouseRelease(canvas, button, pos=self.at(0.7, 0.7))

    def slider(self, field: str) -> QSlider:
        return self.view.sliders.rows[field].slider


def drag(widget: QWidget, where: QPointF, button: Qt.MouseButton = LEFT) -> None:
    none, no_keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(QEvent.Type.MouseMove, where, widget.mapToGlobal(where), none, button, no_keys)
    QApplication.sendEvent(widget, event)


def slide(slider: QSlider, places: tuple[float, ...]) -> None:
    """Drag the handle with the mouse through positions from 0 to 1 along the slider."""
    points = [QPoint(round(place * slider.width()), slider.height() // 2) for place in places]
    QTest.mousePress(slider, LEFT, pos=points[0])
    for point in points[1:]:
        drag(slider, QPointF(point))
    QTest.mouseRelease(slider, LEFT, pos=points[-1])


@pytest.fixture
def make(qtbot: QtBot) -> Callable[[Model], Desk]:
    def made(subject: Model) -> Desk:
        desk = Desk(subject)
        qtbot.addWidget(desk.view)
        desk.view.resize(252, 560)
        desk.view.show()
        qtbot.waitExposed(desk.view)
        return desk

    return made


@pytest.fixture
def desk(make: Callable[[Model], Desk]) -> Desk:
    return make(SMOOTH)


# --- strokes


def test_a_stroke_is_previewed_and_then_one_edit(desk: Desk) -> None:
    desk.stroke()
    assert desk.edits == [("Pen stroke", "")]
    assert len(desk.previews) == 2
    assert desk.session.undo_stack.count() == 1
    desk.stroke(Qt.MouseButton.RightButton)
    assert desk.edits[-1] == ("Erase", "")
    assert len(desk.drawing.strokes) == 2


def test_esc_shows_the_document_as_it_was(desk: Desk) -> None:
    desk.stroke()
    before = desk.session.document
    desk.stroke(release=False)
    assert desk.session.document is not before
    QTest.keyClick(desk.view.canvas, Qt.Key.Key_Escape)
    assert desk.session.document is before
    assert len(desk.edits) == 1


def test_esc_keeps_what_else_changed_during_the_stroke(desk: Desk) -> None:
    desk.stroke(release=False)
    trained = replace(desk.session._document, fit_to_frame=True)
    desk.session.edit(trained, "Train")
    QTest.keyClick(desk.view.canvas, Qt.Key.Key_Escape)
    assert desk.session.document.fit_to_frame


def test_twenty_undos_and_redos_give_the_same_bytes(desk: Desk) -> None:
    for _ in range(20):
        desk.stroke()
    picture, count = render(desk.drawing, 64), len(desk.edits)
    for _ in range(20):
        desk.session.undo_stack.undo()
    assert desk.drawing.is_empty
    assert desk.view.canvas.current_drawing is desk.drawing
    for _ in range(20):
        desk.session.undo_stack.redo()
    assert render(desk.drawing, 64).tobytes() == picture.tobytes()
    assert len(desk.edits) == count


# --- sliders


def test_a_drag_is_one_undo_and_the_next_another(desk: Desk) -> None:
    slider = desk.slider("rotate")
    slide(slider, (0.5, 0.6, 0.7, 0.8))
    first = {merge for _, merge in desk.edits}
    assert len(desk.edits) >= 3
    assert {text for text, _ in desk.edits} == {"Rotate"}
    assert len(first) == 1
    turned = desk.drawing.transform.rotate
    assert turned > 30
    count = len(desk.edits)
    slide(slider, (0.8, 0.6))
    second = {merge for _, merge in desk.edits[count:]}
    assert len(second) == 1
    assert first.isdisjoint(second)
    assert desk.session.undo_stack.count() == 2
    desk.session.undo_stack.undo()
    assert desk.drawing.transform.rotate == turned
    desk.session.undo_stack.undo()
    assert desk.drawing.transform.is_identity


def test_a_click_on_the_groove_goes_there_as_one_undo(desk: Desk) -> None:
    slide(desk.slider("shift_x"), (0.9,))
    assert desk.drawing.transform.shift_x > 0.3
    assert desk.session.undo_stack.count() == 1


@pytest.mark.parametrize("field", FIELDS)
def test_every_slider_moves_its_own_field_by_keyboard_and_back(desk: Desk, field: str) -> None:
    desk.slider(field).setFocus()
    QTest.keyClick(desk.slider(field), Qt.Key.Key_Right)
    changed = [
        name for name in FIELDS if getattr(desk.drawing.transform, name) != getattr(DrawingTransform(), name)
    ]
    assert changed == [field]
    QTest.keyClick(desk.slider(field), Qt.Key.Key_Left)
    assert desk.drawing.transform.is_identity
    assert desk.session.undo_stack.count() == 2


@pytest.mark.parametrize("part", ["label", "value"])
def test_a_double_click_resets_one_slider(desk: Desk, part: str) -> None:
    slide(desk.slider("bend"), (0.8,))
    slide(desk.slider("size"), (0.8,))
    QTest.mouseDClick(getattr(desk.view.sliders.rows["bend"], part), LEFT)
    assert desk.drawing.transform.bend == 0
    assert desk.drawing.transform.size > 1


def test_reset_is_offered_when_there_is_something_to_reset(desk: Desk) -> None:
    assert desk.view.reset_button.isHidden()
    slide(desk.slider("bend"), (0.8,))
    slide(desk.slider("size"), (0.8,))
    assert not desk.view.reset_button.isHidden()
    QTest.mouseClick(desk.view.reset_button, LEFT)
    assert desk.drawing.transform.is_identity
    assert desk.view.reset_button.isHidden()


def test_the_wheel_moves_only_a_focused_slider(desk: Desk) -> None:
    def turn() -> None:
        slider = desk.slider("bend")
        where = QPointF(slider.rect().center())
        event = QWheelEvent(
            where, slider.mapToGlobal(where), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(slider, event)

    turn()
    assert not desk.edits
    desk.slider("bend").setFocus()
    turn()
    assert len(desk.edits) == 1


def test_showing_a_document_edits_nothing(desk: Desk) -> None:
    moved = Drawing().with_transform(DrawingTransform(0.123, -0.2, 1.5, 33.3, -0.4, 0.02))
    desk.session.edit(replace(desk.session.document.with_source(moved), fit_to_frame=True), "Open")
    assert desk.slider("rotate").value() == 33
    assert desk.view.sliders.rows["rotate"].value.text() == "+33°"
    assert desk.view.fit_box.isChecked()
    desk.session.undo_stack.undo()
    assert desk.slider("rotate").value() == 0
    assert not desk.view.fit_box.isChecked()
    assert not desk.edits
    assert not desk.previews


def test_a_slider_keeps_what_the_others_cannot_show(desk: Desk) -> None:
    moved = Drawing().with_transform(DrawingTransform(rotate=33.3))
    desk.session.edit(desk.session.document.with_source(moved), "Open")
    desk.slider("bend").setFocus()
    QTest.keyClick(desk.slider("bend"), Qt.Key.Key_Right)
    assert desk.drawing.transform.rotate == 33.3


def test_the_pen_slider_sets_the_pen_and_follows_it(desk: Desk) -> None:
    slide(desk.view.pen_row.slider, (0.95,))
    assert desk.view.canvas.pen_diameter > 0.2
    desk.view.canvas.set_pen_diameter(0.05)
    assert desk.view.pen_row.value.text() == "5 %"
    desk.view.pen_bigger()
    assert desk.view.canvas.pen_diameter == pytest.approx(0.06)
    desk.view.pen_smaller()
    assert desk.view.canvas.pen_diameter == pytest.approx(0.05)
    assert not desk.edits


# --- buttons


def test_clear_takes_everything_is_one_undo_and_needs_something(desk: Desk) -> None:
    desk.view.clear()
    assert not desk.edits
    desk.stroke()
    slide(desk.slider("bend"), (0.8,))
    QTest.mouseClick(desk.view.clear_button, LEFT)
    assert desk.edits[-1] == ("Clear", "")
    assert desk.drawing.is_empty
    assert desk.drawing.transform.is_identity
    desk.session.undo_stack.undo()
    assert len(desk.drawing.strokes) == 1
    desk.view.canvas.setFocus()
    QTest.keyClick(desk.view.canvas, Qt.Key.Key_Delete)
    assert desk.drawing.is_empty


def test_each_click_loads_another_example(desk: Desk) -> None:
    seen = []
    for button, text in (
        (desk.view.example_buttons["X"], "Example X"),
        (desk.view.example_buttons["X"], "Example X"),
        (desk.view.example_buttons["O"], "Example O"),
        (desk.view.example_buttons["neither"], "Example neither"),
    ):
        QTest.mouseClick(button, LEFT)
        assert desk.edits[-1] == (text, "")
        assert desk.drawing.strokes
        assert desk.drawing.image is None
        seen.append(render(desk.drawing, 32).tobytes())
    assert len(set(seen)) == 4


def test_examples_are_the_same_in_every_run(make: Callable[[Model], Desk]) -> None:
    pictures = []
    for _ in range(2):
        desk = make(SMOOTH)
        desk.view.load_example("X")
        pictures.append(render(desk.drawing, 32).tobytes())
    assert pictures[0] == pictures[1]


def test_examples_are_not_blank(desk: Desk) -> None:
    for _ in range(60):
        desk.view.load_example("neither")
        assert ink_share(render(desk.drawing, 32)) > 0


def test_on_the_pixel_canvas_examples_are_the_articles(make: Callable[[Model], Desk]) -> None:
    desk = make(PIXELS)
    for name in ("X", "X translation", "X scaling", "X rotation", "X weight", "X"):
        QTest.mouseClick(desk.view.example_buttons["X"], LEFT)
        np.testing.assert_array_equal(render(desk.drawing, 9), ARTICLE_PICTURES[name])
    assert desk.said[1] == "The article's X: translation"
    QTest.mouseClick(desk.view.example_buttons["O"], LEFT)
    np.testing.assert_array_equal(render(desk.drawing, 9), ARTICLE_PICTURES["O"])


def test_the_variants_of_the_article_are_named_buttons_of_one_undo_each(make: Callable[[Model], Desk]) -> None:
    desk = make(PIXELS)
    buttons = desk.view.named_buttons
    assert [button.text() for button in buttons.values()] == 2 * ["translation", "scaling", "rotation", "weight"]
    for (label, name), button in buttons.items():
        QTest.mouseClick(button, LEFT)
        np.testing.assert_array_equal(render(desk.drawing, 9), ARTICLE_PICTURES[f"{label} {name}"])
        assert desk.edits[-1] == (f"Example {label} {name}", "")
        desk.session.undo_stack.undo()
        assert desk.drawing.is_empty
        QTest.mouseClick(desk.view.example_buttons[label], LEFT)
        np.testing.assert_array_equal(render(desk.drawing, 9), ARTICLE_PICTURES[label], "the plain one is near")
        desk.session.undo_stack.undo()
    desk.session.edit(desk.session.document.with_models((SMOOTH,)), "network")
    assert desk.view.named_buttons == {}


@pytest.mark.parametrize("width", [240, 256])
def test_named_buttons_have_room(make: Callable[[Model], Desk], width: int) -> None:
    view = make(PIXELS).view
    view.resize(width, 560)
    QApplication.processEvents()
    for button in (*view.example_buttons.values(), *view.named_buttons.values()):
        assert button.width() >= button.sizeHint().width()
        assert view.rect().contains(button.mapTo(view, button.rect().bottomRight()))


def test_no_button_shows_a_letter_that_is_a_key_of_something_else(desk: Desk) -> None:
    """The letter of a class alone is the key that saves the drawing; its example is a phrase and says both keys."""
    keys = label_keys(desk.session.document.labels)
    texts = [button.text() for button in desk.view.findChildren(QPushButton)]
    assert not {text.upper() for text in texts} & {*keys.values(), "?"}
    assert [button.text() for button in desk.view.example_buttons.values()] == ["an X", "an O", "neither"]
    for label, button in desk.view.example_buttons.items():
        assert f"(Ctrl+Shift+{keys[label]})" in button.toolTip()
        assert f"The key {keys[label]} alone saves" in button.toolTip()


def test_put_image_replaces_the_drawing_as_one_undo(desk: Desk) -> None:
    desk.stroke()
    picture = np.full((20, 30), -1, np.float32)
    picture[5:10] = 0.5
    desk.session.edit(desk.session.document.with_source(Drawing(image=picture)), "Paste")
    assert not desk.drawing.strokes
    np.testing.assert_array_equal(desk.drawing.image, picture)
    desk.session.undo_stack.undo()
    assert len(desk.drawing.strokes) == 1


def a_photograph() -> np.ndarray:
    """A dark sheet, taken for ink, with a small light cross in its right half; wide."""
    picture = np.ones((40, 80), np.float32)
    picture[15:25, 60] = picture[20, 55:65] = -1
    return picture


def test_a_picture_is_inverted_as_one_undo_and_is_itself_kept(desk: Desk) -> None:
    assert desk.view.picture_box.isHidden()
    desk.open_photograph()
    assert desk.view.picture_box.isVisible()
    QTest.mouseClick(desk.view.invert_button, LEFT)
    assert desk.edits[-1] == ("Invert", "")
    assert desk.view.invert_button.isChecked()
    np.testing.assert_array_equal(desk.drawing.image, a_photograph())
    np.testing.assert_array_equal(render(desk.drawing, 80)[20:60], -a_photograph())
    desk.stroke()
    assert render(desk.drawing, 80)[30, 30] == 1  # the pen still draws ink
    for _ in range(2):
        desk.session.undo_stack.undo()
    assert not desk.view.invert_button.isChecked()
    np.testing.assert_array_equal(render(desk.drawing, 80)[20:60], a_photograph())


def test_a_part_of_the_picture_is_dragged_and_can_be_chosen_again(desk: Desk) -> None:
    desk.open_photograph()
    canvas, undo = desk.view.canvas, desk.session.undo_stack
    for shift in (0.7, 0.3):
        slide(desk.slider("shift_x"), (0.5, shift))
        QTest.mouseClick(desk.view.crop_button, LEFT)
        assert canvas.is_cropping
        QTest.mousePress(canvas, LEFT, pos=desk.at(0.69, 0.44))
        drag(canvas, QPointF(desk.at(0.81, 0.56)))
        QTest.mouseRelease(canvas, LEFT, pos=desk.at(0.81, 0.56))
        assert not canvas.is_cropping
        assert desk.edits[-1] == ("Crop", "")
        picture = render(desk.drawing, 64)
        assert ink_share(picture) > 0.7
        assert np.ptp(np.flatnonzero((picture < -0.5).any(axis=0))) > 50  # the cross fills the frame
        np.testing.assert_array_equal(desk.drawing.image, a_photograph())
    QTest.mouseClick(desk.view.reset_button, LEFT)
    np.testing.assert_array_equal(render(desk.drawing, 80)[20:60], a_photograph())
    undo.undo()
    assert desk.view.crop_button.isChecked()


def test_a_part_of_the_picture_is_chosen_with_the_keys_or_not_at_all(desk: Desk) -> None:
    desk.open_photograph()
    canvas, shift = desk.view.canvas, Qt.KeyboardModifier.ShiftModifier
    count = len(desk.edits)
    desk.view.crop()
    assert canvas.hasFocus()
    QTest.mouseClick(canvas, LEFT, pos=desk.at(0.5, 0.5))  # no rectangle
    assert canvas.is_cropping
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert not canvas.is_cropping
    assert not desk.view.crop_button.isChecked()
    assert len(desk.edits) == count
    desk.view.crop()
    for _ in range(16):
        QTest.keyClick(canvas, Qt.Key.Key_Left, shift)
    for _ in range(100):
        QTest.keyClick(canvas, Qt.Key.Key_Right)
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert desk.edits[-1] == ("Crop", "")
    assert desk.drawing.transform.crop == pytest.approx((0.5, 0.3125, 1, 0.6875), abs=0.02)
    desk.session.undo_stack.undo()
    desk.view.crop()
    desk.view.load_example("X")  # another drawing ends the choice
    assert not canvas.is_cropping
    desk.view.invert()
    desk.view.crop()
    assert desk.said[-1] == "There is no picture to invert or crop: open, paste or drop one."
    assert not desk.view.crop_button.isChecked()


def test_tools_are_buttons_and_keys_alike(desk: Desk) -> None:
    QTest.mouseClick(desk.view.eraser_button, LEFT)
    assert desk.view.canvas.is_erasing
    desk.view.canvas.setFocus()
    QTest.keyClick(desk.view.canvas, Qt.Key.Key_P)
    assert desk.view.pen_button.isChecked()
    assert not desk.view.eraser_button.isChecked()
    desk.view.use_eraser()
    assert desk.view.eraser_button.isChecked()
    desk.view.use_pen()
    assert not desk.view.canvas.is_erasing


def test_a_click_on_a_button_leaves_the_keyboard_on_the_canvas(desk: Desk) -> None:
    desk.view.canvas.setFocus()
    for button in desk.view.findChildren(QPushButton):
        if button.isVisible():
            QTest.mouseClick(button, LEFT)
    assert desk.view.canvas.hasFocus()


def test_fit_to_frame_is_the_documents(desk: Desk) -> None:
    QTest.mouseClick(desk.view.fit_box, LEFT, pos=QPoint(30, 8))
    assert desk.session.document.fit_to_frame
    assert desk.edits == [("Fit to frame", "")]
    desk.session.undo_stack.undo()
    assert not desk.view.fit_box.isChecked()


def test_the_exported_image_is_that_of_the_canvas(desk: Desk) -> None:
    dot = Stroke(np.array([(0.25, 0.5, 0.2)], np.float32))
    desk.session.edit(desk.session.document.with_source(Drawing((dot,))), "t")
    taken = desk.view.to_image()
    assert taken.width() == taken.height() >= 400
    assert taken.pixelColor(taken.width() // 4, taken.height() // 2) == QColor(DARK.ink)
    assert taken.pixelColor(taken.width() * 3 // 4, taken.height() // 2) == QColor(DARK.canvas)


# --- accessibility


def test_tab_reaches_everything_in_visual_order(desk: Desk) -> None:
    view = desk.view
    slide(desk.slider("bend"), (0.8,))
    expected = [
        view.canvas,
        view.pen_button,
        view.eraser_button,
        view.clear_button,
        view.example_buttons["X"],
        view.example_buttons["O"],
    ]
    expected += [
        view.example_buttons["neither"],
        view.pen_row.slider,
        *(row.slider for row in view.sliders.rows.values()),
    ]
    expected += [view.fit_box, view.reset_button, view.pixels_box]
    view.canvas.setFocus()
    reached: list[QWidget] = [view.canvas]
    for _ in expected[1:]:
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        reached.append(QApplication.focusWidget())
    assert [place.accessibleName() for place in reached] == [place.accessibleName() for place in expected]


def test_every_control_has_a_name_and_a_tooltip(desk: Desk) -> None:
    controls = [control for kind in (QPushButton, QSlider, QCheckBox) for control in desk.view.findChildren(kind)]
    assert len(controls) == 9 + 7 + 2
    for control in controls:
        assert control.accessibleName() or control.text()
        assert control.toolTip()
        assert control.statusTip()
    assert desk.view.canvas.accessibleName()
    assert desk.view.canvas.whatsThis()


def test_the_canvas_describes_the_prediction(make: Callable[[Model], Desk]) -> None:
    desk = make(PIXELS)
    runner = Runner("cpu")
    desk.view.set_snapshot(runner.compute(desk.session.request()))
    assert desk.view.canvas.accessibleDescription() == "blank"
    desk.view.load_example("X")
    desk.view.set_snapshot(runner.compute(desk.session.request()))
    assert desk.view.canvas.accessibleDescription() == "X, 1.00"


@pytest.mark.parametrize("width", [232, 272])
def test_nothing_is_clipped_and_the_canvas_stays_square(desk: Desk, width: int) -> None:
    desk.view.resize(width, 560)
    QApplication.processEvents()
    assert desk.view.minimumSizeHint().width() <= width
    assert desk.view.canvas.height() <= width
    for button in desk.view.findChildren(QPushButton):
        assert button.width() >= button.sizeHint().width()
        assert desk.view.rect().contains(button.mapTo(desk.view, button.rect().bottomRight()))


@pytest.mark.parametrize(
    ("value", "digits", "unit", "text"),
    [(12, 0, " %", "+12 %"), (-0.3, 2, "", "−0.30"), (0.001, 2, "", "0"), (8, 0, "°", "+8°")],
)
def test_signed(value: float, digits: int, unit: str, text: str) -> None:
    assert signed_with_unit(value, digits, unit) == text
