"""Likes page: the inspector's page on what a feature, a hidden value or a vote likes. It finds out none of it."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from PySide6.QtCore import QCoreApplication, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from engine.backends.ops import HostArray
from engine.data.labelled_drawings import NEITHER, counted
from engine.data.pool import Lesson
from engine.data.xo.generator import CLASSES
from engine.explain.feature_profile import Likes, Wanted, Weighed
from engine.explain.queries import Answer, Question
from engine.explain.top_examples import Example
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.state.commands import Intent
from xo_gui.state.selection import Cell
from xo_gui.views.inspector.sheet import FOR_BAR, Sheet
from xo_gui.views.inspector.sheet_blocks import (
    Block,
    Grid,
    Line,
    Lines,
    Note,
    Pair,
    Picture,
    Portrait,
    Spread,
    SpreadRow,
)
from xo_gui.views.inspector.weight_editor import MOST_NUMBERS, level_of
from xo_gui.widgets.buttons import TickBox
from xo_gui.widgets.number_text import MINUS, figures, fixed, level, number, percent, signed
from xo_gui.widgets.thumbnails import Thumbnails, Tile

LikesBlocksHostArray: TypeAlias = "np.ndarray[Any, Any]"


def portrait(likes: Likes | None, seed: int) -> list[Block]:
    """The picture that excites it most, as it is by now, and what it is worth beside the best example."""
    if likes is None or likes.ascended is None:
        words = likes.words if likes is not None else ""
        return [Note(words or _tr("A picture is looked for that excites it most…"))]
    found = likes.ascended
    rows, columns = found.window
    part = found.picture[0, rows.start : rows.stop, columns.start : columns.stop]
    lines = [Line(_tr("value now") if found.done < 1 else _tr("value"), fixed(found.value), total=True)]
    if likes.most:
        lines.append(Line(_tr("best example"), fixed(likes.most[0].value)))
    lines.append(Line(_tr("reads"), f"{len(rows)} × {len(columns)}"))
    going = found.done < 1
    lines.append(Line(_tr("from seed"), f"{seed}, {100 * found.done:.0f} %" if going else str(seed)))
    if found.still:
        return [Note(found.words), Lines((Line(_tr("value"), fixed(found.value)),))]
    if not part.size:
        return [Note(_tr("It reads nothing of the picture."))]
    blocks: list[Block] = [Portrait(part, tuple(lines))]
    return [*blocks, Note(found.words)] if found.words else blocks


def best_of(likes: Likes | None, total: int) -> str:
    """The words over those that excite it most: out of how many."""
    if likes is None or likes.searched >= 1:
        return _tr("excite it most, of {0}").format(number(likes.count if likes is not None else total))
    return _tr("excite it most, {0} of {1}").format(number(likes.count), number(total))


def example_told(example: Example) -> str:
    """What a tooltip says of an example."""
    rows, columns = example.window
    if not (rows and columns):
        return _tr("example {0}").format(number(example.number + 1))
    text = _tr("example {0}, rows {1} to {2}, columns {3} to {4}")
    return text.format(number(example.number + 1), rows.start + 1, rows.stop, columns.start + 1, columns.stop)


def facts(likes: Likes | None) -> list[Block]:
    """How its values are spread, and its weights as a picture and in numbers."""
    if likes is None:
        return []
    blocks: list[Block] = [] if likes.ascended is None or not likes.words else [Note(likes.words)]
    return [*blocks, *_spread(likes), *(_weighed(likes.weighed) if likes.weighed is not None else [])]


def _spread(likes: Likes) -> list[Block]:
    spread = likes.spread
    if spread is None:
        return []
    names = (*CLASSES, NEITHER)
    rows = tuple(
        SpreadRow(at if at < len(CLASSES) else -1, name, spread.peaks[at])
        for at, name in enumerate(names)
        if at < len(CLASSES) or spread.peaks[at].any()
    )
    width = spread.last - spread.first
    zero = -spread.first / width if spread.first < 0 < spread.last and math.isfinite(width) else None
    title = _tr("value in each example") if spread.single else _tr("largest value in each example")
    bars = Spread(title, rows, level(spread.first), level(spread.last), zero)
    values = [
        Line(_tr("mean of all values"), f"{fixed(spread.mean)} ± {spread.deviation:.2f}"),
        Line(_tr("from, to"), f"{signed(spread.low)}, {signed(spread.high)}"),
        Line(_tr("exactly 0"), percent(spread.zero)),
    ]
    if spread.silent >= 1:
        return [Note(_tr("It is 0 in every example looked through: none of them excites it."))]
    if spread.silent:
        values.append(Line(_tr("examples with nothing but 0"), percent(spread.silent)))
    return [bars, Lines(tuple(values))]


def _weighed(weighed: Weighed) -> list[Block]:
    weights = weighed.weights
    count, high, wide = weights.shape
    most = level_of(weights)
    if count == 1 and max(high, wide) <= MOST_NUMBERS:
        picture: Block = Pair(Grid(_tr("weights"), weights[0], "value", most))
    else:
        title = _tr("weights, a square for each map below") if count > 1 else _tr("weights")
        picture = Picture(title, mosaic(weights), most)
    fine = weights.astype(np.float64)
    lines = [
        Line(_tr("weights"), _shape(weights.shape)),
        Line(_tr("mean"), figures(float(fine.mean()))),
        Line(_tr("size, root of the summed squares"), figures(weighed.size)),
        Line(_tr("from, to"), f"{figures(float(fine.min()))}, {figures(float(fine.max()))}"),
    ]
    if weighed.bias is not None:
        lines.append(Line(_tr("bias"), figures(weighed.bias)))
    return [picture, Lines(tuple(lines))]


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(side) for side in (shape if shape[0] > 1 else shape[1:]))


def mosaic(weights: LikesBlocksHostArray) -> LikesBlocksHostArray:
    """Slices (n, h, w) beside and below each other as one picture, with a gap of 0 between."""
    count, high, wide = weights.shape
    across = max(1, min(count, round(math.sqrt(count * (high + 1) / (wide + 1) * 2))))
    down = -(-count // across)
    made = np.zeros((down * (high + 1) - 1, across * (wide + 1) - 1), weights.dtype)
    for at, one in enumerate(weights):
        row, column = divmod(at, across)
        made[row * (high + 1) : row * (high + 1) + high, column * (wide + 1) : column * (wide + 1) + wide] = one
    return made


def said(likes: Likes | None) -> str:
    """What a screen reader says of it all."""
    if likes is None:
        return ""
    parts = [likes.words]
    if likes.ascended is not None:
        parts.append(_tr("The picture found gives {0}.").format(fixed(likes.ascended.value).replace(MINUS, "-")))
        parts.append(likes.ascended.words)
    for name, side in ((_tr("Excited most by"), likes.most), (_tr("Excited least by"), likes.least)):
        if side:
            listed = ", ".join(f"{each.label} {fixed(each.value)}" for each in side)
            parts.append(f"{name} {listed}.")
    return " ".join(filter(None, parts))


def _tr(text: str) -> str:
    return QCoreApplication.translate("LikesPage", text)


# A side of an example, in pixels: three stand beside each other in the narrow panel.
SIDE = 74


class LikesPage(QWidget):
    """changed(): another question is to be asked. drawn(picture, text): the picture (H, W) is to be the drawing,
    and what that is called in the Edit menu."""

    changed = Signal()
    drawn = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.seed, self._again = 1, 0
        self._asked: Question | None = None
        self._stopped: Question | None = None
        self._lesson: Lesson | None = None
        self.likes: Likes | None = None
        self._shown: tuple[object, ...] = ()
        self._build()

    def _build(self) -> None:
        self.picture, self.facts = Sheet(self), Sheet(self)
        for sheet, name in (
            (self.picture, self.tr("The picture that excites it most")),
            (self.facts, self.tr("Its values and its weights")),
        ):
            sheet.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            sheet.setAccessibleName(name)
        self.picture.setToolTip(
            self.tr(
                "Made from noise by following the gradient of the value in the middle of the map, or of the list's "
                "value, or of the vote's score: what the network itself takes for the best picture. Ink excites it "
                "where there is ink, background where there is background; where it is grey, neither matters. What "
                "the value does not read is left out."
            )
        )
        self.seed_button = self._button(self.tr("Other seed"), self.tr("Begin from other noise"), self._reseed)
        self.stop_button = self._button(self.tr("Stop"), "", self._stop)
        self.draw_button = self._button(
            self.tr("Draw it"), self.tr("Put the picture that was found on the canvas"), self._draw
        )
        tip = self.tr("Put this example on the canvas")
        self.most = Thumbnails(self.tr("Examples that excite it most"), tip, self, side=SIDE)
        self.least = Thumbnails(self.tr("Examples that excite it least"), tip, self, side=SIDE)
        self.most.picked.connect(self._pick_most)
        self.least.picked.connect(self._pick_least)
        self.most.chosen.connect(self._reveal)
        self.least.chosen.connect(self._reveal)
        self.best, self.worst = QLabel(self), QLabel(self.tr("excite it least"), self)
        for label in (self.best, self.worst):
            label.setFont(font(SMALL_PX))
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.patches = TickBox(self.tr("patches"), self)
        self.patches.setFont(font(SMALL_PX))
        self.patches.setAccessibleName(self.tr("Patches only"))
        self.patches.setToolTip(
            self.tr("Show of every example only what the value reads; beyond the edge that is 0, grey")
        )
        self.patches.toggled.connect(self._show_walls)
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.seed_button, self.stop_button, self.draw_button):
            buttons.addWidget(button)
        inside = QWidget(self)
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 6, FOR_BAR - 10, 0)
        column.setSpacing(2)
        column.addWidget(self.picture)
        column.addLayout(buttons)
        column.addSpacing(6)
        over = QHBoxLayout()
        over.addWidget(self.best, 1)
        over.addWidget(self.patches)
        column.addLayout(over)
        for widget in (self.most, self.worst, self.least, self.facts):
            column.addWidget(widget)
        column.addStretch(1)
        self.area = QScrollArea(self)
        self.area.setWidget(inside)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.area)

    def _button(self, name: str, tip: str, slot: object) -> QPushButton:
        button = QPushButton(name, self)
        button.setToolTip(tip)
        button.clicked.connect(slot)
        return button

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        for widget in (self.picture, self.facts, self.most, self.least):
            widget.set_theme(theme)

    # --- what is asked and shown

    def question(self, held: Cell | None, intent: Intent | None) -> Question | None:
        """What the engine has to be asked of the held value; None if there is nothing to ask, or that was given
        up."""
        if held is None or held.layer == 0:
            self._asked = self._stopped = None
            return None
        self._lesson = _lesson(intent)
        wanted = Wanted(held.layer, held.channel, self.seed, self._lesson)
        asked = Question("likes", held.subject, wanted=wanted, again=self._again)
        if asked != self._asked:
            self._asked, self._stopped, self.likes = asked, None, None
        return None if asked == self._stopped else asked

    def show_answer(self, held: Cell | None, answer: Answer | None) -> None:
        """Show what is known so far; what was known when it was stopped stays."""
        there = held is not None and held.layer > 0
        if answer is not None and answer.likes is not None:
            self.likes = answer.likes
        likes = self.likes if there else None
        busy = there and self._asked != self._stopped and (likes is None or likes.done < 1)
        new = (held is None, there, busy, likes, self.seed, self._lesson)
        if new == self._shown:
            return  # as with every picture of a stroke
        self._shown = new
        self.picture.show_blocks(portrait(likes, self.seed) if there else [Note(self._invitation(held))], False)
        self._show_buttons(there, busy, likes)
        self._show_walls()
        total = 0 if self._lesson is None else self._lesson.data.count + counted(self._lesson.own)
        self.best.setText(best_of(likes, total))
        self.facts.show_blocks(facts(likes), False)
        self.picture.setAccessibleDescription(said(likes))

    def _show_buttons(self, there: bool, busy: bool, likes: Likes | None) -> None:
        for button in (self.seed_button, self.stop_button, self.draw_button):
            button.setVisible(there)
        # Either always there or never: were it to come and go, the width and with it the height would, too.
        policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOn if there else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.area.setVerticalScrollBarPolicy(policy)
        self.stop_button.setText(self.tr("Stop") if busy else self.tr("Again"))
        self.stop_button.setToolTip(
            self.tr("Leave it as it is") if busy else self.tr("See the picture form once more, from the same noise")
        )
        found = None if likes is None else likes.ascended
        self.draw_button.setEnabled(found is not None and not found.still)

    def _show_walls(self) -> None:
        """Nothing where all examples leave the value at 0: none is more telling than another."""
        likes = self.likes if self._asked is not None else None
        silent = likes is None or (likes.spread is not None and likes.spread.silent >= 1)
        most, least = ((), ()) if likes is None or silent else (likes.most, likes.least)
        side = max((len(cells) for each in (*most, *least) for cells in each.window), default=0)
        # Where the value reads the whole picture, its patch is that.
        parts = any(0 < side < len(each.picture) for each in most)
        self.patches.setVisible(parts)
        cut = side if parts and self.patches.isChecked() else 0
        self._show_wall(self.most, self.best, most, cut)
        self._show_wall(self.least, self.worst, least, cut)

    @staticmethod
    def _show_wall(wall: Thumbnails, name: QLabel, found: tuple[Example, ...], cut: int) -> None:
        """cut: to a patch of so many pixels a side; 0: whole pictures."""
        wall.setVisible(bool(found))
        name.setVisible(bool(found))
        wall.show_tiles([_tile(each, cut) for each in found])

    def _invitation(self, held: Cell | None) -> str:
        if held is not None:
            return self.tr("A pixel is drawn, and likes nothing. Click a value of a map, a hidden value or a vote.")
        return self.tr(
            "Click a value of a map, a hidden value or a vote. The picture that excites it most forms here, from "
            "noise, with the training examples that excite it most and least."
        )

    # --- what the person does

    def _reseed(self) -> None:
        self.seed += 1
        self._stopped = None
        self.changed.emit()

    def _stop(self) -> None:
        """Or see it once more, if it stands already."""
        if self._asked == self._stopped or (self.likes is not None and self.likes.done >= 1):
            self._again += 1
            self._stopped = None
        else:
            self._stopped = self._asked
        self.changed.emit()

    def _draw(self) -> None:
        if self.likes is not None and self.likes.ascended is not None:
            self.drawn.emit(self.likes.ascended.picture[0], self.tr("Picture that excites most"))

    def _pick_most(self, at: int) -> None:
        if self.likes is not None:
            self.drawn.emit(self.likes.most[at].picture, self.tr("Example that excites most"))

    def _pick_least(self, at: int) -> None:
        if self.likes is not None:
            self.drawn.emit(self.likes.least[at].picture, self.tr("Example that excites least"))

    def _reveal(self) -> None:
        """Scroll to the chosen example."""
        wall, inside = self.sender(), self.area.widget()
        if isinstance(wall, Thumbnails) and inside is not None and wall.hasFocus():
            middle = wall.mapTo(inside, wall.box(wall.at).center())
            self.area.ensureVisible(middle.x(), middle.y(), SIDE, SIDE)


def _tile(example: Example, cut: int) -> Tile:
    told, words = example_told(example), signed(example.value)
    if cut:
        return Tile(_patch(example, cut), example.label, words, told=told)
    return Tile(example.picture, example.label, words, told=told, patch=example.window)


def _patch(example: Example, side: int) -> HostArray:
    """(side, side): the part of its picture that the value reads. Beyond the picture's edge it reads 0."""
    made = np.zeros((side, side), np.float32)
    at: list[slice] = []
    for cells in example.window:
        # A window is shorter than others where it hangs over the edge.
        first = side - len(cells) if cells.start == 0 else 0
        at.append(slice(first, first + len(cells)))
    rows, columns = example.window
    made[at[0], at[1]] = example.picture[rows.start : rows.stop, columns.start : columns.stop]
    return made


def _lesson(intent: Intent | None) -> Lesson | None:
    """The examples that the network on the screen learns from, or would."""
    if intent is None:
        return None
    if intent.live and intent.lesson is not None:
        return intent.lesson
    return None if intent.usual is None else Lesson(intent.usual)
