"""The array operations on NumPy, as prepared calls with preallocated buffers and views."""

from engine.backends.numpy.ops import ArrayOperations

__all__ = ["ArrayOperations"]
