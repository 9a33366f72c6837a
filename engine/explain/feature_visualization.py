"""Ascent: the picture that excites one value of a network most, found step by step up its gradient from noise.

It is the network's own picture of what the value looks for, not one that anybody drew. Sources: activation
maximisation, Erhan et al. 2009; what keeps the picture readable (fading, smoothing, shifting it between steps),
Yosinski et al. 2015 and Olah et al., "Feature Visualization", 2017.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.backends.ops import HostArray
from engine.explain.attribution import Gradients
from engine.explain.receptive_field import Window
from engine.explain.top_examples import window_of
from engine.nn.layers.value_formulas import Place
from engine.nn.network import Network

STEPS: Final = 120
# The noise that it begins with: about which value, how strong, over how many pixels it is blurred; one after the
# other until one moves the value. 0 is the grey between background and ink, and says nothing about a pixel.
NOISES: Final = ((0.0, 0.1, 0.0), (-0.9, 0.1, 0.0), (0.0, 0.5, 2.0), (0.0, 1.0, 2.0))
# A window of so many pixels a side needs no smoothing.
SMALL: Final = 9


@dataclass(frozen=True)
class Restraint:
    """What keeps the picture readable. fading: the share of every pixel that is lost in a step, towards 0;
    smoothing: the share that is taken from its four neighbours; shift: by how many pixels the picture is moved, at
    most, before a step, so that what it shows does not hang on single pixels; blur: over how many pixels, as the
    deviation of a Gaussian, the gradient is blurred, at first and at last: what is coarse forms before what is
    fine; rate: how far a pixel goes in a step, where it counts as much as pixels do on average."""

    fading: float = 0.0
    smoothing: float = 0.0
    shift: int = 0
    blur: tuple[float, float] = (0.0, 0.0)
    rate: float = 0.1


@dataclass(frozen=True, eq=False)
class Ascended:
    """A picture on the way. picture: (C, H, W) float32, -1 to 1. window: the part of it that the value reads; the
    rest is background. value: what the network makes of it. done: the share of the way. words: what there is to say
    of it, one sentence. still: whether no noise moves the value, so that there is no way to anywhere."""

    picture: HostArray
    window: Window
    value: float
    done: float
    words: str = ""
    still: bool = False


def middle(network: Network, layer: int, channel: int) -> Place:
    """The value that stands for a feature: that in the middle of its map; in a list, the value itself."""
    shape = network.shapes[layer]
    return (channel, shape[1] // 2, shape[2] // 2) if len(shape) == 3 else (channel,)


def before_cut(network: Network, layer: int, place: Place) -> tuple[int, Place] | None:
    """The layer and place of the value that layers such as a ReLU cut on the way to the one at `place` of `layer`;
    None where nothing cuts it after it was last weighed."""
    found: tuple[int, Place] | None = None
    for at in range(layer, 0, -1):
        made = network.layers[at - 1]
        if made.mixes_maps:
            break
        place = _below(network, at, place)
        if made.cuts:
            found = at - 1, place
    return found


def _below(network: Network, layer: int, place: Place) -> Place:
    """The value in the middle of what the one at `place` of `layer` reads of the layer below, in the same map."""
    shape = network.shapes[layer - 1]
    if network.layers[layer - 1].reshapes:
        above = network.shapes[layer]
        flat = int(np.ravel_multi_index(place, above))
        return tuple(int(at) for at in np.unravel_index(flat, shape))
    if len(place) != 3:
        return middle(network, layer - 1, place[0])
    read = network.layers[layer - 1].reads(shape, range(place[1], place[1] + 1), range(place[2], place[2] + 1))
    rows, columns = (range(shape[1]), range(shape[2])) if read is None else read
    return place[0], rows[len(rows) // 2], columns[len(columns) // 2]


def restraint_for(window: Window) -> Restraint:
    """What keeps a picture readable of which the value reads so much: a small window is readable as it is."""
    side = max(len(window[0]), len(window[1]))
    return Restraint(0.03, 0.1, side // 14, (side / 10, side / 32)) if side > SMALL else Restraint(0.001, rate=0.02)


class Ascent:
    """Climbs for the value in the middle of the map of `channel`, or that of a list, of the output of `layer`,
    counted from 1, by the parameters that `gradients` was loaded with. seed: of the noise it begins with and of the
    shifts; the same one gives the same bytes."""

    def __init__(
        self,
        gradients: Gradients,
        layer: int,
        channel: int,
        seed: int,
        restraint: Restraint | None = None,
        steps: int = STEPS,
    ) -> None:
        network = gradients.network
        self.place = middle(network, layer, channel)
        self.window = window_of(network, layer, self.place)
        self._gradients, self._layer, self._steps = gradients, layer, steps
        self._restraint = restraint_for(self.window) if restraint is None else restraint
        cut = before_cut(network, layer, self.place)
        self._targets = [(layer, self.place), *([] if cut is None else [cut])]
        self._rng = np.random.default_rng(seed)

    def pieces(self) -> Iterator[Ascended | None]:
        """The picture at every step, the first before any; None where a step pauses."""
        picture: HostArray = np.zeros(self._gradients.network.input_shape)
        target: int | None = None
        for about, size, blur in NOISES:
            noise: HostArray = np.asarray(self._rng.standard_normal(picture.shape))
            # Blurring evens it out, the wider the more.
            noise = max(1.0, 2 * blur * np.sqrt(np.pi)) * _blurred(noise, blur)
            picture = self._inside(np.clip(about + size * noise, -1.0, 1.0))
            target, slope = yield from self._climb(picture)
            if target is not None:
                break
        if target is None:
            yield self._shown(picture, 1.0, "No noise moves this value: there is no slope to follow.", still=True)
            return
        for step in range(self._steps):
            yield self._shown(picture, step / self._steps)
            # In the last quarter the picture settles where it is.
            way = min(1.0, step / (0.75 * self._steps))
            shift = self._shift() if way < 1 else (0, 0)
            target, slope = yield from self._climb(np.roll(picture, shift, (1, 2)))
            if target is not None:  # a shift may bring it to where nothing moves it
                picture = self._stepped(picture, np.roll(slope, (-shift[0], -shift[1]), (1, 2)), way)
        target, slope = yield from self._climb(picture)
        yield self._shown(picture, 1.0, self._words(target))

    def _climb(self, picture: HostArray) -> Generator[None, None, tuple[int | None, HostArray]]:
        return self._gradients.climb(picture, self._targets)

    def _inside(self, picture: HostArray) -> HostArray:
        """The picture with nothing but background where the value does not read it."""
        rows, columns = self.window
        made: HostArray = np.full(picture.shape, -1.0)
        place = slice(None), slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        made[place] = picture[place]
        return made

    def _shift(self) -> tuple[int, int]:
        most = self._restraint.shift
        down, right = self._rng.integers(-most, most + 1, 2).tolist()
        return down, right

    def _stepped(self, picture: HostArray, slope: HostArray, way: float) -> HostArray:
        """One step up `slope`, within the window; how long it is does not depend on the size of the slope."""
        restraint = self._restraint
        first, last = restraint.blur
        rows, columns = self.window
        place = slice(None), slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        part, up = picture[place], _blurred(slope[place], first + way * (last - first))
        size = float(np.sqrt(np.square(up).mean()))
        if size > 0:
            part = part + restraint.rate * up / size
        part = (1 - restraint.fading) * part
        if restraint.smoothing:
            part = (1 - restraint.smoothing) * part + restraint.smoothing * _around(part)
        made = picture.copy()
        made[place] = np.clip(part, -1.0, 1.0)
        return made

    def _shown(self, picture: HostArray, done: float, words: str = "", *, still: bool = False) -> Ascended:
        value = self._gradients.value(self._layer, self.place)
        shown = picture.astype(np.float32)
        shown.flags.writeable = False
        return Ascended(shown, self.window, value, done, words, still)

    def _words(self, target: int | None) -> str:
        """What there is to say of the last picture, whose slope is that of this target."""
        if not target:
            return ""
        low = f"{self._gradients.value(*self._targets[1]):.2f}".replace("-", "\u2212")
        return (
            "No picture was found for which this is not cut to 0: shown is what raises the value before that most, "
            f"to {low}. The feature is dead."
        )


def _blurred(values: HostArray, deviation: float) -> HostArray:
    """(C, h, w) blurred by a Gaussian of this deviation, in pixels; at the edge its pixels stand for what lies
    beyond."""
    if deviation <= 0:
        return values
    reach = int(3 * deviation) + 1
    shares = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    shares /= shares.sum()
    for axis in (1, 2):
        margin = [(reach, reach) if each == axis else (0, 0) for each in range(3)]
        wide, length = np.pad(values, margin, mode="edge"), values.shape[axis]
        values = np.zeros(values.shape)
        for at, share in enumerate(shares.tolist()):
            values += share * np.take(wide, range(at, at + length), axis)
    return values


def _around(part: HostArray) -> HostArray:
    """The mean of every pixel's four neighbours, (C, h, w); at the edge the pixel stands for the missing ones."""
    wide = np.pad(part, ((0, 0), (1, 1), (1, 1)), mode="edge")
    found: HostArray = (wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]) / 4
    return found
