"""The operations on NumPy: array calls whose every buffer and view is made once. CUDA's are in backends/cuda."""

from engine.backends.numpy.ops import ArrayOperations

__all__ = ["ArrayOperations"]
