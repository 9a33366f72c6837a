"""Tiles: which part of a matrix product a block of threads makes, and how many share a long sum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.backends.cuda.arguments import Parameter, nothing, reads, whole, writes
from engine.backends.cuda.arrays import View
from engine.backends.cuda.launch import Blocks, Kernels
from engine.backends.ops import Calls

# Members that are brought into shared memory at a time, if there is so much of it without asking for more.
DEPTHS = (32, 16, 8)
SHARED_BYTES = 48 * 1024
# Members that one thread adds up one after the other, at most, where that can be: rounding grows with them.
LONGEST = 1024
# No part of a sum is shorter than so many steps of DEPTH.
SHORTEST = 2

Wide: TypeAlias = Literal[1, 4]


@dataclass(frozen=True)
class Tile:
    """rows x columns of the product a block makes, high x wide of them each of its threads."""

    rows: int
    columns: int
    high: int
    wide: int

    @property
    def threads(self) -> int:
        """That share a tile."""
        return self.rows // self.high * (self.columns // self.wide)

    @property
    def most_threads(self) -> int:
        """Of a block: the more values each has, the more registers it needs."""
        each = self.high * self.wide
        return 256 if each > 32 else 512 if each > 8 else 1024

    def blocks(self, rows: int, columns: int) -> tuple[int, int]:
        """How many cover a product of rows x columns, along and down."""
        return -(-columns // self.columns), -(-rows // self.rows)


TILES = (
    Tile(8, 32, 1, 4),
    Tile(8, 64, 2, 4),
    Tile(8, 128, 4, 4),
    Tile(8, 256, 4, 8),
    Tile(16, 64, 4, 4),
    Tile(16, 128, 4, 8),
    Tile(16, 256, 4, 16),
    Tile(32, 32, 4, 4),
    Tile(32, 64, 4, 8),
    Tile(32, 128, 8, 8),
    Tile(32, 256, 4, 16),
    Tile(64, 64, 8, 4),
    Tile(64, 128, 8, 8),
    Tile(128, 64, 8, 8),
    Tile(128, 128, 8, 8),
)


@dataclass(frozen=True)
class Sharing:
    """tile: what a block makes. groups: of threads of a block that share each sum. slices: blocks that do. depth:
    members at a time."""

    tile: Tile
    groups: int
    slices: int
    depth: int

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.tile.threads * self.groups

    @property
    def registers(self) -> int:
        """About how many a thread has: for its values, a row and a column of them, and what is on its way."""
        tile = self.tile
        fetched = self.depth * (tile.rows + tile.columns) / tile.threads
        return int(40 + tile.high * tile.wide + tile.high + tile.wide + fetched)

    def options(self, dtype: np.dtype[Any]) -> tuple[str, ...]:
        """The compiler's."""
        tile = self.tile
        sides = {"TILE_M": tile.rows, "TILE_N": tile.columns, "EACH_M": tile.high, "EACH_N": tile.wide}
        sides |= {"GROUPS": self.groups, "DEPTH": self.depth}
        return (real(dtype), *(f"-D{name}={value}" for name, value in sides.items()))

    def shared_bytes(self, itemsize: int) -> int:
        """Shared memory of a block, as in tiles.cuh."""
        tile = self.tile
        members = self.groups * 2 * self.depth * ((tile.rows + tile.columns) * itemsize + 32)
        return max(members, (self.groups - 1) * tile.rows * tile.columns * itemsize)


def real(dtype: np.dtype[Any]) -> str:
    """The compiler's option that says what a REAL is. Raises ValueError for anything but float32 and float64."""
    names = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
    if dtype not in names:
        raise ValueError(f"Kernels compute in float32 or float64, not {dtype}.")
    return f"-DREAL={names[dtype]}"


@dataclass(frozen=True)
class Size:
    """rows, columns, members: of a product. wide: how many values of the left and of the right side are fetched in
    one piece."""

    rows: int
    columns: int
    members: int
    wide: tuple[Wide, Wide] = (1, 1)


@cache
def best_tiling(size: Size, itemsize: int, processors: int) -> Sharing:
    """With which the product is probably done first; see `microseconds`."""
    found = list(_sharings(size, itemsize, processors))
    short = [each for each in found if size.members <= LONGEST * each.groups * each.slices]
    return min(short or found, key=lambda each: microseconds(each, size, itemsize, processors))


def _sharings(size: Size, itemsize: int, processors: int) -> Iterator[Sharing]:
    """All that come into question."""
    for tile in TILES:
        along, down = tile.blocks(size.rows, size.columns)
        for groups in (1, 2, 4, 8, 16):
            if groups > 1 and (tile.threads * groups > tile.most_threads or size.members < groups * 8):
                continue
            for depth in DEPTHS:
                if depth > 8 and size.members <= depth // 2 * groups:
                    continue
                one = Sharing(tile, groups, 1, depth)
                if one.shared_bytes(itemsize) > SHARED_BYTES:
                    continue
                most = size.members // (SHORTEST * depth * groups)
                wanted = {1, *(times * processors // (along * down) for times in (1, 2, 3, 4, 6, 8))}
                for slices in wanted:
                    if 1 <= slices <= max(1, most):
                        yield Sharing(tile, groups, slices, depth)


# Of an H200: the clock in MHz; what a multiprocessor has of schedulers, threads, registers and shared memory.
CLOCK, SCHEDULERS, MOST_RESIDENT, REGISTERS, SHARED_TOTAL = 1750, 4, 2048, 65536, 228 * 1024
# Found there by timing 500 products of the reference networks and fitting these (mean error 16 %; what the model
# picks takes 3 % longer than the best that was timed). Cycles for each value of a thread, each row or column of
# its values, each member, each piece fetched; at the end for each value; until the first members are there, and
# for every further step. As many warps as a scheduler wastes where it has few. Microseconds for a launch, for a
# second one, and for a million bytes of parts of sums.
VALUE, SIDE, MEMBER, FETCHED, LAST, FIRST_STEP, STEP = 1.0, 2.27, 2.24, 33.5, 41.5, 900, 483
WASTED, MIXED = 0.82, 2.7
LAUNCH, SECOND, PARTS = 1.2, 1.4, 0.41


def microseconds(sharing: Sharing, size: Size, itemsize: int, processors: int) -> float:
    """About how long a product takes. A processor works through its share of the blocks, as many at a time as fit;
    each time takes the longer of what all their threads issue and of what one has to wait for, step after step."""
    tile, depth = sharing.tile, sharing.depth
    along, down = tile.blocks(size.rows, size.columns)
    steps = -(-size.members // (sharing.slices * sharing.groups * depth))
    pieces = depth * (tile.rows / size.wide[0] + tile.columns / size.wide[1]) / tile.threads
    each = depth * (VALUE * tile.high * tile.wide + SIDE * (tile.high + tile.wide) + MEMBER) + FETCHED * pieces
    last = LAST * tile.high * tile.wide * (1 + 0.04 * sharing.groups) + 100
    resident = min(
        MOST_RESIDENT // sharing.threads,
        REGISTERS // (sharing.registers * sharing.threads),
        SHARED_TOTAL // sharing.shared_bytes(itemsize),
    )

    def cycles(blocks: int) -> float:
        busy = blocks * sharing.threads / 32 / SCHEDULERS
        issued = (steps * each + last) * (busy**MIXED + WASTED**MIXED) ** (1 / MIXED) * (itemsize // 4)
        return FIRST_STEP + float(max(issued, steps * (STEP + 0.95 * each) + 0.95 * last))

    share = -(-along * down * sharing.slices // processors)
    full, rest = divmod(share, max(1, resident))
    total = full * cycles(max(1, resident)) + (cycles(rest) if rest else 0)
    more = 0.0
    if sharing.slices > 1:
        more = SECOND + PARTS * sharing.slices * size.rows * size.columns * itemsize / 1e6
    return LAUNCH + total / CLOCK + more


@dataclass(frozen=True)
class Product:
    """A kernel of tiles. rows, columns, members: of the product. wide: see Size. options: the kernel's own. before,
    after: what it is given, before and after the pointer to where it writes: `out`, or parts of the sums. windows:
    the height, width and batch of maps whose windows of 2 x 2 a thread can make as a whole."""

    name: str
    rows: int
    columns: int
    members: int
    wide: tuple[Wide, Wide]
    options: tuple[str, ...]
    before: list[Parameter]
    out: View
    after: list[Parameter]
    windows: tuple[int, int, int] | None = None


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
    size = Size(rows, columns, product.members, product.wide)
    sharing = best_tiling(size, dtype.itemsize, kernels.device.processors)
    parts, windows = sharing.slices, product.windows if sharing.slices == 1 else None
    grid = (*sharing.tile.blocks(rows, columns), parts)
    fetched = (f"-DLEFT_WIDE={product.wide[0]}", f"-DRIGHT_WIDE={product.wide[1]}")
    options = (*sharing.options(dtype), *fetched, f"-DWINDOWS={int(windows is not None)}", *product.options)

    def launch(target: list[Parameter], count: int) -> Blocks:
        given = (*product.before, *target, *product.after)
        return Blocks(kernels, product.name, options, grid, (sharing.threads,), given, count, windows)

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


def in_fours(view: View, *counts: int) -> Wide:
    """How many values of an array may be fetched in one piece, whose rows and whatever else lies between its pieces
    are so many values long."""
    return 4 if view.dtype.itemsize == 4 and view.start % 16 == 0 and all(count % 4 == 0 for count in counts) else 1
