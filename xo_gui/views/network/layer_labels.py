"""Display columns: which columns a network is shown in, and the names and subtitles of its layers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Literal

from engine.nn import Network
from engine.nn.layers import Shape, shape_text
from xo_gui.app import engine_text, translate
from xo_gui.widgets import integer_text

ColumnKind = Literal["picture", "maps", "bars", "list", "votes", "group"]

# A Flatten this short before hand-made Votes has a column that lists its values, as in the article.
_SHORT_LIST = 24
_NAMES: deque[tuple[Network, tuple[str, ...]]] = deque(maxlen=4)


@dataclass(frozen=True)
class DisplayColumn:
    """One column of the display.

    kind: "group" for a collapsed run of layers, which shows no values.
    layer: the layer (0 is the input) whose values it shows.
    folded: the layers after it that share the column.
    subtitle: two short lines under the title.
    shape: of the shown values.
    signed: whether they can be negative.
    scale_layer: the layer whose colour limits it shares.
    kernel_shape: (channels, size, size) of the kernels beside the maps.
    layer_kinds: the names of the kinds of its layers.
    pager: replaces the second line where not all maps are shown: the shown range, the count, and the shape.
    """

    kind: ColumnKind
    layer: int
    folded: tuple[int, ...]
    title: str
    subtitle: tuple[str, str]
    shape: Shape
    signed: bool
    scale_layer: int
    kernel_shape: Shape | None = None
    layer_kinds: tuple[str, ...] = ()
    pager: tuple[str, str, str] | None = None

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers of this column."""
        return (self.layer, *self.folded)

    @property
    def count(self) -> int:
        """The number of maps, bars or votes."""
        return self.shape[0]


def display_columns(network: Network, folded: Set[int] = frozenset()) -> tuple[DisplayColumn, ...]:
    """The columns of a network, the input first; layers in `folded` share the column before them."""
    columns: list[list[int]] = []
    for layer in range(len(network.shapes)):
        if layer in folded:
            columns[-1].append(layer)
        elif not _has_no_column(network, layer):
            columns.append([layer])
    return tuple(_stage(network, shown, tuple(rest)) for shown, *rest in columns)


def foldable_layers(network: Network) -> tuple[int, ...]:
    """The numbers of the layers that may share the column before them: pointwise ones, such as a ReLU, except the
    first and the last layer."""
    return tuple(
        place
        for place, layer in enumerate(network.layers[:-1], 1)
        if layer.traits.is_elementwise and place > 1 and not _has_no_column(network, place - 1)
    )


def has_column(network: Network, layer: int) -> bool:
    """Whether a layer is shown in a column, its own or a shared one; most Flatten layers are not."""
    return not _has_no_column(network, layer)


def with_pager(display: DisplayColumn, maps: range) -> DisplayColumn:
    """The column with a pager that says which maps are shown: "25–48", "of 512", "of 512 × 126 × 126"."""
    if len(maps) == display.count:
        pager = (
            translate("NetworkView", "all {0}").format(integer_text(display.count)),
            "",
            "× " + shape_text(display.shape[1:]),
        )
    else:
        shown = translate("NetworkView", "{0}–{1}").format(integer_text(maps.start + 1), integer_text(maps.stop))
        of = translate("NetworkView", "of {0}")
        pager = shown, of.format(integer_text(display.count)), of.format(shape_text(display.shape))
    return replace(display, pager=pager)


def layer_names(network: Network) -> tuple[str, ...]:
    """The displayed names of the input and every layer, numbered where several share one: "Features 1", "Votes".

    Cached for the last four networks, because computing a thousand names takes a frame's time.
    """
    for known, names in _NAMES:
        if known is network:
            return names
    _NAMES.appendleft((network, _layer_names(network)))
    return _NAMES[0][1]


def _layer_names(network: Network) -> tuple[str, ...]:
    titles = [_title(network, layer) for layer in range(len(network.shapes))]
    several, seen = Counter(titles), Counter[str]()
    names = []
    for title in titles:
        seen[title] += 1
        names.append(f"{title} {seen[title]}" if several[title] > 1 else title)
    return tuple(names)


def _has_no_column(network: Network, layer: int) -> bool:
    """Whether an identity layer has no column: a Flatten, or one after it, but for the article's short list."""
    if layer == 0 or not network.layers[layer - 1].traits.is_identity:
        return False
    if len(network.shapes[layer]) == 3:
        return False
    if not network.layers[layer - 1].traits.reshapes:
        return _has_no_column(network, layer - 1)
    feeds_votes = layer < len(network.layers) and network.layers[layer].traits.strong is not None
    return not (feeds_votes and network.shapes[layer][0] <= _SHORT_LIST)


def _stage(network: Network, layer: int, folded: tuple[int, ...]) -> DisplayColumn:
    size = network.layers[layer - 1].traits.kernel_size if layer else None
    titles = tuple(_title(network, one) for one in (layer, *folded))
    kernel = None if size is None else (network.shapes[layer - 1][0], size, size)
    return DisplayColumn(
        _kind(network, layer),
        layer,
        folded,
        _joined(titles),
        _lines(network, layer, bool(folded)),
        network.shapes[layer],
        network.can_be_negative[layer],
        network.scale_sources[layer],
        kernel,
        titles,
    )


def _kind(network: Network, layer: int) -> ColumnKind:
    if layer == 0:
        return "picture"
    if layer == len(network.layers):
        return "votes"
    if network.layers[layer - 1].traits.reshapes:
        return "list"
    return "maps" if len(network.shapes[layer]) == 3 else "bars"


def _title(network: Network, layer: int) -> str:
    if layer == 0:
        return translate("NetworkView", "Input")
    if layer == len(network.layers):
        return translate("NetworkView", "Votes")
    return engine_text(network.layers[layer - 1].text.title)


def _joined(titles: tuple[str, ...]) -> str:
    """ "Features + ReLU"; for more than three the first and a count, because a wide header widens the column."""
    if len(titles) <= 3:
        return " + ".join(titles)
    return translate("NetworkView", "{0} + {1} more").format(titles[0], len(titles) - 1)


def _lines(network: Network, layer: int, folded: bool) -> tuple[str, str]:
    shape = network.shapes[layer]
    if layer == 0:
        return translate("NetworkView", "as the network"), translate("NetworkView", "sees it, {0}").format(
            shape_text(shape[1:])
        )
    source = network.layers[layer - 1]
    template, values = source.text.detail
    description = engine_text(template).format(*(integer_text(v) if isinstance(v, int) else v for v in values))
    if source.traits.connects_channels and len(shape) == 1 and not description:
        description = translate("NetworkView", "uses all {0}").format(integer_text(network.shapes[layer - 1][0]))
    if layer == len(network.layers):
        return translate("NetworkView", "{0} classes").format(integer_text(shape[0])), description
    if len(shape) == 1:
        count = translate("NetworkView", "{0} values").format(integer_text(shape[0]))
        return (count, description) if source.traits.connects_channels else (description, count)
    return description + (translate("NetworkView", ", folded") if folded else ""), shape_text(shape)
