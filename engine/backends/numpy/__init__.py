"""The operations on NumPy arrays."""

from engine.backends.numpy.ops import NumpyOps

__all__ = [
    "NumpyOps",
]
