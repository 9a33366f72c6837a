"""InputView: the base of the views that show and edit the input; a kind of data names the one that is for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from engine.data import NO_CLASS, ExampleInput, LabelledSample
from engine.documents import Document
from xo_gui.app import translate
from xo_gui.state import Statement
from xo_gui.views.data.drawings_page import blank_canvas_text, label_counts_text
from xo_gui.views.view import View


class InputView(View):
    """A view of the input. It has the Document while the kind of data asks for this view, and else None.

    name: what a kind of data calls the view (`DataKind.input_view`), its key in INPUT_VIEWS
    seed: of the examples
    """

    name: ClassVar[str]

    def __init__(self, parent: QWidget | None = None, seed: int | None = None) -> None:
        super().__init__(parent)
        self._document: Document | None = None
        self._rng = np.random.default_rng(seed)
        self._turns: Counter[str] = Counter()  # examples shown, by label
        self._example: object = None  # the source of the last one

    def set_document(self, document: Document) -> None:
        self._document = document if document.kind.input_view == self.name else None

    @property
    def key_widget(self) -> QWidget:
        """The widget that gets the keys of the labels while it has the focus."""
        return self

    def to_image(self) -> QImage:
        """A picture of the input for saving and copying."""
        return self.grab().toImage()

    def end_stroke(self) -> None:
        """Finish what is being edited, such as a stroke, as an edit of its own, before another edit."""

    def clear(self) -> None:
        """Make the input blank."""
        document = self._document
        if document is not None and not document.kind.is_empty(document.input.source):
            text = translate("InputView", "Clear")
            self.edited.emit(document.with_source(document.kind.blank()), text, "")

    def load_example(self, label: str) -> None:
        """Make the input an example of a class, or of "neither", another one with each call."""
        document = self._document
        if document is None:
            return
        shape = document.models[0].network.input_shape
        example = document.kind.example(label, shape, self._rng, self._turns[label])
        self._turns[label] += 1
        self._show_example(document, example, label)

    def load_named_example(self, label: str, name: str) -> None:
        """Make the input the example of a class that has this name."""
        document = self._document
        if document is not None:
            named = document.kind.named_examples(document.models[0].network.input_shape)
            self._turns[label] = 0  # so that the next example of the class is the plain one
            self._show_example(document, named[label][name], f"{label} {name}".strip())

    @property
    def shows_example(self) -> bool:
        """Whether the input is an example, unchanged."""
        if self._document is None:
            return False
        kind, shape = self._document.kind, self._document.models[0].network.input_shape
        named = (one.source for each in kind.named_examples(shape).values() for one in each.values())
        return any(self._has_source(source) for source in (self._example, *named))

    def _show_example(self, document: Document, example: ExampleInput[Any], name: str) -> None:
        self._example = example.source
        text = translate("InputView", "Example {}").format(name)
        self.edited.emit(document.with_source(example.source), text, "")
        if example.caption:
            self.stated.emit(Statement(example.caption, lambda: self._has_source(example.source)))

    def save_as(self, label: str) -> None:
        """Add the input, fitted if the Document says so, to the labelled ones; label: a class or "neither"."""
        self.end_stroke()
        document = self._document
        if document is None:
            return
        if label != NO_CLASS and document.kind.is_blank(document.encoded(document.models[0])):
            source = document.input.source
            self.stated.emit(Statement(blank_canvas_text(label), lambda: self._has_source(source)))
            return
        samples = (*document.labelled_samples, LabelledSample(document.fitted_input, label))
        text = translate("InputView", "Save as {0}").format(label)
        self.edited.emit(replace(document, labelled_samples=samples), text, "")
        saved = translate("InputView", "Saved as {0}: {1}.")
        self.message.emit(saved.format(label, label_counts_text(samples, document.labels)))

    def _has_source(self, source: object) -> bool:
        return self._document is not None and self._document.input.source is source
