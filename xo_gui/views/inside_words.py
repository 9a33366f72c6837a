"""Inside words: what the inside view says of histograms, gradients and dead features. It paints nothing."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from engine.training.layer_statistics import BINS, Course, Histogram, LayerStatistics
from xo_gui.views.network.layer_labels import number
from xo_gui.views.numerals import MINUS, short

_MOST_NAMED = 12


def title(column: str, brief: bool = False) -> str:
    """What stands over a column; brief: where there is little room."""
    if brief:
        return {"gradients": _tr("grad."), "course": _tr("size")}.get(column) or title(column)
    titles = {
        "weights": _tr("weights"),
        "values": _tr("values"),
        "gradients": _tr("gradients"),
        "course": _tr("gradient size"),
    }
    return titles[column]


def share(value: float) -> str:
    """A share in percent, as small as it may be: 0.12 %."""
    return f"{100 * value:.2g} %".replace("e-", f"e{MINUS}")


def bin_said(column: str, given: Histogram, place: int) -> str:
    """How many lie in the bin at `place`."""
    each = (given.high - given.low) / BINS
    low, high = given.low + place * each, given.low + (place + 1) * each
    said = _tr("{0} from {1} to {2}: {3} of {4}")
    count, total = number(int(given.counts[place])), number(given.total)
    return said.format(title(column), short(low), short(high), count, total)


def numbers(name: str, column: str, given: Histogram) -> str:
    """All that is known of a histogram, a line each."""
    lines = [
        f"{name} · {title(column)}",
        _tr("{0} numbers from {1} to {2}").format(number(given.total), short(given.least), short(given.most)),
        _tr("mean {0}, spread {1}").format(short(given.mean), short(given.spread)),
    ]
    if given.zeros and given.total:
        lines.append(_tr("{0} of them are exactly 0").format(share(given.zeros / given.total)))
    if given.strange:
        lines.append(_tr("{0} are no finite numbers: the rate is too high").format(number(given.strange)))
    return "\n".join([*lines, "", explained(column)])


def explained(column: str | None) -> str:
    """What a column means."""
    meanings = {
        "weights": _tr("How this layer's weights and biases are spread, from the least to the greatest."),
        "values": _tr("What this layer gives for held-out drawings, after its ReLU if it has one."),
        "gradients": _tr("How much the error would rise with each weight, by the last batch: what a step follows."),
        "course": _tr("How long this layer's gradient is, step by step; its height is its logarithm."),
    }
    return meanings.get(column or "", "")


def missing(column: str, row: LayerStatistics) -> str:
    """Why there is nothing."""
    if row.weights is None:
        return _tr("This layer has no weights, so it learns nothing.")
    if row.gradients is None and column in ("gradients", "course"):
        return _tr("No step has led here, so there is no gradient yet; make one.")
    return ""


def course(given: Course, row: int, place: int | None, now: LayerStatistics) -> str:
    """The gradient's size, and how far the step moved the weights, at a place of the course."""
    if place is None or now.gradient_size is None:
        return missing("course", now)
    said = _tr("step {0}: gradient {1}").format(int(given.steps[place]), short(float(given.sizes[place, row])))
    change = float(given.changes[place, row])
    return said + (_tr(", weights moved by {0}").format(share(change)) if change == change else "")


def summary(name: str, row: LayerStatistics, dead: tuple[int, ...]) -> str:
    """A row in one sentence."""
    parts = [name]
    if row.size is not None:
        parts.append(_tr("weights {0} long").format(short(row.size)))
    if row.gradient_size is not None:
        parts.append(_tr("gradient {0}").format(short(row.gradient_size)))
    if row.change is not None:
        parts.append(_tr("moved by {0}").format(share(row.change)))
    if dead:
        parts.append(_tr("dead: {0}").format(named(dead)))
    return " · ".join(parts)


def named(channels: tuple[int, ...]) -> str:
    """Features as people count them: "3, 7"; the first of many."""
    said = ", ".join(str(channel + 1) for channel in channels[:_MOST_NAMED])
    return said + (_tr(" and {0} more").format(len(channels) - _MOST_NAMED) if len(channels) > _MOST_NAMED else "")


def dead_count(count: int) -> str:
    """How many are dead."""
    return _tr("{0} dead").format(number(count))


def dead_tip(channels: tuple[int, ...], examples: int) -> str:
    """What the dead features of a layer are, and what to do about them."""
    said = _tr(
        "Dead: {0}. After the ReLU they are 0 on all {1} held-out drawings looked at, so no gradient reaches them "
        "and they do not learn any more. A lower rate keeps features alive; a new start, or an earlier moment, "
        "gets them back."
    )
    return said.format(named(channels), examples)


def _tr(text: str) -> str:
    return QCoreApplication.translate("InsideView", text)
