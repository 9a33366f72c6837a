"""Benchmarks: this engine timed beside other libraries, the cost of its layers, and its numerical parity on a
GPU."""
