"""Benchmarks: this engine timed beside others that compute the same, its costs, and its numbers on a GPU. They
judge no change by a stopwatch and print nothing."""
