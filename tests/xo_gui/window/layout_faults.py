"""What lies over something else in a window, or is cut off: found from the widgets' rectangles, and from every text
as it is painted."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt, QTranslator
from PySide6.QtGui import QFontMetricsF, QPainter, QTextDocumentFragment
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenuBar,
    QPushButton,
    QStatusBar,
    QStyle,
    QStyleOptionComboBox,
    QTabBar,
    QToolButton,
    QWidget,
)

from xo_gui.views.inspector.sheet import Sheet
from xo_gui.views.network import LayerStripView

# Texts may touch, and glyphs reach over their box by a fraction of a pixel.
TOLERANCE = 1.0
# What Qt puts over the line between docks, so that it is easier to take hold of; it paints nothing.
DOCK_EDGE = "qt_qmainwindow_extended_splitter"
WAITING = ("Computing…", "Searching for the maximally activating input…")
LONGER = 0.4
VOWELS = "aeiouyAEIOUY"


class LongerLanguage(QTranslator):
    """A language whose words are 40 % longer than English ones."""

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str:
        """The text with vowels repeated; what is in braces, and a mnemonic, stays."""
        return "".join(part if part.startswith("{") else longer(part) for part in re.split(r"(\{[^}]*\})", text))

    def isEmpty(self) -> bool:
        return False


def longer(text: str) -> str:
    """The text with its vowels, or where they do not suffice the ends of its words, repeated."""
    made, owed = [], 0.0
    for letter in [*text, ""]:
        if made and not letter.isalpha() and made[-1].isalpha():
            made.append(made[-1][-1].lower() * int(owed))
            owed -= int(owed)
        made.append(letter)
        owed += LONGER
        if letter and letter in VOWELS:
            made.append(letter.lower() * int(owed))
            owed -= int(owed)
    return "".join(made)


@dataclass(frozen=True)
class PaintedText:
    """A text as a widget paints it: where its ink is, and how much of it its box cuts off."""

    text: str
    ink: QRectF
    cut: float


class TextRecorder:
    """Records every text that is painted by hand, by the widget that paints it. Widgets that show a stored picture
    of their texts keep those of its painting."""

    def __init__(self) -> None:
        self._drawn: dict[QWidget, dict[str, list[PaintedText]]] = defaultdict(lambda: defaultdict(list))
        self._draw_text, self._draw_static = QPainter.drawText, QPainter.drawStaticText

    def __enter__(self) -> TextRecorder:
        recorder, draw_text, draw_static = self, self._draw_text, self._draw_static

        def record_text(painter: QPainter, *arguments: Any) -> object:
            recorder._record(painter, *arguments)
            return draw_text(painter, *arguments)

        def record_static(painter: QPainter, place: QPointF, static: Any) -> object:
            size = static.size()
            recorder._keep(painter, static.text(), QRectF(place, size), 0.0)
            return draw_static(painter, place, static)

        QPainter.drawText, QPainter.drawStaticText = record_text, record_static  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        QPainter.drawText, QPainter.drawStaticText = self._draw_text, self._draw_static  # type: ignore[method-assign]

    def texts(self, widget: QWidget) -> list[PaintedText]:
        return [text for texts in self._drawn.get(widget, {}).values() for text in texts]

    def look_at(self, window: QWidget) -> None:
        """Have the whole window painted anew, and forget what was painted before."""
        self._drawn.clear()
        for widget in window.findChildren(LayerStripView):
            widget._static_pixmap = None
        window.grab()

    def _record(self, painter: QPainter, *arguments: Any) -> None:
        metrics = QFontMetricsF(painter.font())
        text = next(one for one in arguments if isinstance(one, str))
        if not text.strip():
            return
        at = arguments.index(text)
        if not isinstance(arguments[0], (QRect, QRectF)) and at < 3:
            place = QPointF(arguments[0]) if at == 1 else QPointF(*arguments[:2])
            self._keep(painter, text, metrics.tightBoundingRect(text).translated(place), 0.0)
            return
        box = QRectF(arguments[0]) if at == 2 else QRectF(*arguments[:4])
        flags = arguments[at - 1]
        flags = int(flags.value if hasattr(flags, "value") else flags)
        whole = painter.boundingRect(box, flags, text)
        cut = max(whole.width() - box.width(), 0.0)
        if flags & int(Qt.TextFlag.TextWordWrap.value) or "\n" in text:
            cut = max(cut, whole.height() - box.height())
        elif text:
            tight = metrics.tightBoundingRect(text)
            whole = tight.translated(whole.x(), whole.y() + metrics.ascent())
        self._keep(painter, text, whole, cut)

    def _keep(self, painter: QPainter, text: str, box: QRectF, cut: float) -> None:
        transform = painter.worldTransform()
        ink = transform.mapRect(box)
        if painter.hasClipping():
            clip = transform.mapRect(painter.clipBoundingRect())
            if not clip.intersects(ink):
                return
            ink = ink.intersected(clip)  # what scrolls out of view is not cut, but what is left counts
        widget, layer = painting_widget(painter)
        if widget is not None and is_viewport(widget):
            ink = ink.intersected(QRectF(widget.rect()))  # as above: it scrolls
        if widget is not None and not ink.isEmpty():
            self._drawn[widget][layer].append(PaintedText(text, ink, cut))


def is_viewport(widget: QWidget) -> bool:
    area = widget.parentWidget()
    return isinstance(area, QAbstractScrollArea) and widget is area.viewport()


def painting_widget(painter: QPainter) -> tuple[QWidget | None, str]:
    """The widget that paints, also if it paints into a picture that it keeps."""
    device = painter.device()
    if isinstance(device, QWidget):
        return device, "direct"
    frame = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, QWidget):
            return owner, "stored"
        frame = frame.f_back
    return None, ""


def faults_in(window: QWidget, recorder: TextRecorder) -> list[str]:
    """Everything wrong in a visible window, as sentences without duplicates."""
    found: dict[str, None] = {}
    for widget in [window, *window.findChildren(QWidget)]:
        if shown(widget) and (widget is window or widget.window() is window):
            found.update(dict.fromkeys(faults_of(widget, recorder)))
    return list(found)


def shown(widget: QWidget) -> bool:
    """Whether a part of it is within all that it lies in; `visibleRegion` leaves out what its children cover."""
    if not widget.isVisible():
        return False
    area, parent = widget.rect(), widget
    while not parent.isWindow() and not area.isEmpty():
        area.translate(parent.pos())
        parent = parent.parentWidget()
        area &= parent.rect()
    return not area.isEmpty()


def faults_of(widget: QWidget, recorder: TextRecorder) -> Iterator[str]:
    yield from overlaps(widget, recorder)
    yield from text_faults(widget)
    yield from clipped(widget)
    yield from painted_faults(widget, recorder)


# --- rectangles


def overlaps(parent: QWidget, recorder: TextRecorder) -> Iterator[str]:
    if isinstance(parent, QTabBar):
        return  # its signs for scrolling are Qt's
    children = [
        child
        for child in parent.children()
        if isinstance(child, QWidget) and not child.isWindow() and shown(child) and child.objectName() != DOCK_EDGE
    ]
    for one, other in combinations(children, 2):
        if not one.geometry().intersects(other.geometry()):
            continue
        # One of the two is meant to lie over a part of the other that has to be empty.
        over, under = (other, one) if children.index(other) > children.index(one) else (one, other)
        if isinstance(over, QTabBar) or isinstance(under, QTabBar):
            bar, page = (over, under) if isinstance(over, QTabBar) else (under, over)
            yield from under_tabs(bar, page, recorder)
        else:
            yield f"{name(one)} {box(one)} and {name(other)} {box(other)} overlap in {name(parent)}"


def under_tabs(bar: QTabBar, page: QWidget, recorder: TextRecorder) -> Iterator[str]:
    """What a page has under the row of tabs that lies over its corner."""
    parent = bar.parentWidget()
    for widget in [page, *page.findChildren(QWidget)]:
        if not shown(widget):
            continue
        offset = QPointF(widget.mapTo(parent, QPoint()))
        leaf = not any(isinstance(child, QWidget) and child.isVisible() for child in widget.children())
        place = QRect(widget.mapTo(parent, QPoint()), widget.size())
        if leaf and widget is not page and says_something(widget) and place.intersects(bar.geometry()):
            yield f"{name(widget)} lies under the tabs of {name(parent)}"
        for text in recorder.texts(widget):
            if text.ink.translated(offset).intersects(QRectF(bar.geometry())):
                yield f"the text {text.text!r} of {name(widget)} lies under the tabs of {name(parent)}"


def says_something(widget: QWidget) -> bool:
    return bool(text_of(widget)) or widget.focusPolicy() != Qt.FocusPolicy.NoFocus


def clipped(widget: QWidget) -> Iterator[str]:
    """A widget with a text that its parent does not show whole, unless it scrolls there."""
    parent = widget.parentWidget()
    if parent is None or widget.isWindow() or not any(map(text_of, [widget, *widget.findChildren(QWidget)])):
        return
    if is_viewport(parent):
        return
    if not parent.rect().contains(widget.geometry()):
        yield f"{name(widget)} {box(widget)} reaches out of {name(parent)} {parent.width()} x {parent.height()}"


# --- texts of widgets


def text_of(widget: QWidget) -> str:
    if isinstance(widget, (QLabel, QAbstractButton)):
        return widget.text()
    if isinstance(widget, QComboBox):
        return widget.currentText()
    if isinstance(widget, QLineEdit):
        return widget.text() or widget.placeholderText()
    return ""


def text_faults(widget: QWidget) -> Iterator[str]:
    if isinstance(widget, QLabel):
        yield from label_faults(widget)
    elif isinstance(widget, (QPushButton, QToolButton, QCheckBox)):
        spare = widget.width() - widget.sizeHint().width()
        if widget.text() and spare < 0:
            yield f"the text of {name(widget)} needs {-spare} px more"
        if widget.text() and widget.height() < widget.fontMetrics().height():
            yield f"{name(widget)} is too low for its text"
    elif isinstance(widget, QComboBox):
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        field = widget.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, widget
        )
        needed = widget.fontMetrics().horizontalAdvance(widget.currentText())
        if needed > field.width() + TOLERANCE and not widget.toolTip().count(widget.currentText()):
            yield f"the choice {widget.currentText()!r} of {name(widget)} needs {needed - field.width()} px more"
    elif isinstance(widget, QLineEdit):
        needed = widget.fontMetrics().horizontalAdvance(text_of(widget))
        elided = not widget.text() and bool(widget.toolTip())  # a hint that the tooltip says, too
        if needed > widget.contentsRect().width() and not elided:
            yield f"{name(widget)} {text_of(widget)!r} needs {needed - widget.contentsRect().width()} px more"
    elif isinstance(widget, QTabBar):
        yield from tab_faults(widget)
    elif isinstance(widget, QMenuBar):
        yield from menu_faults(widget)
    elif isinstance(widget, QStatusBar):
        yield from status_faults(widget)


def label_faults(label: QLabel) -> Iterator[str]:
    if not label.text() or label.pixmap().width():
        return
    room, metrics = label.contentsRect(), label.fontMetrics()
    if label.wordWrap():
        width = max((metrics.horizontalAdvance(word) for word in plain(label.text()).split()), default=0)
        height = label.heightForWidth(label.width()) - label.height() + room.height()
    else:
        width, height = metrics.size(0, plain(label.text())).toTuple()
    if width > room.width() + TOLERANCE:
        yield f"the text of {name(label)} needs {width - room.width()} px more in width"
    if height > room.height() + TOLERANCE:
        yield f"the text of {name(label)} needs {height - room.height()} px more in height"


def plain(text: str) -> str:
    """The text without markup."""
    return QTextDocumentFragment.fromHtml(text).toPlainText() if text.startswith("<p") else text


def tab_faults(bar: QTabBar) -> Iterator[str]:
    metrics = bar.fontMetrics()
    for at in range(bar.count()):
        if not bar.isTabVisible(at):
            continue
        place, text = bar.tabRect(at), bar.tabText(at)
        if place.width() < metrics.horizontalAdvance(text) and bar.tabToolTip(at) != text:
            yield f"the tab {text!r} of {name(bar)} is cut, and no tooltip has it whole"
        if place.width() < min(metrics.horizontalAdvance(text), metrics.horizontalAdvance(text[:4] + "…")):
            yield f"the tab {text!r} of {name(bar)} shows next to nothing"
        scrolls = any(button.isVisible() for button in bar.findChildren(QToolButton))
        if not scrolls and not bar.rect().contains(place):
            yield f"the tab {text!r} reaches out of {name(bar)}"


def menu_faults(bar: QMenuBar) -> Iterator[str]:
    corner = bar.cornerWidget()
    for action in bar.actions():
        place = bar.actionGeometry(action)
        if place.isEmpty():
            continue  # behind the sign that opens the rest
        if corner is not None and corner.isVisible() and place.intersects(corner.geometry()):
            yield f"the menu {action.text()!r} lies under the presets"


def status_faults(bar: QStatusBar) -> Iterator[str]:
    """The message is painted by Qt: only the space that the facts leave belongs to it."""
    needed = bar.fontMetrics().horizontalAdvance(bar.currentMessage())
    facts = [label for label in bar.findChildren(QLabel) if label.isVisible()]
    room = min((label.x() for label in facts), default=bar.width())
    if needed > room and bar.currentMessage() not in bar.toolTip().replace("\n", " "):
        yield f"the message {bar.currentMessage()!r} is cut, and no tooltip has it"


# --- texts painted by hand


def painted_faults(widget: QWidget, recorder: TextRecorder) -> Iterator[str]:
    texts = [text for text in recorder.texts(widget) if not text.ink.isEmpty()]
    children = [one for one in widget.children() if isinstance(one, QWidget) and not one.isWindow() and shown(one)]
    room = QRectF(widget.rect())
    for text in texts:
        if text.cut > TOLERANCE:
            yield f"{name(widget)} cuts {text.cut:.0f} px off the text {text.text!r}"
        if not room.adjusted(-2, -2, 2, 2).contains(text.ink):
            yield f"the text {text.text!r} {rounded(text.ink)} reaches out of {name(widget)} {box(widget)}"
        is_elided = isinstance(widget, Sheet) and text.text.endswith("…") and text.text not in WAITING
        if is_elided and not widget.elided_text_at(text.ink.center()).startswith(text.text[:-1]):
            yield f"{name(widget)} shows only {text.text!r}, and no tooltip has the rest"
        for child in children:
            if QRectF(child.geometry()).intersects(smaller(text.ink)):
                yield f"the text {text.text!r} of {name(widget)} lies under {name(child)}"
    for one, other in combinations(texts, 2):
        if smaller(one.ink).intersects(smaller(other.ink)) and (one.text, one.ink) != (other.text, other.ink):
            yield (
                f"{name(widget)} paints {one.text!r} {rounded(one.ink)} over {other.text!r} {rounded(other.ink)}"
            )


def smaller(ink: QRectF) -> QRectF:
    return ink.adjusted(TOLERANCE, TOLERANCE, -TOLERANCE, -TOLERANCE)


def rounded(rect: QRectF) -> str:
    return f"({rect.x():.0f} {rect.y():.0f} {rect.width():.0f} x {rect.height():.0f})"


def box(widget: QWidget) -> str:
    return rounded(QRectF(widget.geometry()))


def name(widget: QWidget) -> str:
    said = text_of(widget) or widget.accessibleName() or widget.objectName()
    kind = type(widget).__name__
    return f"{kind} {said[:60]!r}" if said else kind
