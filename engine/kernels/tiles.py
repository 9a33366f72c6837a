"""Tiles: which part of a matrix product a block of threads makes, and into how many parts a long sum is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.kernels.launch import Blocks, Kernels, Parameter, nothing, reads, whole, writes
from engine.kernels.view import View
from engine.operations import Calls

# Sums are cut until this many blocks for each of the device's processors are at work, but into no shorter parts
# than this many steps, and not at all into fewer than are worth a second launch.
BLOCKS_EACH = 2
SHORTEST = 4
FEWEST = 4


@dataclass(frozen=True)
class Tile:
    """rows x columns of the product a block makes, high x wide of them each of its threads."""

    rows: int
    columns: int
    high: int
    wide: int

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.rows // self.high * (self.columns // self.wide)

    def blocks(self, rows: int, columns: int) -> tuple[int, int]:
        """How many cover a product of rows x columns, along and down."""
        return -(-columns // self.columns), -(-rows // self.rows)

    def options(self, dtype: np.dtype[Any], depth: int) -> tuple[str, ...]:
        """The compiler's."""
        sides = {"TILE_M": self.rows, "TILE_N": self.columns, "EACH_M": self.high, "EACH_N": self.wide}
        return (real(dtype), f"-DDEPTH={depth}", *(f"-D{name}={value}" for name, value in sides.items()))


TILES = (
    Tile(8, 32, 2, 2),
    Tile(8, 128, 4, 2),
    Tile(16, 128, 4, 4),
    Tile(32, 64, 4, 4),
    Tile(64, 64, 4, 4),
    Tile(128, 128, 8, 8),
)


def real(dtype: np.dtype[Any]) -> str:
    """The compiler's option that says what a REAL is. Raises ValueError for anything but float32 and float64."""
    names = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
    if dtype not in names:
        raise ValueError(f"Kernels compute in float32 or float64, not {dtype}.")
    return f"-DREAL={names[dtype]}"


def best_tile(rows: int, columns: int, processors: int) -> Tile:
    """The tile with which a product of rows x columns is probably done first.

    An estimate, not measured: a processor works through its share of the blocks one after the other, and each value
    costs one multiplication and its part of what its thread reads for `high` x `wide` of them.
    """

    def cost(tile: Tile) -> float:
        along, down = tile.blocks(rows, columns)
        share = -(-along * down // processors)
        return share * tile.rows * tile.columns * (1 + 2 / tile.high + 2 / tile.wide)

    return min(TILES, key=cost)


def slices(tile: Tile, rows: int, columns: int, members: int, depth: int, processors: int) -> int:
    """Into how many parts the sums are cut, so that there is a block for every processor."""
    along, down = tile.blocks(rows, columns)
    parts = min(BLOCKS_EACH * processors // (along * down), members // (SHORTEST * depth))
    return parts if parts >= FEWEST else 1


@dataclass(frozen=True)
class Product:
    """A kernel of tiles. rows, columns, members: of the product. depth: members at a time. options: the kernel's
    own. before, after: what it is given, before and after the pointer to where it writes: `out`, or parts of the
    sums."""

    name: str
    rows: int
    columns: int
    members: int
    options: tuple[str, ...]
    before: list[Parameter]
    out: View
    after: list[Parameter]
    depth: int = 16


@dataclass(frozen=True)
class Bias:
    """What is added to sums when their parts are: to value i, number i // values * step of `first`'s values on."""

    first: View
    step: int
    values: int


def tiled(kernels: Kernels, product: Product, bias: Bias | None = None) -> Calls:
    """The launch of a kernel of tiles, and where it cuts its sums a second that adds up their parts, and the bias,
    which the kernel itself adds otherwise."""
    rows, columns, dtype = product.rows, product.columns, product.out.dtype
    processors = kernels.device.processors
    tile = best_tile(rows, columns, processors)
    parts = slices(tile, rows, columns, product.members, product.depth, processors)
    grid, options = (*tile.blocks(rows, columns), parts), (*tile.options(dtype, product.depth), *product.options)

    def launch(target: list[Parameter], size: int) -> Blocks:
        given = (*product.before, *target, *product.after)
        return Blocks(kernels, product.name, options, grid, (tile.threads,), given, size)

    if parts == 1:
        return [(launch(writes(product.out), rows * columns), (), {})]
    scratch = kernels.view(kernels.device.zeros((parts, rows * columns), dtype))
    first = launch(writes(scratch, anywhere=True), 0)
    return [(first, (), {}), (_sums(kernels, scratch, parts, product.out, bias), (), {})]


def _sums(kernels: Kernels, parts: View, slices: int, out: View, bias: Bias | None) -> Blocks:
    """The launch that adds up parts (slices, count)."""
    # Many parts need many threads for each value, few do not.
    count, groups = out.size, 8 if slices <= 32 else 32
    given = [*reads(parts, anywhere=True), *whole(slices, count), *writes(out, strided=True)]
    if bias is None:
        given += [*nothing(out.dtype), *whole(0, 1)]
    else:
        given += [*reads(bias.first, anywhere=True), *whole(bias.step, bias.values)]
    options = (real(out.dtype), f"-DGROUPS={groups}")
    return Blocks(kernels, "sums", options, (-(-count // 32),), (32, groups), tuple(given), count)
