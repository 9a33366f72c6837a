"""Groups: runs of columns gathered into one narrow column each, so that a thousand layers fit at a glance. It
places and paints none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from PySide6.QtCore import QCoreApplication

from xo_gui.views.stages import Stage, number

# Into so many a run is gathered; a run of at most FEW is opened column by column.
MOST_GROUPS, FEW = 6, 8
# What is never gathered: the input and the first features, and the votes.
HEAD, TAIL = 2, 1

# First and last layer of what is opened.
Opened = tuple[int, int]


def gathered(stages: Sequence[Stage], opened: Opened | None = None) -> tuple[Stage, ...]:
    """The stages, with long runs as stages of kind "group". opened: the run that is opened, and with it every
    longer one that it is part of; (layer, layer) opens all the way to that layer."""
    middle = stages[HEAD : len(stages) - TAIL]
    if len(middle) <= FEW:
        return tuple(stages)
    shown = (*stages[:HEAD], *_opened(middle, opened), *stages[len(stages) - TAIL :])
    return tuple(one if one.kind == "group" or not one.shown else _numbered(one) for one in shown)


def _numbered(stage: Stage) -> Stage:
    """Among so many a column says which layer it is."""
    return replace(stage, title=_tr("{0} · {1}").format(number(stage.shown), stage.title))


def group_of(stages: Sequence[Stage]) -> Stage:
    """One stage that stands for all of these."""
    first, last = stages[0].shown, stages[-1].layers[-1]
    words = _tr("{0}–{1}").format(number(first), number(last))
    return Stage(
        "group",
        first,
        tuple(range(first + 1, last + 1)),
        number(last - first + 1),
        (_tr("layers"), words),
        (1,),
        signed=False,
        group=stages[0].group,
        kinds=tuple(dict.fromkeys(kind for stage in stages for kind in stage.kinds)),
    )


def _opened(run: Sequence[Stage], opened: Opened | None) -> Iterator[Stage]:
    """A run that is opened: its columns if they are few, else the groups it falls into."""
    if len(run) <= FEW:
        yield from run
        return
    count = min(MOST_GROUPS, -(-len(run) // FEW))
    for at in range(count):
        part = run[at * len(run) // count : (at + 1) * len(run) // count]
        inside = opened is not None and part[0].shown <= opened[0] and opened[1] <= part[-1].layers[-1]
        if inside:
            yield from _opened(part, opened)
        else:
            yield group_of(part)


def _tr(text: str) -> str:
    return QCoreApplication.translate("NetworkView", text)
