"""Data view: the training data: the user's labelled drawings, the generator, and the current batch."""

from __future__ import annotations

from time import perf_counter
from typing import Final

import numpy as np
from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QPalette, QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QStackedLayout,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine.backends import HostArray
from engine.data import NO_CLASS, Dataset, TrainingData, total_weight
from engine.documents import Document
from engine.runtime import AnyQuery, LabelledPredictionsQuery, SamplesQuery, Snapshot, TrainingReport
from xo_gui.app import SMALL_PX, font
from xo_gui.state import BranchWithNewData, Restart, Start, TrainingSettings
from xo_gui.views.data.drawings_page import DrawingsPage, generated_counts_text, label_counts_text
from xo_gui.views.data.generator_page import GeneratorPage
from xo_gui.views.view import View
from xo_gui.widgets import CompactButton, EmptyLabel, HeaderButton, Thumbnail, Thumbnails

_UPDATE_INTERVAL: Final = 0.25  # seconds between two batches that are shown during training


class BatchPage(QWidget):
    """The drawings of the last training batch. Signal `edited`: as of View."""

    edited = Signal(object, str, str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._training: TrainingReport | None = None
        self._generated = 0
        self._examples: Dataset | None = None
        self._batch: HostArray = np.zeros(0, np.int64)
        self._updated_at = 0.0
        self._update_timer = QTimer(self)
        self._update_timer.setSingleShot(True)
        self._update_timer.timeout.connect(self._update)
        tip = self.tr("Put this drawing on the canvas")
        self.thumbnails = Thumbnails(self.tr("Drawings of the last step"), tip, self)
        self.thumbnails.picked.connect(self._put_on_canvas)
        self.summary = QLabel(self)
        self.summary.setFont(font(SMALL_PX))
        full = QWidget(self)
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.summary)
        column.addWidget(self.thumbnails, 1)
        text = self.tr("Train, or run one step: the drawings of the batch are shown here.")
        empty = EmptyLabel(text, "batch", self)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(empty)
        self._pages.addWidget(full)

    def set_document(self, document: Document) -> None:
        self._document = document

    def set_training(self, settings: TrainingSettings) -> None:
        """Notes where the labelled drawings begin among the examples."""
        self._generated = (
            settings.data.count if settings.training_data is None else settings.training_data.generated_count
        )

    def set_training_report(self, training: TrainingReport | None) -> None:
        """Shows the batch of the last step, at most every _UPDATE_INTERVAL, while the page is visible."""
        self._training = training
        if not self.isVisible() or self._update_timer.isActive():
            return
        self._update_timer.start(max(0, round(1000 * (self._updated_at + _UPDATE_INTERVAL - perf_counter()))))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._update()

    def _update(self) -> None:
        self._updated_at, training = perf_counter(), self._training
        examples = None if training is None else training.examples
        batch = np.zeros(0, np.int64) if training is None or examples is None else training.batch
        if examples is self._examples and batch is self._batch:
            return
        self._examples, self._batch = examples, batch
        self._pages.setCurrentIndex(1 if len(batch) else 0)
        if training is None or examples is None or not len(batch):
            self.thumbnails.show_tiles(())
            return
        names = (*examples.classes, NO_CLASS)
        labels = [names[label] for label in examples.labels[batch]]
        is_labelled = batch >= self._generated
        self.thumbnails.show_tiles(
            [
                Thumbnail(
                    examples.images[at, 0],
                    label,
                    self.tr("mine") if labelled else "",
                    class_index=int(examples.labels[at]),
                )
                for at, label, labelled in zip(batch, labels, is_labelled, strict=True)
            ]
        )
        counts = ", ".join(f"{labels.count(name)} {name}" for name in names)
        text = self.tr("step {0}: {1}").format(training.current_point.step, counts)
        if is_labelled.any():
            text += self.tr("; {0} of yours").format(int(is_labelled.sum()))
        self.summary.setText(text)

    def _put_on_canvas(self, at: int) -> None:
        if self._document is not None and self._examples is not None:
            image = self._examples.images[self._batch[at]]
            self.edited.emit(self._document.with_image(image), self.tr("Drawing of the batch"), "")


class DataView(View):
    """Three pages, and below them a summary of the training data."""

    title = "Data"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._settings: TrainingSettings | None = None
        self.drawings_page, self.generator_page, self.batch_page = (
            DrawingsPage(self),
            GeneratorPage(self),
            BatchPage(self),
        )
        self.stack = QStackedWidget(self)
        for page in (self.drawings_page, self.generator_page, self.batch_page):
            self.stack.addWidget(page)
            page.edited.connect(self.edited)
        self.drawings_page.message.connect(self.message)
        self.generator_page.commanded.connect(self.commanded)
        self.generator_page.message.connect(self.message)
        self._create_header()
        self._create_footer()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._header)
        column.addWidget(self.stack, 1)
        column.addLayout(self._footer)

    def sizeHint(self) -> QSize:
        return QSize(225, 200)  # five drawings beside each other

    # -- state -------------------------------------------------------------------------------------------------

    def set_document(self, document: Document) -> None:
        before, self._document = self._document, document
        for page in (self.drawings_page, self.generator_page, self.batch_page):
            page.set_document(document)
        if (
            before is None
            or before.labelled_samples != document.labelled_samples
            or before.models != document.models
        ):
            self._update_summary()

    def set_training(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self.generator_page.set_training(settings)
        self.batch_page.set_training(settings)
        self._update_summary()

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if self._settings is not None:
            samples = snapshot.result(SamplesQuery(self._settings.data.generator))
            if samples is not None:
                self.generator_page.set_samples(samples)
        shown_point = None if snapshot.training is None else snapshot.training.shown_point
        predictions = snapshot.result(LabelledPredictionsQuery()) or {}
        if self.drawings_page.set_predictions(predictions, shown_point):
            self._update_summary()
        self.batch_page.set_training_report(snapshot.training)

    def _update_summary(self) -> None:
        """Shows the training data and, if it differs from that of the run, the buttons to apply it."""
        document, settings = self._document, self._settings
        if document is None or settings is None:
            return
        edited = TrainingData(settings.data, document.labelled_samples)
        self._drawings_button.setText(self.tr("mine · {0}").format(len(document.labelled_samples)))
        is_pending = settings.training_data is not None and settings.training_data != edited
        self.restart_button.setVisible(is_pending)
        self.continue_button.setVisible(is_pending)
        on_generator_page = self.stack.currentWidget() is self.generator_page
        if is_pending:
            text = self.tr("Not trained on yet:")
            counts = generated_counts_text(settings.data) if document.generates_examples else ""
            self.summary.setText(f"{text} {counts}" if on_generator_page and counts else text)
            self.summary.setToolTip(self.tr("Changes here are used from the next start or branch on."))
            return
        if not document.can_train:
            text = self.tr("The classes of {0} are {1}: it cannot be trained on these.")
            model = document.models[0]
            self.summary.setText(text.format(model.name, self.tr(" and ").join(model.network.classes)))
            self.summary.setToolTip(self.summary.text())
            return
        if not document.generates_examples:
            self._update_own_summary(document, settings)
            return
        generated = f"{settings.data.count:,}".replace(",", " ")
        if not document.labelled_samples and on_generator_page:
            text = self.tr("Per epoch: {0}.").format(generated_counts_text(settings.data))
        elif not document.labelled_samples:
            text = self.tr("Trains on {0} generated drawings.").format(generated)
            if settings.data.fresh:
                text = self.tr("Trains on {0} generated drawings, new ones in every epoch.").format(generated)
        elif self.stack.currentWidget() is self.drawings_page:
            text = self._own_counts_text(document)
        elif on_generator_page:
            text = self.tr("{0}, and {1} of yours.").format(
                generated_counts_text(settings.data),
                total_weight(document.labelled_samples),
            )
        else:
            text = self.tr("Trains on {0} generated, {1} of yours.")
            text = text.format(generated, total_weight(document.labelled_samples))
        self.summary.setText(text)
        tip = self.tr("Every epoch has {0} generated drawings and {1} of yours, each counted by its weight")
        self.summary.setToolTip(tip.format(generated, total_weight(document.labelled_samples)))

    def _own_counts_text(self, document: Document) -> str:
        """How many drawings of each label there are, and how many of them are predicted correctly."""
        text = label_counts_text(document.labelled_samples, document.labels)
        late, said = self.drawings_page.late_step, self.tr("; {0} predicted correctly.")
        if late is not None:
            said = self.tr("; after step {1}, {0} predicted correctly.")
        has_predictions = self.drawings_page.has_predictions
        return text + (said.format(self.drawings_page.correct_count, late) if has_predictions else ".")

    def _update_own_summary(self, document: Document, settings: TrainingSettings) -> None:
        """Shows what is trained on where all examples are variations of the user's drawings."""
        count = f"{settings.data.count:,}".replace(",", " ")
        if not document.labelled_samples:
            text = self.tr("Trains on your drawings of these classes; there are none yet.")
        elif self.stack.currentWidget() is self.drawings_page:
            text = self._own_counts_text(document)
        else:
            text = self.tr("Per epoch: {0} variations of your drawings, as many of each class.").format(count)
        self.summary.setText(text)
        tip = self.tr(
            "Every epoch has {0} variations of your drawings, as many of each class; one in five is held out"
        )
        self.summary.setToolTip(tip.format(count))

    # -- user input --------------------------------------------------------------------------------------------

    def _set_page(self, page: int) -> None:
        self.stack.setCurrentIndex(page)
        self._update_summary()
        self.queries_changed.emit()

    def queries(self) -> frozenset[AnyQuery]:
        """What the visible page needs."""
        if self.stack.currentWidget() is self.drawings_page:
            return frozenset({LabelledPredictionsQuery()})
        if self.stack.currentWidget() is self.generator_page and self._settings is not None:
            return frozenset({SamplesQuery(self._settings.data.generator)})
        return frozenset()

    def _restart(self) -> None:
        self.commanded.emit(Restart())
        self.commanded.emit(Start())

    def _continue(self) -> None:
        self.commanded.emit(BranchWithNewData())

    # -- widgets -----------------------------------------------------------------------------------------------

    def _create_header(self) -> None:
        self._header = QHBoxLayout()
        self._header.setSpacing(2)
        self.page_buttons = QButtonGroup(self)
        for at, (name, tip) in enumerate(
            (
                (self.tr("mine"), self.tr("The drawings that you saved with the letter of a class on the canvas")),
                (self.tr("generated"), self.tr("The generator of the training drawings")),
                (self.tr("batch"), self.tr("The drawings of the last training batch")),
            )
        ):
            button = HeaderButton(name, tip, self, self.tr("Data: {0}").format(name))
            button.setCheckable(True)
            button.setChecked(at == 0)
            self.page_buttons.addButton(button, at)
            self._header.addWidget(button)
        self._drawings_button = self.page_buttons.button(0)
        self._header.addStretch()
        self.page_buttons.idClicked.connect(self._set_page)

    def _create_footer(self) -> None:
        self.summary = QLabel(self)
        self.summary.setFont(font(SMALL_PX))
        self.summary.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.summary.setWordWrap(True)
        self._footer = QHBoxLayout()
        self._footer.setSpacing(4)
        self._footer.addWidget(self.summary, 1)
        tip = self.tr("Restart from the same initial weights, with these drawings, on a new branch")
        self.restart_button = CompactButton(self.tr("Restart"), tip, self._restart, self, (3, 4), small=True)
        tip = self.tr("Continue from these weights, with these drawings, on a new branch")
        self.continue_button = CompactButton(self.tr("Continue"), tip, self._continue, self, (3, 4), small=True)
        for button in (self.restart_button, self.continue_button):
            self._footer.addWidget(button)
