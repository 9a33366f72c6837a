"""Tiling: matrix products as launches of tiled kernels, with split sums (split-k)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.backends.cuda.arguments import KernelParameter, ints, null_pointer, reads, real_option, writes
from engine.backends.cuda.arrays import ArrayView
from engine.backends.cuda.launch import BlockLaunch, KernelCache
from engine.backends.cuda.tile_costs import ProductShape, VectorWidth
from engine.backends.ops import Calls


@dataclass(frozen=True)
class TiledProduct:
    """A matrix product by a tiled kernel.

    rows, columns, inner, vector_widths: see ProductShape.
    options: compiler options of the kernel itself.
    before, after: parameters before and after the output pointer, which is `out` or partial sums.
    windows: the height, width and batch of maps of which a thread can compute complete 2 x 2 windows.
    """

    name: str
    rows: int
    columns: int
    inner: int
    vector_widths: tuple[VectorWidth, VectorWidth]
    options: tuple[str, ...]
    before: list[KernelParameter]
    out: ArrayView
    after: list[KernelParameter]
    windows: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class BiasTerm:
    """The bias of element i, array[i // channel_size * step], added by the reduction of split sums."""

    array: ArrayView
    step: int
    channel_size: int


def tiled_product_calls(kernels: KernelCache, product: TiledProduct, bias: BiasTerm | None = None) -> Calls:
    """The launch of a tiled kernel; with split sums, also the launch that reduces them and adds the bias, which the
    kernel itself adds otherwise."""
    rows, columns, dtype = product.rows, product.columns, product.out.dtype
    size = ProductShape(rows, columns, product.inner, product.vector_widths)
    tiling = kernels.choose_tiling(size, dtype.itemsize)
    parts, windows = tiling.slices, product.windows if tiling.slices == 1 else None
    along, down = tiling.tile.grid(rows, columns)
    grid = (along * down, parts)
    widths = (f"-DLEFT_VECTOR={product.vector_widths[0]}", f"-DRIGHT_VECTOR={product.vector_widths[1]}")
    options = (*tiling.options(dtype), *widths, f"-DWINDOWS={int(windows is not None)}", *product.options)

    def launch(target: list[KernelParameter], count: int) -> BlockLaunch:
        parameters = (*product.before, *target, *product.after)
        return BlockLaunch(kernels, product.name, options, grid, (tiling.threads,), parameters, count, windows)

    if parts == 1:
        return [(launch(writes(product.out), rows * columns), (), {})]
    scratch = kernels.view(kernels.device.zeros((parts, rows * columns), dtype))
    first = launch(writes(scratch, random_access=True), 0)
    return [(first, (), {}), (_reduction(kernels, scratch, parts, product.out, bias), (), {})]


def _reduction(
    kernels: KernelCache, parts: ArrayView, slices: int, out: ArrayView, bias: BiasTerm | None
) -> BlockLaunch:
    """The launch that sums parts (slices, count)."""
    # Many slices need many threads for each value, few do not.
    count, groups = out.size, 8 if slices <= 32 else 32
    parameters = [*reads(parts, random_access=True), *ints(slices, count), *writes(out, strided=True)]
    if bias is None:
        parameters += [*null_pointer(out.dtype), *ints(0, 1)]
    else:
        parameters += [*reads(bias.array, random_access=True), *ints(bias.step, bias.channel_size)]
    options = (real_option(out.dtype), f"-DGROUPS={groups}")
    return BlockLaunch(
        kernels, "reduce_slices", options, (-(-count // 32),), (32, groups), tuple(parameters), count
    )


def vector_width(view: ArrayView, *counts: int) -> VectorWidth:
    """How many values of an array can be fetched at once; counts: its row lengths and strides, in elements."""
    return 4 if view.dtype.itemsize == 4 and view.start % 16 == 0 and all(count % 4 == 0 for count in counts) else 1
