"""The texts of the engine that the window translates, collected from its source and its tables.

The engine knows no Qt, so Qt's lupdate finds none of them there; `python -m tests.engine_texts` writes them, marked
for lupdate, into `xo_gui/app/engine_texts.py`. The tests fail while that file lacks one.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Final

from engine.data import DATA_KINDS, Augmentation
from engine.documents import PRESETS
from engine.form_fields import form_field_of
from engine.nn.layers import LayerText
from engine.training import OPTIMIZERS, SCHEDULES, TrainingConfig

ROOT: Final = Path(__file__).resolve().parents[1]
TARGET: Final = ROOT / "xo_gui" / "app" / "engine_texts.py"
# What makes words for the window, and which of its arguments are words; all others of LayerText.
MAKERS: Final = {"LayerText": None, "Phrase": 1, "FormulaLine": 1}

LONGEST: Final = 90  # characters of a literal

HEAD: Final = '''"""The texts of the engine that the window translates, for Qt's lupdate.

Written by `python -m tests.engine_texts`; `engine_text` translates them.
"""

from __future__ import annotations

from typing import Final

from xo_gui.app.texts import QT_TRANSLATE_NOOP

ENGINE_TEXTS: Final = (
'''


def engine_texts() -> list[tuple[str, str]]:
    """Context and text of each, sorted; the presets' are those of the menu."""
    found = {("Engine", text) for text in (*_of_source(), *_of_tables())}
    for preset in PRESETS.values():
        found |= {("", f"&{preset.title}"), ("", preset.summary)}
    return sorted(pair for pair in found if pair[1])


def _of_source() -> Iterator[str]:
    """The literals that the layers and optimizers make their words of."""
    for path in sorted((ROOT / "engine").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in MAKERS:
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                yield from (text for one in arguments[: MAKERS[node.func.id]] for text in _literals(one))
            elif node.func.id == "Spelling" and len(node.args) > 2:
                yield from _literals(node.args[2])  # the names of the terms


def _literals(node: ast.expr) -> Iterator[str]:
    """The strings of an expression, not those inside of calls, which are found on their own."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*_literals(node.body), *_literals(node.orelse))
    elif isinstance(node, ast.Tuple):
        for each in node.elts:
            yield from _literals(each)


def _of_tables() -> Iterator[str]:
    """The words of settings, optimizers and schedules, and those that layers have by default."""
    parts = (*OPTIMIZERS.values(), *SCHEDULES.values())
    generators = (kind.settings for kind in DATA_KINDS.values() if kind.settings is not None)
    for part in parts:
        yield from (part.title, part.summary)
    for settings in (*parts, *generators, TrainingConfig, Augmentation):
        for each in fields(settings):
            if (form := form_field_of(each)) is not None:
                yield from (form.name, form.description, form.unit)
    default = LayerText("")
    yield from (default.forward, default.backward, default.kink)


def written() -> str:
    """The file as it should be, before it is formatted."""
    lines = (f"    QT_TRANSLATE_NOOP({context!r}, {_parts(text)}),\n" for context, text in engine_texts())
    return f"{HEAD}{''.join(lines)})\n"


def _parts(text: str) -> str:
    """The text as literals that fit a line, which Python and lupdate join."""
    parts = textwrap.wrap(text, LONGEST, drop_whitespace=False, break_long_words=False) or [text]
    return " ".join(map(repr, parts))


if __name__ == "__main__":
    TARGET.write_text(written(), "utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", TARGET], check=True)
