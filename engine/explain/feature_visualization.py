"""Feature visualization: the input that maximizes one value of a network, by gradient ascent from noise.

Sources: activation maximization, Erhan et al. 2009; regularization that keeps the picture readable (decay,
smoothing, jitter), Yosinski et al. 2015 and Olah et al., "Feature Visualization", 2017.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.backends import HostArray
from engine.explain.attribution import Gradients
from engine.explain.receptive_fields import Window
from engine.explain.top_examples import receptive_box
from engine.nn import Network
from engine.nn.layers import CellIndex

STEPS: Final = 120
# Noise to start from: mean, standard deviation, and blur in pixels, tried in turn until the value has a gradient. 0
# is the grey between background and ink.
NOISE_LEVELS: Final = ((0.0, 0.1, 0.0), (-0.9, 0.1, 0.0), (0.0, 0.5, 2.0), (0.0, 1.0, 2.0))
# Pixels a side up to which a receptive field needs no smoothing.
SMALL_WINDOW: Final = 9


@dataclass(frozen=True)
class Regularization:
    """Regularization of the ascent, which keeps the picture readable.

    decay: share by which every pixel shrinks towards 0 in a step.
    smoothing: share of each pixel that is taken from its four neighbours in a step.
    jitter: pixels by which the picture is shifted at most before a step, so that no single pixel matters much.
    blur: standard deviation in pixels of the Gaussian blur of the gradient, at the start and at the end, so that
        coarse structure forms before fine detail.
    rate: change in a step of a pixel whose gradient is the root mean square.
    """

    decay: float = 0.0
    smoothing: float = 0.0
    jitter: int = 0
    blur: tuple[float, float] = (0.0, 0.0)
    rate: float = 0.1


@dataclass(frozen=True, eq=False)
class MaximizedInput:
    """A step of the ascent.

    picture: (C, H, W) float32, -1 to 1, background outside the window.
    window: the value's receptive field.
    value: the maximized value, of this picture.
    progress: share of the steps done.
    message: a remark on the picture, one sentence.
    is_stuck: whether the value has no gradient for any of the noises.
    """

    picture: HostArray
    window: Window
    value: float
    progress: float
    message: str = ""
    is_stuck: bool = False


def map_centre(network: Network, layer: int, channel: int) -> CellIndex:
    """The cell that represents a feature: the centre of its map, or the value itself after Flatten."""
    shape = network.shapes[layer]
    return (channel, shape[1] // 2, shape[2] // 2) if len(shape) == 3 else (channel,)


def pre_activation(network: Network, layer: int, cell: CellIndex) -> tuple[int, CellIndex] | None:
    """The layer and cell of the pre-activation of the value at `cell` of `layer`: before the first layer, such as a
    ReLU, that zeroes negative values; None if there is none after the last layer with weights."""
    found: tuple[int, CellIndex] | None = None
    for at in range(layer, 0, -1):
        below = network.layers[at - 1]
        if below.traits.connects_channels:
            break
        cell = _below(network, at, cell)
        if below.traits.zeroes_negatives:
            found = at - 1, cell
    return found


def _below(network: Network, layer: int, cell: CellIndex) -> CellIndex:
    """The centre of what the value at `cell` of `layer` reads of the layer below, in the same map."""
    shape = network.shapes[layer - 1]
    if network.layers[layer - 1].traits.reshapes:
        above = network.shapes[layer]
        flat = int(np.ravel_multi_index(cell, above))
        return tuple(int(at) for at in np.unravel_index(flat, shape))
    if len(cell) != 3:
        return map_centre(network, layer - 1, cell[0])
    read = network.layers[layer - 1].receptive_range(
        shape, range(cell[1], cell[1] + 1), range(cell[2], cell[2] + 1)
    )
    rows, columns = (range(shape[1]), range(shape[2])) if read is None else read
    return cell[0], rows[len(rows) // 2], columns[len(columns) // 2]


def regularization_for(window: Window) -> Regularization:
    """Regularization for a receptive field of this size; a small one needs hardly any."""
    side = max(len(window[0]), len(window[1]))
    return (
        Regularization(0.03, 0.1, side // 14, (side / 10, side / 32))
        if side > SMALL_WINDOW
        else Regularization(0.001, rate=0.02)
    )


class ActivationMaximization:
    """Gradient ascent in the input for the centre of map `channel`, or value `channel`, of the output of `layer`,
    counted from 1, with the parameters loaded into `gradients`.

    seed: of the noise and the jitter; the same seed gives the same bytes.
    """

    def __init__(
        self,
        gradients: Gradients,
        layer: int,
        channel: int,
        seed: int,
        regularization: Regularization | None = None,
        steps: int = STEPS,
    ) -> None:
        network = gradients.network
        self.cell = map_centre(network, layer, channel)
        self.window = receptive_box(network, layer, self.cell)
        self._gradients, self._layer, self._steps = gradients, layer, steps
        self._regularization = regularization_for(self.window) if regularization is None else regularization
        before = pre_activation(network, layer, self.cell)
        self._targets = [(layer, self.cell), *([] if before is None else [before])]
        self._rng = np.random.default_rng(seed)

    def iter_slices(self) -> Iterator[MaximizedInput | None]:
        """Yields the picture before the first and after every step, or None at the end of a slice within a step."""
        picture: HostArray = np.zeros(self._gradients.network.input_shape)
        target: int | None = None
        for mean, std, blur in NOISE_LEVELS:
            noise: HostArray = np.asarray(self._rng.standard_normal(picture.shape))
            # Restores the standard deviation, which blurring reduces.
            noise = max(1.0, 2 * blur * np.sqrt(np.pi)) * _blurred(noise, blur)
            picture = self._masked(np.clip(mean + std * noise, -1.0, 1.0))
            target, gradient = yield from self._gradient(picture)
            if target is not None:
                break
        if target is None:
            message = "This value has no gradient for any noise, so there is no direction to follow."
            yield self._step_result(picture, 1.0, message, is_stuck=True)
            return
        for step in range(self._steps):
            yield self._step_result(picture, step / self._steps)
            # No jitter in the last quarter, so that the picture settles.
            schedule = min(1.0, step / (0.75 * self._steps))
            shift = self._jitter() if schedule < 1 else (0, 0)
            target, gradient = yield from self._gradient(np.roll(picture, shift, (1, 2)))
            if target is not None:  # the gradient of the shifted picture may be 0
                picture = self._stepped(picture, np.roll(gradient, (-shift[0], -shift[1]), (1, 2)), schedule)
        target, gradient = yield from self._gradient(picture)
        yield self._step_result(picture, 1.0, self._message(target))

    def _gradient(self, picture: HostArray) -> Generator[None, None, tuple[int | None, HostArray]]:
        return self._gradients.first_input_gradient(picture, self._targets)

    def _masked(self, picture: HostArray) -> HostArray:
        """The picture with background outside the receptive field."""
        rows, columns = self.window
        masked: HostArray = np.full(picture.shape, -1.0)
        inside = slice(None), slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        masked[inside] = picture[inside]
        return masked

    def _jitter(self) -> tuple[int, int]:
        most = self._regularization.jitter
        down, right = self._rng.integers(-most, most + 1, 2).tolist()
        return down, right

    def _stepped(self, picture: HostArray, gradient: HostArray, schedule: float) -> HostArray:
        """One ascent step within the receptive field, its length independent of the gradient's norm."""
        regularization = self._regularization
        first, last = regularization.blur
        rows, columns = self.window
        inside = slice(None), slice(rows.start, rows.stop), slice(columns.start, columns.stop)
        part, direction = picture[inside], _blurred(gradient[inside], first + schedule * (last - first))
        rms = float(np.sqrt(np.square(direction).mean()))
        if rms > 0:
            part = part + regularization.rate * direction / rms
        part = (1 - regularization.decay) * part
        if regularization.smoothing:
            part = (1 - regularization.smoothing) * part + regularization.smoothing * _neighbour_mean(part)
        stepped = picture.copy()
        stepped[inside] = np.clip(part, -1.0, 1.0)
        return stepped

    def _step_result(
        self, picture: HostArray, progress: float, message: str = "", *, is_stuck: bool = False
    ) -> MaximizedInput:
        value = self._gradients.value(self._layer, self.cell)
        copied = picture.astype(np.float32)
        copied.flags.writeable = False
        return MaximizedInput(copied, self.window, value, progress, message, is_stuck)

    def _message(self, target: int | None) -> str:
        """The remark on the last picture, whose gradient is that of this target."""
        if not target:
            return ""
        low = f"{self._gradients.value(*self._targets[1]):.2f}".replace("-", "\u2212")
        return (
            "No input was found for which this value is above 0: the picture raises its pre-activation most, "
            f"to {low}. The feature is dead."
        )


def _blurred(values: HostArray, std: float) -> HostArray:
    """(C, h, w) convolved with a Gaussian of this standard deviation in pixels; edges are replicated."""
    if std <= 0:
        return values
    radius = int(3 * std) + 1
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / std) ** 2)
    weights /= weights.sum()
    for axis in (1, 2):
        widths = [(radius, radius) if each == axis else (0, 0) for each in range(3)]
        padded, length = np.pad(values, widths, mode="edge"), values.shape[axis]
        values = np.zeros(values.shape)
        for at, weight in enumerate(weights.tolist()):
            values += weight * np.take(padded, range(at, at + length), axis)
    return values


def _neighbour_mean(part: HostArray) -> HostArray:
    """The mean of every pixel's four neighbours, (C, h, w); edges are replicated."""
    padded = np.pad(part, ((0, 0), (1, 1), (1, 1)), mode="edge")
    mean: HostArray = (padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]) / 4
    return mean
