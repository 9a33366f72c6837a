"""Center: subtracts from every channel of the picture the mean that the examples have there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.backends.ops import Array, Calls, HostArray, Operations
from engine.layers.arithmetic import Place, Shifted, flat_place
from engine.layers.layer import Layer, Shape, Stage, Values, need_maps


@dataclass(frozen=True)
class Center(Layer):
    """y[c, i, j] = x[c, i, j] - mean[c]; dx = dy.

    The mean is no hyperparameter and is not learnt: a run with fresh weights measures it, over all places and all
    pictures of its first epoch, and from then on it lies beside the weights, so that a network read from a file
    centres new pictures as it did those it learnt from. Where nothing was measured it is 0. It goes before the
    features: what a convolution adds around the frame is then 0 after centring, not before.
    """

    kind: ClassVar[str] = "center"
    measures: ClassVar[bool] = True
    pointwise: ClassVar[bool] = True

    def signed(self, below: bool) -> bool:
        """What is below the mean is."""
        return True

    def output_shape(self, shape: Shape) -> Shape:
        """The input's. Raises ShapeError unless it is maps."""
        return need_maps(self, shape)

    def state_shape(self, shape: Shape) -> Shape:
        """(C,): the means."""
        return (shape[0],)

    def state(self, block: Array, shape: Shape) -> dict[str, Array]:
        """mean (C,)."""
        return {"mean": block}

    def initial(self, shape: Shape, rng: np.random.Generator) -> Values:
        """Means 0."""
        return {"mean": np.zeros(shape[0], np.float32)}

    def measured(self, images: np.ndarray[Any, Any]) -> Values:
        """The mean of each channel of the images (N, C, H, W), float32."""
        return {"mean": images.mean((0, 2, 3), np.float64).astype(np.float32)}

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Shifted:
        """The pixel less its channel's mean."""
        return Shifted(flat_place(place, x.shape), float(x[place]), float(values["mean"][place[0]]))

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The values minus their channel's mean."""
        x, dtype, means = stage.x.values, stage.y.dtype, stage.state
        assert means is not None
        minus: Array = ops.zeros(x.shape, dtype)
        channels, places = x.shape[0], math.prod(x.shape[1:])
        spread = ops.product(
            means.reshape(channels, 1), ops.full((1, places), -1, dtype), minus.reshape(channels, places)
        )
        return spread + ops.add(x, minus, stage.y)

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The gradient as it is."""
        return [] if stage.dx is None else ops.copy(stage.dy, stage.dx)
