"""Drawings page: shows and edits the labelled drawings of the Document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QHBoxLayout,
    QMenu,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from engine.backends import HostArray
from engine.data import MAX_WEIGHT, NO_CLASS, InputSample, LabelledSample, PoolSettings, class_phrase
from engine.documents import Document
from engine.nn import UNSURE, Network, RunPoint
from engine.runtime import LabelledPrediction
from xo_gui.app import translate
from xo_gui.widgets import CompactButton, EmptyLabel, SliderRow, Thumbnail, Thumbnails, vote_text

_SIDE = 40  # pixels of a thumbnail
_CANVAS_LETTERS = "PE"  # pen, eraser
_INCREASE_KEYS = (Qt.Key.Key_Plus, Qt.Key.Key_Equal)


def label_keys(labels: Sequence[str]) -> dict[str, str]:
    """The letter that labels a drawing, by label: the first one of its name that is free, N for neither; without an
    entry for a label that no letter is left for."""
    keys = {NO_CLASS: "N"}
    for label in labels:
        taken = {*keys.values(), *_CANVAS_LETTERS}
        letters = (letter for letter in label.upper() if "A" <= letter <= "Z" and letter not in taken)
        if label not in keys and (letter := next(letters, "")):
            keys[label] = letter
    return keys


def with_mnemonic(label: str, keys: Mapping[str, str]) -> str:
    """A label in a menu: its letter underlined."""
    at = label.upper().find(keys.get(label, "-"))
    text = label.replace("&", "&&")
    return text if at < 0 else f"{label[:at].replace('&', '&&')}&{label[at:].replace('&', '&&')}"


def label_counts_text(labelled: Sequence[LabelledSample], labels: Sequence[str]) -> str:
    """The number of drawings of each label: "3 X, 2 O, 1 neither"; labels that the network does not know come
    last."""
    counts = Counter(each.label for each in labelled)
    names = (*labels, *sorted(set(counts) - set(labels)))
    return counts_text([counts[label] for label in names], names)


def counts_text(counts: Sequence[int], labels: Sequence[str]) -> str:
    """Counts of each label: "6 800 X, 6 800 O, 2 400 neither"."""
    numbers = (f"{count:,}".replace(",", " ") for count in counts)
    return ", ".join(
        translate("DrawingsPage", "{0} {1}").format(number, label)
        for number, label in zip(numbers, labels, strict=True)
    )


def generated_counts_text(data: PoolSettings) -> str:
    """The number of generated examples of each class, and of none."""
    return counts_text(data.class_counts, (*data.classes, NO_CLASS))


def blank_canvas_text(label: str) -> str:
    """The message for a blank canvas that is to be saved as one of a class."""
    text = translate("DrawingsPage", "A blank canvas is not {0}: draw one first, or save the blank as neither (N).")
    return text.format(class_phrase(label))


class DrawingsPage(QWidget):
    """Thumbnails of the labelled drawings and tools for the selected one. `edited`, `message`: as of View."""

    edited = Signal(object, str, str)
    message = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._labels: tuple[str, ...] = ()
        self._pictures: dict[LabelledSample, HostArray] = {}
        self._predictions: Mapping[InputSample[Any], LabelledPrediction] = {}
        # The step that the oldest of the predictions is of, where it is not the one that the window shows.
        self.late_step: int | None = None
        # The tiles, each with the prediction that it shows, and the network and has_predictions that they are of.
        self._tiles: dict[LabelledSample, tuple[LabelledPrediction | None, Thumbnail]] = {}
        self._tiles_of: tuple[Network, bool] | None = None
        self._drag_count = 0
        self._create_thumbnails()
        self._create_tools()
        self._create_layout()
        self._update_tools()

    # -- state -------------------------------------------------------------------------------------------------

    def set_document(self, document: Document) -> None:
        """Shows the document's drawings, each rendered once, and selects a new one."""
        before, self._document = self._document, document
        if document.labels != self._labels:
            self._labels = document.labels
            self._make_label_buttons()
        if (
            before is not None
            and before.labelled_samples == document.labelled_samples
            and before.labels == document.labels
            and before.can_train == document.can_train
        ):
            return
        known = {each.sample: picture for each, picture in self._pictures.items()}
        self._pictures = {
            each: known[each.sample] if each.sample in known else each.sample.preview(_SIDE)
            for each in document.labelled_samples
        }
        self._show_tiles(document)
        if before is not None and len(document.labelled_samples) > len(before.labelled_samples):
            self.thumbnails.set_current(len(document.labelled_samples) - 1)
        self._pages.setCurrentIndex(1 if document.labelled_samples else 0)
        self._update_tools()

    def set_predictions(
        self, predictions: Mapping[InputSample[Any], LabelledPrediction], shown_point: RunPoint | None
    ) -> bool:
        """Shows the predictions for the drawings; returns whether they, or what is said of them, have changed.

        shown_point: the point of the run that the window shows.
        """
        if self._document is None:
            return False
        late = [each.point for each in predictions.values() if each.point not in (None, shown_point)]
        late_step = min((point.step for point in late if point is not None), default=None)
        said_before, self.late_step = self.late_step, late_step
        if predictions == self._predictions:
            return late_step != said_before
        self._predictions = predictions
        self._show_tiles(self._document)
        return True

    def _show_tiles(self, document: Document) -> None:
        """Shows a tile for each drawing; those of which nothing has changed are kept, so that one more of many
        costs one tile."""
        network, is_evaluated = document.models[0].network, self.has_predictions
        known = self._tiles if (network, is_evaluated) == self._tiles_of else {}
        self._tiles_of, self._tiles = (network, is_evaluated), {}
        for each in document.labelled_samples:
            prediction = self._predictions.get(each.sample)
            before = known.get(each)
            kept = before is not None and before[0] == prediction
            self._tiles[each] = (
                before if before and kept else (prediction, self._tile(each, prediction, is_evaluated))
            )
        self.thumbnails.show_tiles([self._tiles[each][1] for each in document.labelled_samples])

    @property
    def has_predictions(self) -> bool:
        """Whether there are predictions, of a model with the classes of some of these drawings."""
        document = self._document
        if document is None or not document.can_train or not self._predictions:
            return False
        return any(each.label in document.labels for each in document.labelled_samples)

    @property
    def correct_count(self) -> int:
        """The number of correct predictions; for the label "neither", unsure is correct."""
        labelled = () if self._document is None else self._document.labelled_samples
        return sum(self._is_correct(each) for each in labelled)

    def _is_correct(self, labelled: LabelledSample) -> bool:
        prediction = self._predictions.get(labelled.sample)
        return prediction is not None and prediction.predicted_class == (
            UNSURE if labelled.label == NO_CLASS else labelled.label
        )

    def _tile(
        self, labelled: LabelledSample, prediction: LabelledPrediction | None, is_evaluated: bool
    ) -> Thumbnail:
        """is_evaluated: whether a wrong prediction is marked."""
        weight = "" if labelled.weight == 1 else f"×{labelled.weight}"
        badge, description = "", ""
        if prediction is not None and self._document is not None:
            network = self._document.models[0].network
            vote = vote_text(network, prediction.vote)
            description = self.tr("predicted {0}, {1}").format(prediction.predicted_class, vote)
            if is_evaluated and labelled.label in self._labels and not self._is_correct(labelled):
                badge = f"→ {'?' if prediction.predicted_class == UNSURE else prediction.predicted_class}"
        label, classes = labelled.label, self._labels[:-1]
        index = classes.index(label) if label in classes else -1
        picture, faded = self._pictures[labelled], labelled.weight == 0
        return Thumbnail(picture, label, weight, faded, badge, description, class_index=index)

    def _update_tools(self) -> None:
        selected = self._selected
        for label, button in self.label_buttons.items():
            button.setChecked(selected is not None and selected.label == label)
        weight = 1 if selected is None else selected.weight
        self.weight_row.show_value(weight, f"×{weight}")

    @property
    def _selected(self) -> LabelledSample | None:
        labelled = () if self._document is None else self._document.labelled_samples
        return labelled[self.thumbnails.current] if 0 <= self.thumbnails.current < len(labelled) else None

    # -- user input --------------------------------------------------------------------------------------------

    def _replace_selected(self, after: LabelledSample | None, text: str, merge: str = "") -> None:
        """Replaces the selected drawing by `after`; None deletes it."""
        if self._document is None or self._selected is None:
            return
        at, labelled = self.thumbnails.current, self._document.labelled_samples
        new = () if after is None else (after,)
        self.edited.emit(
            replace(self._document, labelled_samples=labelled[:at] + new + labelled[at + 1 :]), text, merge
        )

    def relabel(self, label: str) -> None:
        """Changes the label of the selected drawing."""
        if self._selected is not None and self._selected.label != label:
            self._replace_selected(replace(self._selected, label=label), self.tr("Relabel as {0}").format(label))
        self._update_tools()

    def set_weight(self, weight: int, merge: str = "") -> None:
        """Sets the weight of the selected drawing, clipped to the valid range."""
        weight = min(max(weight, 0), MAX_WEIGHT)
        if self._selected is not None and self._selected.weight != weight:
            text = self.tr("Weight ×{0}").format(weight)
            self._replace_selected(replace(self._selected, weight=weight), text, merge)

    def delete_selected(self) -> None:
        """Deletes the selected drawing."""
        self._replace_selected(None, self.tr("Delete drawing"))

    def put_on_canvas(self) -> None:
        """Puts the selected drawing on the canvas; one of a kind of data that the network does not read, never."""
        document, selected = self._document, self._selected
        if document is None or selected is None:
            return
        if selected.sample.has_source_of(document.kind):
            self.edited.emit(document.with_input(selected.sample), self.tr("Own drawing"), "")
        else:
            text = self.tr("The network reads {0}; choose one for {1} to see this again.")
            self.message.emit(text.format(document.kind.plural, selected.sample.kind.plural))

    def _on_picked(self, at: int) -> None:
        self.put_on_canvas()

    def _on_key(self, event: QKeyEvent) -> None:
        """Letters relabel, plus and minus change the weight, Del deletes."""
        key, modifiers = Qt.Key(event.key()), Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
        selected = self._selected
        if selected is None or event.modifiers() & modifiers:
            return
        letters = {letter: label for label, letter in label_keys(self._labels).items()}
        letter = chr(event.key()) if Qt.Key.Key_A <= key <= Qt.Key.Key_Z else ""
        if letter in letters:
            self.relabel(letters[letter])
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_selected()
        elif key in _INCREASE_KEYS:
            self.set_weight(selected.weight + 1)
        elif key == Qt.Key.Key_Minus:
            self.set_weight(selected.weight - 1)
        else:
            return
        event.accept()

    def _show_menu(self, at: int, position: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self.tr("&Put on the canvas"), self.put_on_canvas)
        menu.addSeparator()
        labels = QActionGroup(menu)
        labels.triggered.connect(self._relabel_by_menu)
        for label in self._labels:
            action = menu.addAction(self.tr("Label as {0}").format(with_mnemonic(label, label_keys(self._labels))))
            action.setCheckable(True)
            action.setChecked(self._selected is not None and self._selected.label == label)
            action.setData(label)
            labels.addAction(action)
        menu.addSeparator()
        menu.addAction(self.tr("&Increase weight (+)"), self._increase_weight)
        menu.addAction(self.tr("D&ecrease weight (−)"), self._decrease_weight)
        menu.addSeparator()
        menu.addAction(self.tr("&Delete (Del)"), self.delete_selected)
        menu.popup(position)

    def _relabel_by_menu(self, action: QAction) -> None:
        self.relabel(str(action.data()))

    def _increase_weight(self) -> None:
        if self._selected is not None:
            self.set_weight(self._selected.weight + 1)

    def _decrease_weight(self) -> None:
        if self._selected is not None:
            self.set_weight(self._selected.weight - 1)

    def _relabel_by_button(self, button: QAbstractButton) -> None:
        self.relabel(button.objectName())

    def _on_slider_changed(self, weight: int) -> None:
        self.set_weight(weight, f"weight of drawing {self.thumbnails.current} {self._drag_count}")
        self._update_tools()

    def _on_slider_grabbed(self) -> None:
        self._drag_count += 1

    def _reset_weight(self) -> None:
        self.set_weight(1)

    # -- widgets -----------------------------------------------------------------------------------------------

    def _create_thumbnails(self) -> None:
        tip = self.tr("Click: select. Double click or Return: put on the canvas. Its letter: relabel. Del: delete")
        self.thumbnails = Thumbnails(self.tr("My drawings"), tip, self, click_selects=True)
        self.thumbnails.chosen.connect(self._update_tools)
        self.thumbnails.picked.connect(self._on_picked)
        self.thumbnails.key_pressed.connect(self._on_key)
        self.thumbnails.menu_requested.connect(self._show_menu)

    def _create_tools(self) -> None:
        self.label_buttons: dict[str, CompactButton] = {}
        self._label_group = QButtonGroup(self)
        self._label_group.setExclusive(False)  # Tab would skip the unchecked ones
        self._label_group.buttonClicked.connect(self._relabel_by_button)
        self._label_row = QHBoxLayout()
        self._label_row.setSpacing(4)
        tip = self.tr("Delete the selected drawing (Del); it can be undone")
        self.delete_button = CompactButton(self.tr("Delete"), tip, self.delete_selected, self, (3, 7))
        self.delete_button.setAccessibleName(self.delete_button.toolTip())
        self._weight_box = QWidget(self)
        self.weight_row = SliderRow(self.tr("Weight"), "×20", self._weight_box)
        self.weight_row.slider.setRange(0, MAX_WEIGHT)
        self.weight_row.slider.setPageStep(5)
        self.weight_row.set_help(
            self.tr("How many times the selected drawing occurs in every epoch; 0 leaves it out (+ and −)")
        )
        self.weight_row.slider.change_started.connect(self._on_slider_grabbed)
        self.weight_row.slider.valueChanged.connect(self._on_slider_changed)
        self.weight_row.reset.connect(self._reset_weight)

    def _make_label_buttons(self) -> None:
        """Makes a button for each label."""
        for button in self.label_buttons.values():
            self._label_row.removeWidget(button)
            self._label_group.removeButton(button)
            button.hide()
            button.deleteLater()
        self.label_buttons = {}
        for label in self._labels:
            tip = self.tr("Label the selected drawing as {0}").format(label)
            text = "?" if label == NO_CLASS else label
            button = CompactButton(text, tip, None, self, (3, 7))
            self._label_group.addButton(button)
            button.setObjectName(label)
            button.setCheckable(True)
            button.setAccessibleName(tip)
            self._label_row.addWidget(button)
            self.label_buttons[label] = button
        text = self.tr(
            "None yet. Draw on the canvas, then press {0} there: the drawing is saved here as {1}, and used for "
            "training."
        )
        or_text, keys = self.tr(" or "), label_keys(self._labels)
        letters = [keys[label] for label in self._labels if label in keys]
        phrases = [class_phrase(label) for label in self._labels]
        listed = [or_text.join(filter(None, (", ".join(each[:-1]), each[-1]))) for each in (letters, phrases)]
        self._hint.setText(text.format(*listed))

    def _create_layout(self) -> None:
        tools = QHBoxLayout()
        tools.setSpacing(4)
        tools.addLayout(self._label_row)
        weight = QHBoxLayout(self._weight_box)
        weight.setContentsMargins(6, 0, 6, 0)
        weight.setSpacing(6)
        self.weight_row.label.hide()  # "×3" is enough where space is scarce
        weight.addWidget(self.weight_row.slider, 1)
        weight.addWidget(self.weight_row.value)
        self.weight_row.slider.setMinimumWidth(36)
        tools.addWidget(self._weight_box, 1)
        tools.addWidget(self.delete_button)
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.thumbnails, 1)
        column.addLayout(tools)
        self._hint = EmptyLabel("", "drawings", self)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._hint)
        self._pages.addWidget(full)
