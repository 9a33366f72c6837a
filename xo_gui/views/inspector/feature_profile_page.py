"""Feature profile page: maximally activating input, top and bottom training examples, distribution and weights."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from engine.backends import HostArray
from engine.data import NO_CLASS, TrainingData, total_weight
from engine.explain import Explanation, ExplanationQuery, FeatureProfile, FeatureQuery, FeatureWeights, TopExample
from xo_gui.app import SMALL_PX, font, translate
from xo_gui.state import CellRef, TrainingSettings
from xo_gui.views.inspector.sheet import SCROLL_BAR_WIDTH, Sheet
from xo_gui.views.inspector.sheet_blocks import (
    CaptionedImage,
    ClassHistograms,
    Heading,
    HeatMap,
    HistogramRow,
    NumberGrid,
    Paragraph,
    SheetBlock,
    SideBySide,
    TextLine,
    TextLines,
)
from xo_gui.views.inspector.weight_editor import MAX_NUMBERED_SIDE, weight_limit
from xo_gui.widgets import (
    MINUS,
    CheckBox,
    Thumbnail,
    Thumbnails,
    WrappingRow,
    fixed_text,
    four_digit_text,
    integer_text,
    limit_text,
    percent_text,
    scroll_area,
    signed_text,
)

# Side of an example in pixels: three fit side by side into the narrow panel.
THUMBNAIL_SIDE = 74


class FeatureProfilePage(QWidget):
    """What activates one value most and least, and its distribution.

    Signals: query_changed(); draw_requested(image, text), an image (H, W) for the canvas and the undo text.
    """

    query_changed = Signal()
    draw_requested = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.seed, self._repeat = 1, 0
        self._query: ExplanationQuery | None = None
        self._stopped_query: ExplanationQuery | None = None
        self._training_data: TrainingData | None = None
        self.profile: FeatureProfile | None = None
        self._shown_state: tuple[object, ...] = ()
        self._build()

    def _build(self) -> None:
        self.image_sheet, self.facts_sheet = Sheet(self), Sheet(self)
        for sheet, name in (
            (self.image_sheet, self.tr("Maximally activating input")),
            (self.facts_sheet, self.tr("Its values and its weights")),
        ):
            sheet.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            sheet.setAccessibleName(name)
        self.image_sheet.setToolTip(
            self.tr(
                "The maximally activating input: starts as noise and is changed step by step along the gradient, "
                "until the value (of a map: the one in the middle; of a vote: its score) is as large as possible. "
                "Where it shows ink, ink raises the value; where it shows background, background does; where it is "
                "grey, neither matters. Only the receptive field is shown."
            )
        )
        self.seed_button = self._button(self.tr("Other seed"), self.tr("Start from other noise"), self._reseed)
        self.stop_button = self._button(self.tr("Stop"), "", self._stop)
        self.draw_button = self._button(self.tr("To canvas"), self.tr("Put this picture on the canvas"), self._draw)
        tip = self.tr("Put this example on the canvas")
        self.top_examples = Thumbnails(
            self.tr("Examples that activate it most"), tip, self, side=THUMBNAIL_SIDE, scrolls=False
        )
        self.bottom_examples = Thumbnails(
            self.tr("Examples that activate it least"), tip, self, side=THUMBNAIL_SIDE, scrolls=False
        )
        self.top_examples.picked.connect(self._pick_most)
        self.bottom_examples.picked.connect(self._pick_least)
        self.top_examples.chosen.connect(self._scroll_to_selected)
        self.bottom_examples.chosen.connect(self._scroll_to_selected)
        self.top_label, self.bottom_label = QLabel(self), QLabel(self.tr("activate it least"), self)
        for label in (self.top_label, self.bottom_label):
            label.setWordWrap(True)
            label.setFont(font(SMALL_PX))
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.patches_box = CheckBox(self.tr("patches"), self)
        self.patches_box.setFont(font(SMALL_PX))
        self.patches_box.setAccessibleName(self.tr("Patches only"))
        self.patches_box.setToolTip(
            self.tr("Show only the receptive field in every example; beyond the edge it is 0, grey")
        )
        self.patches_box.toggled.connect(self._show_examples)
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = WrappingRow((self.seed_button, self.stop_button, self.draw_button), self)
        inside = QWidget(self)
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 6, SCROLL_BAR_WIDTH - 10, 0)
        column.setSpacing(2)
        column.addWidget(self.image_sheet)
        column.addWidget(buttons)
        column.addSpacing(6)
        header = QHBoxLayout()
        header.addWidget(self.top_label, 1)
        header.addWidget(self.patches_box)
        column.addLayout(header)
        for widget in (self.top_examples, self.bottom_label, self.bottom_examples, self.facts_sheet):
            column.addWidget(widget)
        column.addStretch(1)
        self.scroll_area = scroll_area(inside, self)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.scroll_area)

    def _button(self, name: str, tip: str, slot: object) -> QPushButton:
        button = QPushButton(name, self)
        button.setToolTip(tip)
        button.clicked.connect(slot)
        return button

    # --- query and result

    def query(self, pinned: CellRef | None, settings: TrainingSettings | None) -> ExplanationQuery | None:
        """The feature profile query for the pinned value; None without a value or after Stop."""
        if pinned is None or pinned.layer == 0:
            self._query = self._stopped_query = None
            return None
        self._training_data = _training_data(settings)
        wanted = FeatureQuery(pinned.layer, pinned.channel, self.seed, self._training_data)
        query = ExplanationQuery("likes", pinned.model_index, feature=wanted, revision=self._repeat)
        if query != self._query:
            self._query, self._stopped_query, self.profile = query, None, None
        return None if query == self._stopped_query else query

    def set_result(self, pinned: CellRef | None, result: Explanation | None) -> None:
        """Show the profile known so far; without a result the last one stays."""
        has_profile = pinned is not None and pinned.layer > 0
        if result is not None and result.profile is not None:
            self.profile = result.profile
        profile = self.profile if has_profile else None
        busy = has_profile and self._query != self._stopped_query and (profile is None or profile.progress < 1)
        state = (pinned is None, has_profile, busy, profile, self.seed, self._training_data)
        if state == self._shown_state:
            return  # every snapshot of a stroke comes here
        self._shown_state = state
        blocks = (
            maximized_input_blocks(profile, self.seed) if has_profile else [Paragraph(self._empty_text(pinned))]
        )
        self.image_sheet.set_blocks(blocks, False)
        self._show_buttons(has_profile, busy, profile)
        self._show_examples()
        data = self._training_data
        total = 0 if data is None else data.generated_count + total_weight(data.labelled_samples)
        self.top_label.setText(top_examples_text(profile, total))
        self.facts_sheet.set_blocks(profile_blocks(profile), False)
        self.image_sheet.setAccessibleDescription(accessible_text(profile))

    def _show_buttons(self, visible: bool, busy: bool, profile: FeatureProfile | None) -> None:
        for button in (self.seed_button, self.stop_button, self.draw_button):
            button.setVisible(visible)
        # Always or never visible: a scroll bar that comes and goes would change the width, and with it the height.
        policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOn if visible else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.scroll_area.setVerticalScrollBarPolicy(policy)
        self.stop_button.setText(self.tr("Stop") if busy else self.tr("Again"))
        self.stop_button.setToolTip(
            self.tr("Stop and keep the picture") if busy else self.tr("Start again from the same noise")
        )
        found = None if profile is None else profile.maximized_input
        self.draw_button.setEnabled(found is not None and not found.is_stuck)

    def _show_examples(self) -> None:
        """Show the top and bottom examples, unless the value is 0 in all of them."""
        profile = self.profile if self._query is not None else None
        is_silent = profile is None or (
            profile.distribution is not None and profile.distribution.inactive_share >= 1
        )
        most, least = ((), ()) if profile is None or is_silent else (profile.highest, profile.lowest)
        side = max((len(cells) for each in (*most, *least) for cells in each.window), default=0)
        # A receptive field as large as the picture has no patches.
        has_patches = any(0 < side < len(each.picture) for each in most)
        self.patches_box.setVisible(has_patches)
        patch_side = side if has_patches and self.patches_box.isChecked() else 0
        self._show_thumbnails(self.top_examples, self.top_label, most, patch_side)
        self._show_thumbnails(self.bottom_examples, self.bottom_label, least, patch_side)

    @staticmethod
    def _show_thumbnails(
        view: Thumbnails, label: QLabel, examples: tuple[TopExample, ...], patch_side: int
    ) -> None:
        """patch_side: side of the patches in pixels; 0 shows whole pictures."""
        view.setVisible(bool(examples))
        label.setVisible(bool(examples))
        view.show_tiles([_tile(each, patch_side) for each in examples])

    def _empty_text(self, pinned: CellRef | None) -> str:
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
        self.query_changed.emit()

    def _stop(self) -> None:
        """Stop the search, or start it again if it has ended."""
        if self._query == self._stopped_query or (self.profile is not None and self.profile.progress >= 1):
            self._repeat += 1
            self._stopped_query = None
        else:
            self._stopped_query = self._query
        self.query_changed.emit()

    def _draw(self) -> None:
        if self.profile is not None and self.profile.maximized_input is not None:
            self.draw_requested.emit(self.profile.maximized_input.picture[0], self.tr("Maximally activating input"))

    def _pick_most(self, at: int) -> None:
        if self.profile is not None:
            self.draw_requested.emit(self.profile.highest[at].picture, self.tr("Most activating example"))

    def _pick_least(self, at: int) -> None:
        if self.profile is not None:
            self.draw_requested.emit(self.profile.lowest[at].picture, self.tr("Least activating example"))

    def _scroll_to_selected(self) -> None:
        inside = self.scroll_area.widget()
        for view in (self.top_examples, self.bottom_examples):
            if inside is not None and view.hasFocus():
                middle = view.viewport().mapTo(inside, view.tile_rect(view.current).center())
                self.scroll_area.ensureVisible(middle.x(), middle.y(), THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def _training_data(settings: TrainingSettings | None) -> TrainingData | None:
    """The training data of the shown network, or the default data it would be trained on."""
    if settings is None:
        return None
    if settings.live and settings.training_data is not None:
        return settings.training_data
    return None if settings.default_data is None else TrainingData(settings.default_data)


# --- the maximally activating input


def maximized_input_blocks(profile: FeatureProfile | None, seed: int) -> list[SheetBlock]:
    """The maximally activating input found so far, with its activation and that of the best example."""
    if profile is None or profile.maximized_input is None:
        message = profile.message if profile is not None else ""
        return [
            Paragraph(message or translate("FeatureProfilePage", "Searching for the maximally activating input…"))
        ]
    found = profile.maximized_input
    rows, columns = found.window
    part = found.picture[0, rows.start : rows.stop, columns.start : columns.stop]
    lines = [
        TextLine(
            translate("FeatureProfilePage", "value now")
            if found.progress < 1
            else translate("FeatureProfilePage", "value"),
            fixed_text(found.value),
            is_total=True,
        )
    ]
    if profile.highest:
        lines.append(
            TextLine(translate("FeatureProfilePage", "best example"), fixed_text(profile.highest[0].value))
        )
    lines.append(TextLine(translate("FeatureProfilePage", "receptive field"), f"{len(rows)} × {len(columns)}"))
    lines.append(
        TextLine(
            translate("FeatureProfilePage", "seed"),
            f"{seed}, {100 * found.progress:.0f} %" if found.progress < 1 else str(seed),
        )
    )
    if found.is_stuck:
        return [
            Paragraph(found.message),
            TextLines((TextLine(translate("FeatureProfilePage", "value"), fixed_text(found.value)),)),
        ]
    if not part.size:
        return [Paragraph(translate("FeatureProfilePage", "Its receptive field in the picture is empty."))]
    blocks: list[SheetBlock] = [
        Heading(translate("FeatureProfilePage", "maximally activating input")),
        CaptionedImage(part, tuple(lines)),
    ]
    return [*blocks, Paragraph(found.message)] if found.message else blocks


def top_examples_text(profile: FeatureProfile | None, total: int) -> str:
    """The title of the top examples, with the number of examples searched."""
    if profile is None or profile.search_progress >= 1:
        return translate("FeatureProfilePage", "activate it most, of {0}").format(
            integer_text(profile.examples_read if profile is not None else total)
        )
    return translate("FeatureProfilePage", "activate it most, {0} of {1}").format(
        integer_text(profile.examples_read), integer_text(total)
    )


def example_tooltip(example: TopExample) -> str:
    rows, columns = example.window
    if not (rows and columns):
        return translate("FeatureProfilePage", "example {0}").format(integer_text(example.index + 1))
    text = translate("FeatureProfilePage", "example {0}, rows {1} to {2}, columns {3} to {4}")
    return text.format(integer_text(example.index + 1), rows.start + 1, rows.stop, columns.start + 1, columns.stop)


def profile_blocks(profile: FeatureProfile | None) -> list[SheetBlock]:
    """The distribution of its activations, and its weights as an image and in numbers."""
    if profile is None:
        return []
    blocks: list[SheetBlock] = (
        [] if profile.maximized_input is None or not profile.message else [Paragraph(profile.message)]
    )
    weights = _weight_blocks(profile.weights) if profile.weights is not None else []
    return [*blocks, *_distribution_blocks(profile), *weights]


def _distribution_blocks(profile: FeatureProfile) -> list[SheetBlock]:
    spread = profile.distribution
    if spread is None:
        return []
    classes = spread.classes
    rows = tuple(
        HistogramRow(at if at < len(classes) else -1, name, spread.peaks[at])
        for at, name in enumerate((*classes, NO_CLASS))
        if at < len(classes) or spread.peaks[at].any()
    )
    width = spread.bin_stop - spread.bin_start
    zero = -spread.bin_start / width if spread.bin_start < 0 < spread.bin_stop and math.isfinite(width) else None
    title = (
        translate("FeatureProfilePage", "value in each example")
        if spread.is_scalar
        else translate("FeatureProfilePage", "maximum in each example")
    )
    bars = ClassHistograms(title, rows, limit_text(spread.bin_start), limit_text(spread.bin_stop), zero)
    values = [
        TextLine(
            translate("FeatureProfilePage", "mean of all values"), f"{fixed_text(spread.mean)} ± {spread.std:.2f}"
        ),
        TextLine(
            translate("FeatureProfilePage", "minimum, maximum"),
            f"{signed_text(spread.minimum)}, {signed_text(spread.maximum)}",
        ),
        TextLine(translate("FeatureProfilePage", "exactly 0"), percent_text(spread.zero_share)),
    ]
    if spread.inactive_share >= 1:
        return [
            Paragraph(
                translate(
                    "FeatureProfilePage", "It is 0 in every example that was searched: none of them activates it."
                )
            )
        ]
    if spread.inactive_share:
        values.append(
            TextLine(translate("FeatureProfilePage", "examples with only 0"), percent_text(spread.inactive_share))
        )
    return [bars, TextLines(tuple(values))]


def _weight_blocks(weighed: FeatureWeights) -> list[SheetBlock]:
    weights = weighed.weights
    count, high, wide = weights.shape
    limit = weight_limit(weights)
    if count == 1 and max(high, wide) <= MAX_NUMBERED_SIDE:
        image: SheetBlock = SideBySide(
            NumberGrid(translate("FeatureProfilePage", "weights"), weights[0], "value", limit)
        )
    else:
        title = (
            translate("FeatureProfilePage", "weights, a square for each map below")
            if count > 1
            else translate("FeatureProfilePage", "weights")
        )
        image = HeatMap(title, tile_slices(weights), limit)
    exact = weights.astype(np.float64)
    lines = [
        TextLine(translate("FeatureProfilePage", "weights"), _shape(weights.shape)),
        TextLine(translate("FeatureProfilePage", "mean"), four_digit_text(float(exact.mean()))),
        TextLine(translate("FeatureProfilePage", "L2 norm"), four_digit_text(weighed.norm)),
        TextLine(
            translate("FeatureProfilePage", "minimum, maximum"),
            f"{four_digit_text(float(exact.min()))}, {four_digit_text(float(exact.max()))}",
        ),
    ]
    if weighed.bias is not None:
        lines.append(TextLine(translate("FeatureProfilePage", "bias"), four_digit_text(weighed.bias)))
    return [image, TextLines(tuple(lines))]


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(side) for side in (shape if shape[0] > 1 else shape[1:]))


def tile_slices(weights: HostArray) -> HostArray:
    """Tile slices (n, h, w) into one image, with gaps of 0 between them."""
    count, high, wide = weights.shape
    across = max(1, min(count, round(math.sqrt(count * (high + 1) / (wide + 1) * 2))))
    down = -(-count // across)
    image = np.zeros((down * (high + 1) - 1, across * (wide + 1) - 1), weights.dtype)
    for at, one in enumerate(weights):
        row, column = divmod(at, across)
        image[row * (high + 1) : row * (high + 1) + high, column * (wide + 1) : column * (wide + 1) + wide] = one
    return image


def accessible_text(profile: FeatureProfile | None) -> str:
    """The description for screen readers."""
    if profile is None:
        return ""
    parts = [profile.message]
    if profile.maximized_input is not None:
        value = fixed_text(profile.maximized_input.value).replace(MINUS, "-")
        parts.append(translate("FeatureProfilePage", "The maximally activating input gives {0}.").format(value))
        parts.append(profile.maximized_input.message)
    for name, side in (
        (translate("FeatureProfilePage", "Activated most by"), profile.highest),
        (translate("FeatureProfilePage", "Activated least by"), profile.lowest),
    ):
        if side:
            listed = ", ".join(f"{each.label} {fixed_text(each.value)}" for each in side)
            parts.append(f"{name} {listed}.")
    return " ".join(filter(None, parts))


def _tile(example: TopExample, patch_side: int) -> Thumbnail:
    picture, window = (_patch(example, patch_side), None) if patch_side else (example.picture, example.window)
    return Thumbnail(
        picture,
        example.label,
        signed_text(example.value),
        details=example_tooltip(example),
        highlight=window,
        class_index=example.class_index,
    )


def _patch(example: TopExample, side: int) -> HostArray:
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
