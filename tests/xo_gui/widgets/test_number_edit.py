"""What may be typed into a number box: either decimal sign, any script's digits, and nothing is guessed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale, Qt
from PySide6.QtTest import QTest

from engine.form_fields import FormField
from xo_gui.widgets import NumberEdit, cell_text
from xo_gui.widgets.number_edit import number_with_unit, parse_number, stepped_number

ROOT = Path(__file__).parents[3] / "xo_gui"


@pytest.fixture(params=["C", "de_DE", "ar_EG", "fr_FR"])
def locale(request: pytest.FixtureRequest) -> Iterator[str]:
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def typed(box: NumberEdit, text: str, key: Qt.Key = Qt.Key.Key_Return) -> None:
    box.selectAll()
    box.insert(text)  # as an input method does: QTest has no keys beyond Latin
    QTest.keyClick(box, key)


@pytest.fixture
def box(qtbot) -> NumberEdit:
    """A box whose window accepts every number."""
    made = NumberEdit(FormField("weight", "", 0.05), False)
    qtbot.addWidget(made)
    made.chosen.connect(made.show_number)
    made.show_number(1.0)
    return made


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.25", 0.25), ("0,25", 0.25), ("٠٫٢٥", 0.25), ("٠,٢٥", 0.25), ("०.२५", 0.25), ("-,5", -0.5),
        ("−1,5", -1.5), ("\u200f٣\u200e", 3), ("0,125", 0.125), ("1.125", 1.125), ("1 000", 1000),
        ("2,5e-3", 0.0025),
    ],
)  # fmt: skip
def test_both_decimal_signs_and_all_digits_mean_the_same_in_every_locale(
    locale: str, box: NumberEdit, text: str, value: float
) -> None:
    typed(box, text)
    assert box.value == value


@pytest.mark.parametrize(
    "text",
    [
        "1,500",
        "1.000,5",
        "1,000,000",
        "١,٥٠٠",
        "1 0",
        "1 000 5",
        "1_0",
        "0x10",
        "12abc",
        "50 %",
        "nan",
        "inf",
        "1e999",
        "½",
        "",
    ],
)
def test_what_may_mean_two_numbers_or_none_is_refused_in_a_sentence(
    locale: str, box: NumberEdit, text: str
) -> None:
    said: list[str] = []
    box.rejected.connect(said.append)
    typed(box, text)
    assert (box.value, box.text()) == (1.0, "1")
    assert len(said) == 1
    assert said[0].endswith(".")


@pytest.mark.parametrize("text", ["0,25", "0.25", "1,000", "1.000", "2.0", "٢٫٥"])
def test_a_whole_number_has_no_decimal_sign(locale: str, qtbot, text: str) -> None:
    box = NumberEdit(FormField("seed", "", 1), True, limits=(0, 99_999))
    qtbot.addWidget(box)
    box.chosen.connect(box.show_number)
    box.show_number(7)
    typed(box, text)
    assert box.value == 7
    typed(box, "٢٥")
    assert box.value == 25
    typed(box, "100000")
    assert box.value == 25


def test_the_window_has_no_other_box_for_numbers() -> None:
    """Qt's own follow the desktop's locale and drop the sign that they do not know."""
    others = {"QSpinBox", "QDoubleSpinBox", "QAbstractSpinBox", "QDoubleValidator", "QIntValidator", "QInputDialog"}
    for path in ROOT.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        made = {ast.unparse(node.func).split(".")[0] for node in nodes if isinstance(node, ast.Call)}
        bases = {ast.unparse(base) for node in nodes if isinstance(node, ast.ClassDef) for base in node.bases}
        assert not (made | bases) & others, path


def test_an_arrow_key_steps_from_the_number_shown_last_or_from_what_is_typed(box: NumberEdit, qtbot) -> None:
    box.show()
    box.setFocus()
    qtbot.waitUntil(box.hasFocus)
    typed(box, "0.5")
    box.show_number(2.0)  # an undo
    assert box.text() == "2"
    QTest.keyClick(box, Qt.Key.Key_Up)
    assert box.value == 2.05
    typed(box, "3,5", Qt.Key.Key_Down)
    assert box.value == 3.45


def test_unfinished_input_stays_while_the_number_changes_and_ends_with_its_subject(box: NumberEdit) -> None:
    box.selectAll()
    QTest.keyClicks(box, "0.3")
    box.show_number(2.0)
    assert box.text() == "0.3"
    box.discard()
    assert box.text() == "2"
    QTest.keyClicks(box, "7")
    box.show_number(None)
    assert box.text() == ""
    assert box.finish()
    assert box.value is None


def test_a_number_is_shown_in_few_digits_and_keeps_all_of_its_own(qtbot) -> None:
    box = NumberEdit(FormField("weight", "", 0.05), False, digits=5)
    qtbot.addWidget(box)
    box.chosen.connect(box.show_number)
    for value, text in ((2e6, "2e6"), (-1234.5678, "-1234.6"), (0.123456789, "0.12346"), (1.2e-7, "1.2e-7")):
        box.show_number(value)
        assert box.text() == text
        QTest.keyClick(box, Qt.Key.Key_Return)
        assert box.value == value, "Return alone changes nothing"
    assert (cell_text(-2_097_152.5), cell_text(-1234.5)) == ("−2e6", "−1234"), "and so is a cell of its map"
    box.show_number(0.123456789)
    QTest.keyClick(box, Qt.Key.Key_Up)
    assert box.value == pytest.approx(0.173456789, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "steps", "step", "whole", "expected"),
    [
        (0.003, 1, 0, False, 0.005), (0.003, -1, 0, False, 0.002), (0.01, 1, 0, False, 0.02),
        (0.01, -1, 0, False, 0.005),
        (1e-08, 1, 0, False, 1e-06), (0.0, 1, 0, False, 1e-06), (1e-06, -1, 0, False, 0.0), (0.5, 2, 0, False, 2.0),
        (0.9, 1, 0.05, False, 0.95), (0.3, -1, 0.1, False, 0.2), (64, 1, 1, True, 65), (1000, -1, 0, True, 500),
    ],
)  # fmt: skip
def test_arrow_keys(value: float, steps: int, step: float, whole: bool, expected: float) -> None:
    assert stepped_number(value, steps, step, whole) == expected


@pytest.mark.parametrize("text", ["7", "7 %", " ٧٪ ", "7,0%"])
def test_the_unit_may_be_typed_or_left_out(text: str) -> None:
    assert parse_number(text, False, "%") == 7


@pytest.mark.parametrize("value", [0.1, 1e-08, 123456.0, 0.07, 0.995])
def test_what_is_shown_is_read_as_the_same_number(value: float) -> None:
    for setting, scale in ((FormField("", ""), 1), (FormField("", "", unit="%"), 100)):
        assert parse_number(number_with_unit(value, setting), False, setting.unit) / scale == pytest.approx(
            value, rel=1e-12
        )
    assert parse_number(number_with_unit(123_456_789_012, FormField("", "")), True) == 123_456_789_012
