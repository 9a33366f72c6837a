"""The operations as CUDA kernels: arguments, launches, tiling, and the device they run on."""

from engine.backends.cuda.device import CupyDevice, first_line, fuse_launches
from engine.backends.cuda.launch import CudaDevice, DeviceFault
from engine.backends.cuda.ops import CudaOps

__all__ = [
    "CudaDevice",
    "CudaOps",
    "CupyDevice",
    "DeviceFault",
    "first_line",
    "fuse_launches",
]
