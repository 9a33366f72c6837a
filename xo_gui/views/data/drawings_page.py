"""Own page: the drawings a person kept to learn from, to be relabelled, weighed, deleted and drawn on. It keeps
none: each change is an edit of the Document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from PySide6.QtCore import QCoreApplication, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QStackedLayout, QVBoxLayout, QWidget

from engine.data.labelled_drawings import HEAVIEST, NEITHER, OwnDrawing
from engine.data.xo.generator import CLASSES
from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from engine.drawings.raster import render
from engine.nn.inference import UNSURE
from engine.runtime.jobs import Verdict
from xo_gui.app.theme import Theme
from xo_gui.widgets.buttons import CompactButton, QuietWords
from xo_gui.widgets.number_text import vote_text
from xo_gui.widgets.sliders import SliderRow
from xo_gui.widgets.thumbnails import HostArray, Thumbnails, Tile, scrolled

LABELS = (*CLASSES, NEITHER)


def tr(text: str) -> str:
    """`text` in the user's language."""
    return QCoreApplication.translate("OwnWords", text)


def learns(document: Document) -> bool:
    """Whether the network that reads could learn from these drawings: whether it tells X from O."""
    return document.subjects[0].network.classes == CLASSES


def tally(own: Sequence[OwnDrawing]) -> str:
    """How many there are of each: "3 X, 2 O, 1 neither"."""
    counts = Counter(each.label for each in own)
    return listed([counts[label] for label in LABELS])


def listed(counts: Sequence[int]) -> str:
    """Numbers of X, of O and of neither: "6 800 X, 6 800 O, 2 400 neither"."""
    written = (f"{count:,}".replace(",", " ") for count in counts)
    return ", ".join(tr("{0} {1}").format(count, label) for count, label in zip(written, LABELS, strict=True))


def blank_words(label: str) -> str:
    """Why a blank canvas is not kept as an X or an O."""
    return tr("A blank canvas is no {0}: draw one first, or save the blank as neither (N).").format(label)


_SIDE = 40  # pixels of a thumbnail
_LETTERS = {Qt.Key.Key_X: "X", Qt.Key.Key_O: "O", Qt.Key.Key_N: NEITHER}
_HEAVIER = (Qt.Key.Key_Plus, Qt.Key.Key_Equal)


class OwnPage(QWidget):
    """A wall of them, and under it what can be done with the chosen one. edited as of a View."""

    edited = Signal(object, str, str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._pictures: dict[OwnDrawing, HostArray] = {}
        self._verdicts: Mapping[Drawing, Verdict] = {}
        self._drags = 0
        self._make_wall()
        self._make_tools()
        self._lay_out()
        self._show_chosen()

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_document(self, document: Document) -> None:
        """Its drawings, each rendered once; a new one is the chosen one."""
        before, self._document = self._document, document
        if before is not None and before.own == document.own and learns(before) == learns(document):
            return
        known = {own.drawing: picture for own, picture in self._pictures.items()}
        self._pictures = {
            own: known[own.drawing] if own.drawing in known else render(own.drawing, _SIDE) for own in document.own
        }
        self.wall.show_tiles([self._tile(own) for own in document.own])
        if before is not None and len(document.own) > len(before.own):
            self.wall.choose(len(document.own) - 1)
            self._later.start(0)  # when it has its place
        self._pages.setCurrentIndex(1 if document.own else 0)
        self._show_chosen()

    def show_verdicts(self, verdicts: Mapping[Drawing, Verdict]) -> bool:
        """How they are read; whether that is news."""
        if verdicts == self._verdicts or self._document is None:
            return False
        self._verdicts = verdicts
        self.wall.show_tiles([self._tile(own) for own in self._document.own])
        return True

    @property
    def judged(self) -> bool:
        """Whether any has been read, by a network that tells X from O."""
        return self._document is not None and learns(self._document) and bool(self._verdicts)

    @property
    def right(self) -> int:
        """How many are read as they are labelled; what is neither is read rightly when the network is unsure."""
        own = () if self._document is None else self._document.own
        return sum(self._is_right(each) for each in own)

    def _is_right(self, own: OwnDrawing) -> bool:
        verdict = self._verdicts.get(own.drawing)
        return verdict is not None and verdict.word == (UNSURE if own.label == NEITHER else own.label)

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.wall.set_theme(theme)

    def _tile(self, own: OwnDrawing) -> Tile:
        words = "" if own.weight == 1 else f"×{own.weight}"
        verdict, badge, told = self._verdicts.get(own.drawing), "", ""
        if verdict is not None and self._document is not None:
            network = self._document.subjects[0].network
            told = self.tr("read as {0}, {1}").format(verdict.word, vote_text(network, verdict.vote))
            if self.judged and not self._is_right(own):
                badge = f"→ {'?' if verdict.word == UNSURE else verdict.word}"
        return Tile(self._pictures[own], own.label, words, own.weight == 0, badge, told)

    def _show_chosen(self) -> None:
        own = self._chosen
        for label, button in self.buttons.items():
            button.setChecked(own is not None and own.label == label)
        weight = 1 if own is None else own.weight
        self.weight_row.show_value(weight, f"×{weight}")

    @property
    def _chosen(self) -> OwnDrawing | None:
        own = () if self._document is None else self._document.own
        return own[self.wall.at] if self.wall.at < len(own) else None

    # -- what the person does ----------------------------------------------------------------------------------

    def _change(self, after: OwnDrawing | None, text: str, merge: str = "") -> None:
        """Put `after` in the place of the chosen one; None takes it away."""
        if self._document is None or self._chosen is None:
            return
        at, own = self.wall.at, self._document.own
        put = () if after is None else (after,)
        self.edited.emit(replace(self._document, own=own[:at] + put + own[at + 1 :]), text, merge)

    def relabel(self, label: str) -> None:
        """Say that the chosen drawing is something else."""
        if self._chosen is not None and self._chosen.label != label:
            self._change(replace(self._chosen, label=label), self.tr("Relabel as {0}").format(label))
        self._show_chosen()

    def weigh(self, weight: int, merge: str = "") -> None:
        """How many times an epoch the chosen one counts, within what is sensible."""
        weight = min(max(weight, 0), HEAVIEST)
        if self._chosen is not None and self._chosen.weight != weight:
            self._change(replace(self._chosen, weight=weight), self.tr("Weight ×{0}").format(weight), merge)

    def delete(self) -> None:
        """Take the chosen one away; it can be undone."""
        self._change(None, self.tr("Delete drawing"))

    def put(self) -> None:
        """Put the chosen one on the canvas."""
        if self._document is not None and self._chosen is not None:
            self.edited.emit(self._document.with_drawing(self._chosen.drawing), self.tr("Own drawing"), "")

    def _pick(self, at: int) -> None:
        self.put()

    def _key(self, event: QKeyEvent) -> None:
        """Letters relabel, plus and minus weigh, Del deletes."""
        key, commands = Qt.Key(event.key()), Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
        own = self._chosen
        if own is None or event.modifiers() & commands:
            return
        if key in _LETTERS:
            self.relabel(_LETTERS[key])
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete()
        elif key in _HEAVIER:
            self.weigh(own.weight + 1)
        elif key == Qt.Key.Key_Minus:
            self.weigh(own.weight - 1)
        else:
            return
        event.accept()

    def _menu(self, at: int, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self.tr("&Put on the canvas"), self.put)
        menu.addSeparator()
        for label, text in zip(
            LABELS, (self.tr("It is an &X"), self.tr("It is an &O"), self.tr("It is &neither")), strict=True
        ):
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(self._chosen is not None and self._chosen.label == label)
            action.setData(label)
            action.triggered.connect(self._relabel_by_menu)
        menu.addSeparator()
        menu.addAction(self.tr("Count &more (+)"), self._heavier)
        menu.addAction(self.tr("Count &less (−)"), self._lighter)
        menu.addSeparator()
        menu.addAction(self.tr("&Delete (Del)"), self.delete)
        menu.popup(place)

    def _relabel_by_menu(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.relabel(str(action.data()))

    def _heavier(self) -> None:
        if self._chosen is not None:
            self.weigh(self._chosen.weight + 1)

    def _lighter(self) -> None:
        if self._chosen is not None:
            self.weigh(self._chosen.weight - 1)

    def _relabel_by_button(self) -> None:
        self.relabel(self.sender().objectName())

    def _slid(self, weight: int) -> None:
        self.weigh(weight, f"own-weight-{self._drags}")
        self._show_chosen()

    def _grabbed(self) -> None:
        self._drags += 1

    def _reset_weight(self) -> None:
        self.weigh(1)

    # -- what it is made of ------------------------------------------------------------------------------------

    def _make_wall(self) -> None:
        tip = self.tr("Click: choose. Double click or Return: put on the canvas. X, O, N: relabel. Del: delete")
        self.wall = Thumbnails(self.tr("My drawings"), tip, self, keeps_choice=True)
        self._later = QTimer(self, singleShot=True)
        self._later.timeout.connect(self.wall.reveal)
        self.wall.chosen.connect(self._show_chosen)
        self.wall.picked.connect(self._pick)
        self.wall.pressed.connect(self._key)
        self.wall.menu_asked.connect(self._menu)

    def _make_tools(self) -> None:
        self.buttons: dict[str, CompactButton] = {}
        for label, text in zip(LABELS, ("X", "O", "?"), strict=True):
            tip = self.tr("The chosen drawing is: {0}").format(label)
            button = CompactButton(text, tip, self._relabel_by_button, self, (3, 7))
            button.setObjectName(label)
            button.setCheckable(True)
            self.buttons[label] = button
        tip = self.tr("Delete the chosen drawing (Del); it can be undone")
        self.delete_button = CompactButton(self.tr("Delete"), tip, self.delete, self, (3, 7))
        for button in (*self.buttons.values(), self.delete_button):
            button.setAccessibleName(button.toolTip())
        self._weight_box = QWidget(self)
        self.weight_row = SliderRow(self.tr("Weight"), "×20", self._weight_box)
        self.weight_row.slider.setRange(0, HEAVIEST)
        self.weight_row.slider.setPageStep(5)
        self.weight_row.explain(
            self.tr("How many times the chosen drawing comes up in every epoch; 0 leaves it out (+ and −)")
        )
        self.weight_row.slider.grabbed.connect(self._grabbed)
        self.weight_row.slider.valueChanged.connect(self._slid)
        self.weight_row.reset.connect(self._reset_weight)

    def _lay_out(self) -> None:
        tools = QHBoxLayout()
        tools.setSpacing(4)
        for button in self.buttons.values():
            tools.addWidget(button)
        weight = QHBoxLayout(self._weight_box)
        weight.setContentsMargins(6, 0, 6, 0)
        weight.setSpacing(6)
        self.weight_row.label.hide()  # "×3" says it, and there is little room
        weight.addWidget(self.weight_row.slider, 1)
        weight.addWidget(self.weight_row.value)
        self.weight_row.slider.setMinimumWidth(36)
        tools.addWidget(self._weight_box, 1)
        tools.addWidget(self.delete_button)
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(scrolled(self.wall, full), 1)
        column.addLayout(tools)
        empty = QuietWords(
            self.tr(
                "None yet. Draw on the canvas, then press X, O or N there: the drawing is saved here as an X, an O "
                "or neither, and training learns from it."
            ),
            self,
        )
        self._pages = QStackedLayout(self)
        self._pages.addWidget(empty)
        self._pages.addWidget(full)
