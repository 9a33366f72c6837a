"""Stages: which columns a network is shown in and what their headers say. Neither their place nor their values."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Literal

from PySide6.QtCore import QCoreApplication

from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Shape,
    Sigmoid,
    Tanh,
    Votes,
    shape_text,
)
from engine.nn.network import Network
from xo_gui.widgets.number_text import number

Kind = Literal["picture", "maps", "bars", "list", "votes", "group"]

# A list this short, heard by hand-made votes, is worth seeing value by value: the article's own picture.
SHORT_LIST = 24
_NAMED: deque[tuple[Network, tuple[str, ...]]] = deque(maxlen=4)


@dataclass(frozen=True)
class Stage:
    """One column. shown: the layer (0 is the input) whose values it shows; folded: those after it that share it.

    lines: two short lines under the title. shape: of the shown values. signed: whether they can be negative.
    group: the layer whose levels it shares. kernel: (channels, size, size) of the features beside the maps. kinds:
    how the kinds of its layers are called. pager: what stands instead of the second line where not all of its maps
    are shown: which are, of how many, and of which shape. A column of kind "group" stands for many layers and shows
    no values.
    """

    kind: Kind
    shown: int
    folded: tuple[int, ...]
    title: str
    lines: tuple[str, str]
    shape: Shape
    signed: bool
    group: int
    kernel: Shape | None = None
    kinds: tuple[str, ...] = ()
    pager: tuple[str, str, str] | None = None

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers this column stands for."""
        return (self.shown, *self.folded)

    @property
    def count(self) -> int:
        """How many maps, bars or votes it has."""
        return self.shape[0]


def stages_of(network: Network, folded: Set[int] = frozenset()) -> tuple[Stage, ...]:
    """The columns of a network, the input first; layers (by number) in `folded` share the column before them."""
    columns: list[list[int]] = []
    for layer in range(len(network.shapes)):
        if layer in folded:
            columns[-1].append(layer)
        elif not _is_passed_over(network, layer):
            columns.append([layer])
    return tuple(_stage(network, shown, tuple(rest)) for shown, *rest in columns)


def foldable(network: Network) -> tuple[int, ...]:
    """The layers (by number) that may share the column before them: those that change every value by itself, such
    as a ReLU, but for the last, and after the input."""
    return tuple(
        place
        for place, layer in enumerate(network.layers[:-1], 1)
        if layer.pointwise and place > 1 and not _is_passed_over(network, place - 1)
    )


def has_column(network: Network, layer: int) -> bool:
    """Whether a layer has a place in the strip, a column of its own or another's: a list that is only written out
    has none."""
    return not _is_passed_over(network, layer)


def with_pager(stage: Stage, maps: range) -> Stage:
    """The stage with words that say which maps are shown: "25–48", "of 512", "of 512 × 126 × 126"."""
    if len(maps) == stage.count:
        words = _tr("all {0}").format(number(stage.count)), "", "× " + shape_text(stage.shape[1:])
    else:
        shown = _tr("{0}–{1}").format(number(maps.start + 1), number(maps.stop))
        of = _tr("of {0}")
        words = shown, of.format(number(stage.count)), of.format(shape_text(stage.shape))
    return replace(stage, pager=words)


def layer_names(network: Network) -> tuple[str, ...]:
    """How the window calls the input and every layer: "Features 1", "Votes"; numbered where there are several.
    Those of the networks asked for last are kept: of a thousand layers they take a frame's time."""
    for known, names in _NAMED:
        if known is network:
            return names
    _NAMED.appendleft((network, _layer_names(network)))
    return _NAMED[0][1]


def _layer_names(network: Network) -> tuple[str, ...]:
    titles = [_title(network, layer) for layer in range(len(network.shapes))]
    several, seen = Counter(titles), Counter[str]()
    names = []
    for title in titles:
        seen[title] += 1
        names.append(f"{title} {seen[title]}" if several[title] > 1 else title)
    return tuple(names)


def _is_passed_over(network: Network, layer: int) -> bool:
    """What only relays values has no column if it writes them out as a list, or gets them from such a list; but the
    article shows its list."""
    if layer == 0 or not network.layers[layer - 1].relays:
        return False
    if len(network.shapes[layer]) == 3:
        return False
    if not isinstance(network.layers[layer - 1], Flatten):
        return _is_passed_over(network, layer - 1)
    heard_by_hand = layer < len(network.layers) and isinstance(network.layers[layer], Votes)
    return not (heard_by_hand and network.shapes[layer][0] <= SHORT_LIST)


def _stage(network: Network, layer: int, folded: tuple[int, ...]) -> Stage:
    made = network.layers[layer - 1] if layer else None
    kernel = (network.shapes[layer - 1][0], made.size, made.size) if isinstance(made, Conv2D) else None
    return Stage(
        _kind(network, layer),
        layer,
        folded,
        _together([_title(network, one) for one in (layer, *folded)]),
        _lines(network, layer, bool(folded)),
        network.shapes[layer],
        network.signed[layer],
        network.scales[layer],
        kernel,
        tuple(_title(network, one) for one in (layer, *folded)),
    )


def _kind(network: Network, layer: int) -> Kind:
    if layer == 0:
        return "picture"
    if layer == len(network.layers):
        return "votes"
    if isinstance(network.layers[layer - 1], Flatten):
        return "list"
    return "maps" if len(network.shapes[layer]) == 3 else "bars"


def _title(network: Network, layer: int) -> str:
    if layer == 0:
        return _tr("Input")
    if layer == len(network.layers):
        return _tr("Votes")
    made = network.layers[layer - 1]
    return _tr(_TITLES.get(type(made), type(made).__name__))


def _together(titles: list[str]) -> str:
    """ "Features + ReLU"; of more than three the first, and how many more: a wide header would widen the column."""
    if len(titles) <= 3:
        return " + ".join(titles)
    return _tr("{0} + {1} more").format(titles[0], len(titles) - 1)


def _lines(network: Network, layer: int, folded: bool) -> tuple[str, str]:
    shape = network.shapes[layer]
    if layer == 0:
        return _tr("as the network"), _tr("sees it, {0}").format(shape_text(shape[1:]))
    made = network.layers[layer - 1]
    what = _DESCRIBED.get(type(made), _nothing)(made)
    if made.mixes_maps and len(shape) == 1 and not what:
        what = _tr("reads all {0}").format(number(network.shapes[layer - 1][0]))
    if layer == len(network.layers):
        return _tr("{0} classes").format(number(shape[0])), what
    if len(shape) == 1:
        count = _tr("{0} values").format(number(shape[0]))
        return (count, what) if made.mixes_maps else (what, count)
    return what + (_tr(", folded") if folded else ""), shape_text(shape)


def _conv(layer: Conv2D) -> str:
    step = _tr(", step {0}").format(layer.stride) if layer.stride > 1 else ""
    return _tr("{0} of {1} × {1}").format(number(layer.features), layer.size) + step


def _residual(layer: Residual) -> str:
    count = len(layer.layers)
    return _tr("input + {0} layers").format(count) if count > 1 else _tr("input + 1 layer")


def _nothing(layer: Layer) -> str:
    return ""


def _tr(text: str) -> str:
    return QCoreApplication.translate("NetworkView", text)


# How the window calls the kinds of layer, and what it says of one under its title.
_TITLES: dict[type[Layer], str] = {
    Conv2D: "Features",
    MaxPool2D: "Pool",
    AvgPool2D: "Pool",
    GlobalAvgPool: "Means",
    LeakyReLU: "Leaky ReLU",
    Dense: "Hidden",
    Flatten: "List",
    BatchNorm2D: "Batch norm",
}
_DESCRIBED: dict[type[Layer], Callable[..., str]] = {
    Conv2D: _conv,
    MaxPool2D: lambda layer: _tr("max of {0} × {0}").format(layer.size),
    AvgPool2D: lambda layer: _tr("mean of {0} × {0}").format(layer.size),
    GlobalAvgPool: lambda layer: _tr("one of each map"),
    ReLU: lambda layer: _tr("negative → 0"),
    LeakyReLU: lambda layer: _tr("negative × {0:g}").format(layer.slope),
    Tanh: lambda layer: _tr("bent to −1 … 1"),
    Sigmoid: lambda layer: _tr("bent to 0 … 1"),
    Flatten: lambda layer: _tr("map by map"),
    Votes: lambda layer: _tr("mean of the strong"),
    Dropout: lambda layer: _tr("only in training"),
    BatchNorm2D: lambda layer: _tr("mean 0, spread 1"),
    Residual: _residual,
    Center: lambda layer: _tr("minus the mean"),
}
