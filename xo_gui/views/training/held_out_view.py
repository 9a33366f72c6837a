"""The Mistakes panel: the confusion matrix of the held-out drawings, and the misclassified ones, surest first."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from engine.backends import HostArray
from engine.data import Dataset
from engine.documents import Document
from engine.nn import Network, RunPoint, compute_votes
from engine.runtime import AnyQuery, HeldOutQuery, RunEvaluationQuery, Snapshot
from engine.training import Evaluation
from xo_gui.state import TrainingSettings
from xo_gui.views.training.confusion_table import HEADER_WIDTH, ConfusionTable
from xo_gui.views.view import View
from xo_gui.widgets import EmptyLabel, HintLabel, Thumbnail, Thumbnails, elided_text, vote_text

_SIDE = 84  # logical pixels of a thumbnail
_NAME_WIDTH = 60  # that the name of the predicted class may take in a caption
_MAX_SHOWN = 400


class HeldOutView(View):
    """The confusion matrix at the left, drawings at the right; a click on a cell shows its drawings, a click on a
    drawing puts it on the canvas."""

    title = "Mistakes"
    is_throttled = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._evaluation: Evaluation | None = None
        self._held_out: Dataset | None = None
        self._settings: TrainingSettings | None = None
        self._late: RunPoint | None = None  # the point evaluated, if the one shown is another
        self._indices: HostArray = np.zeros(0, np.int64)
        self.table, self.summary_label = ConfusionTable(self), EmptyLabel("", "mistakes", self)
        tip = self.tr("Click to put it on the canvas")
        self.thumbnails = Thumbnails(self.tr("Misclassified drawings"), tip, self, side=_SIDE)
        self.table.selection_changed.connect(self._on_cell_selected)
        self.thumbnails.picked.connect(self._put_on_canvas)
        self.thumbnails.key_pressed.connect(self._on_key)
        drawings = QVBoxLayout()
        drawings.setSpacing(6)
        drawings.addWidget(self.summary_label)
        drawings.addWidget(self.thumbnails, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addLayout(self._table_column())
        row.addLayout(drawings, 1)
        self._fill()

    def _table_column(self) -> QVBoxLayout:
        """The confusion table, and what its columns are."""
        heading = HintLabel(self.tr("predicted"), self)
        heading.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        heading.setContentsMargins(HEADER_WIDTH, 0, self.table.verticalScrollBar().sizeHint().width(), 0)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(heading)
        column.addWidget(self.table)
        column.addStretch(1)
        return column

    def sizeHint(self) -> QSize:
        return QSize(420, 190)

    def queries(self) -> frozenset[AnyQuery]:
        """The evaluation of a network that does not train, or of the training run."""
        run = RunEvaluationQuery()
        return frozenset({run} if self._settings is None else {run, HeldOutQuery(self._settings.data)})

    def set_training(self, settings: TrainingSettings) -> None:
        self._settings = settings

    def set_document(self, document: Document) -> None:
        self._document = document
        self._show_counts()
        if self._evaluation is None:
            self._fill()

    def set_snapshot(self, snapshot: Snapshot) -> None:
        found = snapshot.result(RunEvaluationQuery())
        if found is None and self._settings is not None:
            found = snapshot.result(HeldOutQuery(self._settings.data))
        evaluation, examples = (None, None) if found is None else (found.evaluation, found.examples)
        point = None if found is None else found.point
        is_late = snapshot.training is not None and point != snapshot.training.shown_point
        late = point if is_late else None
        if evaluation is not self._evaluation or late != self._late:
            self._evaluation, self._held_out, self._late = evaluation, examples, late
            self._show_counts()
            self._fill()

    def _show_counts(self) -> None:
        """Show the confusion matrix; without one, the classes of the network."""
        if self._evaluation is not None and self._held_out is not None:
            self.table.show_counts(self._held_out.classes, self._evaluation.metrics.confusion)
        elif self._document is not None:
            self.table.show_counts(self._document.models[0].network.classes, None)

    def _on_cell_selected(self) -> None:
        self._fill()
        self.thumbnails.set_current(0)
        self.thumbnails.scrollToTop()

    def _fill(self) -> None:
        """Show the drawings of the selected cell, or all mistakes."""
        evaluation, held_out, document = self._evaluation, self._held_out, self._document
        if evaluation is None or held_out is None or document is None:
            self._show_tiles((), self._empty_text)
            return
        network = document.models[0].network
        votes = compute_votes(network, np.nan_to_num(evaluation.scores, posinf=1e30, neginf=-1e30))
        self._indices = worst_first(votes, held_out.labels, self.table.cell)
        shown = self._indices[:_MAX_SHOWN]
        tiles = tuple(self._tile(network, held_out, votes[index], int(index)) for index in shown)
        self._show_tiles(tiles, self._sentence(held_out, len(self._indices)))

    @property
    def _empty_text(self) -> str:
        """Why there is nothing, and what to do."""
        if self._document is None or self._document.generates_examples:
            return self.tr("Held-out drawings are being evaluated; the mistakes appear here.")
        if self._document.can_train:
            return self.tr("Train on your drawings: one in five is held out, and the mistakes appear here.")
        return self.tr("No drawings of its classes can be generated to evaluate this network: choose one above.")

    def _show_tiles(self, tiles: tuple[Thumbnail, ...], text: str) -> None:
        self.thumbnails.show_tiles(tiles)
        self.thumbnails.setVisible(bool(tiles))
        self.summary_label.setText(text)
        self.summary_label.set_picture("mistakes" if self._evaluation is None else None)

    def _tile(self, network: Network, held_out: Dataset, votes: HostArray, index: int) -> Thumbnail:
        """A thumbnail with the true class, the predicted one and its vote."""
        label, predicted = int(held_out.labels[index]), int(votes.argmax())
        vote, name = vote_text(network, float(votes[predicted])), held_out.classes[predicted]
        truth = self.tr("neither") if label < 0 else held_out.classes[label]
        details = self.tr("{0}, predicted {1}, {2}").format(truth, name, vote)
        caption = f"→ {elided_text(name, _NAME_WIDTH)}, {vote}"
        return Thumbnail(held_out.images[index, 0], truth, caption, details=details, class_index=label)

    def _sentence(self, held_out: Dataset, count: int) -> str:
        """The number of drawings and their order, and whose predictions they are if not of the step shown."""
        text = self._count_text(held_out, count)
        return text if self._late is None else self.tr("After step {0}: {1}").format(self._late.step, text)

    def _count_text(self, held_out: Dataset, count: int) -> str:
        cell, labelled = self.table.cell, int((held_out.labels >= 0).sum())
        if cell is None and not count:
            return self.tr("No mistakes: all {0} drawings of a class are predicted correctly.").format(labelled)
        if cell is None:
            return self.tr("{0} of {1} misclassified, the surest first").format(count, labelled)
        names = (*held_out.classes, self.tr("neither"))
        if not count:
            text = self.tr("No {0} is predicted as {1}. Esc shows all mistakes.")
            return text.format(names[cell[0]], names[cell[1]])
        order = self.tr("the least sure first") if cell[0] == cell[1] else self.tr("the surest first")
        text = self.tr("{0}, predicted as {1}: {2}, {3}. Esc shows all mistakes.")
        return text.format(names[cell[0]], names[cell[1]], count, order)

    def _put_on_canvas(self, tile: int) -> None:
        if self._document is not None and self._held_out is not None:
            image = self._held_out.images[int(self._indices[tile])]
            self.edited.emit(self._document.with_image(image), self.tr("Held-out drawing"), "")

    def _on_key(self, event: QKeyEvent) -> None:
        """Esc deselects the cell."""
        if event.key() == Qt.Key.Key_Escape and self.table.cell is not None:
            self.table.clearSelection()
            event.accept()


def worst_first(votes: HostArray, labels: HostArray, cell: tuple[int, int] | None) -> HostArray:
    """Indices of the drawings to show, (n,), the surest first.

    cell: true class (the number of classes for "neither") and predicted class; where these agree, the least sure
    come first. None for all misclassified drawings, except "neither".
    """
    top, predicted = votes.max(1), votes.argmax(1)
    if cell is None:
        selected = (labels >= 0) & (predicted != labels)
    else:
        actual = np.where(labels < 0, votes.shape[1], labels)
        selected = (actual == cell[0]) & (predicted == cell[1])
    indices = np.flatnonzero(selected)
    order = top[indices] if cell is not None and cell[0] == cell[1] else -top[indices]
    ordered: HostArray = indices[np.argsort(order, kind="stable")]
    return ordered
