"""Feature profile page: maximally activating input, top and bottom training examples, distribution and weights."""

from __future__ import annotations

import math

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
    Heading,
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

# Side of an example in pixels: three fit side by side into the narrow panel.
SIDE = 74


class LikesPage(QWidget):
    """What activates one value most and least, and its distribution.

    Signals: query_changed(); draw_requested(image, text), an image (H, W) for the canvas and the undo text.
    """

    changed = Signal()
    drawn = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.seed, self._repeat = 1, 0
        self._query: Question | None = None
        self._stopped_query: Question | None = None
        self._training_data: Lesson | None = None
        self.likes: Likes | None = None
        self._shown_state: tuple[object, ...] = ()
        self._build()

    def _build(self) -> None:
        self.picture, self.facts = Sheet(self), Sheet(self)
        for sheet, name in (
            (self.picture, self.tr("Maximally activating input")),
            (self.facts, self.tr("Its values and its weights")),
        ):
            sheet.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            sheet.setAccessibleName(name)
        self.picture.setToolTip(
            self.tr(
                "The maximally activating input: starts as noise and is changed step by step along the gradient, "
                "until the value (of a map: the one in the middle; of a vote: its score) is as large as possible. "
                "Where it shows ink, ink raises the value; where it shows background, background does; where it is "
                "grey, neither matters. Only the receptive field is shown."
            )
        )
        self.seed_button = self._button(self.tr("Other seed"), self.tr("Start from other noise"), self._reseed)
        self.stop_button = self._button(self.tr("Stop"), "", self._stop)
        self.draw_button = self._button(self.tr("Draw it"), self.tr("Put this picture on the canvas"), self._draw)
        tip = self.tr("Put this example on the canvas")
        self.most = Thumbnails(self.tr("Examples that activate it most"), tip, self, side=SIDE)
        self.least = Thumbnails(self.tr("Examples that activate it least"), tip, self, side=SIDE)
        self.most.picked.connect(self._pick_most)
        self.least.picked.connect(self._pick_least)
        self.most.chosen.connect(self._scroll_to_selected)
        self.least.chosen.connect(self._scroll_to_selected)
        self.best, self.worst = QLabel(self), QLabel(self.tr("activate it least"), self)
        for label in (self.best, self.worst):
            label.setFont(font(SMALL_PX))
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.patches = TickBox(self.tr("patches"), self)
        self.patches.setFont(font(SMALL_PX))
        self.patches.setAccessibleName(self.tr("Patches only"))
        self.patches.setToolTip(
            self.tr("Show only the receptive field in every example; beyond the edge it is 0, grey")
        )
        self.patches.toggled.connect(self._show_examples)
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
        header = QHBoxLayout()
        header.addWidget(self.best, 1)
        header.addWidget(self.patches)
        column.addLayout(header)
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
        for widget in (self.picture, self.facts, self.most, self.least):
            widget.set_theme(theme)

    # --- query and result

    def question(self, pinned: Cell | None, settings: Intent | None) -> Question | None:
        """The feature profile query for the pinned value; None without a value or after Stop."""
        if pinned is None or pinned.layer == 0:
            self._query = self._stopped_query = None
            return None
        self._training_data = _training_data(settings)
        wanted = Wanted(pinned.layer, pinned.channel, self.seed, self._training_data)
        query = Question("likes", pinned.subject, wanted=wanted, again=self._repeat)
        if query != self._query:
            self._query, self._stopped_query, self.likes = query, None, None
        return None if query == self._stopped_query else query

    def show_answer(self, pinned: Cell | None, result: Answer | None) -> None:
        """Show the profile known so far; without a result the last one stays."""
        has_profile = pinned is not None and pinned.layer > 0
        if result is not None and result.likes is not None:
            self.likes = result.likes
        profile = self.likes if has_profile else None
        busy = has_profile and self._query != self._stopped_query and (profile is None or profile.done < 1)
        state = (pinned is None, has_profile, busy, profile, self.seed, self._training_data)
        if state == self._shown_state:
            return  # every snapshot of a stroke comes here
        self._shown_state = state
        blocks = portrait(profile, self.seed) if has_profile else [Note(self._empty_text(pinned))]
        self.picture.show_blocks(blocks, False)
        self._show_buttons(has_profile, busy, profile)
        self._show_examples()
        data = self._training_data
        total = 0 if data is None else data.data.count + counted(data.own)
        self.best.setText(best_of(profile, total))
        self.facts.show_blocks(facts(profile), False)
        self.picture.setAccessibleDescription(said(profile))

    def _show_buttons(self, visible: bool, busy: bool, profile: Likes | None) -> None:
        for button in (self.seed_button, self.stop_button, self.draw_button):
            button.setVisible(visible)
        # Always or never visible: a scroll bar that comes and goes would change the width, and with it the height.
        policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOn if visible else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.area.setVerticalScrollBarPolicy(policy)
        self.stop_button.setText(self.tr("Stop") if busy else self.tr("Again"))
        self.stop_button.setToolTip(
            self.tr("Stop and keep the picture") if busy else self.tr("Start again from the same noise")
        )
        found = None if profile is None else profile.ascended
        self.draw_button.setEnabled(found is not None and not found.still)

    def _show_examples(self) -> None:
        """Show the top and bottom examples, unless the value is 0 in all of them."""
        profile = self.likes if self._query is not None else None
        is_silent = profile is None or (profile.spread is not None and profile.spread.silent >= 1)
        most, least = ((), ()) if profile is None or is_silent else (profile.most, profile.least)
        side = max((len(cells) for each in (*most, *least) for cells in each.window), default=0)
        # A receptive field as large as the picture has no patches.
        has_patches = any(0 < side < len(each.picture) for each in most)
        self.patches.setVisible(has_patches)
        patch_side = side if has_patches and self.patches.isChecked() else 0
        self._show_thumbnails(self.most, self.best, most, patch_side)
        self._show_thumbnails(self.least, self.worst, least, patch_side)

    @staticmethod
    def _show_thumbnails(view: Thumbnails, label: QLabel, examples: tuple[Example, ...], patch_side: int) -> None:
        """patch_side: side of the patches in pixels; 0 shows whole pictures."""
        view.setVisible(bool(examples))
        label.setVisible(bool(examples))
        view.show_tiles([_tile(each, patch_side) for each in examples])

    def _empty_text(self, pinned: Cell | None) -> str:
        if pinned is not None:
            return self.tr("A pixel is drawn, not computed. Click a value of a map, a hidden value or a vote.")
        return self.tr(
            "Click a value of a map, a hidden value or a vote. The maximally activating input forms here from "
            "noise, with the training examples that activate the value most and least."
        )

    # --- user actions

    def _reseed(self) -> None:
        self.seed += 1
        self._stopped_query = None
        self.changed.emit()

    def _stop(self) -> None:
        """Stop the search, or start it again if it has ended."""
        if self._query == self._stopped_query or (self.likes is not None and self.likes.done >= 1):
            self._repeat += 1
            self._stopped_query = None
        else:
            self._stopped_query = self._query
        self.changed.emit()

    def _draw(self) -> None:
        if self.likes is not None and self.likes.ascended is not None:
            self.drawn.emit(self.likes.ascended.picture[0], self.tr("Maximally activating input"))

    def _pick_most(self, at: int) -> None:
        if self.likes is not None:
            self.drawn.emit(self.likes.most[at].picture, self.tr("Most activating example"))

    def _pick_least(self, at: int) -> None:
        if self.likes is not None:
            self.drawn.emit(self.likes.least[at].picture, self.tr("Least activating example"))

    def _scroll_to_selected(self) -> None:
        view, inside = self.sender(), self.area.widget()
        if isinstance(view, Thumbnails) and inside is not None and view.hasFocus():
            middle = view.mapTo(inside, view.box(view.at).center())
            self.area.ensureVisible(middle.x(), middle.y(), SIDE, SIDE)


def _training_data(settings: Intent | None) -> Lesson | None:
    """The training data of the shown network, or the default data it would be trained on."""
    if settings is None:
        return None
    if settings.live and settings.lesson is not None:
        return settings.lesson
    return None if settings.usual is None else Lesson(settings.usual)


# --- the maximally activating input


def portrait(profile: Likes | None, seed: int) -> list[Block]:
    """The maximally activating input found so far, with its activation and that of the best example."""
    if profile is None or profile.ascended is None:
        message = profile.words if profile is not None else ""
        return [Note(message or _tr("Searching for the maximally activating input…"))]
    found = profile.ascended
    rows, columns = found.window
    part = found.picture[0, rows.start : rows.stop, columns.start : columns.stop]
    lines = [Line(_tr("value now") if found.done < 1 else _tr("value"), fixed(found.value), total=True)]
    if profile.most:
        lines.append(Line(_tr("best example"), fixed(profile.most[0].value)))
    lines.append(Line(_tr("receptive field"), f"{len(rows)} × {len(columns)}"))
    lines.append(Line(_tr("seed"), f"{seed}, {100 * found.done:.0f} %" if found.done < 1 else str(seed)))
    if found.still:
        return [Note(found.words), Lines((Line(_tr("value"), fixed(found.value)),))]
    if not part.size:
        return [Note(_tr("Its receptive field in the picture is empty."))]
    blocks: list[Block] = [Heading(_tr("maximally activating input")), Portrait(part, tuple(lines))]
    return [*blocks, Note(found.words)] if found.words else blocks


def best_of(profile: Likes | None, total: int) -> str:
    """The title of the top examples, with the number of examples searched."""
    if profile is None or profile.searched >= 1:
        return _tr("activate it most, of {0}").format(number(profile.count if profile is not None else total))
    return _tr("activate it most, {0} of {1}").format(number(profile.count), number(total))


def example_told(example: Example) -> str:
    rows, columns = example.window
    if not (rows and columns):
        return _tr("example {0}").format(number(example.number + 1))
    text = _tr("example {0}, rows {1} to {2}, columns {3} to {4}")
    return text.format(number(example.number + 1), rows.start + 1, rows.stop, columns.start + 1, columns.stop)


def facts(profile: Likes | None) -> list[Block]:
    """The distribution of its activations, and its weights as an image and in numbers."""
    if profile is None:
        return []
    blocks: list[Block] = [] if profile.ascended is None or not profile.words else [Note(profile.words)]
    weights = _weight_blocks(profile.weighed) if profile.weighed is not None else []
    return [*blocks, *_distribution_blocks(profile), *weights]


def _distribution_blocks(profile: Likes) -> list[Block]:
    spread = profile.spread
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
    title = _tr("value in each example") if spread.single else _tr("maximum in each example")
    bars = Spread(title, rows, level(spread.first), level(spread.last), zero)
    values = [
        Line(_tr("mean of all values"), f"{fixed(spread.mean)} ± {spread.deviation:.2f}"),
        Line(_tr("minimum, maximum"), f"{signed(spread.low)}, {signed(spread.high)}"),
        Line(_tr("exactly 0"), percent(spread.zero)),
    ]
    if spread.silent >= 1:
        return [Note(_tr("It is 0 in every example that was searched: none of them activates it."))]
    if spread.silent:
        values.append(Line(_tr("examples with only 0"), percent(spread.silent)))
    return [bars, Lines(tuple(values))]


def _weight_blocks(weighed: Weighed) -> list[Block]:
    weights = weighed.weights
    count, high, wide = weights.shape
    limit = level_of(weights)
    if count == 1 and max(high, wide) <= MOST_NUMBERS:
        image: Block = Pair(Grid(_tr("weights"), weights[0], "value", limit))
    else:
        title = _tr("weights, a square for each map below") if count > 1 else _tr("weights")
        image = Picture(title, mosaic(weights), limit)
    exact = weights.astype(np.float64)
    lines = [
        Line(_tr("weights"), _shape(weights.shape)),
        Line(_tr("mean"), figures(float(exact.mean()))),
        Line(_tr("L2 norm"), figures(weighed.size)),
        Line(_tr("minimum, maximum"), f"{figures(float(exact.min()))}, {figures(float(exact.max()))}"),
    ]
    if weighed.bias is not None:
        lines.append(Line(_tr("bias"), figures(weighed.bias)))
    return [image, Lines(tuple(lines))]


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(side) for side in (shape if shape[0] > 1 else shape[1:]))


def mosaic(weights: HostArray) -> HostArray:
    """Tile slices (n, h, w) into one image, with gaps of 0 between them."""
    count, high, wide = weights.shape
    across = max(1, min(count, round(math.sqrt(count * (high + 1) / (wide + 1) * 2))))
    down = -(-count // across)
    image = np.zeros((down * (high + 1) - 1, across * (wide + 1) - 1), weights.dtype)
    for at, one in enumerate(weights):
        row, column = divmod(at, across)
        image[row * (high + 1) : row * (high + 1) + high, column * (wide + 1) : column * (wide + 1) + wide] = one
    return image


def said(profile: Likes | None) -> str:
    """The description for screen readers."""
    if profile is None:
        return ""
    parts = [profile.words]
    if profile.ascended is not None:
        value = fixed(profile.ascended.value).replace(MINUS, "-")
        parts.append(_tr("The maximally activating input gives {0}.").format(value))
        parts.append(profile.ascended.words)
    for name, side in ((_tr("Activated most by"), profile.most), (_tr("Activated least by"), profile.least)):
        if side:
            listed = ", ".join(f"{each.label} {fixed(each.value)}" for each in side)
            parts.append(f"{name} {listed}.")
    return " ".join(filter(None, parts))


def _tile(example: Example, patch_side: int) -> Tile:
    tooltip, value = example_told(example), signed(example.value)
    if patch_side:
        return Tile(_patch(example, patch_side), example.label, value, told=tooltip)
    return Tile(example.picture, example.label, value, told=tooltip, patch=example.window)


def _patch(example: Example, side: int) -> HostArray:
    """The receptive field in an example, (side, side); beyond the picture's edge it is 0."""
    patch = np.zeros((side, side), np.float32)
    at: list[slice] = []
    for cells in example.window:
        # A window that extends over the top or left edge ends at the patch's end.
        first = side - len(cells) if cells.start == 0 else 0
        at.append(slice(first, first + len(cells)))
    rows, columns = example.window
    patch[at[0], at[1]] = example.picture[rows.start : rows.stop, columns.start : columns.stop]
    return patch


def _tr(text: str) -> str:
    return QCoreApplication.translate("LikesPage", text)
