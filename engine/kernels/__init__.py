"""The operations on a GPU: CUDA C kernels of this project, and how they are launched. NumPy's are in
engine/array_operations."""

from engine.kernels.cupy_device import CupyDevice, first_line
from engine.kernels.device import Device, DeviceFault
from engine.kernels.fusion import fused
from engine.kernels.kernel_operations import KernelOperations

__all__ = ["CupyDevice", "Device", "DeviceFault", "KernelOperations", "first_line", "fused"]
