"""The votes panel: bars and sentence for an X, an O, neither, a blank canvas, and the walk-through."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.data.xo import ARTICLE_PICTURES
from engine.documents import DEFAULT, WALKTHROUGH, Document, shipped_model
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing
from engine.nn import Model, Network, predict_class
from engine.nn.layers import Dense, Flatten
from engine.runtime import Request, Runner, Snapshot
from tests.samples import drawing_sample
from xo_gui.app import DARK, Theme, theme_service
from xo_gui.app.theme import LIGHT
from xo_gui.views.votes import VotesView
from xo_gui.widgets import four_digit_text, operands, percent_text, percent_texts, short_text, vote_text, vote_texts

DEFAULT_SUBJECT = Model("Default", DEFAULT.network, DEFAULT.network.initial_parameters(0), threshold=0.8)
WALK = Model("Walk-through", WALKTHROUGH.network, handmade_parameters())
DRAWN = Drawing(image=ARTICLE_PICTURES["X"])


@pytest.fixture
def view(qtbot: QtBot) -> VotesView:
    made = VotesView()
    qtbot.addWidget(made)
    made.resize(232, 150)
    made.show()
    return made


def snapshot(models: tuple[Model, ...], drawing: Drawing) -> Snapshot:
    return Runner("cpu").compute(Request(1, Document(drawing_sample(drawing), models)))


def voted(votes: tuple[float, ...], model: Model = DEFAULT_SUBJECT, drawing: Drawing = DRAWN) -> Snapshot:
    """A snapshot with the given votes; the engine computes the predicted class."""
    result = snapshot((model,), drawing)
    prediction, shares = result.predictions[0], np.array(votes, np.float32)
    predicted = predict_class(model, shares, prediction.is_blank)
    return replace(result, predictions=(replace(prediction, votes=shares, predicted_class=predicted),))


def shown_rows(view: VotesView) -> list[tuple[str, str, bool]]:
    return [(row.name, row.text, row.is_predicted) for row in view.blocks[0].bars.rows]


def test_an_x(view: VotesView) -> None:
    view.set_snapshot(voted((0.87, 0.13)))
    assert shown_rows(view) == [("X", "87 %", True), ("O", "13 %", False)]
    assert view.blocks[0].sentence.text() == "It is an X."
    assert view.blocks[0].bars.accessibleDescription() == "X, 87 %; O, 13 %"


def test_an_o_after_an_x(view: VotesView) -> None:
    view.set_snapshot(voted((0.87, 0.13)))
    view.set_snapshot(voted((0.02, 0.98)))
    assert shown_rows(view) == [("X", "2 %", False), ("O", "98 %", True)]
    assert view.blocks[0].sentence.text() == "It is an O. Template matching says X."


def test_below_the_threshold_it_is_unsure_and_no_class_is_predicted(view: VotesView) -> None:
    view.set_snapshot(voted((0.7, 0.3)))
    assert shown_rows(view) == [("X", "70 %", False), ("O", "30 %", False)]
    assert view.blocks[0].sentence.text() == "Unsure: this looks like neither X nor O."


def test_values_that_are_not_finite_have_no_votes(view: VotesView) -> None:
    view.set_snapshot(voted((float("nan"), float("nan"))))
    assert shown_rows(view) == [("X", "–", False), ("O", "–", False)]
    assert "earlier step" in view.blocks[0].sentence.text()


@pytest.mark.parametrize("model", [DEFAULT_SUBJECT, WALK])
def test_a_blank_canvas_asks_to_be_drawn_on(view: VotesView, model: Model) -> None:
    view.set_snapshot(snapshot((model,), Drawing()))
    assert view.blocks[0].sentence.text() == "Draw something: the canvas is blank."
    assert not any(row.is_predicted for row in view.blocks[0].bars.rows)


def test_the_walk_through_prints_votes_as_the_article_does(view: VotesView) -> None:
    view.set_snapshot(snapshot((WALK,), DRAWN))
    assert shown_rows(view) == [("X", "1.00", True), ("O", "0.56", False)]
    sentence = view.blocks[0].sentence.text()
    assert sentence.startswith("X has the most votes. This network has no 'unsure'")


def test_the_walk_through_says_when_the_votes_are_equal(view: VotesView) -> None:
    view.set_snapshot(voted((0.5, 0.5), WALK))
    assert view.blocks[0].sentence.text().startswith("The classes have equally many votes.")


def test_before_the_first_reading_the_classes_wait(view: VotesView) -> None:
    view.set_document(Document.blank(DEFAULT_SUBJECT))
    assert shown_rows(view) == [("X", "–", False), ("O", "–", False)]
    assert view.blocks[0].sentence.text() == "Waiting for the network."
    view.set_snapshot(voted((0.87, 0.13)))
    view.set_document(Document.blank(DEFAULT_SUBJECT))
    assert shown_rows(view)[0][1] == "87 %"


def test_a_drawing_that_could_not_be_read_shows_no_votes(view: VotesView) -> None:
    view.set_snapshot(voted((0.87, 0.13)))
    view.set_snapshot(replace(snapshot((DEFAULT_SUBJECT,), Drawing()), predictions=()))
    assert shown_rows(view) == [("X", "–", False), ("O", "–", False)]


def test_two_networks_are_named_and_go_again(view: VotesView) -> None:
    view.set_snapshot(snapshot((DEFAULT_SUBJECT, WALK), DRAWN))
    QApplication.processEvents()
    assert [block.heading.text() for block in view.blocks] == ["A  Default", "B  Walk-through"]
    assert [block.heading.isHidden() for block in view.blocks] == [False, False]
    view.set_snapshot(snapshot((WALK,), DRAWN))
    assert len(view.blocks) == 1
    assert view.blocks[0].heading.isHidden()
    assert view.agreement.isHidden()
    assert view.blocks[0].sentence.text().startswith("X has the most votes.")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((0.9, 0.1), (0.95, 0.05), "Both predict X."),
        ((0.9, 0.1), (0.1, 0.9), "They disagree: A predicts X, B predicts O."),
        ((0.6, 0.4), (0.1, 0.9), "They disagree: A is unsure, B predicts O."),
        ((0.6, 0.4), (0.5, 0.5), "Both are unsure."),
    ],
)
def test_whether_two_networks_agree_is_said(view: VotesView, first, second, said: str) -> None:
    predictions = (*voted(first).predictions, *voted(second).predictions)
    view.set_snapshot(replace(voted(first), predictions=predictions))
    assert view.agreement.text() == said
    view.set_snapshot(snapshot((DEFAULT_SUBJECT, WALK), Drawing()))
    assert view.agreement.text() == "Draw something: the canvas is blank."


def test_two_blocks_fit_where_one_did(view: VotesView) -> None:
    view.set_snapshot(snapshot((DEFAULT_SUBJECT, WALK), DRAWN))
    QApplication.processEvents()  # what is new is shown only then
    view.resize(232, view.minimumSizeHint().height())
    QApplication.processEvents()
    for widget in (*(block.bars for block in view.blocks), view.agreement):
        place = widget.mapTo(view, widget.rect().bottomRight())
        assert view.rect().contains(place)
        needed = widget.heightForWidth(widget.width()) if widget.hasHeightForWidth() else widget.sizeHint().height()
        assert widget.height() >= needed


def test_more_classes_have_more_rows(view: VotesView) -> None:
    network = Network((1, 9, 9), (Flatten(), Dense(3)), ("X", "O", "triangle"))
    view.set_snapshot(voted((0.1, 0.2, 0.7), Model("Three", network, network.initial_parameters(0))))
    assert shown_rows(view)[2] == ("triangle", "70 %", True)
    assert view.blocks[0].sentence.text() == "It is: triangle."
    assert view.blocks[0].bars.sizeHint().height() == 3 * 27


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])
def test_bars_are_as_long_as_the_votes_and_the_threshold_is_marked(view: VotesView, theme: Theme) -> None:
    theme_service.set_theme(theme)
    view.set_snapshot(voted((0.5, 0.25)))
    image = view.blocks[0].bars.grab().toImage()
    x, o = (run(image, row, QColor(colour)) for row, colour in ((13, theme.x), (40, theme.o)))
    assert x[0] == o[0]
    assert x[1] - x[0] == pytest.approx(2 * (o[1] - o[0]), abs=3)
    whole = 2 * (x[1] - x[0])
    # Between the two rows only the mark is painted.
    between = [
        place for place in range(image.width()) if image.pixelColor(place, 22) == QColor(theme.secondary_text)
    ]
    assert between
    assert between[0] - x[0] == pytest.approx(0.8 * whole, abs=3)


def run(image: QImage, row: int, colour: QColor) -> tuple[int, int]:
    """The first and one past the last pixel of this colour in a row, right of the symbol."""
    places = [place for place in range(20, image.width()) if image.pixelColor(place, row) == colour]
    return places[0], places[-1] + 1


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"), (1, "100 %"), (0.874, "87 %"), (0.9949, "99 %"), (0.997, "99.7 %"), (0.99999, ">99.9 %"),
        (0.003, "0.3 %"), (0.00001, "<0.1 %"),
    ],
)  # fmt: skip
def test_a_share_is_never_said_to_be_all_or_nothing_if_it_is_not(share: float, text: str) -> None:
    assert percent_text(share) == text


def test_a_vote_that_float32_rounds_to_all_is_not_said_to_be_all() -> None:
    network = shipped_model("default").network
    assert (vote_text(network, 1.0), vote_text(network, 0.0)) == (">99.9 %", "<0.1 %")


def test_ten_shares_add_up_to_a_hundred_as_shown() -> None:
    assert percent_texts([1 / 3] * 3) == ["34 %", "33 %", "33 %"]
    tiny = [1 - 9e-13, *[1e-13] * 9]
    assert percent_texts(tiny) == [">99.9 %", *["<0.1 %"] * 9]
    rng = np.random.default_rng(0)
    for sharpness in (0.1, 1.0, 5.0):
        votes = np.exp(rng.normal(0, sharpness, 10))
        texts = percent_texts((votes / votes.sum()).tolist())
        shown = [0.0 if text.startswith("<") else float(text.removesuffix(" %").lstrip(">")) for text in texts]
        assert sum(shown) == pytest.approx(100)
    network = shipped_model("default").network
    assert vote_texts(network, [0.5, float("nan")]) == ["50 %", "–"]


@pytest.mark.parametrize("vote", [0.5, 0.999, 0.99973, 0.9999999, 1e-7, 0.123456])
def test_the_vote_in_a_formula_gives_the_error_shown(vote: float) -> None:
    error = four_digit_text(-math.log(vote))
    shown = operands([vote], lambda votes: -np.log(votes), four_digit_text, error, short_text)
    assert shown.give_result
    assert four_digit_text(-math.log(float(shown.texts[0].replace("−", "-")))) == error


def test_a_dead_network_has_no_opinion(view: VotesView) -> None:
    dead = {name: np.zeros_like(array) for name, array in DEFAULT_SUBJECT.parameters.items()}
    view.set_snapshot(snapshot((replace(DEFAULT_SUBJECT, parameters=dead),), DRAWN))
    assert view.blocks[0].sentence.text() == "No opinion: all scores of the network are equal."


def test_all_lines_of_the_sentence_have_room(view: VotesView) -> None:
    view.set_snapshot(snapshot((WALK,), DRAWN))
    sentence = view.blocks[0].sentence
    assert sentence.minimumHeight() >= sentence.heightForWidth(sentence.width())


def test_a_long_class_name_ends_before_its_bar_and_is_whole_in_the_tooltip(view: VotesView) -> None:
    network = DEFAULT.network.with_classes(("cross", "a circle with a very long <b>name</b>"))
    view.set_snapshot(voted((0.3, 0.7), Model("Named", network, network.initial_parameters(0))))
    QApplication.processEvents()
    bars = view.blocks[0].bars
    left, right = bars._margins()
    assert 60 < left < 100, "the names take no more than they may"
    assert bars.width() - left - right > 50, "the bar stays a bar"
    assert bars.tooltip_at(5).startswith("cross, 30 %")
    assert "very long &lt;b&gt;name&lt;/b&gt;, 70 %" in bars.tooltip_at(bars.row_height + 5)
    ink = bars.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    empty = range(round(left) - 8, round(left) - 1)
    row = round(bars.row_height * 1.5)
    assert len({ink.pixelColor(x, y).value() for x in empty for y in range(row - 6, row + 6)}) == 1
