"""Stages: which columns a network is shown in and what their headers say. Neither their place nor their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QCoreApplication

from engine.layers import Center, Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Shape, Votes, shape_text
from engine.network import Network

Kind = Literal["picture", "maps", "bars", "list", "votes"]

# A list this short, heard by hand-made votes, is worth seeing value by value: the article's own picture.
SHORT_LIST = 24
NARROW_SPACE = "\u202f"


@dataclass(frozen=True)
class Stage:
    """One column. shown: the layer (0 is the input) whose values it shows; folded: the ReLU shown with it, or None.

    lines: two short lines under the title. shape: of the shown values. signed: whether they can be negative.
    group: the layer whose levels it shares. kernel: (channels, size, size) of the features beside the maps.
    """

    kind: Kind
    shown: int
    folded: int | None
    title: str
    lines: tuple[str, str]
    shape: Shape
    signed: bool
    group: int
    kernel: Shape | None = None

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers this column stands for."""
        return (self.shown,) if self.folded is None else (self.shown, self.folded)

    @property
    def count(self) -> int:
        """How many maps, bars or votes it has."""
        return self.shape[0]


def stages_of(network: Network, folded: Set[int] = frozenset()) -> tuple[Stage, ...]:
    """The columns of a network, the input first; the ReLUs (by layer) in `folded` share the column before them."""
    stages = []
    for layer in range(len(network.shapes)):
        if layer not in folded and not _is_passed_over(network, layer):
            stages.append(_stage(network, layer, layer + 1 if layer + 1 in folded else None))
    return tuple(stages)


def foldable(network: Network) -> tuple[int, ...]:
    """The layers (by number) that may share the column before them: a ReLU on features or on a hidden list."""
    pairs = zip(network.layers, network.layers[1:], strict=False)
    return tuple(
        place
        for place, (below, layer) in enumerate(pairs, 2)
        if isinstance(layer, ReLU) and isinstance(below, Conv2D | Dense)
    )


def layer_names(network: Network) -> tuple[str, ...]:
    """How the window calls the input and every layer: "Features 1", "Votes"; numbered where there are several."""
    titles = [_title(network, layer) for layer in range(len(network.shapes))]
    several, seen = Counter(titles), Counter[str]()
    names = []
    for title in titles:
        seen[title] += 1
        names.append(f"{title} {seen[title]}" if several[title] > 1 else title)
    return tuple(names)


def is_signed(network: Network, layer: int) -> bool:
    """Whether the values of `layer` can be negative: not after a ReLU, until the next weights."""
    for place in range(layer, 0, -1):
        if isinstance(network.layers[place - 1], ReLU):
            return False
        if starts_group(network, place):
            return not (isinstance(network.layers[place - 1], Votes) and not is_signed(network, place - 1))
    return True


def group_of(network: Network, layer: int) -> int:
    """The layer whose levels `layer` shares: the nearest with weights at or before it, or the input."""
    return next((place for place in range(layer, 0, -1) if starts_group(network, place)), 0)


def starts_group(network: Network, layer: int) -> bool:
    """Whether the values of `layer` are newly weighed, not just picked from those before."""
    made = network.layers[layer - 1]
    return isinstance(made, Votes) or made.block_shape(network.shapes[layer - 1]) is not None


def number(value: int) -> str:
    """A whole number as people read it: 1 024, with a narrow space that does not break."""
    return f"{value:,}".replace(",", NARROW_SPACE)


def _is_passed_over(network: Network, layer: int) -> bool:
    """Flatten computes nothing, so it has no column, except where the article shows its list."""
    if layer == 0 or not isinstance(network.layers[layer - 1], Flatten):
        return False
    heard_by_hand = layer < len(network.layers) and isinstance(network.layers[layer], Votes)
    return not (heard_by_hand and network.shapes[layer][0] <= SHORT_LIST)


def _stage(network: Network, layer: int, folded: int | None) -> Stage:
    made = network.layers[layer - 1] if layer else None
    title = _title(network, layer)
    if folded is not None:
        title += f" + {_title(network, folded)}"
    kernel = (network.shapes[layer - 1][0], made.size, made.size) if isinstance(made, Conv2D) else None
    return Stage(
        _kind(network, layer),
        layer,
        folded,
        title,
        _lines(network, layer, folded is not None),
        network.shapes[layer],
        is_signed(network, layer),
        group_of(network, layer),
        kernel,
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
    names = {Conv2D: "Features", ReLU: "ReLU", MaxPool2D: "Pool", Flatten: "List", Dense: "Hidden"}
    return _tr(names.get(type(made), type(made).__name__))


def _lines(network: Network, layer: int, folded: bool) -> tuple[str, str]:
    shape = network.shapes[layer]
    if layer == 0:
        return _tr("as the network"), _tr("sees it, {0}").format(shape_text(shape[1:]))
    made, below = network.layers[layer - 1], network.shapes[layer - 1]
    if layer == len(network.layers):
        return _tr("{0} classes").format(number(shape[0])), _reads(made, below)
    if isinstance(made, Dense):
        return _tr("{0} values").format(number(shape[0])), _reads(made, below)
    what = _DESCRIBED.get(type(made), _nothing)(made)
    if len(shape) == 1:
        return what, _tr("{0} values").format(number(shape[0]))
    return what + (_tr(", folded") if folded else ""), shape_text(shape)


def _reads(made: Layer, below: Shape) -> str:
    """What every value of a list layer reads, Flatten's list included."""
    return _tr("mean of the strong") if isinstance(made, Votes) else _tr("reads all {0}").format(number(below[0]))


def _conv(layer: Conv2D) -> str:
    step = _tr(", step {0}").format(layer.stride) if layer.stride > 1 else ""
    return _tr("{0} of {1} × {1}").format(number(layer.features), layer.size) + step


def _pool(layer: MaxPool2D) -> str:
    return _tr("max of {0} × {0}").format(layer.size)


def _relu(layer: ReLU) -> str:
    return _tr("negative → 0")


def _flatten(layer: Flatten) -> str:
    return _tr("map by map")


def _nothing(layer: Layer) -> str:
    return ""


def _tr(text: str) -> str:
    return QCoreApplication.translate("NetworkView", text)


def _center(layer: Center) -> str:
    return _tr("minus the mean")


_DESCRIBED: dict[type[Layer], Callable[..., str]] = {
    Conv2D: _conv,
    MaxPool2D: _pool,
    ReLU: _relu,
    Flatten: _flatten,
    Center: _center,
}
