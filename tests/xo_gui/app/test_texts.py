"""Every text that the window translates is found by Qt's lupdate, those of the engine's layers and settings too."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import PySide6
import pytest
from PySide6.QtCore import QTranslator
from PySide6.QtWidgets import QApplication

from engine.bench.cases import LAYER_CASES
from engine.documents import WALKTHROUGH
from tests.engine_texts import engine_texts
from xo_gui.app import texts
from xo_gui.views.network import display_columns, layer_names
from xo_gui.window.actions import ACTIONS, MENUS, PANEL_KEYS, ActionSpec

WINDOW = Path(texts.__file__).parents[1]
# The functions that have a text, and the number of the argument that it is.
FUNCTIONS = {"tr": 0, "QT_TR_NOOP": 0, "translate": 1, "QT_TRANSLATE_NOOP": 1}

Calls = Iterator[tuple[Path, ast.Call, str, str]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """Context and text of all that lupdate finds."""
    lupdate = next(iter(Path(PySide6.__file__).parent.glob("lupdate*")), None)
    if lupdate is None:
        pytest.skip("this PySide6 has no lupdate")
    target = tmp_path_factory.mktemp("texts") / "window.ts"
    files = sorted(map(str, WINDOW.rglob("*.py")))
    subprocess.run([lupdate, "-silent", *files, "-ts", target], check=True, timeout=60)
    return {
        (context.findtext("name") or "", message.findtext("source") or "")
        for context in ElementTree.parse(target).iter("context")
        for message in context.iter("message")
    }


def calls() -> Calls:
    """The calls with a text in the window's source: file, call, name of the function, class around it."""
    for path in sorted(WINDOW.rglob("*.py")):
        pending: list[tuple[ast.AST, str]] = [(ast.parse(path.read_text("utf-8")), "")]
        while pending:
            node, around = pending.pop()
            pending += [
                (child, node.name if isinstance(node, ast.ClassDef) else around)
                for child in ast.iter_child_nodes(node)
            ]
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                # str.translate and QPainter.translate are no texts.
                is_text = isinstance(node.func, ast.Name) or name == "tr"
                if name in FUNCTIONS and is_text and path.name != "texts.py":
                    yield path, node, name, around


def test_texts_are_literals() -> None:
    variable = [
        f"{path.name}:{call.lineno}"
        for path, call, name, _ in calls()
        if not all(isinstance(one, ast.Constant) for one in call.args[: FUNCTIONS[name] + 1])
    ]
    assert variable == [], "lupdate misses these; translate a marked text with marked_text or engine_text"


def test_lupdate_finds_every_text_of_the_window(found: set[tuple[str, str]]) -> None:
    expected = set()
    for _, call, name, around in calls():
        *context, text = (one.value for one in call.args[: FUNCTIONS[name] + 1] if isinstance(one, ast.Constant))
        expected.add((context[0] if context else around if name == "tr" else "", text))
    assert len(expected) > 900
    assert expected - {pair for pair in expected if not pair[1]} <= found


def test_lupdate_finds_every_text_of_the_engine(found: set[tuple[str, str]]) -> None:
    of_engine = {pair for pair in found if pair[0] == "Engine"}
    missing = "run python -m tests.engine_texts, which writes them for lupdate"
    assert {pair for pair in engine_texts() if pair[0] == "Engine"} == of_engine, missing
    known = {text for _, text in of_engine}
    for layer, _ in LAYER_CASES:
        text = layer.text
        said = {text.title, text.detail.template, text.forward, text.backward, text.kink}
        assert said - {""} <= known, layer


def test_lupdate_finds_every_text_of_the_actions(found: set[tuple[str, str]]) -> None:
    shown = {text for row in PANEL_KEYS for text in row} | {spec.text for spec in MENUS}
    state: Any = SimpleNamespace(labels=("X", "neither"), example_labels=("X", "neither"))
    for row in ACTIONS:
        for spec in [row] if isinstance(row, ActionSpec) else list(row.rows(state)):
            shown |= {spec.text, spec.tip}
    assert {("", text) for text in shown if text} <= found


class Marking(QTranslator):
    """Translates what lupdate found, into the text in marks."""

    def __init__(self, found: set[tuple[str, str]]) -> None:
        super().__init__()
        self._found = found

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str:
        return f"«{text}»" if (context, text) in self._found else ""


def test_the_words_of_layers_are_translated_where_they_are_shown(
    qapp: QApplication, found: set[tuple[str, str]]
) -> None:
    translator = Marking(found)
    qapp.installTranslator(translator)
    try:
        assert layer_names(WALKTHROUGH.network)[2] == "«ReLU»"
        assert display_columns(WALKTHROUGH.network)[2].subtitle[0] == "«negative → 0»"
        assert display_columns(WALKTHROUGH.network)[3].subtitle[0] == "«max of 2 × 2»"
    finally:
        qapp.removeTranslator(translator)
