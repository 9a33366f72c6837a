"""Session: the owner of the Document, the Selection and the undo stack; it turns them into Requests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from engine.documents import Document, OpenRequest, OpenResult
from engine.nn import ChannelRanges, Model, Network
from engine.runtime import AnyQuery, Notice, Request, TrainingRequest
from xo_gui.state.selection import CellRef, Selection
from xo_gui.state.visible_values import needed_channels, union

UNDO_LIMIT = 500


class Replace(QUndoCommand):
    """Replaces one Document by another. Successive edits with the same non-empty merge key become one undo."""

    def __init__(self, session: Session, before: Document, after: Document, text: str, merge: str) -> None:
        super().__init__(text)
        self._session, self._before, self._after, self._merge = session, before, after, merge

    def id(self) -> int:
        return 1 if self._merge else -1

    def mergeWith(self, other: QUndoCommand) -> bool:
        if not isinstance(other, Replace) or other._merge != self._merge:
            return False
        self._after = other._after
        return True

    def undo(self) -> None:
        self._session._adopt(self._before)

    def redo(self) -> None:
        self._session._adopt(self._after)


class Session(QObject):
    """Every change of the Document goes through `edit`; a stroke in progress is only shown, through `preview`.

    changed: the Document or the preview changed. selection_changed: the Selection changed.
    request_changed: the Request has to be sent again. notice_received(Notice): a new notice of the engine.
    """

    changed = Signal()
    selection_changed = Signal()
    request_changed = Signal()
    notice_received = Signal(object)

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(UNDO_LIMIT)
        self.selection = Selection()
        self._document = document
        self._preview: Document | None = None
        self._generation = 1
        self._acknowledged = 0
        self._open_request: OpenRequest | None = None
        self._opened_number = 0
        self._visible_maps: dict[str, tuple[tuple[Network, ChannelRanges], ...]] = {}
        self._requested_channels: tuple[ChannelRanges | None, ...] = ()
        self._changed_at = perf_counter()

    @property
    def document(self) -> Document:
        """The Document, including a stroke in progress."""
        return self._preview or self._document

    @property
    def settled(self) -> Document:
        """The Document without a stroke in progress."""
        return self._document

    @property
    def generation(self) -> int:
        """A number that rises whenever the models are replaced."""
        return self._generation

    def preview(self, document: Document) -> None:
        """Show a Document that is not committed yet, such as a stroke in progress; one with the committed input
        ends the preview."""
        self._preview = None if document.input is self._document.input else document
        self._emit_changed()

    def edit(self, document: Document, text: str, merge: str = "") -> None:
        """Commit `document` as one undo called `text`; successive edits with the same `merge` key share an undo."""
        self._preview = None
        self.undo_stack.push(Replace(self, self._document, document, text, merge))

    def replace_model(self, model: Model, text: str) -> None:
        """Make `subject` the first model, as one undo called `text`; a stroke in progress continues."""
        self.replace_models((model, *self._document.models[1:]), text)

    def replace_models(self, models: tuple[Model, ...], text: str) -> None:
        """Replace the one or two models, as one undo called `text`; a stroke in progress continues.

        Where the first model reads pictures of another size, the stroke ends before, as an undo of its own.
        """
        sample = None if self._preview is None else self._preview.input
        if sample is not None and models[0].network.input_shape != self._document.models[0].network.input_shape:
            self.edit(self._document.with_input(sample), self.tr("Pen stroke"))
            sample = None
        self.edit(self._document.with_models(models), text)
        if sample is not None and sample.has_source_of(self._document.kind):
            self.preview(self._document.with_input(sample))

    def select(self, selection: Selection) -> None:
        """Replace the Selection."""
        if selection != self.selection:
            self.selection = selection
            self.selection_changed.emit()
            self._refresh_needed_channels()

    def set_visible_maps(self, panel: str, shown: tuple[tuple[Network, ChannelRanges], ...]) -> None:
        """Set which channels of which layers are visible in a panel, for each network shown there."""
        self._visible_maps[panel] = shown
        self._refresh_needed_channels()

    @property
    def needed_channels(self) -> tuple[ChannelRanges | None, ...]:
        """The channels of each layer that the engine has to send, for each model; None for all."""
        cells = self.selection.cells
        found = []
        for number, model in enumerate(self.document.models):
            selected = [(cell.layer, cell.channel) for cell in cells if cell.model_index == number]
            shown: ChannelRanges = {}
            for network, maps in (each[number] for each in self._visible_maps.values() if number < len(each)):
                if maps and network == model.network:
                    shown = union(shown, maps)
            found.append(needed_channels(model.network, shown, selected))
        return tuple(found)

    def _refresh_needed_channels(self) -> None:
        if self.needed_channels != self._requested_channels:
            self.request_changed.emit()

    def hover(self, cell: CellRef | None) -> None:
        """Select the value under the mouse; None for none."""
        self.select(replace(self.selection, hovered=cell))

    def pin(self, cell: CellRef | None) -> None:
        """Pin this value; None to deselect."""
        self.select(replace(self.selection, pinned=cell, animating=False))

    def step_to(self, cell: CellRef) -> None:
        """Pin this value as the next of an animation over its map."""
        self.select(replace(self.selection, pinned=cell, animating=True))

    def request(
        self,
        training: TrainingRequest | None = None,
        live: bool = False,
        queries: frozenset[AnyQuery] = frozenset(),
    ) -> Request:
        """The complete Request of what should be true now.

        training: what training should be doing; None before the first run.
        live: whether the weights in training make the predictions.
        queries: what the visible panels need computed.
        """
        self._requested_channels = self.needed_channels
        return Request(
            self._generation,
            self.document,
            self._preview is None,
            self._acknowledged,
            self._open_request,
            self._changed_at,
            training,
            live,
            queries=queries,
            visible_channels=self._requested_channels,
        )

    def restart_latency_clock(self) -> None:
        """Restart the latency measurement: a part of the Request that lives elsewhere changed just now."""
        self._changed_at = perf_counter()

    def open(self, path: Path) -> OpenRequest:
        """Have the engine read a file, so that the window never waits for a disk; the result carries the returned
        request."""
        number = self._open_request.number + 1 if self._open_request else 1
        self._open_request = OpenRequest(number, path, self.document.kind)
        self._emit_changed()
        return self._open_request

    def is_new(self, opened: OpenResult) -> bool:
        """Whether this is the first result of the latest open()."""
        if opened.request != self._open_request or opened.request.number == self._opened_number:
            return False
        self._opened_number = opened.request.number
        return True

    def is_opening(self, request: OpenRequest) -> bool:
        """Whether this is the latest open(), and its result has not come."""
        return request == self._open_request and request.number != self._opened_number

    def has_model(self, model: Model) -> bool:
        """Whether the Document holds this very model, weights included."""
        return any(one is model for one in self.document.models)

    def has_source(self, source: object) -> bool:
        """Whether the input is this very source."""
        return self.document.input.source is source

    def report_notices(self, notices: tuple[Notice, ...]) -> None:
        """Emit the notices that are new, and acknowledge them."""
        for notice in notices:
            if notice.number > self._acknowledged:
                self._acknowledged = notice.number
                self.notice_received.emit(notice)

    def _adopt(self, document: Document) -> None:
        before = self._document.models
        if document.models != before:
            self._generation += 1
        self._preview, self._document = None, document
        pinned = _followed(self.selection.pinned, before, document.models)
        hovered = _followed(self.selection.hovered, before, document.models)
        animating = self.selection.animating and pinned == self.selection.pinned
        self.select(replace(self.selection, pinned=pinned, hovered=hovered, animating=animating))
        self._emit_changed()

    def _emit_changed(self) -> None:
        self._changed_at = perf_counter()
        self.changed.emit()


def _followed(cell: CellRef | None, before: tuple[Model, ...], after: tuple[Model, ...]) -> CellRef | None:
    """The same value of the same model after the models were changed; None where that model has gone.

    A model is the same as before, perhaps at the other place, or was edited or trained, which keeps its network.
    """
    if cell is None or cell.model_index >= len(before):
        return None
    model = before[cell.model_index]
    places = sorted(range(len(after)), key=lambda place: (after[place] is not model, place != cell.model_index))
    for place in places:
        is_another = after[place] is not model and after[place] in before
        if after[place].network is model.network and not is_another:
            return replace(cell, model_index=place)
    return None
