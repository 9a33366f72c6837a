"""Layer: one kind of stage of a network, described by its hyperparameters alone. It holds no values."""

from __future__ import annotations

import hashlib
import math
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias

import numpy as np

from engine.backends.ops import Array, Calls, HostArray, Operations
from engine.nn.layers.value_formulas import Arithmetic, Place, Products

Shape: TypeAlias = tuple[int, ...]


def below(layer: Layer, shape: Shape, mask: HostArray) -> HostArray:
    """(*shape) bool: the input cells that any output cell in `mask` reads, for a layer whose windows are rows x
    columns (`Layer.reads`)."""
    if layer.pointwise:
        return mask
    tables = _tables(layer, shape)
    if tables is None:
        return _all(shape, mask.any()) if layer.mixes_maps else _whole_maps(shape, mask)
    rows, columns = tables
    if layer.mixes_maps:
        return np.broadcast_to(_carried(rows.T, np.any(mask, axis=0), columns), shape)
    return _of_maps(mask, shape, lambda one: _carried(rows.T, one, columns))


def above(layer: Layer, shape: Shape, mask: HostArray) -> HostArray:
    """bool in the output's shape: the output cells that read any input cell in `mask` (*shape)."""
    if layer.pointwise:
        return mask
    made = layer.output_shape(shape)
    tables = _tables(layer, shape)
    if tables is None:
        whole: HostArray = np.any(mask.reshape(len(mask), -1), axis=1)
        return _all(made, mask.any()) if layer.mixes_maps else whole
    rows, columns = tables
    if layer.mixes_maps:
        return np.broadcast_to(_carried(rows, np.any(mask, axis=0), columns.T), made)
    return _of_maps(mask, made, lambda one: _carried(rows, one, columns.T))


def _carried(rows: HostArray, mask: HostArray, columns: HostArray) -> HostArray:
    """Where rows and columns lead from the cells in `mask` (h, w)."""
    found: HostArray = (rows @ mask.astype(np.float32) @ columns) > 0
    return found


def _of_maps(mask: HostArray, shape: Shape, carry: Callable[[HostArray], HostArray]) -> HostArray:
    """Map by map, those without a cell in `mask` left out: mostly there is but one with any."""
    found = np.zeros(shape, bool)
    for channel in np.flatnonzero(mask.any(axis=(1, 2))):
        found[channel] = carry(mask[channel])
    return found


@lru_cache(maxsize=64)
def _tables(layer: Layer, shape: Shape) -> tuple[HostArray, HostArray] | None:
    """(H', H) and (W', W), 1 or 0: which rows read which, and which columns; None if everything is read."""
    one = range(1)
    if len(shape) != 3 or layer.reads(shape, one, one) is None:
        return None
    made = layer.output_shape(shape)
    found = []
    for axis in (0, 1):
        table = np.zeros((made[1 + axis], shape[1 + axis]), np.float32)
        for place in range(len(table)):
            cell = range(place, place + 1)
            read = layer.reads(shape, *((cell, one) if axis == 0 else (one, cell)))
            assert read is not None
            table[place, read[axis].start : max(read[axis].stop, read[axis].start)] = 1
        found.append(table)
    return found[0], found[1]


def _all(shape: Shape, true: bool | np.bool_) -> HostArray:
    return np.full(shape, bool(true))


def _whole_maps(shape: Shape, mask: HostArray) -> HostArray:
    """All of every map that has a value in `mask` (C,)."""
    return np.broadcast_to(mask.reshape(-1, *(1 for _ in shape[1:])), shape)


Values: TypeAlias = "dict[str, np.ndarray[Any, Any]]"


class ShapeError(ValueError):
    """Two things that should fit do not; the message names the layer and the two shapes."""


def shape_text(shape: Shape) -> str:
    """A shape as people write it: 8 x 32 x 32."""
    return " × ".join(str(n) for n in shape)


@dataclass(frozen=True)
class Cost:
    """What reading one picture costs in a layer: multiplies (divisions among them, and an exponential or tanh as
    one), bytes of its output in float32, and parameters."""

    multiplies: int
    bytes: int
    parameters: int


@dataclass(frozen=True)
class Buffer:
    """Memory a layer reads its input from. full: with the margin the layer needs; values: the input itself."""

    full: Array
    values: Array


@dataclass
class Stage:
    """The arrays of one layer inside one plan, all batch-last.

    x: its input with margin; y: its output. block, dblock: its parameters as stored, None without parameters, and
    their gradient, None where nobody asks for it. state: what it gathers while learning, None where it gathers
    nothing. dy: the gradient in y; dx: the gradient in x.values, both without gaps; dx is None where nobody asks
    for it.
    training: whether it behaves as while learning; learning: whether its backward calls will be asked for. key: a
    number of its own for its random choices; moment: (2,) uint32, the number of the step and the place in the batch
    of the first example.
    work: whatever the layer's forward calls leave for its backward calls.
    """

    x: Buffer
    y: Array
    block: Array | None = None
    dblock: Array | None = None
    state: Array | None = None
    training: bool = False
    learning: bool = False
    key: int = 0
    moment: Array | None = None
    dy: Array | None = None
    dx: Array | None = None
    work: Any = None


@dataclass(frozen=True)
class Layer:
    """A stage's hyperparameters; subclasses give its shapes, parameters, cost and the calls of both passes."""

    kind: ClassVar[str] = "layer"
    reshapes: ClassVar[bool] = False  # whether its output is nothing but its input in another shape
    commutes_with_max: ClassVar[bool] = False  # whether the largest of its values is its value of the largest
    pointwise: ClassVar[bool] = False  # whether, while reading, a value follows from the one in its place alone
    cuts: ClassVar[bool] = False  # whether it turns what is below a bound into 0, and lets no gradient pass there
    relays: ClassVar[bool] = False  # whether, while reading, it gives the values it gets as they are
    measures: ClassVar[bool] = False  # whether it measures the pictures of a run that begins: see `measured`
    kink: ClassVar[str] = "lies at its kink"  # what a sentence says of a place where its slope jumps

    @property
    def margin(self) -> int:
        """How many values of 0 its input lies in on each side."""
        return 0

    @property
    def mixes_batch(self) -> bool:
        """Whether one example's output depends on the others of its batch, which then cannot be cut."""
        return False

    @property
    def mixes_maps(self) -> bool:
        """Whether a value of one of its maps, or of its list, reads all maps, or values, of its input."""
        return False

    @property
    def rescales(self) -> bool:
        """Whether its values are newly weighed or bent, so that their scale has nothing to do with its input's; not
        if they are picked, cut or averaged from it."""
        return False

    def signed(self, below: bool) -> bool:
        """Whether its values can be below 0; `below`: whether its input's can."""
        return below

    @property
    def draws(self) -> bool:
        """Whether it makes random choices while learning."""
        return False

    def output_shape(self, shape: Shape) -> Shape:
        """The output's shape, (C, H, W) or (n,), for one input of `shape`.

        Raises ShapeError if it cannot be; its message is a clause about "it", which Network makes a sentence.
        """
        return shape

    def block_shape(self, shape: Shape) -> Shape | None:
        """The shape its parameters are stored in, for an input of `shape`; None without parameters."""
        return None

    def parameters(self, block: Array, shape: Shape) -> dict[str, Array]:
        """Its parameters by name, as views of the stored block."""
        return {}

    def state_shape(self, shape: Shape) -> Shape | None:
        """The shape of what it gathers while learning, beside its parameters; None if it gathers nothing."""
        return None

    def state(self, block: Array, shape: Shape) -> dict[str, Array]:
        """What it gathers by name, as views of the stored state."""
        return {}

    def initial(self, shape: Shape, rng: np.random.Generator) -> Values:
        """Fresh parameters and state by name, float32, drawn from `rng`."""
        return {}

    def measured(self, images: np.ndarray[Any, Any]) -> Values:
        """State, by name, that a run with fresh weights takes from its pictures (N, C, H, W); asked of the layer
        that reads them."""
        return {}

    def multiplies(self, shape: Shape) -> int:
        """Multiplications for one input of `shape`, while reading; zeros of the margin are multiplied too."""
        return 0

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """Multiplications of the backward pass for one input of `shape`: for its parameters, and for its input.

        Each product of a weight and a value has one of each: gradient x value, and gradient x weight.
        """
        forward = self.multiplies(shape)
        return (0 if self.block_shape(shape) is None else forward), forward

    def cost(self, shape: Shape) -> Cost:
        """What one input of `shape` costs."""
        block = self.block_shape(shape)
        size = 4 * math.prod(self.output_shape(shape))
        return Cost(self.multiplies(shape), size, 0 if block is None else math.prod(block))

    def work_bytes(self, shape: Shape) -> int:
        """Bytes of float32 one input of `shape` keeps busy, to choose how many are worked on at once."""
        return 4 * math.prod(self.output_shape(shape))

    def pass_bytes(self, shape: Shape) -> int:
        """About how many bytes of float32 one input of `shape` takes in a plan: output, work, and the margin of the
        input, which can be wide where the stride is."""
        padded = math.prod((shape[0], *(side + 2 * self.margin for side in shape[1:])))
        return 4 * (math.prod(self.output_shape(shape)) + padded - math.prod(shape)) + self.work_bytes(shape)

    def check(self, values: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Raises ValueError for parameters or state, by name, that it cannot compute with; its message is a clause
        about what is named, which Network makes a sentence. Shapes and finiteness are checked by Network."""

    def together(self, shape: Shape) -> int:
        """How many inputs of `shape` are worth working on at once on a processor, even beyond its cache."""
        return 1

    def reads(self, shape: Shape, rows: range, columns: range) -> tuple[range, range] | None:
        """The rows and columns of its input that the given rows and columns of its output read.

        None if a value reads the whole input. `shape` is the input's.
        """
        return rows, columns

    def reads_of(self, shape: Shape, mask: HostArray) -> HostArray:
        """(*shape) bool: exactly the input cells that the output cells in `mask` read, without gaps of strides."""
        return below(self, shape, mask)

    def reached_from(self, shape: Shape, mask: HostArray) -> HostArray:
        """bool in the output's shape: exactly the output cells that read a cell in `mask` (*shape)."""
        return above(self, shape, mask)

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Arithmetic:
        """How the value at `place` of its output came about while reading.

        x: its whole input (*shape) on the host; y: the value; values: its parameters and state by name. Every kind
        of layer that networks are made of says it.
        """
        raise NotImplementedError

    def brings(self, x: HostArray, place: Place, above: Place, values: Values) -> HostArray:
        """(channels,) float64: what the cell at `place` of its input brings to the value at `above`, (row, column)
        or () in a list, of each of its maps or to each value of its list.

        Asked of layers that mix maps. x: its whole input; values: its parameters and state by name.
        """
        mine, count = int(np.ravel_multi_index(place, x.shape)), self.output_shape(x.shape)[0]
        spelled = [self.arithmetic(x, (channel, *above), 0.0, values) for channel in range(count)]
        return np.array([float(one.shares[one.cells == mine].sum()) for one in spelled])

    def gaps(self, x: HostArray) -> Iterator[HostArray]:
        """How far its inputs stand from where its slope jumps; nothing if it is smooth everywhere.

        x: (points, *shape, N), the same inputs at several points, of which the first is where one stands. Each
        array given is (points, *cells, N) and 0 where the slope jumps.
        """
        return iter(())

    def stack(self, stage: Stage) -> list[tuple[str, Layer, Stage]]:
        """The layers it is put together from, each with its title and its arrays; none for a plain layer."""
        return []

    def products(self, part: str, index: Shape, x: HostArray, dy: HostArray) -> Products | None:
        """Of which products the gradient of one of its parameters is the sum, while learning; None if it is no such
        sum, or nobody has written it down.

        part, index: which parameter. x: (N, *input) and dy: (N, *output), the whole batch where it mixes it.
        """
        return None

    def buffer(self, ops: Operations, shape: Shape, batch: int, dtype: Any) -> Buffer:
        """The memory it wants its input in: zeros, with whatever margin it needs."""
        plain = ops.zeros((*shape, batch), dtype)
        return Buffer(plain, plain)

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The calls that fill stage.y from stage.x."""
        raise NotImplementedError

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The calls that fill stage.dx and stage.dblock, each unless it is None, from stage.dy, after a forward
        pass."""
        raise NotImplementedError

    def settle(self, ops: Operations, stage: Stage) -> Calls:
        """The calls that carry what the last forward pass gathered into stage.state, once its step is accepted."""
        return []


def need_maps(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    """`shape` as (channels, height, width). Raises ShapeError if it is a vector."""
    if len(shape) != 3:
        raise ShapeError(
            f"it reads maps (channels × height × width) but gets {shape_text(shape)}; put it before Flatten"
        )
    return shape[0], shape[1], shape[2]


def need_vector(layer: Layer, shape: Shape) -> int:
    """`shape` as a length. Raises ShapeError if it is a stack of maps."""
    if len(shape) != 1:
        raise ShapeError(f"it reads a list (n) but gets maps {shape_text(shape)}; put a Flatten before it")
    return shape[0]


def by_layer(values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Values]:
    """Values whose names begin with a layer's (01-conv2d.weight), put together under that layer's name."""
    found: dict[str, Values] = {}
    for name, value in values.items():
        layer, _, part = name.partition(".")
        found.setdefault(layer, {})[part] = value
    return found


def key_of(above: int, place: int) -> int:
    """The key of the random choices of the layer at `place`, counted from 1, of a network whose seed, or a stack
    whose own key, is `above`: the first 32 bits of BLAKE2s of the two, so that no two layers' choices follow from
    each other."""
    return int.from_bytes(hashlib.blake2s(f"{above}/{place}".encode(), digest_size=4).digest(), "little")


# No size, stride, padding or number of features is larger: what is drawn and computed here never comes near it, and
# a pool alone looks at every place of its window.
LARGEST = 1 << 16


def need(layer: object, name: str, fits: bool, wanted: str) -> None:
    """Raises ValueError, naming the layer's kind, unless the hyperparameter fits; `wanted` says what it must be."""
    if not fits:
        given = reprlib.repr(getattr(layer, name))
        raise ValueError(f"{type(layer).__name__}'s {name} must be {wanted}, not {given}.")


def need_whole(layer: object, name: str, least: int, otherwise: str = "") -> None:
    """Raises ValueError unless the hyperparameter is a whole number from `least` to LARGEST, or is `otherwise`."""
    value = getattr(layer, name)
    fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST
    other = f' or "{otherwise}"' if otherwise else ""
    wanted = f"a whole number from {least} to {LARGEST:,}{other}"
    need(layer, name, fits or (bool(otherwise) and value == otherwise), wanted)


def need_flag(layer: object, name: str) -> None:
    """Raises ValueError unless the hyperparameter is True or False."""
    need(layer, name, isinstance(getattr(layer, name), bool), "True or False")


def need_number(layer: object, name: str, least: float, most: float, *, beyond_least: bool = False) -> None:
    """Raises ValueError unless the hyperparameter is a number from `least` (or, with `beyond_least`, above it) to
    `most`."""
    value = getattr(layer, name)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    start = f"above {least:g}, at most" if beyond_least else f"from {least:g} to"
    need(layer, name, fits and not (beyond_least and value == least), f"a number {start} {most:g}")
