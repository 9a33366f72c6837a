"""Session: edits, previews, undo, notices and the selection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.documents import DEFAULT, WALKTHROUGH, Document
from engine.documents.presets import handmade_parameters
from engine.drawings import Stroke
from engine.nn import Model
from engine.runtime import Notice
from xo_gui.state import CellRef, Session

WALK = Model("Walk-through", WALKTHROUGH.network, handmade_parameters())
OTHER = Model("Default", DEFAULT.network, DEFAULT.network.initial_parameters(1))


def session() -> Session:
    return Session(Document.blank(WALK))


def with_stroke(document: Document, x: float) -> Document:
    stroke = Stroke(np.array([[x, 0.1, 0.1], [x, 0.9, 0.1]], np.float32))
    return document.with_source(replace(document.input.source, strokes=(*document.input.source.strokes, stroke)))


def test_twenty_undos_and_redos_give_the_same_documents_back(qapp) -> None:
    owner = session()
    stages = [owner.document]
    for number in range(20):
        owner.edit(with_stroke(owner.document, number / 20), "Pen stroke")
        stages.append(owner.document)
    for document in reversed(stages[:-1]):
        owner.undo_stack.undo()
        assert owner.document is document
    for document in stages[1:]:
        owner.undo_stack.redo()
        assert owner.document is document
    assert not owner.undo_stack.canRedo()


def test_a_preview_is_shown_and_asked_for_but_is_no_edit(qapp, qtbot) -> None:
    owner = session()
    with qtbot.waitSignal(owner.changed, timeout=1000):
        owner.preview(with_stroke(owner.document, 0.5))
    request = owner.request()
    assert len(request.document.input.source.strokes) == 1
    assert request.settled is False
    assert not owner.undo_stack.canUndo()
    owner.edit(with_stroke(Document.blank(WALK), 0.6), "Pen stroke")
    assert owner.request().settled is True
    owner.undo_stack.undo()
    assert owner.document.input.source.strokes == ()


def test_a_stroke_given_up_leaves_nothing_behind(qapp) -> None:
    owner = session()
    before = owner.document
    owner.preview(with_stroke(before, 0.5))
    owner.preview(before)
    assert owner.document is before
    assert owner.request().settled is True
    assert not owner.undo_stack.canUndo()


def test_edits_with_the_same_word_are_one_undo(qapp) -> None:
    owner = session()
    for number in range(5):
        owner.edit(with_stroke(owner.document, number / 5), "Rotate", "rotate-1")
    owner.edit(with_stroke(owner.document, 0.9), "Rotate", "rotate-2")
    owner.undo_stack.undo()
    assert len(owner.document.input.source.strokes) == 5
    owner.undo_stack.undo()
    assert owner.document.input.source.strokes == ()


def test_the_generation_rises_only_when_the_network_is_replaced(qapp) -> None:
    owner = session()
    owner.edit(with_stroke(owner.document, 0.3), "Pen stroke")
    assert owner.generation == 1
    owner.edit(replace(owner.document, models=(OTHER,)), "Default network")
    assert owner.generation == 2
    owner.undo_stack.undo()
    assert owner.generation == 3
    assert owner.document.models == (WALK,)


def test_a_notice_is_passed_on_once_and_acknowledged(qapp) -> None:
    owner = session()
    received: list[Notice] = []
    owner.notice_received.connect(received.append)
    first, second = Notice(1, "one"), Notice(2, "two")
    owner.report_notices((first,))
    owner.report_notices((first, second))
    assert received == [first, second]
    assert owner.request().acknowledged == 2


def test_hovering_is_not_an_edit(qapp, qtbot) -> None:
    owner = session()
    with qtbot.waitSignal(owner.selection_changed, timeout=1000):
        owner.hover(CellRef(1, 2, 3, 4))
    assert owner.selection.hovered == CellRef(1, 2, 3, 4)
    assert not owner.undo_stack.canUndo()


def test_a_pinned_value_stays_with_its_model_and_ends_with_it(qapp) -> None:
    owner, cell = session(), CellRef(2, 1, 3, 3)
    edited = replace(WALK, parameters=dict(WALK.parameters))
    twin = replace(WALK)
    models = (
        ((edited, OTHER), CellRef(2, 1, 3, 3)),  # edited or trained, and compared
        ((OTHER, edited), CellRef(2, 1, 3, 3, 1)),  # swapped
        ((OTHER, WALK), CellRef(2, 1, 3, 3, 1)),
        ((WALK, twin), CellRef(2, 1, 3, 3)),  # two moments of one training
        ((twin, replace(WALK)), CellRef(2, 1, 3, 3, 1)),  # and those swapped
        ((twin,), None),
    )
    owner.pin(cell)
    for after, expected in models:
        owner.replace_models(after, "models")
        assert owner.selection.pinned == expected
    owner.pin(cell)
    owner.hover(cell)
    loaded = Model("the same file again", WALKTHROUGH.network.with_classes(("A", "B")), WALK.parameters)
    owner.replace_model(loaded, "other")
    assert (owner.selection.pinned, owner.selection.hovered) == (None, None)
