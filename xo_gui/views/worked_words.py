"""Worked words: the arithmetic of one weight in a step, as rich text. It computes nothing."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QCoreApplication

from engine.explain.step_trace import Nudged, Worked
from engine.training.optimizers import Line
from xo_gui.app.theme import Theme
from xo_gui.views import numerals

_P = "<p style='margin-top:0; margin-bottom:5px'>"
_QUIET = "<p style='margin-top:0; margin-bottom:5px; color:{0}'>"


def arithmetic(worked: Worked, theme: Theme) -> str:
    """From the gradient to the new value, line by line."""
    if worked.frozen:
        words = _tr("Its layer is frozen, so it stays {0}.").format(numerals.figures(worked.before))
        return f"{_P}{words}</p>"
    change = f"{escape(_tr('change'))} <b>{numerals.figures(worked.after - worked.before)}</b>"
    said = [f"{_P}{escape(_tr('value now'))} <b>{numerals.figures(worked.before)}</b>, {change}</p>"]
    said += [_line(line, theme) for line in worked.lines]
    if worked.sums is None:
        words = _tr("gradient, of the whole batch: {0}").format(numerals.figures(worked.gradient))
        said.insert(1, f"{_QUIET.format(theme.quiet)}{words}</p>")
    return "".join(said)


def part(worked: Worked) -> str:
    """The followed drawing's part of the gradient."""
    products, sums = worked.products, worked.sums
    if products is None or sums is None:
        return _tr("Its gradient is no plain sum over places.") if not worked.frozen else ""
    count, mine = products.inputs.size, float(products.sums()[0])
    divided = _tr(", divided by {0}").format(products.divisor) if products.divisor != 1 else ""
    if count == 1:
        numbers = (float(products.inputs.item()), float(products.gradients.item()))
        said = " × ".join(_figure(number, at) for at, number in enumerate(numbers))
        return _tr("This drawing's part: input × gradient{0}: {1} = {2}").format(
            divided, said, numerals.figures(mine)
        )
    return _tr("This drawing's part: input × gradient at {0} places, added up{1}: {2}").format(
        count, divided, numerals.figures(mine)
    )


def nudges(nudged: Nudged | None, theme: Theme) -> str:
    """The article's way, beside backpropagation's."""
    if nudged is None:
        return ""
    nudge = nudged.nudge
    size = numerals.figures(nudge.size)
    rows = (
        ("up", _tr("{0} higher").format(size), nudge.error_up),
        ("same", _tr("as it is"), nudge.error),
        ("down", _tr("{0} lower").format(size), nudge.error_down),
    )
    said = "<table cellspacing='0' cellpadding='1' width='100%'>"
    for kept, name, error in rows:
        best = kept == nudge.kept
        mark = f"✓ {_tr('kept')}" if best else ""
        colour = theme.text if best else theme.quiet
        cells = (name, f"{_tr('error')} {error:.6f}", mark)
        said += "<tr>" + "".join(f"<td style='color:{colour}'>{escape(cell)}</td>" for cell in cells) + "</tr>"
    below = _P.replace("margin-top:0", "margin-top:6px")
    return f"{said}</table>{below}{escape(_verdict(nudged))}</p>{_small(_beside(nudged), theme)}"


def _verdict(nudged: Nudged) -> str:
    way = _tr("lower it") if nudged.slope > 0 else _tr("raise it") if nudged.slope < 0 else _tr("leave it")
    says = _tr("Backpropagation: slope {0}, so {1}.").format(numerals.figures(nudged.slope), way)
    if nudged.agrees is None:
        kept = _tr("Neither nudge makes the error less: the bottom lies nearer than a nudge.")
        return f"{says} {kept if nudged.nudge.kept == 'same' else _tr('The nudge moves it all the same.')}"
    agrees = _tr("Both agree.") if nudged.agrees else _tr("They disagree: so long a nudge steps over the valley.")
    return f"{says} {agrees}"


def _beside(nudged: Nudged) -> list[str]:
    """What is to be said of the two numbers."""
    said = [
        _tr("Slope by trying, {0} to each side: {1}").format(
            numerals.figures(nudged.step), numerals.figures(nudged.central)
        )
    ]
    if nudged.kink is not None:
        said.append(nudged.kink)
    if nudged.at_rest:
        said.append(_tr("Both read the network with dropout and batch norm at rest, unlike the step."))
    return said


def _small(lines: list[str], theme: Theme) -> str:
    return "".join(f"{_QUIET.format(theme.quiet)}{escape(line)}</p>" for line in lines)


def _line(line: Line, theme: Theme) -> str:
    numbers = [_figure(number, at) for at, number in enumerate(line.numbers)]
    plugged = line.pattern.format(*numbers)
    words = f"{escape(line.words)}<br>= {escape(plugged)}"
    head = f"{escape(_tr(line.name))} <b>{numerals.figures(line.value)}</b>"
    return f"{_P}{head}<br><span style='color:{theme.quiet}'>{words}</span></p>"


def _figure(number: float, at: int) -> str:
    """A number within a formula: in brackets if it is negative and does not come first."""
    said = numerals.figures(number)
    return f"({said})" if at and said.startswith(numerals.MINUS) else said


def _tr(text: str) -> str:
    return QCoreApplication.translate("StepView", text)
