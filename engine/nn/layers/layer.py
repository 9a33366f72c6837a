"""Layer: the hyperparameters of one kind of layer, with its shapes, cost, forward and backward calls."""

from __future__ import annotations

import hashlib
import math
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from engine.backends import Array, Calls, HostArray, Ops
from engine.nn.layers.description import LayerText, Traits
from engine.nn.layers.value_formulas import CellIndex, GradientTerms, ValueFormula

Shape: TypeAlias = tuple[int, ...]


Arrays: TypeAlias = "dict[str, np.ndarray[Any, Any]]"


class ShapeError(ValueError):
    """Two shapes do not fit; the message names the layer and both shapes."""


def shape_text(shape: Shape) -> str:
    """A shape as text: 8 × 32 × 32."""
    return " × ".join(str(n) for n in shape)


_LEAST_CENTRED = 16  # values per output: centring fewer would leave too little of their randomness


def centred_normal(rng: np.random.Generator, outputs: int, values: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Random weights (outputs, values) float32 of variance 1; from 16 values an output up, its weights sum to 0.

    An output then starts at 0 for an input that is the same everywhere, such as the background of a drawing, which
    would otherwise decide alone whether the ReLU after it lets anything through.
    """
    weights = rng.standard_normal((outputs, values), np.float32)
    if values < _LEAST_CENTRED:
        return weights
    weights -= weights.mean(axis=1, keepdims=True)
    weights *= np.float32(math.sqrt(values / (values - 1)))
    return weights


@dataclass(frozen=True)
class Cost:
    """The cost of one input in a layer: multiplications (a division, exponential or tanh counts as one), bytes of
    the float32 output, and number of parameters."""

    multiplies: int
    bytes: int
    parameters: int


@dataclass(frozen=True)
class PaddedInput:
    """Memory for a layer's input. padded: the whole, padding included; values: the view of the input
    itself."""

    padded: Array
    values: Array


@dataclass
class LayerArrays:
    """The arrays of one layer in one plan, all batch-last.

    x: the input, padded
    y: the output
    parameters: as stored, None without
    parameter_gradient: None if not needed
    buffers: as stored (running statistics), None without
    training: whether dropout and batch norm are in training mode
    needs_backward: whether the backward calls will be needed
    rng_key: seed of the layer's random numbers
    rng_counter: (2,) uint32, the number of the step and the index in the batch of the first example
    dy: the gradient in y, contiguous
    dx: the gradient in x.values, contiguous; None if not needed
    context: whatever the forward calls save for the backward calls
    """

    x: PaddedInput
    y: Array
    parameters: Array | None = None
    parameter_gradient: Array | None = None
    buffers: Array | None = None
    training: bool = False
    needs_backward: bool = False
    rng_key: int = 0
    rng_counter: Array | None = None
    dy: Array | None = None
    dx: Array | None = None
    context: Any = None


@dataclass(frozen=True)
class Layer:
    """The hyperparameters of a layer; subclasses define its shapes, parameters, cost and the calls of both
    passes."""

    kind: ClassVar[str] = "layer"

    @cached_property
    def traits(self) -> Traits:
        """What others depend on."""
        return Traits()

    @cached_property
    def text(self) -> LayerText:
        """Its words."""
        return LayerText(type(self).__name__)

    @property
    def inner_layers(self) -> tuple[tuple[str, Layer], ...]:
        """The layers inside a block, by id; none of a plain layer."""
        return ()

    def with_inner(self, change: Callable[[Layer], Layer]) -> Layer:
        """The block with each of its layers changed; a plain layer as it is."""
        return self

    def with_outputs(self, kept: Sequence[int | None]) -> Layer | None:
        """The layer with other outputs, None if it cannot have these.

        kept: for each of them the present output that it is, counted from 0, None for a new one
        """
        return None

    def fused_with(self, above: Layer) -> Layer | None:
        """One layer that computes this one and the one after it faster, None if there is none."""
        return None

    def in_torch(self, torch: Any, tensors: Mapping[str, Any]) -> Callable[[Any], Any] | None:
        """The layer at inference as a PyTorch function with these parameters and buffers, None if it has none."""
        return None

    def in_onnx(self) -> tuple[str, dict[str, Any]] | None:
        """The ONNX operator with its attributes, whose inputs are x and the parameters; None if there is none."""
        return None

    @property
    def pad_width(self) -> int:
        """The width of the padding on each side of the input."""
        return 0

    @property
    def pad_value(self) -> float:
        """The value of the padding."""
        return 0.0

    def output_shape(self, shape: Shape) -> Shape:
        """The output's shape, (C, H, W) or (n,), for one input of `shape`.

        Raises ShapeError if there is none; its message is a clause about "it", which Network completes to a
        sentence.
        """
        return shape

    def parameter_shape(self, shape: Shape) -> Shape | None:
        """The shape of the stored parameter array for an input of `shape`; None without parameters."""
        return None

    def parameter_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        """The parameters by name, as views of the stored array."""
        return {}

    def buffer_shape(self, shape: Shape) -> Shape | None:
        """The shape of the stored buffer array (running statistics); None without buffers."""
        return None

    def buffer_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        """The buffers by name, as views of the stored array."""
        return {}

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> Arrays:
        """Initial parameters and buffers by name, float32, drawn from `rng`."""
        return {}

    def fit(self, images: np.ndarray[Any, Any]) -> Arrays:
        """Buffers, by name, computed from the training images (N, C, H, W) when a run starts with fresh
        weights."""
        return {}

    def multiplies(self, shape: Shape) -> int:
        """Multiplications for one input of `shape` at inference, those with padding included."""
        return 0

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """Multiplications of the backward pass for one input of `shape`: for the parameters, and for the input.

        Each product weight × value has one of each: gradient × value, and gradient × weight.
        """
        forward = self.multiplies(shape)
        return (0 if self.parameter_shape(shape) is None else forward), forward

    def cost(self, shape: Shape) -> Cost:
        """The cost of one input of `shape`."""
        stored = self.parameter_shape(shape)
        size = 4 * math.prod(self.output_shape(shape))
        return Cost(self.multiplies(shape), size, 0 if stored is None else math.prod(stored))

    def workspace_bytes(self, shape: Shape) -> int:
        """Bytes of float32 that one input of `shape` touches, to choose the slice of a batch that fits the
        cache."""
        return 4 * math.prod(self.output_shape(shape))

    def plan_bytes(self, shape: Shape) -> int:
        """Approximate bytes of float32 per input of `shape` in a plan: output, workspace, and the padding, which
        can be wide with a large stride."""
        padded = math.prod((shape[0], *(side + 2 * self.pad_width for side in shape[1:])))
        return 4 * (math.prod(self.output_shape(shape)) + padded - math.prod(shape)) + self.workspace_bytes(shape)

    def check_parameters(self, parameters: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Raises ValueError for invalid parameters or buffers, by name; the message is a clause about the name,
        which Network completes to a sentence. Network checks shapes and finiteness."""

    def preferred_batch(self, shape: Shape) -> int:
        """How many inputs of `shape` are worth computing at once on a CPU, even beyond its cache."""
        return 1

    def receptive_range(self, shape: Shape, rows: range, columns: range) -> tuple[range, range] | None:
        """The rows and columns of the input that the given rows and columns of the output read.

        None if an output reads the whole input. `shape` is the input's.
        """
        return rows, columns

    def receptive_mask(self, shape: Shape, mask: HostArray) -> HostArray:
        """bool (*shape): exactly the input cells that the output cells in `mask` read, gaps of strides left
        out."""
        return _receptive_mask(self, shape, mask)

    def influence_mask(self, shape: Shape, mask: HostArray) -> HostArray:
        """bool in the output's shape: exactly the output cells that read a cell in `mask` (*shape)."""
        return _influence_mask(self, shape, mask)

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> ValueFormula:
        """The formula of the output value at `index`, at inference.

        x: the whole input (*shape) on the host
        y: the value
        parameters: with the buffers, by name
        """
        raise NotImplementedError

    def contributions(
        self, x: HostArray, index: CellIndex, output_index: CellIndex, parameters: Arrays
    ) -> HostArray:
        """float64 (channels,): what the input cell at `index` contributes to each channel of an output cell.

        Only for layers that connect channels.
        x: the whole input
        output_index: (row, column) of the output cell, or () in a vector
        parameters: with the buffers, by name
        """
        cell, count = int(np.ravel_multi_index(index, x.shape)), self.output_shape(x.shape)[0]
        formulas = [self.value_formula(x, (channel, *output_index), 0.0, parameters) for channel in range(count)]
        return np.array([float(formula.contributions[formula.cells == cell].sum()) for formula in formulas])

    def distances_to_kink(self, x: HostArray) -> Iterator[HostArray]:
        """Distances of the inputs from the kinks of the layer; none if it is smooth everywhere.

        x: (points, *shape, N), the same inputs at several points, the first being the current one. Each array
            yielded is (points, *cells, N) and 0 at a kink.
        """
        return iter(())

    def children(self, arrays: LayerArrays) -> list[ChildLayer]:
        """The layers inside this one; none for a plain layer."""
        return []

    def gradient_terms(self, name: str, index: Shape, x: HostArray, dy: HostArray) -> GradientTerms | None:
        """The terms whose sum is the gradient of one parameter in training mode; None if it is no sum of products.

        name, index: the parameter's name and index
        x: (N, *input), the whole batch if the layer uses batch statistics
        dy: (N, *output)
        """
        return None

    def allocate_input(self, ops: Ops, shape: Shape, batch: int, dtype: Any) -> PaddedInput:
        """Memory for the input, with the padding the layer needs, which nothing writes to later."""
        plain = ops.zeros((*shape, batch), dtype)
        return PaddedInput(plain, plain)

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        """The calls that compute arrays.y from arrays.x."""
        raise NotImplementedError

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        """The calls that compute arrays.dx and arrays.parameter_gradient, each unless it is None, from arrays.dy,
        after a forward pass."""
        raise NotImplementedError

    def update_running_statistics(self, ops: Ops, arrays: LayerArrays) -> Calls:
        """The calls that update arrays.buffers with the statistics of the last forward pass, once its step is
        accepted."""
        return []


class ChildLayer(NamedTuple):
    """A layer inside another, with its id, its title in messages and its arrays."""

    id: str
    title: str
    layer: Layer
    arrays: LayerArrays


def _receptive_mask(layer: Layer, shape: Shape, mask: HostArray) -> HostArray:
    """bool (*shape): the input cells that any output cell in `mask` reads, of a layer with rows × columns
    windows."""
    if layer.traits.is_elementwise:
        return mask
    tables = _connection_tables(layer, shape)
    if tables is None:
        return _filled(shape, mask.any()) if layer.traits.connects_channels else _whole_maps(shape, mask)
    rows, columns = tables
    if layer.traits.connects_channels:
        return np.broadcast_to(_carry(rows.T, np.any(mask, axis=0), columns), shape)
    return _map_by_map(mask, shape, lambda one: _carry(rows.T, one, columns))


def _influence_mask(layer: Layer, shape: Shape, mask: HostArray) -> HostArray:
    """bool in the output's shape: the output cells that read any input cell in `mask` (*shape)."""
    if layer.traits.is_elementwise:
        return mask
    output_shape = layer.output_shape(shape)
    tables = _connection_tables(layer, shape)
    if tables is None:
        whole: HostArray = np.any(mask.reshape(len(mask), -1), axis=1)
        return _filled(output_shape, mask.any()) if layer.traits.connects_channels else whole
    rows, columns = tables
    if layer.traits.connects_channels:
        return np.broadcast_to(_carry(rows, np.any(mask, axis=0), columns.T), output_shape)
    return _map_by_map(mask, output_shape, lambda one: _carry(rows, one, columns.T))


def _carry(rows: HostArray, mask: HostArray, columns: HostArray) -> HostArray:
    """The cells that rows and columns connect with the cells in `mask` (h, w)."""
    connected: HostArray = (rows @ mask.astype(np.float32) @ columns) > 0
    return connected


def _map_by_map(mask: HostArray, shape: Shape, carry: Callable[[HostArray], HostArray]) -> HostArray:
    """Maps without a cell in `mask` are skipped; usually all but one."""
    result = np.zeros(shape, bool)
    for channel in np.flatnonzero(mask.any(axis=(1, 2))):
        result[channel] = carry(mask[channel])
    return result


@lru_cache(maxsize=64)
def _connection_tables(layer: Layer, shape: Shape) -> tuple[HostArray, HostArray] | None:
    """float32 tables (H', H) and (W', W): 1 where an output row (column) reads an input row (column). None if an
    output reads the whole input."""
    one = range(1)
    if len(shape) != 3 or layer.receptive_range(shape, one, one) is None:
        return None
    output_shape = layer.output_shape(shape)
    tables = []
    for axis in (0, 1):
        table = np.zeros((output_shape[1 + axis], shape[1 + axis]), np.float32)
        for index in range(len(table)):
            cell = range(index, index + 1)
            read = layer.receptive_range(shape, *((cell, one) if axis == 0 else (one, cell)))
            assert read is not None
            table[index, read[axis].start : max(read[axis].stop, read[axis].start)] = 1
        tables.append(table)
    return tables[0], tables[1]


def _filled(shape: Shape, value: bool | np.bool_) -> HostArray:
    return np.full(shape, bool(value))


def _whole_maps(shape: Shape, mask: HostArray) -> HostArray:
    """The whole of every map with a value in `mask` (C,)."""
    return np.broadcast_to(mask.reshape(-1, *(1 for _ in shape[1:])), shape)


def require_maps(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    """`shape` as (channels, height, width). Raises ShapeError for a vector."""
    if len(shape) != 3:
        raise ShapeError(
            f"it needs maps (channels × height × width) but gets {shape_text(shape)}; put it before Flatten"
        )
    return shape[0], shape[1], shape[2]


def require_vector(layer: Layer, shape: Shape) -> int:
    """`shape` as a length. Raises ShapeError for maps."""
    if len(shape) != 1:
        raise ShapeError(f"it needs a vector (n) but gets maps {shape_text(shape)}; put a Flatten before it")
    return shape[0]


def group_by_layer(values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Arrays]:
    """Values whose names start with a layer's (conv2d-1.weight), grouped by layer."""
    grouped: dict[str, Arrays] = {}
    for name, value in values.items():
        layer, _, part = name.partition(".")
        grouped.setdefault(layer, {})[part] = value
    return grouped


def derive_rng_key(parent: int, index: int) -> int:
    """The random seed of the layer at `index`, counted from 1: the first 32 bits of BLAKE2s of it and the seed of
    the network, or block, that holds it. Thus no two layers' random numbers are related."""
    return int.from_bytes(hashlib.blake2s(f"{parent}/{index}".encode(), digest_size=4).digest(), "little")


# The largest size, stride, padding and number of kernels: far beyond practical networks. It bounds the cost of a
# pool, which visits every cell of its window.
MAX_HYPERPARAMETER = 1 << 16


def require(layer: object, name: str, fits: bool, wanted: str) -> None:
    """Raises ValueError, naming the layer's kind, unless the hyperparameter fits; `wanted` says what it must
    be."""
    if not fits:
        given = reprlib.repr(getattr(layer, name))
        raise ValueError(f"{type(layer).__name__}'s {name} must be {wanted}, not {given}.")


def require_int(layer: object, name: str, least: int, literal: str = "") -> None:
    """Raises ValueError unless the hyperparameter is an integer from `low` to MAX_HYPERPARAMETER, or equals
    `literal`."""
    value = getattr(layer, name)
    fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_HYPERPARAMETER
    other = f' or "{literal}"' if literal else ""
    wanted = f"a whole number from {least} to {MAX_HYPERPARAMETER:,}{other}"
    require(layer, name, fits or (bool(literal) and value == literal), wanted)


def require_bool(layer: object, name: str) -> None:
    """Raises ValueError unless the hyperparameter is True or False."""
    require(layer, name, isinstance(getattr(layer, name), bool), "True or False")


def padding_memory(ops: Ops, shape: Shape, value: float, dtype: Any) -> Array:
    """New memory for an input with its padding, filled with the padding's value."""
    return ops.full(shape, value, dtype) if value else ops.zeros(shape, dtype)


def require_number(layer: object, name: str, low: float, high: float, *, exclusive_low: bool = False) -> None:
    """Raises ValueError unless the hyperparameter is a number from `low` to `high`; `exclusive_low` excludes
    `low`."""
    value = getattr(layer, name)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    start = f"above {low:g}, at most" if exclusive_low else f"from {low:g} to"
    require(layer, name, fits and not (exclusive_low and value == low), f"a number {start} {high:g}")
