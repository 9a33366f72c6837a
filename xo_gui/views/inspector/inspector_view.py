"""Inspector view: the arithmetic of one value, its weights, attribution, and feature profile, on four pages."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QPalette, QShowEvent
from PySide6.QtWidgets import QLabel, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from engine.backends import HostArray
from engine.documents import Document
from engine.explain import Explanation, ExplanationQuery
from engine.nn import Model, Prediction
from engine.runtime import AnyQuery, Snapshot
from xo_gui.app import SMALL_PX, font
from xo_gui.state import CellRef, Selection, TrainingSettings
from xo_gui.views.inspector.attribution_page import AttributionPage
from xo_gui.views.inspector.feature_page import FeaturePage
from xo_gui.views.inspector.feature_profile_page import FeatureProfilePage
from xo_gui.views.inspector.sheet_blocks import Paragraph
from xo_gui.views.inspector.value_page import ValuePage
from xo_gui.views.inspector.value_text import ValueContext
from xo_gui.views.network import explained_cell, lettered_place
from xo_gui.views.view import View
from xo_gui.widgets import fixed_text

VALUE_PX = 24
# Least time between two changes of the description for screen readers.
DESCRIPTION_MS = 250
# Least time between two updates of the numbers during a stroke: the canvas needs the rest.
REFRESH_MS = 80


class InspectorView(View):
    """Explains the hovered value, or else the pinned one."""

    title = "Inspector"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._predictions: tuple[Prediction, ...] = ()
        self._result: Explanation | None = None
        self._query: ExplanationQuery | None = None
        self._selection = Selection()
        self._document: Document | None = None
        self._settings: TrainingSettings | None = None
        self._description_timer = QTimer(self)
        self._description_timer.setSingleShot(True)
        self._description_timer.setInterval(DESCRIPTION_MS)
        self._description_timer.timeout.connect(self._update_description)
        self._refresh_timer = QTimer(self)
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.timeout.connect(self._refresh)
        self._build()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(self.tr("Inspector"))
        self.setWhatsThis(
            self.tr(
                "Shows how one value was computed: the values it was made from, the weights they were multiplied "
                "by, the sum, and the bias. Click a value in the network to pin it; pointing at another shows that "
                "one instead; Esc deselects. Numbers here can be clicked, too: each leads to its value."
            )
        )
        self._refresh()

    def _build(self) -> None:
        self.place_label, self.value_label = QLabel(self), QLabel(self)
        self.place_label.setFont(font(SMALL_PX))
        self.place_label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.place_label.setWordWrap(True)
        self.value_label.setFont(font(VALUE_PX, strong=True))
        self.value_page, self.feature_page = ValuePage(self), FeaturePage(self)
        self.attribution_page, self.profile_page = AttributionPage(self), FeatureProfilePage(self)
        self.feature_page.edited.connect(self._apply_edit)
        self.feature_page.feature_clicked.connect(self.pinned)
        self.feature_page.message.connect(self.message)
        self.value_page.cell_clicked.connect(self.pinned)
        self.value_page.stepped_to.connect(self.stepped_to)
        self.value_page.changed.connect(self._refresh)
        self.attribution_page.query_changed.connect(self._refresh)
        self.profile_page.query_changed.connect(self._refresh)
        self.profile_page.draw_requested.connect(self._draw)
        self.attribution_page.draw_requested.connect(self._draw)
        self.tabs, self._pages = QTabBar(self), QStackedWidget(self)
        self.tabs.setObjectName("pages")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setAccessibleName(self.tr("Pages of the inspector"))
        for name, tip, page in (
            (self.tr("Value"), self.tr("The arithmetic that made this value"), self.value_page),
            (
                self.tr("Feature"),
                self.tr("Edit the weights behind this value"),
                self.feature_page,
            ),
            (
                self.tr("Gradient"),
                self.tr("What in the drawing changes the pinned value, or the predicted class"),
                self.attribution_page,
            ),
            (
                self.tr("Profile"),
                self.tr("Maximally activating input, and the examples that activate this value most and least"),
                self.profile_page,
            ),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(name), tip)
            self._pages.addWidget(page)
        self.tabs.currentChanged.connect(self._show_page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for widget in (self.place_label, self.value_label, self.tabs, self._pages):
            column.addWidget(widget)

    def sizeHint(self) -> QSize:
        return QSize(268, 420)

    def minimumSizeHint(self) -> QSize:
        """The least width at which a 5 × 5 window has numbers."""
        return QSize(240, 240)

    # --- state

    def set_document(self, document: Document) -> None:
        self._document = document

    def set_training(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._update_query(self._with_prediction(self._selection.pinned))

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Show the same value of this snapshot; without predictions, keep the last ones."""
        if snapshot.predictions:
            self._predictions, self._result = snapshot.predictions, snapshot.result(self._query)
            if not self._refresh_timer.isActive():
                self._refresh_timer.start(0 if snapshot.settled else REFRESH_MS)

    def set_selection(self, selection: Selection) -> None:
        if selection != self._selection:
            self._selection = selection
            self._refresh()

    def queries(self) -> frozenset[AnyQuery]:
        return frozenset() if self._query is None else frozenset({self._query})

    def set_on_top(self, on_top: bool) -> None:
        super().set_on_top(on_top)
        self._refresh()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh()

    def _shown_cell(self) -> tuple[CellRef, Prediction] | None:
        """The cell to show, with its prediction."""
        return next(filter(None, map(self._with_prediction, self._selection.cells)), None)

    def _with_prediction(self, cell: CellRef | None) -> tuple[CellRef, Prediction] | None:
        return explained_cell(self._predictions, cell)

    def _refresh(self) -> None:
        pinned = self._with_prediction(self._selection.pinned)
        self.value_page.set_pinned(pinned[1] if pinned else None, pinned[0] if pinned else None)
        self._update_query(pinned)
        if not self.is_on_screen:
            return
        shown = self._shown_cell()
        self.place_label.setText(
            lettered_place(self._predictions, shown[0]) if shown else self.tr("nothing selected")
        )
        self.value_label.setText(
            fixed_text(ValueContext(shown[1], shown[0]).value, self.value_page.truncate) if shown else ""
        )
        result = self._result if self._result and self._result.query == self._query else None
        if self._pages.currentWidget() is self.attribution_page and self._predictions:
            fit = self._document is not None and self._document.fit_to_frame
            self.attribution_page.set_result(self._predictions[self._model_index()], result, fit)
        elif self._pages.currentWidget() is self.feature_page:
            base = self._model_to_edit(pinned) if pinned else None
            prediction, cell = (None, None) if pinned is None or base is None else (pinned[1], pinned[0])
            self.feature_page.set_feature(prediction, base, cell)
            self.feature_page.set_ablation(result)
        elif self._pages.currentWidget() is self.profile_page:
            self.profile_page.set_result(pinned[0] if pinned else None, result)
        elif shown is None:
            waiting = self._predictions and self._selection.pinned is not None
            self.value_page.show_message(self.tr("Computing…") if waiting else self._empty_text())
        else:
            cell, prediction = shown
            self.value_page.show_cell(prediction, cell, pinned is not None and cell == pinned[0], result)
        if not self._description_timer.isActive():
            self._description_timer.start()

    def _model_to_edit(self, pinned: tuple[CellRef, Prediction]) -> Model | None:
        """The model that an edit starts from: the Document's, or as it is in training; None until the prediction of
        another network has come."""
        cell, prediction = pinned
        models = () if self._document is None else self._document.models
        model = models[cell.model_index] if cell.model_index < len(models) else None
        if model is None or model.network is not prediction.model.network:
            return None
        in_training = cell.model_index == 0 and self._settings is not None and self._settings.live
        return prediction.model if in_training else model

    def _model_index(self) -> int:
        """The model whose prediction the heat maps explain: the pinned value's, or else the hovered one's."""
        shown = self._with_prediction(self._selection.pinned) or self._shown_cell()
        return shown[0].model_index if shown else 0

    def _update_query(self, pinned: tuple[CellRef, Prediction] | None) -> None:
        """Set the query that the current page needs."""
        query: ExplanationQuery | None = None
        if self._predictions and self._pages.currentWidget() is self.attribution_page:
            model = self._model_index()
            query = self.attribution_page.query(self._predictions[model], model, pinned[0] if pinned else None)
        elif pinned is not None and self._pages.currentWidget() is self.feature_page:
            query = self.feature_page.query(pinned[1], pinned[0])
        elif self._pages.currentWidget() is self.profile_page:
            query = self.profile_page.query(pinned[0] if pinned else None, self._settings)
        elif pinned is not None and self._pages.currentWidget() is self.value_page:
            query = self.value_page.query(pinned[1], pinned[0])
        if query != self._query:
            self._query = query
            self.queries_changed.emit()

    def _empty_text(self) -> str:
        return self.tr(
            "Click any value: a cell of a map, a pixel, a bar, a vote. The arithmetic that made it is shown here "
            "and follows the drawing and the training. Esc deselects."
        )

    def _update_description(self) -> None:
        """Describe the position, the value and the paragraphs for screen readers."""
        page = self._pages.currentWidget()
        sheets = {
            self.attribution_page: self.attribution_page.sheet,
            self.profile_page: self.profile_page.image_sheet,
        }
        sheet = sheets.get(page, self.value_page.sheet)
        notes = [block.text for block in sheet.blocks if isinstance(block, Paragraph)]
        if page is self.profile_page:
            notes.append(sheet.accessibleDescription())
        self.setAccessibleDescription(" ".join([self.place_label.text(), self.value_label.text(), *notes]).strip())

    # --- user actions

    def _apply_edit(self, model: Model, text: str, merge: str) -> None:
        """Replace the pinned value's model in the Document."""
        pinned = self._with_prediction(self._selection.pinned)
        if pinned is None or self._document is None:
            return
        models = list(self._document.models)
        models[pinned[0].model_index] = model
        self.edited.emit(self._document.with_models(tuple(models)), text, merge)

    def _draw(self, image: HostArray, text: str) -> None:
        """Replace the input by what is encoded as this image (H, W)."""
        if self._document is not None:
            self.edited.emit(self._document.with_image(image[None]), text, "")

    def show_profile_page(self) -> None:
        self.tabs.setCurrentIndex(self._pages.indexOf(self.profile_page))

    def _show_page(self, page: int) -> None:
        self._pages.setCurrentIndex(page)
        self._refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc deselects."""
        if event.key() == Qt.Key.Key_Escape and self._selection.pinned is not None:
            self.pinned.emit(None)
        else:
            super().keyPressEvent(event)
