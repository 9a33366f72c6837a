"""The array operations on NumPy, as prepared calls with preallocated buffers and views."""

from engine.backends.numpy.ops import NumpyOps

__all__ = ["NumpyOps"]
