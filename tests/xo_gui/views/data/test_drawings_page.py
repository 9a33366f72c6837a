"""Labelling the canvas with one key, and training on labelled drawings, in the main window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from engine.documents import Document
from engine.drawings import render
from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand
from tests.xo_gui.views.training.test_training_view import Coach, coach  # noqa: F401
from xo_gui.state import BranchWithNewData, Pause


def press(hand: Hand, *keys: str) -> None:
    hand.canvas.setFocus()
    for key in keys:
        QTest.keyClick(hand.canvas, key)


def labels(document: Document) -> list[str]:
    return [own.label for own in document.labelled_samples]


def last_words(hand: Hand) -> str:
    return hand.window.statusBar().currentMessage()


def test_one_key_saves_the_canvas_and_the_bar_counts(hand: Hand) -> None:
    hand.draw(X_ARMS)
    press(hand, "x", "x")
    hand.window.drawing_view.clear()
    hand.draw(CIRCLE)
    press(hand, "o", "n")
    document = hand.window.session.document
    assert labels(document) == ["X", "X", "O", "neither"]
    assert last_words(hand) == "Saved as neither: 2 X, 1 O, 1 neither."
    assert document.labelled_samples[2].sample.source is document.input.source
    assert (
        render(document.labelled_samples[0].sample.source, 32)[16, 16]
        == 1
        > render(document.labelled_samples[2].sample.source, 32)[16, 16]
    )


def test_saving_is_undone_and_redone_like_any_edit(hand: Hand) -> None:
    hand.draw(X_ARMS)
    undo = hand.window.session.undo_stack
    press(hand, "x", "o", "n")
    documents = []
    for _ in range(3):
        documents.append(hand.window.session.document)
        undo.undo()
    assert labels(hand.window.session.document) == []
    assert undo.redoText() == "Save as X"
    for document in reversed(documents):
        undo.redo()
        assert hand.window.session.document is document


def test_a_blank_canvas_is_neither_but_no_letter(hand: Hand) -> None:
    press(hand, "x")
    assert last_words(hand) == "A blank canvas is not an X: draw one first, or save the blank as neither (N)."
    hand.draw(X_ARMS)
    hand.draw([[(0.1, y / 40), (0.9, y / 40)] for y in range(4, 38)], Qt.MouseButton.RightButton)
    press(hand, "o")
    assert labels(hand.window.session.document) == []
    press(hand, "n")
    assert labels(hand.window.session.document) == ["neither"]


def test_a_stroke_under_way_ends_first_and_is_saved_with_the_rest(hand: Hand) -> None:
    hand.draw(X_ARMS[:1])
    hand.press(X_ARMS[1][0])
    for place in X_ARMS[1]:
        hand.move(place)
    press(hand, "x")
    document = hand.window.session.document
    assert len(document.labelled_samples[0].sample.source.strokes) == len(document.input.source.strokes) == 2
    hand.window.session.undo_stack.undo()
    assert labels(hand.window.session.document) == []
    assert len(hand.window.session.document.input.source.strokes) == 2


def test_what_is_saved_is_what_the_network_reads(hand: Hand) -> None:
    hand.draw([[(x / 3, y / 3) for x, y in arm] for arm in X_ARMS])
    as_drawn = hand.window.last.predictions[0].activations[0]
    hand.window.drawing_view.fit_box.click()
    hand.qtbot.waitUntil(lambda: not np.array_equal(hand.window.last.predictions[0].activations[0], as_drawn))
    press(hand, "x")
    own = hand.window.session.document.labelled_samples[0]
    np.testing.assert_array_equal(render(own.sample.source, 48), hand.window.last.predictions[0].activations[0][0])


def test_letters_typed_elsewhere_save_nothing(hand: Hand) -> None:
    hand.draw(X_ARMS)
    hand.window.network_view.setFocus()
    QTest.keyClick(hand.window.network_view, "x")
    assert labels(hand.window.session.document) == []


def test_another_network_reads_but_takes_no_drawing_away(hand: Hand) -> None:
    hand.draw(X_ARMS)
    press(hand, "x")
    own = hand.window.session.document.labelled_samples
    hand.window.use_preset("walkthrough")
    assert hand.window.session.document.labelled_samples is own


def test_training_learns_from_them_from_the_next_start_or_branch_on(coach: Coach, hand: Hand) -> None:  # noqa: F811
    coach.click(coach.panel.step_button)
    coach.stand()
    hand.window.drawing_view.load_example("O")
    press(hand, "n")
    drawing, document = hand.window.session.document.input.source, hand.window.session.document
    hand.window.session.edit(
        replace(document, labelled_samples=(replace(document.labelled_samples[0], weight=5),)), "weight"
    )
    coach.click(coach.panel.step_button)
    assert len(coach.until(lambda training: training.current_point.step == 2).examples) == 600
    coach.stand()
    hand.window.training.execute(BranchWithNewData())
    report = coach.until(lambda training: len(training.branches) == 2 and training.current_point.step > 2)
    hand.window.training.execute(Pause())
    coach.stand()
    assert report.branches[1].parent.step == 2
    assert len(report.examples) == 605
    np.testing.assert_array_equal(report.examples.images[-1, 0], render(drawing, 48))
    assert report.examples.labels[-5:].tolist() == [-1] * 5
    assert hand.window.session.document.labelled_samples[0].weight == 5
