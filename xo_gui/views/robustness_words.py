"""Robustness words: how properties of drawings, their values and what was found are written. It paints nothing."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from engine.explain.robustness import Robustness
from xo_gui.views.numerals import MINUS, percent


def property_name(name: str) -> str:
    """What the window calls a property."""
    names = {
        "shift": _tr("shift"),
        "size": _tr("size"),
        "rotation": _tr("rotation"),
        "thickness": _tr("thickness"),
        "noise": _tr("noise"),
    }
    return names[name]


def value_text(name: str, value: float) -> str:
    """A value with its unit: "−12 %" of the frame for a shift, "16°", "0.3" of the ink for noise."""
    sign = MINUS if round(value, 3) < 0 else "+" if round(value, 3) > 0 and name in ("shift", "rotation") else ""
    if name == "rotation":
        return f"{sign}{abs(value):.0f}°"
    if name == "noise":
        return f"{value:.1g}"
    digits = 1 if name == "thickness" and value < 0.0995 else 0
    return f"{sign}{100 * abs(value):.{digits}f} %"


def point_words(found: Robustness, row: int, column: int) -> str:
    """What was found at one value of one property."""
    each, tried = found.properties[row], int(found.tried[row, column])
    head = f"{property_name(each.name)} {value_text(each.name, each.values[column])}"
    if not tried:
        return _tr("{0}: not read yet").format(head)
    network, naive = (percent(int(right[row, column]) / tried) for right in (found.network, found.whole_image))
    return _tr("{0}: network {1}, whole image {2} of {3} drawings").format(head, network, naive, tried)


def standing_words(found: Robustness) -> str:
    """How much has been read, and by which weights."""
    if found.done < 1:
        words = _tr("Read rightly: {0} of {1} drawings at each value").format(
            int(found.tried.min()), found.together * found.rounds
        )
    else:
        words = _tr("Read rightly, of {0} drawings at each value").format(int(found.tried.min()))
    if found.moment is not None:
        return _tr("{0} · step {1}").format(words, found.moment.step)
    return words


def _tr(text: str) -> str:
    return QCoreApplication.translate("Robustness", text)
