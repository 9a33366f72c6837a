"""Window pooling and global average pooling on a GPU; gradients are gathered, so that no two threads write one
value."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from engine.backends.cuda.arguments import KernelParameter, ints, reads, real_option, scalar, writes
from engine.backends.cuda.arrays import DIVISOR_DTYPE, divisor_struct
from engine.backends.cuda.launch import BlockLaunch, KernelCache
from engine.backends.cuda.pointwise import elementwise_calls
from engine.backends.ops import Array, Calls, PoolSpec

# As in pools.cuh.
POOL_GEOMETRY = np.dtype(
    [(name, DIVISOR_DTYPE) for name in ("height", "width", "out_height", "out_width", "batch")]
)


class CudaPool:
    def __init__(
        self, kernels: KernelCache, kind: Literal["max", "average"], x: Array, y: Array, spec: PoolSpec
    ) -> None:
        size, stride = spec.size, spec.stride
        self._kernels, self._kind, self._x, self._y = kernels, kind, x, y
        self._template = f"<{size}, {stride}>"
        sizes = tuple(divisor_struct(size).item() for size in (*x.shape[1:3], *y.shape[1:]))
        self._geometry = KernelParameter("PoolGeometry", np.array(sizes, POOL_GEOMETRY))
        # Whether windows are 2 x 2 and tile the maps exactly.
        self._tiles_exactly = (size, stride) == (2, 2) and x.shape[1] % 2 == x.shape[2] % 2 == 0
        # The position of the maximum in each window.
        self._argmax = kernels.device.zeros(y.shape, np.int32) if kind == "max" else None

    def forward(self) -> Calls:
        x, y = self._kernels.view(self._x), self._kernels.view(self._y)
        # The kernel that computes the maps may pool a window once it is complete.
        windows = tuple(self._x.shape[1:]) if self._tiles_exactly else None
        parameters = [*reads(x, strided=True, random_access=True, windows=windows), *writes(y, strided=True)]
        if self._argmax is not None:
            parameters += writes(self._kernels.view(self._argmax))
        function = f"{self._kind}_pool{self._template}"
        return elementwise_calls(self._kernels, function, y.size, [*parameters, self._geometry])

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        if dx is None:
            return []
        given, target = self._kernels.view(dy), self._kernels.view(dx)
        if self._argmax is not None and self._tiles_exactly and target.is_contiguous:
            # Not fused with the kernel that computes dy, whose threads have too few adjacent values for fast
            # writes.
            parameters = [*reads(self._kernels.view(self._argmax)), *reads(given, strided=True, random_access=True)]
            parameters += [*writes(target, strided=True, random_access=True), self._geometry]
            return elementwise_calls(self._kernels, "max_pool_scatter", given.size, parameters)
        parameters = [
            *reads(given, strided=True, random_access=True),
            *writes(target, strided=True),
            self._geometry,
        ]
        if self._argmax is not None:
            parameters = [*reads(self._kernels.view(self._argmax), random_access=True), *parameters]
        function = f"{self._kind}_pool_gradient{self._template}"
        return elementwise_calls(self._kernels, function, target.size, parameters)


class CudaGlobalAveragePool:
    def __init__(self, kernels: KernelCache, x: Array, y: Array) -> None:
        self._kernels, self._x, self._y = kernels, x, y

    def forward(self) -> Calls:
        x, y = self._kernels.view(self._x), self._kernels.view(self._y)
        # Large maps need many threads for each mean, small ones do not.
        groups = 32 if math.prod(self._x.shape[1:3]) > 256 else 8
        strides = (stride // self._x.dtype.itemsize for stride in self._x.strides[:3])
        parameters = [
            *reads(x, random_access=True),
            *ints(*strides, *self._x.shape[1:], y.size),
            *writes(y, strided=True),
        ]
        options, grid = (real_option(y.dtype), f"-DGROUPS={groups}"), (-(-y.size // 32),)
        launch = BlockLaunch(
            self._kernels, "global_average_pool", options, grid, (32, groups), tuple(parameters), y.size
        )
        return [(launch, (), {})]

    def backward(self, dy: Array, dx: Array | None) -> Calls:
        if dx is None:
            return []
        down, along = dy.strides
        expanded = self._kernels.view(dy, dx.shape, (down, 0, 0, along))
        target, factor = self._kernels.view(dx), dy.dtype.type(1 / math.prod(self._x.shape[1:3]))
        parameters = [
            *reads(expanded, strided=True, random_access=True),
            *writes(target, strided=True),
            *scalar(factor),
        ]
        return elementwise_calls(self._kernels, "scale", target.size, parameters)
