"""Found layers: which layers of a network a few typed words mean. No widget."""

from __future__ import annotations

from dataclasses import dataclass

from engine.nn.network import Network
from xo_gui.views.stages import has_column, layer_names


@dataclass(frozen=True)
class Called:
    """A layer (0 is the input), its name in the window, all that it can be called, in small letters, and the
    numbers that mean it."""

    layer: int
    name: str
    words: str
    numbers: frozenset[str]

    def fits(self, word: str) -> bool:
        """Whether a word means this layer, among others."""
        return word in self.numbers if word.isdigit() else word in self.words


def called(network: Network) -> tuple[Called, ...]:
    """Every layer with a place in the strip: how the window calls it ("Features 3"), its kind ("Conv2D") and its
    name in files ("05-conv2d"); its number, and the one in its name."""
    names, kinds = layer_names(network), ("input", *(type(layer).__name__ for layer in network.layers))
    return tuple(
        Called(
            layer,
            name.casefold(),
            f"{name} {kind} {key}".casefold(),
            frozenset((str(layer), *filter(str.isdigit, name.split()))),
        )
        for layer, (name, kind, key) in enumerate(zip(names, kinds, network.names, strict=True))
        if has_column(network, layer)
    )


def found_layers(among: tuple[Called, ...], text: str) -> list[int]:
    """The layers that every word of `text` fits, the one that is called just so first; none for no words."""
    words = text.casefold().split()
    found = [one for one in among if words and all(map(one.fits, words))]
    return [one.layer for one in sorted(found, key=lambda one: one.name != " ".join(words))]
