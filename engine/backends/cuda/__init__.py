"""The array operations on a GPU: CUDA C kernels and their launches."""

from engine.backends.cuda.device import CupyDevice, first_line, fused
from engine.backends.cuda.launch import Device, DeviceFault
from engine.backends.cuda.ops import KernelOperations

__all__ = ["CupyDevice", "Device", "DeviceFault", "KernelOperations", "first_line", "fused"]
