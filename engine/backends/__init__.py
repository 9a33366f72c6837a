"""Where arrays live and what computes on them: the operations (`Ops`), NumPy, CUDA, and the choice between them."""

from engine.backends.backend import (
    Backend,
    ComputeDevice,
    DeviceChoice,
    DeviceUnavailable,
    choose_backend,
    numpy_backend,
    one_blas_thread,
)
from engine.backends.convolution_cost import preferred_batch
from engine.backends.ops import (
    ActivationFunction,
    Array,
    Calls,
    ConvSpec,
    DifferentiableOp,
    HostArray,
    HostInput,
    HostOutput,
    Ops,
    PoolSpec,
    UpdateArrays,
    iter_slices,
    replay,
)

__all__ = [
    "ActivationFunction",
    "Array",
    "Backend",
    "Calls",
    "ComputeDevice",
    "ConvSpec",
    "DeviceChoice",
    "DeviceUnavailable",
    "DifferentiableOp",
    "HostArray",
    "HostInput",
    "HostOutput",
    "Ops",
    "PoolSpec",
    "UpdateArrays",
    "choose_backend",
    "iter_slices",
    "numpy_backend",
    "one_blas_thread",
    "preferred_batch",
    "replay",
]
